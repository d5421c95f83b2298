"""The session of a bar, and its place among the bars that an exchange can have.

The hours and the starts of bars are those of the batch pipeline (`market.grid`), read from the calendar as bars need
them: a stream does not know its last bar.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cloudlstm.market.calendar import LONGEST_CLOSURE_DAYS, Hours, bounds, hours, within_bounds
from cloudlstm.market.grid import Grid
from cloudlstm.market.interval import Interval

Minutes = NDArray[np.int64]
"""Starts of bars in seconds since 1970-01-01 UTC."""

NO_SESSION = -1
"""The session of a bar outside all sessions, or in a break."""
NO_PLACE = -1
"""The place of a bar at a moment at which no bar of the interval starts."""

_EARLIEST, _LATEST = 2000, 2100
"""Bars before and from these years are in no session: calendars begin in different years, and take time to make."""
_MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Places:
    """The sessions and places of bars, (bar,) each.

    Attributes:
        session: The session as days since 1970-01-01; NO_SESSION outside of all.
        place: Number of the bar in its session, from 0; NO_PLACE if no bar of the interval starts then.
        left: Bars of its session after it.
    """

    session: NDArray[np.int32]
    place: NDArray[np.int32]
    left: NDArray[np.int32]

    @classmethod
    def outside(cls, n: int) -> Places:
        """Those of n bars outside all sessions."""
        return cls(np.full(n, NO_SESSION, np.int32), np.full(n, NO_PLACE, np.int32), np.zeros(n, np.int32))


class Sessions(Protocol):
    """The bars that a stream can have."""

    def places(self, minutes: Minutes) -> Places:
        """The sessions and places of bars, ascending or not."""
        ...

    def numbers(self, minutes: Minutes) -> NDArray[np.int64]:
        """The numbers of bars, counted over all sessions without gaps, for comparison within one call of `advance`."""
        ...

    def starts(self, numbers: NDArray[np.int64]) -> Minutes:
        """The bars of numbers, the inverse of `numbers`; NO_PLACE beyond the end of the calendar."""
        ...


class HoursTable:
    """The bars of sessions with known hours.

    Args:
        own: The hours, at least one session.
        interval: The interval of the bars.
    """

    def __init__(self, own: Hours, interval: Interval) -> None:
        self._grid = Grid(interval, own)

    def places(self, minutes: Minutes) -> Places:
        """See Sessions."""
        grid, starts = self._grid, self._grid.starts
        moments = (minutes // _MINUTE_S).clip(starts[0] - 1, starts[-1] + self._grid.interval.minutes).astype(np.int32)
        inside = grid.in_hours(moments)
        near = np.searchsorted(starts, moments).clip(max=len(starts) - 1)
        is_start = inside & (minutes == starts[near] * np.int64(_MINUTE_S))
        return Places(
            np.where(inside, grid.session_of(moments), NO_SESSION).astype(np.int32),
            np.where(is_start, grid.nth(near), NO_PLACE).astype(np.int32),
            np.where(is_start, grid.left(near), 0).astype(np.int32),
        )

    def numbers(self, minutes: Minutes) -> NDArray[np.int64]:
        """See Sessions."""
        return np.searchsorted(self._grid.starts, minutes // _MINUTE_S).astype(np.int64)

    def starts(self, numbers: NDArray[np.int64]) -> Minutes:
        """See Sessions."""
        every = self._grid.starts
        known = every[numbers.clip(max=len(every) - 1)] * np.int64(_MINUTE_S)
        return np.where(numbers < len(every), known, NO_PLACE)


class ExchangeSessions:
    """The bars of an exchange, read from its calendar in whole years as bars need them.

    Args:
        code: The exchange, for example XNYS.
        interval: The interval of the bars.
    """

    def __init__(self, code: str, interval: Interval) -> None:
        self._code, self._interval = code, interval
        self._first = self._last = 0
        self._span: tuple[dt.date, dt.date] | None = None
        self._table: HoursTable | None = None

    def places(self, minutes: Minutes) -> Places:
        """See Sessions.

        A bar before or after what the calendar covers is in no session.

        Raises:
            UsageError: There is no such calendar.
        """
        if self._span is None:
            self._span = _span(self._code)
        known = (minutes >= _seconds(self._span[0])) & (minutes < _seconds(self._span[1]))
        found = Places.outside(len(minutes))
        if known.any():  # one bar of the year 2250 must not make the calendar fail for all
            inside = self._of(minutes[known]).places(minutes[known])
            for name in ("session", "place", "left"):
                getattr(found, name)[known] = getattr(inside, name)
        return found

    def numbers(self, minutes: Minutes) -> NDArray[np.int64]:
        """See Sessions."""
        return self._of(minutes).numbers(minutes) if len(minutes) else np.zeros(0, np.int64)

    def starts(self, numbers: NDArray[np.int64]) -> Minutes:
        """See Sessions."""
        return self._table.starts(numbers) if self._table else np.zeros(0, np.int64)

    def _of(self, minutes: Minutes) -> HoursTable:
        """The table with the years of some bars, and of all before."""
        first, last = (dt.datetime.fromtimestamp(int(each), dt.UTC).year for each in (minutes.min(), minutes.max()))
        if self._table is None or not self._first <= first <= last <= self._last:
            self._first, self._last = min(first, self._first or first), max(last, self._last)
            begin, end = dt.date(self._first, 1, 1), dt.date(self._last, 12, 31)
            self._table = HoursTable(_hours_around(self._code, begin, end), self._interval)
        return self._table


def _span(code: str) -> tuple[dt.date, dt.date]:
    """The first date whose bars can be in a session, and the first one after it whose bars cannot.

    Some calendars are known from some year, or to the end of this year only.
    """
    least, most = bounds(code)
    first, end = dt.date(_EARLIEST, 1, 1), dt.date(_LATEST, 1, 1)
    return max(first, least or first), min(end, most + dt.timedelta(days=1) if most else end)


def _hours_around(code: str, begin: dt.date, end: dt.date) -> Hours:
    """The hours of some years, as far as the calendar covers them, and of the weeks around them.

    A session may open on the day before its date, and the bars ahead of the last one must be among them.
    """
    earlier, later = (day + dt.timedelta(days=n * LONGEST_CLOSURE_DAYS) for day, n in ((begin, -1), (end, 2)))
    return hours(code, *within_bounds(code, earlier, later))


def _seconds(date: dt.date) -> int:
    return int(dt.datetime(date.year, date.month, date.day, tzinfo=dt.UTC).timestamp())


def always_open(interval_s: int) -> Sessions:
    """One session that never ends, for tests and markets without sessions.

    Args:
        interval_s: Length of a bar in seconds.
    """
    return _AlwaysOpen(interval_s)


@dataclass(frozen=True, slots=True)
class _AlwaysOpen:
    interval_s: int

    def places(self, minutes: Minutes) -> Places:
        number, off = np.divmod(minutes, self.interval_s)
        n = len(minutes)
        on_grid = np.where(off == 0, number, NO_PLACE).astype(np.int32)
        return Places(np.zeros(n, np.int32), on_grid, np.full(n, np.iinfo(np.int32).max, np.int32))

    def numbers(self, minutes: Minutes) -> NDArray[np.int64]:
        return minutes // self.interval_s

    def starts(self, numbers: NDArray[np.int64]) -> Minutes:
        return numbers * self.interval_s
