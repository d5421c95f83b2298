"""The session of a bar, and its place in the session. A segment of bars never reaches over the end of a session."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudlstm.market.calendar import session_times

Minutes = NDArray[np.int64]

NO_SESSION = -1
"""The session of a bar outside all sessions."""
NO_PLACE = -1
"""The place of a bar that does not begin a whole number of intervals after the open of its session."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The sessions and places of bars, (bar,) each.

    Attributes:
        session: The session as days since 1970-01-01; NO_SESSION outside of all.
        place: Number of the bar in its session, from 0; NO_PLACE if it is not on the grid of the interval.
        left: Bars of its session after it.
    """

    session: NDArray[np.int32]
    place: NDArray[np.int32]
    left: NDArray[np.int32]

    @classmethod
    def outside(cls, n: int) -> Grid:
        """The grid of n bars outside all sessions."""
        return cls(np.full(n, NO_SESSION, np.int32), np.full(n, NO_PLACE, np.int32), np.zeros(n, np.int32))


_EARLIEST = 2000
"""Bars before this year are in no session: calendars begin in different years."""

GridOf = Callable[[Minutes], Grid]
"""Gives the grid of bars by their starts in seconds since the epoch, ascending or not."""


class SessionTable:
    """The sessions of an exchange in a range of dates.

    Args:
        days: The sessions as days since 1970-01-01, ascending.
        opens: When each opens, in seconds since the epoch.
        closes: When each closes.
        interval_s: Length of a bar in seconds.
    """

    def __init__(self, days: NDArray[np.int32], opens: Minutes, closes: Minutes, interval_s: int) -> None:
        self._days, self._opens, self._closes, self._interval = days, opens, closes, interval_s

    def __call__(self, minutes: Minutes) -> Grid:
        """The grid of bars."""
        if not len(self._days):
            return Grid.outside(len(minutes))
        number = np.searchsorted(self._opens, minutes, side="right") - 1
        near = np.maximum(number, 0)
        inside = (number >= 0) & (minutes < self._closes[near])
        place, off = np.divmod(minutes - self._opens[near], self._interval)
        left = -((minutes - self._closes[near]) // self._interval) - 1
        return Grid(
            np.where(inside, self._days[near], NO_SESSION).astype(np.int32),
            np.where(inside & (off == 0), place, NO_PLACE).astype(np.int32),
            np.where(inside, left, 0).astype(np.int32),
        )


class ExchangeSessions:
    """The sessions of an exchange, read from its calendar in whole years as bars need them.

    Args:
        code: The exchange, for example XNYS.
        interval_s: Length of a bar in seconds.
    """

    def __init__(self, code: str, interval_s: int) -> None:
        self._code, self._interval = code, interval_s
        self._first = self._last = 0
        self._table: SessionTable | None = None

    def __call__(self, minutes: Minutes) -> Grid:
        """The grid of bars.

        Raises:
            UsageError: The calendar does not cover the bars.
        """
        newest = dt.datetime.now(dt.UTC).year + 1
        known = (minutes >= _seconds(_EARLIEST)) & (minutes < _seconds(newest + 1))
        if not known.all():  # one bar of the year 2250 must not make the calendar fail for all
            grid, found = Grid.outside(len(minutes)), self(minutes[known])
            for name in ("session", "place", "left"):
                getattr(grid, name)[known] = getattr(found, name)
            return grid
        if not len(minutes):
            return Grid.outside(0)
        first, last = (dt.datetime.fromtimestamp(int(each), dt.UTC).year for each in (minutes.min(), minutes.max()))
        if self._table is None or not self._first <= first <= last <= self._last:
            self._first = min(first, self._first or first)
            self._last = max(last, self._last)
            # A session may open on the day before its date.
            begin, end = dt.date(self._first, 1, 1), dt.date(self._last, 12, 31)
            self._table = SessionTable(*session_times(self._code, begin, end + dt.timedelta(days=1)), self._interval)
        return self._table(minutes)


def _seconds(year: int) -> int:
    return int(dt.datetime(year, 1, 1, tzinfo=dt.UTC).timestamp())


def always_open(interval_s: int) -> GridOf:
    """One session that never ends, for tests and markets without sessions."""

    def grid(minutes: Minutes) -> Grid:
        place, off = np.divmod(minutes, interval_s)
        n = len(minutes)
        on_grid = np.where(off == 0, place, NO_PLACE).astype(np.int32)
        return Grid(np.zeros(n, np.int32), on_grid, np.full(n, np.iinfo(np.int32).max, np.int32))

    return grid
