"""The starts of bars within a day: half days, breaks, sessions that begin on the day before in UTC."""

from __future__ import annotations

import datetime as dt
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudlstm.config import load
from cloudlstm.errors import ConfigError, UsageError
from cloudlstm.market import columns
from cloudlstm.market.calendar import bounds
from cloudlstm.market.columns import MOMENT, NO_DATE
from cloudlstm.market.grid import Grid, bars_after
from cloudlstm.market.interval import INTERVALS, Interval, iso
from minute_bars import END, START, grid, market, minutes_of, texts


@pytest.mark.parametrize(
    ("interval", "whole", "half", "last"),
    [("1m", 390, 210, "17:59"), ("5m", 78, 42, "17:55"), ("15m", 26, 14, "17:45"), ("1h", 7, 4, "17:30")],
)
def test_a_session_has_a_bar_every_interval_from_the_open_to_the_close(
    interval: str, whole: int, half: int, last: str
) -> None:
    found = grid(interval)
    days, counts = np.unique(found.days, return_counts=True)
    assert counts.tolist() == [whole, whole, whole, half, whole, whole]
    assert [str(day) for day in days.astype("datetime64[D]")][2:4] == ["2024-11-27", "2024-11-29"]
    half_day = texts(found.starts[found.days == days[3]])
    assert (half_day[0], half_day[-1]) == ("2024-11-29T14:30", f"2024-11-29T{last}")
    assert (np.diff(found.starts) > 0).all()


def test_bars_start_again_after_a_break() -> None:
    hours = texts(grid("1h", "XTKS").starts)[:6]
    assert [text[11:] for text in hours] == ["00:00", "01:00", "02:00", "03:30", "04:30", "05:30"]
    found = grid("15m", "XHKG")
    times = {text[11:] for text in texts(found.starts)}
    assert "03:45" in times
    assert "05:00" in times
    assert not times & {"04:00", "04:30", "04:45"}


def test_a_session_is_named_by_the_exchange_not_by_utc() -> None:
    found = grid("1m", "XASX")  # Sydney opens at 23:00 UTC
    assert texts(found.starts[:1]) == ["2024-11-24T23:00"]
    assert str(found.days[0].astype("datetime64[D]")) == "2024-11-25"
    assert len(np.unique(found.days)) == 7


def test_bars_end_at_the_next_start_at_a_break_and_at_the_close() -> None:
    new_york = grid("1h")
    assert texts(new_york.ends(minutes_of("2024-11-25T14:30", "2024-11-25T20:30", "2024-11-29T17:30"))) == [
        "2024-11-25T15:30", "2024-11-25T21:00", "2024-11-29T18:00",
    ]  # fmt: skip
    tokyo = grid("1h", "XTKS")
    assert texts(tokyo.ends(minutes_of("2024-11-25T02:00", "2024-11-25T03:30"))) == [
        "2024-11-25T02:30", "2024-11-25T04:30",
    ]  # fmt: skip


def test_the_bar_after_the_last_of_a_session_is_the_first_of_the_next() -> None:
    config = market("5m")
    dates = minutes_of("2024-11-25T14:30", "2024-11-27T20:55", "2024-11-29T17:55")
    assert texts(bars_after(config, dates)) == ["2024-11-25T14:35", "2024-11-29T14:30", "2024-12-02T14:30"]
    assert texts(bars_after(config, dates, 2))[1] == "2024-11-29T14:35"


def test_the_next_bar_within_the_last_month_that_a_calendar_knows() -> None:
    _, end = bounds("XSHG")
    assert end is not None
    config = market("1h").model_copy(update={"calendar": "XSHG"})
    starts = Grid.of(config, end - dt.timedelta(days=25), end).starts
    assert bars_after(config, starts[:-1]).tolist() == starts[1:].tolist()
    with pytest.raises(UsageError, match="has no 1 bars after"):
        bars_after(config, starts[-1:])


def test_bars_after_the_last_one_of_the_data_set_are_not_missing() -> None:
    last = int(minutes_of("2024-12-03T15:00")[0])
    found = Grid.of(market(), last=last)
    assert found.starts[-1] == last
    at = np.searchsorted(found.starts, minutes_of("2024-11-29T17:57", "2024-12-03T14:59"))
    assert found.left(at.astype(np.int32)).tolist() == [2, 1]


def test_moments_in_and_around_hours() -> None:
    found = grid("1m", "XTKS")
    dates = minutes_of("2024-11-25T02:29", "2024-11-25T02:30", "2024-11-25T06:30", "2024-11-30T12:00")
    assert found.in_hours(dates).tolist() == [True, False, False, False]
    assert found.minutes_from_session(dates).tolist() == [0, 0, 0, 29 * 60 + 30]


def test_a_grid_survives_pickling_before_and_after_its_starts_are_made() -> None:
    found = grid("5m", bridge_sessions=True)
    again = pickle.loads(pickle.dumps(found))
    assert found.starts.tolist() == again.starts.tolist()
    assert pickle.loads(pickle.dumps(found)).bridged


@given(st.sampled_from(sorted(INTERVALS)), st.integers(-10_000, 60_000), st.integers(0, 1439))
def test_dates_are_the_same_as_numbers_texts_and_columns(name: str, day: int, minute: int) -> None:
    interval = Interval(name)
    number = day if interval.daily else day * 1440 + minute
    text = interval.text(number)
    assert interval.number(text) == number
    assert iso(interval.date(number)) == text
    assert interval.number_of(interval.read(text)) == number
    column = columns.from_days(np.array([number, NO_DATE], np.int32), interval.arrow)
    assert column.type == interval.arrow
    assert column.null_count == 1
    assert columns.days(pa_chunked(column)).tolist() == [number, NO_DATE]


def pa_chunked(column: object) -> object:
    import pyarrow as pa

    return pa.chunked_array([column])


def test_an_offset_of_a_text_counts() -> None:
    assert Interval("1m").number("2024-11-25T09:30:00-05:00") == minutes_of("2024-11-25T14:30")[0]
    assert Interval("1h").arrow == MOMENT
    assert Interval("1m").date(int(minutes_of("2024-11-25T14:30")[0])) == dt.datetime(
        2024, 11, 25, 14, 30, tzinfo=dt.UTC
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["market.bridge_sessions=true"], "bridge_sessions is for bars within a day"),
        (["dataset.labels_across_closes=true"], "needs market.bridge_sessions=true"),
        (["market.interval=2m"], "interval"),
        (["market.interval=1m", "market.source=stored", "market.path=/bars/universe/2024-01-02.json"], "daily bars"),
    ],
)
def test_settings_that_do_not_fit_together(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(None, words)


def test_the_range_of_the_tests_has_a_half_day() -> None:
    assert (dt.date(2024, 11, 25), dt.date(2024, 12, 3)) == (START, END)
