"""The cut of each session: what was available at or before it was known to the bar of the session."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudlstm.market import calendar

NOTHING_KNOWN = np.iinfo(np.int64).min
"""The cut of a date before the first session of the calendar: nothing was known."""

_MINUTE_US = 60_000_000


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sessions of an exchange and their cuts.

    Attributes:
        days: The sessions as days since 1970-01-01, ascending (sessions,).
        cuts: Close of each session minus the embargo, in microseconds of UTC since 1970-01-01, ascending (sessions,).
    """

    days: NDArray[np.int32]
    cuts: NDArray[np.int64]

    def of_days(self, days: NDArray[np.int32]) -> NDArray[np.int64]:
        """Returns the place of the last session at or before each date; -1 where there is none."""
        places: NDArray[np.int64] = np.searchsorted(self.days, days, side="right") - 1
        return places

    def first_that_sees(self, available_at: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns the place of the first session whose cut is at or after each time.

        It is the number of sessions if there is none. A time before all cuts has place 0; since the sessions begin
        long before the bars, no bar asks whether it was earlier.
        """
        places: NDArray[np.int64] = np.searchsorted(self.cuts, available_at, side="left")
        return places


def sessions_of(code: str, days: NDArray[np.int32], embargo_minutes: int) -> Sessions:
    """Returns the sessions of exchange `code` that the bars of some dates need: theirs, and at least two before.

    Args:
        code: The exchange, for example XNYS.
        days: Dates of bars, as days since 1970-01-01; they may repeat, be unsorted, or be no sessions.
        embargo_minutes: Minutes before the close; what becomes known within them counts for the next session.

    Raises:
        UsageError: there is no such calendar, or it does not cover the dates.
        MissingExtraError: the package exchange-calendars is missing.
    """
    if not len(days):
        return Sessions(np.zeros(0, np.int32), np.zeros(0, np.int64))
    first, last = calendar.to_date(int(days.min())), calendar.to_date(int(days.max()))
    known = calendar.hours_with_past(code, first, last)
    return Sessions(known.days, (known.closes.astype(np.int64) - embargo_minutes) * _MINUTE_US)


def cuts(code: str, days: NDArray[np.int32], embargo_minutes: int) -> NDArray[np.int64]:
    """Returns the time up to which each bar knows what was published.

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
    sessions = sessions_of(code, days, embargo_minutes)
    return np.append(sessions.cuts, NOTHING_KNOWN)[sessions.of_days(days)]
