"""Properties of cleaning and features on random shards with many faults."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bar_factory import bars_of, bits, walk, weekdays
from cloudlstm import features
from cloudlstm.config import CleanConfig
from cloudlstm.market import bars
from cloudlstm.market.cleaning.clean import clean
from cloudlstm.market.cleaning.rules import of_action
from market.sources.file_sources import parsed
from real_data import real_data

N_SESSIONS = 90
SESSIONS = weekdays(N_SESSIONS)
CONFIG = CleanConfig(outlier_lookback_bars=20)
FAULTS = 0.15

seeds = st.integers(0, 2**32 - 1)
many = settings(max_examples=120, deadline=None)


def with_faults(table: pa.Table, random: np.random.Generator) -> pa.Table:
    """Adds random faults, missing rows and duplicates."""
    n = table.num_rows
    values = {name: table.column(name).to_numpy().astype(float) for name in (*bars.PRICES, "volume")}
    for column in values.values():
        hit = np.flatnonzero(random.random(n) < FAULTS / 5)
        column[hit] *= random.choice([0.0, -1.0, 0.01, 1.7, 100.0, np.nan], len(hit))
    date = table.column("date").cast(pa.int32()).to_numpy() + (random.random(n) < FAULTS / 5)
    lost = random.random((2, n)) < FAULTS / 10
    broken = pa.table(
        {
            "ticker": pa.array(table.column("ticker").to_pylist(), mask=lost[0]),
            "date": pa.array(date.astype(np.int32), mask=lost[1]).view(pa.date32()),
            **{name: pa.array(values[name], from_pandas=True) for name in bars.PRICES},
            "adj_close": table.column("adj_close"),
            "volume": pa.array(np.rint(values["volume"]), from_pandas=True).cast(pa.int64()),
            "source": table.column("source"),
        }
    )
    rows = np.repeat(np.arange(n), random.choice([0, 1, 2, 3], n, p=[0.1, 0.8, 0.08, 0.02]))
    rows = np.concatenate([rows, random.integers(0, n, 3)])
    return bars.sort(bars.conform(broken.take(pa.array(rows)), bars.BARS))


def with_level_change(close: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Sometimes adds a split or a change of unit at a random bar."""
    bar, factor = random.integers(0, len(close)), random.choice([1.0, 1.0, 0.5, 1 / 7, 10.0, 0.01])
    return np.where(np.arange(len(close)) < bar, close, close * factor)


