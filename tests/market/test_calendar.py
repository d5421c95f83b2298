from __future__ import annotations

import datetime as dt

import exchange_calendars
import numpy as np
import pytest

from cloudlstm.errors import UsageError
from cloudlstm.market import calendar
from cloudlstm.market.calendar import bounds, sessions, sessions_after, to_date, to_days


def test_sessions_leave_out_weekends_and_holidays():
    days = [to_date(int(day)) for day in sessions("XNYS", dt.date(2024, 12, 20), dt.date(2025, 1, 10))]
    assert days == [dt.date(2024, 12, day) for day in (20, 23, 24, 26, 27, 30, 31)] + [
        dt.date(2025, 1, day)
        for day in (2, 3, 6, 7, 8, 10)  # the 9th was a day of mourning
    ]


def test_the_core_six_years_have_their_known_number_of_sessions():
    days = sessions("XNYS", dt.date(2010, 1, 1), dt.date(2024, 12, 31))
    assert len(days) == 3774
    assert days.dtype == "int32"
    assert (days[0], days[-1]) == (to_days(dt.date(2010, 1, 4)), to_days(dt.date(2024, 12, 31)))


def test_calendars_reach_far_back_and_ahead():
    assert to_date(int(sessions("XNYS", dt.date(1995, 1, 1), dt.date(1995, 2, 1))[0])) == dt.date(1995, 1, 3)
    assert len(sessions("XNYS", dt.date(2035, 1, 1), dt.date(2035, 12, 31))) > 240


@pytest.mark.parametrize(
    ("code", "date", "following"),
    [
        ("XNYS", dt.date(2024, 12, 31), dt.date(2025, 1, 2)),
        ("XNYS", dt.date(2024, 12, 28), dt.date(2024, 12, 30)),
        ("24/7", dt.date(2024, 12, 28), dt.date(2024, 12, 29)),
    ],
)
def test_the_next_session(code, date, following):
    assert sessions_after(code, days_of(date)).tolist() == [to_days(following)]


@pytest.mark.parametrize("code", ["XSHG", "XBOM", "XSES", "XHKG"])
def test_the_next_session_within_the_last_month_that_a_calendar_knows(code):
    _, end = bounds(code)
    known = sessions(code, end - dt.timedelta(days=25), end)
    assert sessions_after(code, known[:-1]).tolist() == known[1:].tolist()
    with pytest.raises(UsageError, match="has no 1 sessions after"):
        sessions_after(code, known[-1:])


def days_of(*dates):
    return np.array([to_days(date) for date in dates], np.int32)


@pytest.mark.parametrize("ahead", [1, 2, 5])
def test_sessions_ahead_equal_repeated_single_steps(ahead):
    dates = days_of(dt.date(2024, 12, 20), dt.date(2001, 9, 10), dt.date(2024, 12, 31), dt.date(2001, 9, 10))
    stepped = dates
    for _ in range(ahead):
        stepped = sessions_after("XNYS", stepped)
    assert sessions_after("XNYS", dates, ahead).tolist() == stepped.tolist()


def test_the_calendar_is_created_once_for_all_dates(monkeypatch):
    """Creating one takes 0.1 seconds, so 500 tickers must not create 2000 calendars."""
    made = []
    calendar._calendar_of_years.cache_clear()
    get = exchange_calendars.get_calendar
    monkeypatch.setattr(
        exchange_calendars, "get_calendar", lambda *what, **more: made.append(what) or get(*what, **more)
    )
    dates = np.arange(to_days(dt.date(2010, 1, 4)), to_days(dt.date(2024, 1, 4)), 7, dtype=np.int32)
    assert len(sessions_after("XNYS", dates, 5)) == len(dates) > 500
    assert len(made) == 1
    assert len(sessions_after("XNYS", dates[:0])) == 0
    assert len(made) == 1


@pytest.mark.parametrize(
    ("code", "start", "end", "words"),
    [
        ("XNYX", dt.date(2024, 1, 1), dt.date(2024, 2, 1), "no exchange calendar 'XNYX'.*XNYS"),
        ("nowhere", dt.date(2024, 1, 1), dt.date(2024, 2, 1), "no exchange calendar 'nowhere'.*market.calendar"),
        ("XHKG", dt.date(1900, 1, 1), dt.date(2024, 2, 1), "does not cover 1900-01-01"),
        ("XNYS", dt.date(2024, 1, 6), dt.date(2024, 1, 7), "does not cover 2024-01-06"),
    ],
)
def test_unsupported_calendars_and_ranges_are_named(code, start, end, words):
    with pytest.raises(UsageError, match=words) as caught:
        sessions(code, start, end)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("typed", "meant"), [("XNSE", "XBOM"), ("nse", "XBOM"), ("TWSE", "XTAI"), ("crypto", "24/7")])
def test_the_hint_knows_names_that_people_try(typed, meant):
    with pytest.raises(UsageError) as caught:
        sessions(typed, dt.date(2024, 1, 1), dt.date(2024, 2, 1))
    assert caught.value.hint == f"market.calendar={meant}"
