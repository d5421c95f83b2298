"""The cut of a session: its close, on half days and over changes of the clock too, minus the embargo."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from cloudlstm.errors import UsageError
from cloudlstm.exogenous.cuts import NOTHING_KNOWN, cuts, cuts_of
from cloudlstm.market.calendar import hours_with_past, to_days


def cut(code: str, day: str, embargo: int = 0) -> str:
    """The cut of one date, as text."""
    found = cuts(code, np.array([to_days(dt.date.fromisoformat(day))], np.int32), embargo)
    return str(found.astype("datetime64[us]").astype("datetime64[m]")[0])


@pytest.mark.parametrize(
    ("code", "day", "embargo", "expected"),
    [
        ("XNYS", "2024-01-17", 0, "2024-01-17T21:00"),
        ("XNYS", "2024-07-17", 0, "2024-07-17T20:00"),  # summer time
        ("XNYS", "2023-03-10", 15, "2023-03-10T20:45"),  # the last session of winter time
        ("XNYS", "2023-03-13", 15, "2023-03-13T19:45"),
        ("XNYS", "2024-11-29", 0, "2024-11-29T18:00"),  # half day after Thanksgiving
        ("XNYS", "2024-11-28", 0, "2024-11-27T21:00"),  # Thanksgiving
        ("XNYS", "2024-12-01", 0, "2024-11-29T18:00"),  # Sunday
        ("XNYS", "2024-01-16", 10_080, "2024-01-09T21:00"),
        ("XTKS", "2024-01-17", 0, "2024-01-17T06:00"),  # closed at 15:00 until November 2024
        ("XTKS", "2024-11-06", 0, "2024-11-06T06:30"),
        ("XLON", "2024-12-24", 0, "2024-12-24T12:30"),
        ("XASX", "2024-01-17", 0, "2024-01-17T05:00"),
        ("24/7", "2024-11-30", 0, "2024-12-01T00:00"),
    ],
)
def test_the_cut_is_the_close_minus_the_embargo(code: str, day: str, embargo: int, expected: str) -> None:
    assert cut(code, day, embargo) == expected


def test_cuts_come_in_the_order_of_the_dates() -> None:
    days = np.array([to_days(dt.date(2024, 1, day)) for day in (17, 12, 17, 13)], np.int32)
    found = cuts("XNYS", days, 15)
    assert found[0] == found[2] > found[1] == found[3]
    assert len(cuts("XNYS", days[:0], 15)) == 0


def test_where_a_calendar_begins() -> None:
    """Shanghai's calendar begins on 1990-12-03, and its sessions on 1990-12-19."""
    days = np.array([to_days(dt.date(1990, 12, day)) for day in (4, 19, 20)], np.int32)
    found = cuts("XSHG", days, 0)
    assert found[0] == NOTHING_KNOWN or found[0] < found[1]
    assert NOTHING_KNOWN < found[1] < found[2]
    with pytest.raises(UsageError, match="does not cover"):
        cuts("XSHG", days - 365, 0)


def test_there_are_sessions_before_the_first_bar() -> None:
    """News is counted from the cut of the session before, however long ago that was: Athens closed for five weeks."""
    days = np.array([to_days(dt.date(2015, 8, 3))], np.int32)
    found = cuts_of("ASEX", days, 0)
    place = found.places_of(days)[0]
    assert np.diff(found.dates)[place - 1] == 38
    assert place > 2
    assert (np.diff(found.cuts) > 0).all()


def test_sessions_end_with_the_last_date() -> None:
    found = hours_with_past("XNYS", dt.date(2024, 6, 3), dt.date(2024, 6, 9))
    assert found.days[-1] == to_days(dt.date(2024, 6, 7))
    assert found.days[0] < to_days(dt.date(2023, 7, 1))
