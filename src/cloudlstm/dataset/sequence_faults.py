"""What is wrong with a sequence that was read."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudlstm.market.interval import MINUTES_A_DAY

_EPOCH = dt.date(1970, 1, 1)
_FIRST_DATE, _LAST_DATE = (dt.date.min - _EPOCH).days, (dt.date.max - _EPOCH).days


def fault_of(
    dates: NDArray[Any], targets: NDArray[Any], ends: NDArray[np.int64], window: int, ahead: int, unit_name: str
) -> str:
    """What is wrong with a sequence; empty if it is valid.

    Readers take bars by number, so a window that began before its sequence would contain bars of another one.

    Args:
        dates: Days or minutes since 1970-01-01, (bars,).
        targets: Log-returns, (bars,).
        ends: The last bar of each window.
        window: Bars in a window.
        ahead: Bars from the last bar of a window to its target.
        unit_name: The unit of dates, D or m.
    """
    a_day, unit = (1, "days") if unit_name == "D" else (MINUTES_A_DAY, "minutes")
    if len(ends) and ends[0] < window - 1:
        return f"a window of {window} bars ends at its bar {ends[0] + 1}"
    if len(ends) and ends[-1] + ahead >= len(dates):
        return f"the target {ahead} bars after its bar {ends[-1] + 1} of {len(dates)} is not in it"
    if np.isinf(targets).any():
        return "a target is infinite"
    if len(dates) and not (dates.min() >= _FIRST_DATE * a_day and dates.max() < (_LAST_DATE + 1) * a_day):
        return f"a date is {dates.min()} or {dates.max()} {unit} from 1970-01-01"
    if (np.diff(dates) <= 0).any():
        return "its dates are not in order"
    return ""
