from __future__ import annotations

import datetime as dt
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bar_factory import bits, weekdays
from cloudlstm.config import CleanConfig, SyntheticConfig, parse
from cloudlstm.errors import UnknownTickerError
from cloudlstm.market import bars
from cloudlstm.market.cleaning.clean import clean
from cloudlstm.market.sources import simulation, synthetic
from cloudlstm.market.sources.base import open_source

SESSIONS = weekdays(1500)
SOUND = {"missing_days": 0.0, "bad_ticks": 0.0, "late_listings": 0.0}


def make(n_tickers: int, sessions=SESSIONS, **settings) -> pa.Table:
    config = SyntheticConfig(tickers=n_tickers, **settings)
    return synthetic.make_bars(config, synthetic.ticker_names(config), sessions)


def log_returns(table: pa.Table, n_tickers: int) -> np.ndarray:
    """(session, ticker) of a market without gaps."""
    close = table["close"].to_numpy().reshape(n_tickers, -1)
    return np.diff(np.log(close), axis=1).T


def run_config(**market):
    return parse(
        {
            "market": {"source": "synthetic", "start": "2015-01-01", "end": "2017-12-31"} | market,
            "dataset": {"train_end": "2016-06-30", "validation_end": "2016-12-31"},
        }
    )


def test_bars_do_not_depend_on_the_shards():
    settings = SyntheticConfig(tickers=7, signal_r2=0.1, bad_ticks=0.02, missing_days=0.02, splits=1.0)
    names = synthetic.ticker_names(settings)
    whole = synthetic.make_bars(settings, names, SESSIONS)
    for size in (1, 2, 3, 5):
        parts = [synthetic.make_bars(settings, names[i : i + size], SESSIONS) for i in range(0, 7, size)]
        assert bits(bars.sort(pa.concat_tables(parts).unify_dictionaries())) == bits(whole)


def test_seeds_and_settings_make_different_markets():
    base = bits(make(2))
    assert bits(make(2)) == base
    assert bits(make(2, seed=8)) != base
    assert bits(make(2, signal_r2=0.05)) != base


def test_a_market_without_faults_is_valid():
    table = make(5, **SOUND, splits=1.0)
    assert table.num_rows == 5 * len(SESSIONS)
    assert set(table["source"].to_pylist()) == {"synthetic"}
    result = clean(table, CleanConfig(), SESSIONS)
    assert result.quarantine.num_rows == 0
    assert result.bars.num_rows == table.num_rows
    frame = table.to_pandas()
    assert (frame.high >= frame[["open", "close"]].max(axis=1)).all()
    assert (frame.low <= frame[["open", "close"]].min(axis=1)).all()
    assert (frame.volume > 0).all()


def test_returns_have_fat_tails_volatility_clusters_and_a_common_factor():
    returns = log_returns(make(40, weekdays(3000), **SOUND), 40)
    scaled = returns / returns.std(axis=0)
    assert 6 < np.mean(scaled**4) < 40  # a normal distribution has 3
    size = np.abs(scaled)
    clusters = [np.mean([np.corrcoef(column[:-lag], column[lag:])[0, 1] for column in size.T]) for lag in (1, 20)]
    assert clusters[0] > 0.1
    assert clusters[1] > 0.05
    plain = [np.corrcoef(column[:-1], column[1:])[0, 1] for column in scaled.T]
    assert abs(np.mean(plain)) < 0.02
    company = np.corrcoef(scaled.T)[np.triu_indices(40, 1)]
    assert 0.1 < company.mean() < 0.5


@pytest.mark.parametrize("r2", [0.0, 0.05, 0.3])
def test_the_planted_signal_has_the_requested_share_of_variance(r2):
    n = 60
    settings = SyntheticConfig(tickers=n, signal_r2=r2, **SOUND)
    names, sessions = synthetic.ticker_names(settings), weekdays(3000)
    returns = log_returns(synthetic.make_bars(settings, names, sessions), n)
    oracle = synthetic.oracle_forecast(settings, names, sessions)
    forecast = oracle["forecast"].to_numpy().reshape(n, -1).T[:-1]
    assert oracle["ticker"].to_pylist()[:: len(sessions)] == list(names)
    found = 1 - np.sum((returns - forecast) ** 2) / np.sum(returns**2)
    assert found == pytest.approx(r2, rel=0.15, abs=1e-9)
    if r2:
        late = 1 - np.sum((returns[1:] - forecast[:-1]) ** 2) / np.sum(returns[1:] ** 2)
        assert late < r2 / 2  # shifted by one session it explains little, so the dates are right
        slope = np.sum(returns * forecast) / np.sum(forecast**2)
        assert slope == pytest.approx(1.0, abs=0.1)  # the oracle is unbiased


def test_the_oracle_is_the_expectation_of_the_model():
    # With the same seed, the market without a signal contains the same noise.
    names, sigma, beta = [f"T{i}" for i in range(5)], np.full(5, 0.02), np.full(5, 0.4)
    plain = simulation.simulate(3, names, sigma, beta, 500, 0.0)
    paths = simulation.simulate(3, names, sigma, beta, 500, 0.2)
    surprise = paths.sigma * paths.shock - np.vstack([np.zeros(5), paths.expected[:-1]])
    assert np.allclose(surprise, paths.sigma * plain.shock * np.sqrt(1 - 0.2), rtol=0, atol=1e-15)
    assert np.std(paths.expected) > 0
    assert not plain.expected.any()


