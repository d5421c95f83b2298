"""What was known at a time: the cut of each bar, and the newest value of a series at each cut.

The cut of a daily bar is the close of its session minus an embargo. A row is used if it was available at the cut or
before. Of these rows, the newest period counts, in its newest version: a late correction of an old period does not hide
a newer period.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudlstm.market import calendar

Times = NDArray[np.int64]
"""Microseconds since 1970 in UTC."""

DAY_US = 86_400 * 1_000_000
_MINUTE_US = 60 * 1_000_000


@dataclass(frozen=True, slots=True)
class Cuts:
    """The times up to which bars know what happened.

    Attributes:
        times: Sorted and unique; a session without a bar has its own, so that its news do not go to the next bar.
        place: For each bar, the number of its time, (bars,).
    """

    times: Times
    place: NDArray[np.intp]

    @property
    def of_bars(self) -> Times:
        """The cut of each bar, (bars,)."""
        return self.times[self.place]


def session_cuts(code: str, days: NDArray[np.int32], embargo_minutes: int) -> Cuts:
    """The cuts of daily bars: the close of each session, minus the embargo.

    A bar on a date without a session gets the cut of the session before it.

    Args:
        code: The exchange, for example XNYS.
        days: The date of each bar, as days since 1970-01-01.
        embargo_minutes: What became known less than so many minutes before the close is not used.
    """
    if not len(days):
        return Cuts(np.zeros(0, np.int64), np.zeros(0, np.intp))
    first = calendar.to_date(int(days.min())) - dt.timedelta(days=calendar.LONGEST_CLOSURE_DAYS)
    sessions = calendar.sessions(code, first, calendar.to_date(int(days.max())))
    _, closes = calendar.session_hours(code, sessions)
    return Cuts(closes - embargo_minutes * _MINUTE_US, np.searchsorted(sessions, days, side="right") - 1)


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one series and entity, sorted by (available_at, period, vintage, value).

    Attributes:
        available_at: When each was known.
        period: What each is about, in days since 1970-01-01.
        value: The number.
    """

    available_at: Times
    period: NDArray[np.int32]
    value: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.value)


def newest(rows: Rows, cuts: Times) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The newest value at each cut and its age in days since it was known; NaN where there is none.

    A value that was published as missing (NaN) leaves the value before it the newest.

    Args:
        rows: The rows of a series.
        cuts: The cuts, (bars,) in any order.
    """
    known = np.isfinite(rows.value)
    period = rows.period[known]
    # In the order of time, a row becomes the newest one if its period is at least as new as all before.
    becomes = period >= np.maximum.accumulate(period) if len(period) else np.zeros(0, bool)
    available_at, value = rows.available_at[known][becomes], rows.value[known][becomes]
    place = np.searchsorted(available_at, cuts, side="right") - 1
    found = np.full(len(cuts), np.nan)
    age = np.full(len(cuts), np.nan)
    there = place >= 0
    found[there] = value[place[there]]
    age[there] = (cuts[there] - available_at[place[there]]) / DAY_US
    return found, age


def by_cut(rows: Rows, cuts: Times) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rows of each interval between two cuts: those that were known after the cut before, up to this cut.

    Args:
        rows: The rows of a series.
        cuts: All cuts, sorted.

    Returns:
        The number of the first row of each interval that has rows, and the number of its cut; rows after the last cut
        are in no interval.
    """
    interval = np.searchsorted(cuts, rows.available_at, side="left")
    inside = interval[interval < len(cuts)]
    first = np.flatnonzero(np.diff(inside, prepend=-1))
    return first.astype(np.intp), inside[first].astype(np.intp)
