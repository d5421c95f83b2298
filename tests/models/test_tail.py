"""Windows from the last bars of each ticker are those of the whole history."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from cloudlstm.config import parse
from cloudlstm.exogenous.recent import needed_rows, span_of
from cloudlstm.exogenous.table import EXOGENOUS
from cloudlstm.features import EIGHT, FEATURES, Feature, FeatureSet, features_of_run
from cloudlstm.features.table import Starts, Values
from cloudlstm.market.calendar import to_days
from cloudlstm.market.members import Members
from cloudlstm.market.sources.synthetic import SyntheticSource
from cloudlstm.market.universe import Universe
from cloudlstm.models.tail import Tail, bars_needed

SETTINGS = {
    "market": {"source": "synthetic", "start": "2016-01-01", "end": "2019-06-28",
               "synthetic": {"tickers": 24, "missing_days": 0.02, "bad_ticks": 0.004, "splits": 1.0}},
    "dataset": {"train_end": "2018-01-01", "validation_end": "2018-12-31", "window_bars": 20},
}  # fmt: skip


@pytest.fixture(scope="module")
def bars() -> pa.Table:
    source = SyntheticSource.open(parse(SETTINGS).market, None)
    return pa.concat_tables([source.read(each) for each in source.partitions()])


MACRO = {"macro": {"source": "files", "path": "file:///macro.csv", "series": ["DGS10", "CPIAUCSL"]}}
NEWS = {"news": {"source": "files", "path": "file:///news.csv", "max_age_days": 2}}


def highest_of(values: Values, starts: Starts) -> Values:
    """The highest value of 40 bars, as a feature of a user's own code."""
    windows = np.lib.stride_tricks.sliding_window_view(values, 40)
    highest = np.concatenate([np.full(39, np.nan), windows.max(axis=1)])
    for start in starts.tolist():
        highest[start : start + 39] = np.nan
    return highest


OWN = FeatureSet((*FEATURES, Feature("highest", "price", "currency per share", 40, "close", highest_of)))


def rows_of(bars: pa.Table) -> pa.Table:
    """Rows of two series of the market, some of them known late or corrected, and scores of news of every ticker."""
    rng = np.random.default_rng(8)
    days, tickers = bars["date"].cast(pa.int32()).unique().sort().to_numpy(), bars["ticker"].unique().to_pylist()
    parts = []
    for series, entity, every, late in (
        ("DGS10", "", 1, 2), ("DGS10", "", 30, 60), ("CPIAUCSL", "", 21, 40),
        *((name, ticker, 2, 3) for ticker in tickers for name in ("news.score", "news.novelty")),
    ):  # fmt: skip
        period = days[:: int(every)]
        known = (period + rng.uniform(0.0, int(late), len(period))) * 86_400e6
        parts.append(pa.table({
            "series": [series] * len(period), "entity": [entity] * len(period),
            "period": pa.array(period).cast(pa.date32()),
            "available_at": pa.array(known.astype(np.int64)).cast(pa.timestamp("us", "UTC")),
            "value": rng.uniform(0.1, 1.0, len(period)), "vintage": [0] * len(period), "source": ["test"] * len(period),
        }).cast(EXOGENOUS))  # fmt: skip
    return pa.concat_tables(parts)


@pytest.mark.parametrize(
    ("horizon", "exogenous", "own"),
    [(1, {}, EIGHT), (3, {}, EIGHT), (1, {}, OWN), (1, MACRO, EIGHT), (2, MACRO | NEWS, OWN)],
    ids=["eight", "horizon", "own", "macro", "all"],
)
def test_windows_of_a_tail_are_those_of_the_history(
    bars: pa.Table, horizon: int, exogenous: dict[str, Any], own: FeatureSet
) -> None:
    """Of the exogenous rows a tail has those that a day stores, the history has all."""
    document = SETTINGS | {"dataset": SETTINGS["dataset"] | {"horizon_bars": horizon}, "exogenous": exogenous}
    config = parse(document)
    features = FeatureSet((*own.features, *features_of_run(config).features[EIGHT.width :]))
    rows = rows_of(bars)
    as_of, window, origins = to_days(config.market.end), config.dataset.window_bars, 40
    first = to_days(config.market.start)
    whole = Tail(bars, config, first, as_of, None, features, rows)
    start = int(whole.sessions[-bars_needed(config, window, origins, features)])
    short = bars.filter(pc.greater_equal(bars["date"].cast(pa.int32()), start))
    few = needed_rows(rows, span_of(config.market.calendar, start, as_of, config.exogenous.embargo_minutes))
    assert few.num_rows < rows.num_rows / 3
    tail = Tail(short, config, start, as_of, None, features, few)
    assert tail.rows < whole.rows / 4

    for ours, expected in (
        (tail.newest(window), whole.newest(window)),
        (tail.sample(window, origins, 100), whole.sample(window, origins, 100)),
    ):
        assert len(expected) > 20
        assert expected.values.shape[1:] == (window, features.width)
        np.testing.assert_array_equal(ours.values, expected.values)
        known_share = np.isfinite(expected.values).mean(axis=(0, 1))
        assert known_share.min() > 0.1, "a feature is missing almost everywhere, so the comparison says little"
        np.testing.assert_array_equal(ours.tickers, expected.tickers)
        np.testing.assert_array_equal(ours.dates, expected.dates)
        np.testing.assert_array_equal(ours.targets, expected.targets)
    outcomes, known = tail.outcomes(window), whole.outcomes(window)
    recent = known.dates >= int(whole.sessions[-origins])
    ours_recent = outcomes.dates >= int(whole.sessions[-origins])
    np.testing.assert_array_equal(outcomes.targets[ours_recent], known.targets[recent])
    assert tail.ages == whole.ages
    assert tail.expected(window) == whole.expected(window)