def test_the_oracle_uses_the_past_only():
    # The expected return at the end of a session is the same if the market ends there.
    settings = SyntheticConfig(tickers=3, signal_r2=0.1, **SOUND)
    names = synthetic.ticker_names(settings)
    whole = synthetic.oracle_forecast(settings, names, SESSIONS)["forecast"].to_numpy().reshape(3, -1)
    start = synthetic.oracle_forecast(settings, names, SESSIONS[:700])["forecast"].to_numpy().reshape(3, -1)
    assert np.array_equal(whole[:, :700], start)


def test_splits_scale_volume_and_tick_size_but_not_adjusted_prices():
    with_splits = make(30, **SOUND, splits=0.5).to_pandas()
    without = make(30, **SOUND, splits=0.0).to_pandas()
    close, plain = with_splits.close.to_numpy(), without.close.to_numpy()
    assert np.allclose(close, plain, rtol=0, atol=0.011)
    cents = np.abs(plain * 1e2 - np.rint(plain * 1e2)) < 1e-6
    assert cents[plain > 1].all()
    assert not (np.abs(close * 1e2 - np.rint(close * 1e2)) < 1e-6)[close > 1].all()
    # Volume is in today's shares, so its level does not jump at a split; its unit is a round lot of the old shares.
    assert np.median(with_splits.volume / without.volume) == pytest.approx(1.0, abs=0.05)
    assert np.quantile(np.abs(np.log(with_splits.volume / without.volume)), 0.9) < 0.3
    first = with_splits.groupby("ticker", observed=True).volume.agg(lambda volume: np.gcd.reduce(volume[:10]))
    assert (first % 100 == 0).all()
    assert (first > 100).sum() > 10
    assert (
        with_splits.groupby("ticker", observed=True).volume.agg(lambda volume: np.gcd.reduce(volume[-10:])) == 100
    ).any()


def test_late_listings_and_missing_days_have_their_configured_rates():
    table = make(400, weekdays(300), bad_ticks=0.0, missing_days=0.03, late_listings=0.25)
    day = table["date"].cast(pa.int32()).to_numpy()
    ticker = np.array(table["ticker"].to_pylist())
    first = {name: day[ticker == name].min() for name in set(ticker)}
    late = np.mean([start > SESSIONS[5] for start in first.values()])
    assert late == pytest.approx(0.25, abs=0.06)
    assert max(first.values()) <= SESSIONS[150]
    due = sum(300 - np.searchsorted(SESSIONS[:300], start) for start in first.values())
    assert 1 - table.num_rows / due == pytest.approx(0.03, abs=0.003)


def test_cleaning_finds_every_planted_fault_and_nothing_else():
    faults = {"missing_days": 0.01, "bad_ticks": 0.01, "late_listings": 0.5}
    spoiled = clean(make(20, **faults), CleanConfig(), SESSIONS)
    truth = {(row["ticker"], row["date"]): row for row in make(20, **SOUND).select(bars.VALUES.names).to_pylist()}
    reasons = set(spoiled.quarantine["reason"].to_pylist())
    assert reasons == {"outlier", "non_positive_price", "high_below_low", "duplicate_exact", "duplicate_conflict"}
    kept = spoiled.bars.filter(pc.invert(spoiled.bars["filled"])).select(bars.VALUES.names)
    assert all(row == truth[row["ticker"], row["date"]] for row in kept.to_pylist())
    for row, reason in zip(
        spoiled.quarantine.select(bars.VALUES.names).to_pylist(), spoiled.quarantine["reason"].to_pylist(), strict=True
    ):
        assert (row == truth[row["ticker"], row["date"]]) == (reason == "duplicate_exact")


def test_each_shard_has_whole_tickers():
    config = run_config(tickers_per_shard=3, synthetic={"tickers": 8})
    source = pickle.loads(pickle.dumps(open_source(config, None)))
    partitions = source.partitions()
    assert source.whole_tickers
    assert [len(partition.items) for partition in partitions] == [3, 3, 2]
    tables = [source.read(partition) for partition in partitions]
    for partition, table in zip(partitions, tables, strict=True):
        assert table["ticker"].unique().to_pylist() == list(partition.items) == source.tickers(partition)
        assert table.cast(bars.BARS).num_rows == table.num_rows
    dates = pa.concat_tables(tables)["date"]
    assert pc.min(dates).as_py() >= dt.date(2015, 1, 2)
    assert pc.max(dates).as_py() == dt.date(2017, 12, 29)


def test_a_ticker_has_the_same_bars_in_every_universe():
    config = run_config(synthetic={"tickers": 8})
    one = open_source(config, ("SYN000005",))
    table = one.read(one.partitions()[0])
    everything = open_source(config, None)
    whole = everything.read(everything.partitions()[0])
    assert bits(table) == bits(whole.filter(pc.equal(whole["ticker"], "SYN000005")))


def test_an_unknown_ticker_is_named_with_similar_ones():
    with pytest.raises(UnknownTickerError, match="no AAPL, SYN000009") as caught:
        open_source(run_config(synthetic={"tickers": 8}), ("SYN000009", "SYN000001", "AAPL"))
    assert "SYN00000" in caught.value.hint


def test_the_identity_depends_on_everything_that_changes_bars():
    base = open_source(run_config(), None).identity()
    assert open_source(run_config(), None).identity() == base
    others = [run_config(synthetic={"seed": 8}), run_config(end="2018-12-31"), run_config(calendar="XLON")]
    assert all(open_source(config, None).identity() != base for config in others)
    assert open_source(run_config(), ("SYN000001",)).identity() != base
