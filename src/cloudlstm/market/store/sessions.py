"""The last sessions of an exchange. A calendar takes 0.2 seconds to make, so those of whole years are kept."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cloudlstm.errors import UsageError
from cloudlstm.market import calendar

_DAYS_A_SESSION = 2


def first_of_last(code: str, as_of: dt.date, bars: int) -> int:
    """Returns the day of the session with which the last `bars` sessions up to `as_of` begin.

    Args:
        code: The exchange calendar.
        as_of: The last date.
        bars: Number of sessions.
    """
    reach = dt.timedelta(days=_DAYS_A_SESSION * bars + calendar.LONGEST_CLOSURE_DAYS)
    return int(_since_new_year(code, (as_of - reach).year, as_of)[-bars:][0])


def count_between(code: str, after: dt.date, as_of: dt.date) -> int:
    """Returns the number of sessions after a date up to `as_of`."""
    known = _since_new_year(code, (after - dt.timedelta(days=calendar.LONGEST_CLOSURE_DAYS)).year, as_of)
    return int(np.count_nonzero(known > calendar.to_days(after)))


def _since_new_year(code: str, year: int, as_of: dt.date) -> NDArray[np.int32]:
    try:
        known = _whole_years(code, year, as_of.year)
    except UsageError:  # the calendar does not cover the rest of this year
        known = calendar.sessions(code, dt.date(year, 1, 1), as_of)
    return known[known <= calendar.to_days(as_of)]


@lru_cache(maxsize=8)
def _whole_years(code: str, first: int, last: int) -> NDArray[np.int32]:
    return calendar.sessions(code, dt.date(first, 1, 1), dt.date(last, 12, 31))