def test_a_tail_that_is_too_short_has_other_windows(bars: pa.Table) -> None:
    """The test above can fail: without the look-back of the features there are fewer windows."""
    config = parse(SETTINGS)
    as_of = to_days(config.market.end)
    whole = Tail(bars, config, to_days(config.market.start), as_of, None)
    start = int(whole.sessions[-config.dataset.window_bars])
    short = Tail(bars.filter(pc.greater_equal(bars["date"].cast(pa.int32()), start)), config, start, as_of, None)
    assert len(short.newest(20)) < len(whole.newest(20))


def test_a_longer_look_back_needs_more_bars(bars: pa.Table) -> None:
    """A window's feature with a longer look-back than the bars of the eight need would be missing."""
    config = parse(SETTINGS)
    assert bars_needed(config, 20, 40, OWN) - bars_needed(config, 20, 40) == 40 - EIGHT.lookback_bars
    as_of, first = to_days(config.market.end), to_days(config.market.start)
    few = 20 + EIGHT.lookback_bars - 1
    names = bars["ticker"].cast(pa.string())
    days = Tail(bars, config, first, as_of, None).sessions
    new = bars.filter(
        pc.or_(pc.not_equal(names, "SYN000001"), pc.greater_equal(bars["date"].cast(pa.int32()), int(days[-few])))
    )
    assert "SYN000001" in Tail(new, config, first, as_of, None).expected(20)
    assert "SYN000001" not in Tail(new, config, first, as_of, None, OWN).expected(20)


def test_without_rows_the_columns_are_missing_and_the_windows_are_there(bars: pa.Table) -> None:
    config = parse(SETTINGS | {"exogenous": MACRO | NEWS})
    features, as_of = features_of_run(config), to_days(config.market.end)
    first = to_days(config.market.start)
    missing = Tail(bars, config, first, as_of, None, features).newest(20)
    plain = Tail(bars, config, first, as_of, None).newest(20)
    np.testing.assert_array_equal(missing.values[:, :, : EIGHT.width], plain.values)
    joined = missing.values[:, :, EIGHT.width :]
    count = features.names.index("news_count") - EIGHT.width
    assert np.isnan(np.delete(joined, count, axis=2)).all()
    assert (joined[:, :, count] == 0).all()


def test_new_and_refused_bars_are_counted(bars: pa.Table) -> None:
    config = parse(SETTINGS)
    as_of = to_days(config.market.end)
    last = bars.filter(pc.equal(bars["date"].cast(pa.int32()), as_of))
    broken = last.set_column(last.column_names.index("close"), "close", pa.array(np.full(last.num_rows, -1.0)))
    kept = bars.filter(pc.less(bars["date"].cast(pa.int32()), as_of))
    tail = Tail(pa.concat_tables([kept, broken]), config, to_days(config.market.start), as_of, None)
    assert tail.new_rows(as_of - 1) == last.num_rows
    assert tail.refused(as_of - 1) == last.num_rows
    assert len(tail.newest(20)) == 0


def test_only_tickers_with_a_window_are_expected_to_have_a_forecast(bars: pa.Table) -> None:
    """A new ticker, and one that was no member on the last session, are not."""
    config = parse(SETTINGS)
    as_of, first = to_days(config.market.end), to_days(config.market.start)
    names = bars["ticker"].cast(pa.string())
    new = bars.filter(pc.or_(pc.not_equal(names, "SYN000001"), pc.greater(bars["date"].cast(pa.int32()), as_of - 20)))
    every = Tail(bars, config, first, as_of, None)
    assert every.expected(20) >= set(every.newest(20).tickers.tolist())
    assert every.expected(20) - Tail(new, config, first, as_of, None).expected(20) == {"SYN000001"}
    universe = Universe(None, {"SYN000002": ((config.market.start, dt.date(2018, 1, 31)),)})
    members = Members.of(universe, config.market.end)
    assert every.expected(20) - Tail(bars, config, first, as_of, members).expected(20) == {"SYN000002"}
