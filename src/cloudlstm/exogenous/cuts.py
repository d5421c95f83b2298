"""The cut of each bar: what was available at or before it was known to the bar.

The cut of a daily bar is the close of its session minus the embargo, that of a bar within a day its own end minus the
embargo. So the last bar of a session has the same cut with any interval.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudlstm.market import calendar
from cloudlstm.market.grid import Grid
from cloudlstm.market.interval import DAILY, MINUTES_A_DAY, Interval

NOTHING_KNOWN = np.iinfo(np.int64).min
"""The cut of a date before the first session of the calendar: nothing was known."""

_MINUTE_US = 60_000_000
_SESSIONS_BEFORE = 2
"""Sessions before the first bar whose cuts are needed: what became known between two of them is no news of the bar."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """The bars that an exchange can have, and their cuts.

    Attributes:
        dates: The bars as days, or their starts as minutes, since 1970-01-01, ascending (place,).
        cuts: The cut of each, in microseconds of UTC since 1970-01-01, ascending (place,).
        session: The number of the session of each, ascending (place,). Of daily bars each is a session.
    """

    dates: NDArray[np.int32]
    cuts: NDArray[np.int64]
    session: NDArray[np.int32]

    def places_of(self, dates: NDArray[np.int32]) -> NDArray[np.int64]:
        """Returns the place of the last bar at or before each date; -1 where there is none."""
        places: NDArray[np.int64] = np.searchsorted(self.dates, dates, side="right") - 1
        return places

    def first_that_sees(self, available_at: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns the place of the first bar whose cut is at or after each time.

        It is the number of places if there is none. A time before all cuts has place 0; since the places begin long
        before the bars, no bar asks whether it was earlier.
        """
        places: NDArray[np.int64] = np.searchsorted(self.cuts, available_at, side="left")
        return places


def cuts_of(code: str, dates: NDArray[np.int32], embargo_minutes: int, interval: Interval = DAILY) -> Cuts:
    """Returns the cuts that some bars need: theirs, and those of at least two sessions before.

    Args:
        code: The exchange, for example XNYS.
        dates: Dates of bars as days since 1970-01-01, of bars within a day their starts as minutes; they may repeat, be
            unsorted, or be no bars of the exchange.
        embargo_minutes: Minutes before the end of the bar; what becomes known within them counts for later bars.
        interval: The interval of the bars.

    Raises:
        UsageError: there is no such calendar, or it does not cover the dates.
        MissingExtraError: the package exchange-calendars is missing.
    """
    if not len(dates):
        return Cuts(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.int32))
    least, most = int(dates.min()), int(dates.max())
    if not interval.daily:
        return _within_a_day(code, least, most, embargo_minutes, interval)
    known = calendar.hours_with_past(code, calendar.to_date(least), calendar.to_date(most))
    return Cuts(known.days, _moments(known.closes, embargo_minutes), np.arange(len(known.days), dtype=np.int32))


def _within_a_day(code: str, least: int, most: int, embargo_minutes: int, interval: Interval) -> Cuts:
    """The cuts around bars from `least` to `most`, as minutes since 1970-01-01."""
    first, last = (calendar.to_date(minute // MINUTES_A_DAY) for minute in (least, most))
    _, end = calendar.bounds(code, first, last)
    later = last + dt.timedelta(days=1)  # the date of a session may differ from the date in UTC
    known = calendar.hours_with_past(code, first, min(later, end or later))
    begin = int(np.searchsorted(known.opens, least, side="right")) - 1 - _SESSIONS_BEFORE
    grid = Grid(interval, known.take(slice(max(begin, 0), None)))
    return Cuts(
        grid.starts, _moments(grid.ends(grid.starts), embargo_minutes), grid.place_of(grid.starts).astype(np.int32)
    )


def _moments(ends: NDArray[np.int32], embargo_minutes: int) -> NDArray[np.int64]:
    """The cuts of bars that end at some minutes."""
    found: NDArray[np.int64] = (ends.astype(np.int64) - embargo_minutes) * _MINUTE_US
    return found


def cuts(code: str, days: NDArray[np.int32], embargo_minutes: int) -> NDArray[np.int64]:
    """Returns the time up to which each daily bar knows what was published.

    It is the close of the bar's session minus the embargo. A bar on a date that is no session has the cut of the last
    session before it: nobody traded at a later price of that exchange, so nothing later is certain to be known.

    Args:
        code: The exchange, for example XNYS.
        days: The date of each bar, as days since 1970-01-01 (bars,).
        embargo_minutes: Minutes before the close.

    Returns:
        Microseconds of UTC since 1970-01-01 (bars,); NOTHING_KNOWN before the first session of the calendar.

    Raises:
        UsageError: there is no such calendar, or it does not cover the dates.
        MissingExtraError: the package exchange-calendars is missing.
    """
    found = cuts_of(code, days, embargo_minutes)
    return np.append(found.cuts, NOTHING_KNOWN)[found.places_of(days)]
