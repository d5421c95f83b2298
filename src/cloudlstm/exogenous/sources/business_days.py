"""The working days of the offices that publish series of the United States.

A day is a working day if it is Monday to Friday and neither a federal holiday nor a day on which the federal offices or
the exchanges were closed for another reason. If a holiday falls on a weekend, both days that offices may take instead
are counted as holidays. A day too many makes a value known later; a day too few would make it known before it was.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cloudlstm.market.calendar import EPOCH

Days = NDArray[np.int64]

FIXED = ((1, 1, 1871), (6, 19, 2021), (7, 4, 1871), (11, 11, 1938), (12, 25, 1871))
"""Month, day and first year of holidays with a date."""

FLOATING = ((1, 0, 3, 1986), (2, 0, 3, 1879), (5, 0, -1, 1868), (9, 0, 1, 1894), (10, 0, 2, 1971), (11, 3, 4, 1863))
"""Month, weekday (Monday is 0), which one of the month (-1: the last) and first year of the other holidays."""

CLOSED = (
    *(dt.date(2001, 9, day) for day in (11, 12, 13, 14)),
    dt.date(2004, 6, 11),
    dt.date(2007, 1, 2),
    *(dt.date(2012, 10, day) for day in (29, 30)),
    dt.date(2018, 12, 5),
    dt.date(2025, 1, 9),
)
"""September 2001, the days of mourning for Reagan, Ford, Bush and Carter, and hurricane Sandy."""

_FIRST_YEAR, _LAST_YEAR = 1870, 2199
_DAY = dt.timedelta(days=1)


def next_working_day(day: Days, ahead: int = 0) -> Days:
    """Returns the first working day from each date on, or the one that is `ahead` working days after it.

    With `ahead` 1, a Friday gives Monday, and a Saturday gives Monday as well.

    Args:
        day: Days since 1970-01-01.
        ahead: Number of working days after each date.
    """
    date = np.asarray(day, np.int64).astype("datetime64[D]")
    calendar = _calendar()
    if ahead:
        date, ahead = date + np.timedelta64(1, "D"), ahead - 1
    found: Days = np.busday_offset(date, ahead, roll="forward", busdaycal=calendar).astype(np.int64)
    return found


@lru_cache(maxsize=1)
def _calendar() -> np.busdaycalendar:
    holidays = [day for year in range(_FIRST_YEAR, _LAST_YEAR + 1) for day in holidays_of(year)]
    days = [(day - EPOCH).days for day in (*holidays, *CLOSED)]
    return np.busdaycalendar(holidays=np.array(days, np.int64).astype("datetime64[D]"))


def holidays_of(year: int) -> list[dt.date]:
    """Returns the federal holidays of a year, and the days that offices may take instead of those on weekends."""
    found = []
    for month, day, first in FIXED:
        if year >= first:
            date = dt.date(year, month, day)
            found += [date, *{5: [date - _DAY], 6: [date + _DAY]}.get(date.weekday(), [])]
    for month, weekday, which, first in FLOATING:
        if year >= first:
            found.append(_of_month(year, month, weekday, which))
    return found


def _of_month(year: int, month: int, weekday: int, which: int) -> dt.date:
    if which < 0:
        last = dt.date(year, month, 31)  # May
        return last - dt.timedelta(days=(last.weekday() - weekday) % 7)
    first = dt.date(year, month, 1)
    return first + dt.timedelta(days=(weekday - first.weekday()) % 7 + 7 * (which - 1))
