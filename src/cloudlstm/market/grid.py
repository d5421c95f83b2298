"""The bars that an exchange can have: when each bar of a session starts, by the exchange's calendar.

Bars start at the open and then every interval until the close, and again at the end of a break, as in Tokyo and Hong
Kong. Half days have fewer bars. A session includes its break.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cloudlstm.config import MarketConfig
from cloudlstm.errors import UsageError
from cloudlstm.market.calendar import LONGEST_CLOSURE_DAYS, Hours, hours, to_date, within_bounds
from cloudlstm.market.interval import MINUTES_A_DAY, Interval

Ints = NDArray[np.int32]


@dataclass(frozen=True)
class Grid:
    """The starts of bars within a day, over a range of sessions.

    Attributes:
        interval: The interval of the bars, shorter than a day.
        hours: The trading hours of the sessions.
        bridged: True if a segment may reach over a close.
        last: The start of the last bar of the data set, as minutes since 1970-01-01 UTC; later bars are not missing,
            since they may not have happened yet. None: the last one of the last session.
    """

    interval: Interval
    hours: Hours
    bridged: bool = False
    last: int | None = None

    @classmethod
    def of(
        cls, market: MarketConfig, start: dt.date | None = None, end: dt.date | None = None, last: int | None = None
    ) -> Self:
        """The grid of a run.

        Args:
            market: Interval, calendar and dates.
            start: First session, if it is not that of the market.
            end: Last session, if it is not that of the market.
            last: See the attribute.
        """
        found = hours(market.calendar, start or market.start, end or market.end)
        return cls(Interval(market.interval), found, market.bridge_sessions, last)

    @cached_property
    def starts(self) -> Ints:
        """The start of every bar, in order, as minutes since 1970-01-01 UTC."""
        found = self._all_starts[0]
        return found if self.last is None else found[: np.searchsorted(found, self.last, side="right")]

    @cached_property
    def _all_starts(self) -> tuple[Ints, Ints]:
        """The start of every bar, and the place of its session."""
        step, own = self.interval.minutes, self.hours
        halves = [(own.opens, own.break_starts), (own.break_ends, own.closes)]
        counts = [np.maximum(-((begin - end) // step), 0) for begin, end in halves]
        count = np.stack(counts, axis=1).ravel()
        begin = np.stack([own.opens, own.break_ends], axis=1).ravel()
        nth = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        place = np.repeat(np.arange(len(count)) // 2, count)
        return (np.repeat(begin, count) + nth * step).astype(np.int32), place.astype(np.int32)

    def place_of(self, dates: Ints) -> NDArray[np.intp]:
        """The place of the session of each moment: the last one that has opened; 0 before the first."""
        return np.maximum(np.searchsorted(self.hours.opens, dates, side="right") - 1, 0)

    def session_of(self, dates: Ints) -> Ints:
        """The session of each bar, as days since 1970-01-01."""
        found: Ints = self.hours.days[self.place_of(dates)]
        return found

    @cached_property
    def days(self) -> Ints:
        """The session of every start, as days since 1970-01-01."""
        return self.session_of(self.starts)

    def nth(self, numbers: Ints) -> Ints:
        """The bars of the same session before each start.

        Args:
            numbers: Places in `starts`.
        """
        place = self._all_starts[1]
        return (numbers - np.searchsorted(place, place[numbers], side="left")).astype(np.int32)

    def left(self, numbers: Ints) -> Ints:
        """The bars of the same session after each start.

        Args:
            numbers: Places in `starts`.
        """
        place = self._all_starts[1]
        ends = np.searchsorted(place, place[numbers], side="right")
        return (np.minimum(ends, len(self.starts)) - 1 - numbers).astype(np.int32)

    def ends(self, dates: Ints) -> Ints:
        """When each bar ends, as minutes since 1970-01-01 UTC: what happened until then is known with the bar."""
        place = self.place_of(dates)
        before_break = dates < self.hours.break_starts[place]
        latest = np.where(before_break, self.hours.break_starts[place], self.hours.closes[place])
        return np.minimum(dates + self.interval.minutes, latest).astype(np.int32)

    def in_hours(self, dates: Ints) -> NDArray[np.bool_]:
        """True for moments from the open to the close, outside the break."""
        place, own = self.place_of(dates), self.hours
        inside = (dates >= own.opens[place]) & (dates < own.closes[place])
        found: NDArray[np.bool_] = inside & ((dates < own.break_starts[place]) | (dates >= own.break_ends[place]))
        return found

    def minutes_from_session(self, dates: Ints) -> Ints:
        """The minutes from each moment to the nearest session; 0 from its open to its close."""
        place, own = self.place_of(dates), self.hours
        after = np.where(dates < own.opens[place], own.opens[place] - dates, np.maximum(dates - own.closes[place], 0))
        later = np.minimum(place + 1, len(own.opens) - 1)
        before = np.abs(own.opens[later] - dates)
        found: Ints = np.minimum(after, before).astype(np.int32)
        return found

    def identity(self) -> list[Any]:
        """What the starts depend on, JSON-ready."""
        own = self.hours
        arrays = (own.days, own.opens, own.break_starts, own.break_ends, own.closes)
        return [self.interval.name, self.bridged, self.last, *(each.tolist() for each in arrays)]


def moments_of(market: MarketConfig) -> tuple[int, int]:
    """The open of the first session of a run and the close of its last one, as minutes since 1970-01-01 UTC."""
    found = hours(market.calendar, market.start, market.end)
    return int(found.opens[0]), int(found.closes[-1])


def around(market: MarketConfig, dates: Ints, later: int = 0) -> Grid:
    """The grid of the sessions of some bars.

    Args:
        market: Interval and calendar.
        dates: Starts of bars, as minutes since 1970-01-01 UTC; at least one.
        later: Days after the last of them that the grid has as well.
    """
    first, last = (to_date(int(end) // MINUTES_A_DAY) for end in (dates.min(), dates.max()))
    around_s = dt.timedelta(days=1)  # the date of a session may differ from the date in UTC
    end = last + around_s + dt.timedelta(days=later)
    return Grid.of(market, *within_bounds(market.calendar, first - around_s, end))


def bars_after(market: MarketConfig, dates: Ints, ahead: int = 1) -> Ints:
    """The start of the bar that is `ahead` bars after each bar, over the close if need be.

    Args:
        market: Interval and calendar.
        dates: Starts of bars, as minutes since 1970-01-01 UTC.
        ahead: Number of bars.
    """
    if not len(dates):
        return np.zeros(0, np.int32)
    starts = around(market, dates, LONGEST_CLOSURE_DAYS + 2 * ahead).starts
    place = np.searchsorted(starts, dates, side="right") + ahead - 1
    if place.max() >= len(starts):
        raise UsageError(
            f"the calendar {market.calendar} has no {ahead} bars after {to_date(int(dates.max()) // MINUTES_A_DAY)}",
            hint="an earlier market.end, or a newer exchange-calendars",
        )
    found: Ints = starts[place]
    return found