def with_idle_weeks(table: pa.Table, random: np.random.Generator) -> pa.Table:
    """Adds weeks without trades; some vendors write zeros then."""
    untraded = np.repeat(random.random(table.num_rows // 15 + 1) < 0.5, 15)[: table.num_rows]
    zeros = random.random() < 0.5
    for name in ("open", "high", "low"):
        values = np.where(untraded, 0.0 if zeros else table["close"].to_numpy(), table[name].to_numpy())
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    volume = np.where(untraded, 0, table["volume"].to_numpy())
    return table.set_column(table.column_names.index("volume"), "volume", pa.array(volume))


def market(seed: int, tickers: tuple[str, ...] = ("AAA", "BBB", "CCC")) -> pa.Table:
    """A shard of random tickers with gaps, jumps and faults."""
    random = np.random.default_rng(seed)
    tables = []
    for ticker in tickers:
        start, end = sorted(random.integers(0, N_SESSIONS + 1, 2))
        close = walk(N_SESSIONS, int(random.integers(1 << 30)), float(random.choice([0.01, 0.05, 0.2])))
        close = with_level_change(close, random)
        volume = np.full(N_SESSIONS, 1000)
        if random.random() < 0.3:  # a squeeze: up with high volume, and back
            bar = random.integers(0, N_SESSIONS)
            close[bar] *= 2.0
            volume[bar] *= 20
        days = slice(start, end + 1)
        table = bars_of(ticker, SESSIONS[days], close[days], volume=volume[days])
        tables.append(table if random.random() < 0.7 else with_idle_weeks(table, random))
    return with_faults(pa.concat_tables(tables), random)


def until(table: pa.Table, day: int, ticker: str | None = None) -> pa.Table:
    wanted = pc.less_equal(table.column("date").cast(pa.int32()), day)
    if ticker is not None:
        wanted = pc.and_(wanted, pc.equal(table.column("ticker"), ticker))
    return table.filter(wanted)


def dropped_labels(table: pa.Table, day: int) -> set[tuple[str, int]]:
    """Returns (ticker, day) of the bars up to a day whose labels were dropped."""
    withdrawn = until(table.filter(table["withdrawn"]), day)
    return set(zip(withdrawn["ticker"].to_pylist(), withdrawn["date"].cast(pa.int32()).to_pylist(), strict=True))


@many
@given(seed=seeds)
def test_no_row_is_lost_and_cleaned_bars_are_unique_sorted_and_complete(seed):
    raw = market(seed)
    result = clean(raw, CONFIG, SESSIONS)
    table = result.bars.to_pandas()
    filled = int(table.filled.sum())
    assert raw.num_rows == len(table) - filled + result.quarantine.num_rows

    kept = result.bars.filter(pc.invert(result.bars["filled"])).select(bars.VALUES.names)
    rejected = result.quarantine.select(bars.VALUES.names)
    both = sorted(map(str, kept.to_pylist() + rejected.to_pylist()))
    assert both == sorted(map(str, raw.select(bars.VALUES.names).to_pylist()))

    assert table.ticker.notna().all()
    keys = list(zip(table.ticker.astype(str), table.date, strict=True))
    assert keys == sorted(set(keys))
    place = np.searchsorted(SESSIONS, result.bars["date"].cast(pa.int32()).to_numpy())
    for _, rows in table.assign(place=place).groupby("ticker", observed=True):
        steps, breaks = np.diff(rows.place), np.diff(rows.segment)
        assert set(breaks) <= {0, 1}
        assert (steps[breaks == 0] == 1).all()  # no session is missing within a segment
        assert (steps > 0).all()
        assert rows.segment.iloc[0] == 0
    prices = table[[*bars.PRICES]].to_numpy()
    assert np.isfinite(prices).all()
    assert (prices > 0).all()
    assert (table.high >= table.low).all()
    assert (table.volume >= 0).all()

    total = sum(counts["rows"] for counts in result.counts.values())
    assert total == raw.num_rows
    for counts in result.counts.values():
        assert counts["rows"] == counts["kept"] + sum(counts.get(rule.reason, 0) for rule in of_action("reject"))
    assert filled == sum(counts["filled"] for counts in result.counts.values())


@many
@given(seed=seeds)
def test_cleaning_cleaned_bars_changes_nothing(seed):
    # At a level change, cleaning rejects the first bar. Cleaning again would then reject the bar that confirmed it.
    config = CONFIG.model_copy(update={"outlier_min_move": 50.0})
    once = clean(market(seed), config, SESSIONS)
    kept = once.bars.filter(pc.invert(once.bars["filled"])).select(bars.VALUES.names)
    again = clean(kept, config, SESSIONS)
    assert again.quarantine.num_rows == 0
    # Rejected bars can no longer drop the labels of others.
    assert bits(again.bars.drop_columns(["withdrawn"])) == bits(once.bars.drop_columns(["withdrawn"]))


@many
@given(seed=seeds, other=seeds, cut=st.integers(0, N_SESSIONS - 1))
def test_bars_and_features_do_not_depend_on_later_bars_or_other_tickers(seed, other, cut):
    day = int(SESSIONS[cut])
    raw = market(seed)
    past = until(raw, day)
    later = market(other, ("AAA", "AAB", "BBB", "DDD"))
    future = later.filter(pc.greater(later.column("date").cast(pa.int32()), day))
    before = clean(raw, CONFIG, SESSIONS).bars
    after = clean(bars.sort(pa.concat_tables([past, future])), CONFIG, SESSIONS).bars
    alone = clean(past, CONFIG, SESSIONS).bars
    assert dropped_labels(alone, day) <= dropped_labels(before, day)  # later bars only drop labels
    for table in (after, alone):
        for ticker in ("AAA", "BBB", "CCC"):
            for compute in (lambda bars_: bars_, features.compute):
                parts = [until(compute(table_), day, ticker).drop_columns(["withdrawn"]) for table_ in (table, before)]
                assert bits(parts[0]) == bits(parts[1])


def test_time_travel_on_real_bars():
    path = real_data("core6_daily_2010_2024.csv.gz")
    raw = bars.sort(parsed(path.read_bytes(), path.as_uri()).bars)
    days = np.unique(raw["date"].cast(pa.int32()).to_numpy())
    whole = clean(raw, CleanConfig(), days)
    computed = features.compute(whole.bars)
    for cut in (100, 1500, 3000):
        past = clean(until(raw, int(days[cut])), CleanConfig(), days).bars
        assert bits(until(past, int(days[cut]))) == bits(until(whole.bars, int(days[cut])))
        assert bits(until(features.compute(past), int(days[cut]))) == bits(until(computed, int(days[cut])))


def test_the_core_six_are_clean():
    path = real_data("core6_daily_2010_2024.csv.gz")
    raw = bars.sort(parsed(path.read_bytes(), path.as_uri()).bars)
    result = clean(raw, CleanConfig(), np.unique(raw["date"].cast(pa.int32()).to_numpy()))
    assert (result.bars.num_rows, result.quarantine.num_rows) == (21_923, 0)
    assert not any(result.bars["filled"].to_pylist())
    assert set(result.bars["segment"].to_pylist()) == {0}


def test_the_random_shards_contain_every_reason():
    # Otherwise the tests above would run on shards without faults.
    reasons = {
        reason
        for seed in range(60)
        for reason in clean(market(seed), CONFIG, SESSIONS).quarantine["reason"].to_pylist()
    }
    assert reasons == {
        "unreadable_key", "off_calendar", "missing_price", "non_positive_price", "high_below_low", "missing_volume",
        "negative_volume", "duplicate_exact", "duplicate_conflict", "outlier", "missing_open", "no_trade", "stale",
        "price_outside_range", "wild_range", "carried_row",
    }  # fmt: skip
    found = {
        reason
        for seed in range(60)
        for counts in clean(market(seed), CONFIG, SESSIONS).counts.values()
        for reason in counts
    }
    assert {"unmarked_split", "level_shift", "stale_begin", "reverted_spike"} < found
    assert any(
        clean(market(seed), CONFIG, SESSIONS).bars["segment"].to_numpy().max(initial=0) > 0 for seed in range(60)
    )


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_shard_of_any_size_gives_the_same_bars(size):
    raw = market(5, ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF"))
    whole = clean(raw, CONFIG, SESSIONS).bars
    names = whole["ticker"].unique().to_pylist()
    for start in range(0, len(names), size):
        some = pa.array(names[start : start + size])
        part = clean(raw.filter(pc.is_in(raw["ticker"], some)), CONFIG, SESSIONS).bars
        assert bits(part) == bits(whole.filter(pc.is_in(whole["ticker"], some)))
