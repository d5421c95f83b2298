"""The sessions of a stream are those of the batch: breaks, half days, bridged closes, and the edges of calendars."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudlstm.config import CleanConfig
from cloudlstm.features import EIGHT, FEATURE_NAMES
from cloudlstm.market import columns
from cloudlstm.market.calendar import bounds, hours
from cloudlstm.market.cleaning.clean import clean
from cloudlstm.market.grid import Grid
from cloudlstm.market.interval import Interval
from cloudlstm.stream.advance import Rules, advance
from cloudlstm.stream.bars import BARS, VALUES, normal
from cloudlstm.stream.kernel import Kernel
from cloudlstm.stream.sessions import NO_PLACE, NO_SESSION, ExchangeSessions
from cloudlstm.stream.state import State
from minute_bars import grid, minute_bars


def as_stream(batch: pa.Table) -> pa.Table:
    """BARS of the batch as those of a stream."""
    n = batch.num_rows
    values = {name: columns.floats(batch[name]) for name in VALUES}
    fixed = {"source": [""] * n, "final": [True] * n, "sent": [0.0] * n}
    minute = columns.days(batch["date"]).astype(np.int64) * 60
    return normal(
        pa.table({"ticker": batch["ticker"].cast(pa.string()), "minute": minute, **values, **fixed}).cast(BARS)
    )


@pytest.mark.parametrize(("calendar", "interval"), [("XNYS", "1h"), ("XTKS", "5m"), ("XHKG", "15m"), ("XASX", "15m")])
@settings(max_examples=12)
@given(st.data())
def test_features_are_those_of_cleaning_and_the_feature_table(
    calendar: str, interval: str, data: st.DataObject
) -> None:
    """Over breaks and closes, with gaps, for any cut of the bars into batches."""
    bridged, fill = data.draw(st.booleans()), data.draw(st.integers(0, 5))
    own: Grid = grid(interval, calendar, bridge_sessions=bridged)
    seed, share = data.draw(st.integers(0, 99)), data.draw(st.sampled_from([0.0, 0.1, 0.4]))
    starts = own.starts[np.random.default_rng(seed).random(len(own.starts)) >= share]
    raw = minute_bars("A", starts)
    cleaned = clean(raw, CleanConfig(max_fill_bars=fill), own.starts, own)
    assert not cleaned.quarantine.num_rows
    wanted = EIGHT.compute(cleaned.bars)

    kernel = Kernel.of()
    rules = Rules(ExchangeSessions(calendar, Interval(interval)), kernel, keep_bars=kernel.lookback_bars - 1,
                  max_fill_bars=fill, bridged=bridged)  # fmt: skip
    bars, state, found = as_stream(raw), State.empty(), []
    cuts = sorted(data.draw(st.sets(st.integers(1, len(starts) - 1), max_size=6)))
    for begin, end in zip([0, *cuts], [*cuts, len(starts)], strict=True):
        made = advance(state, bars.slice(begin, end - begin), rules)
        assert not made.refused
        state = made.state()
        found.append(made.feature_table(FEATURE_NAMES))
    live = pa.concat_tables(found)
    place = {minute: number for number, minute in enumerate((columns.days(wanted["date"]) * np.int64(60)).tolist())}
    same = wanted.take(pa.array([place[minute] for minute in live["minute"].to_pylist()]))
    assert same["filled"].to_pylist() == live["filled"].to_pylist()
    assert wanted.num_rows - live.num_rows == sum(wanted["filled"].to_pylist()) - sum(live["filled"].to_pylist())
    for name in FEATURE_NAMES:
        one, two = (table[name].to_numpy().view(np.int64) for table in (same, live))
        np.testing.assert_array_equal(one, two, err_msg=name)


def seconds(*texts: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array([int(dt.datetime.fromisoformat(f"{text}+00:00").timestamp()) for text in texts], np.int64)


def test_the_place_of_a_bar() -> None:
    tokyo = ExchangeSessions("XTKS", Interval("1h"))
    minutes = seconds("2024-07-03T00:00", "2024-07-03T02:00", "2024-07-03T02:30", "2024-07-03T03:30",
                      "2024-07-03T05:30", "2024-07-03T06:00", "2024-07-03T01:30", "2024-07-06T01:00")  # fmt: skip
    found = tokyo.places(minutes)
    inside, outside = 19_907, NO_SESSION
    assert found.session.tolist() == [inside, inside, outside, inside, inside, outside, inside, outside]
    assert found.place.tolist() == [0, 2, NO_PLACE, 3, 5, NO_PLACE, NO_PLACE, NO_PLACE]
    assert found.left.tolist() == [5, 3, 0, 2, 0, 0, 0, 0]
    numbers = tokyo.numbers(minutes[[0, 1, 3, 4]])
    assert (numbers - numbers[0]).tolist() == [0, 2, 3, 5], "a break is no gap"
    assert tokyo.starts(numbers).tolist() == minutes[[0, 1, 3, 4]].tolist()


def test_sessions_that_open_on_the_day_before_their_date() -> None:
    sydney = ExchangeSessions("XASX", Interval("1m"))
    (session,) = sydney.places(seconds("2024-12-31T23:00")).session.tolist()
    assert session == NO_SESSION, "2025-01-01 is a holiday"
    found = sydney.places(seconds("2024-12-30T23:00", "2025-01-01T23:00"))
    assert found.session.tolist() == [20_088, 20_090]
    assert found.place.tolist() == [0, 0]


def test_a_bar_of_another_age_is_in_no_session_and_harms_no_other() -> None:
    found = ExchangeSessions("XNYS", Interval("1m")).places(
        seconds("1990-01-02T14:30", "2024-01-02T14:30", "2250-01-02T14:30")
    )
    assert (found.session != NO_SESSION).tolist() == [False, True, False]


@pytest.mark.parametrize("calendar", ["XSHG", "XBOM", "XSES", "XSAU", "XTKS"])
def test_bars_outside_what_a_calendar_covers_are_in_no_session_and_harm_no_other(calendar: str) -> None:
    """Some calendars begin late, and some end with this year."""
    least, most = bounds(calendar, dt.date(2024, 1, 1), dt.date(2024, 2, 1))
    first, last = least or dt.date(1997, 1, 1), most or dt.date(2099, 12, 31)
    year = min(last.year, dt.datetime.now(dt.UTC).year)
    own = hours(calendar, dt.date(year, 1, 1), min(last, dt.date(year, 12, 31)))
    inside = [int(own.opens[0]) * 60, int(own.opens[-1]) * 60]
    days = (first - dt.timedelta(days=1), last + dt.timedelta(days=1), last + dt.timedelta(days=180))
    outside = [int(dt.datetime(day.year, day.month, day.day, 4, tzinfo=dt.UTC).timestamp()) for day in days]
    found = ExchangeSessions(calendar, Interval("1m")).places(np.array([*inside, *outside], np.int64))
    assert found.session.tolist() == [int(own.days[0]), int(own.days[-1]), *[NO_SESSION] * 3]
