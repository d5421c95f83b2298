"""Windows from the last bars of each ticker are those of the whole history."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from cloudlstm.config import parse
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


@pytest.mark.parametrize("horizon", [1, 3])
def test_windows_of_a_tail_are_those_of_the_history(bars: pa.Table, horizon: int) -> None:
    document = SETTINGS | {"dataset": SETTINGS["dataset"] | {"horizon_bars": horizon}}
    config = parse(document)
    as_of, window, origins = to_days(config.market.end), config.dataset.window_bars, 40
    first = to_days(config.market.start)
    whole = Tail(bars, config, first, as_of, None)
    start = int(whole.sessions[-bars_needed(config, window, origins)])
    tail = Tail(bars.filter(pc.greater_equal(bars["date"].cast(pa.int32()), start)), config, start, as_of, None)
    assert tail.rows < whole.rows / 4

    for ours, expected in (
        (tail.newest(window), whole.newest(window)),
        (tail.sample(window, origins, 100), whole.sample(window, origins, 100)),
    ):
        assert len(expected) > 20
        np.testing.assert_array_equal(ours.values, expected.values)
        np.testing.assert_array_equal(ours.tickers, expected.tickers)
        np.testing.assert_array_equal(ours.dates, expected.dates)
        np.testing.assert_array_equal(ours.targets, expected.targets)
    outcomes, known = tail.outcomes(window), whole.outcomes(window)
    recent = known.dates >= int(whole.sessions[-origins])
    ours_recent = outcomes.dates >= int(whole.sessions[-origins])
    np.testing.assert_array_equal(outcomes.targets[ours_recent], known.targets[recent])
    assert tail.ages == whole.ages


def test_a_tail_that_is_too_short_has_other_windows(bars: pa.Table) -> None:
    """The test above can fail: without the look-back of the features there are fewer windows."""
    config = parse(SETTINGS)
    as_of = to_days(config.market.end)
    whole = Tail(bars, config, to_days(config.market.start), as_of, None)
    start = int(whole.sessions[-config.dataset.window_bars])
    short = Tail(bars.filter(pc.greater_equal(bars["date"].cast(pa.int32()), start)), config, start, as_of, None)
    assert len(short.newest(20)) < len(whole.newest(20))


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
