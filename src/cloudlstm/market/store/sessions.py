"""The last sessions of an exchange."""

from __future__ import annotations

import datetime as dt

import numpy as np

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
    return int(calendar.sessions(code, as_of - reach, as_of)[-bars:][0])


def count_between(code: str, after: dt.date, as_of: dt.date) -> int:
    """Returns the number of sessions after a date up to `as_of`."""
    first = after - dt.timedelta(days=calendar.LONGEST_CLOSURE_DAYS)
    return int(np.count_nonzero(calendar.sessions(code, first, as_of) > calendar.to_days(after)))
