"""Dates as text, and dates by calendar period."""

from __future__ import annotations

from typing import Literal

import numpy as np

from cloudlstm.evaluation.forecasts import CodeArray, DayArray

Period = Literal["session", "month", "quarter", "year"]

MOST_PERIODS = 40
"""Points of a series by period: few enough to read each of them in a chart."""

_MONTHS: dict[Period, int] = {"session": 0, "month": 1, "quarter": 3, "year": 12}


def iso_date(day: int) -> str:
    """A day since 1970-01-01 as ISO date."""
    return str(np.datetime64(int(day), "D"))


def iso_dates(days: DayArray) -> tuple[str, ...]:
    """Days since 1970-01-01 as ISO dates."""
    return tuple(str(day) for day in days.astype("datetime64[D]"))


def by_period(days: DayArray, *, sessions: bool = False) -> tuple[Period, DayArray, CodeArray]:
    """Groups dates by month, quarter or year: the shortest with at most `MOST_PERIODS` periods.

    Args:
        days: Days since 1970-01-01 (n,).
        sessions: A single session is a period, too: for bars within a day.

    Returns:
        The kind of period; the first day of each period that occurs, in order (periods,); the period of each date (n,).
    """
    if sessions:
        first, place = np.unique(days, return_inverse=True)
        if len(first) <= MOST_PERIODS:
            return "session", first, place.astype(np.intp)
    months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.intp)  # since 1970-01
    n_months = len(np.unique(months))
    period: Period = "year"
    if n_months <= MOST_PERIODS:
        period = "month"
    elif n_months / 3 <= MOST_PERIODS:
        period = "quarter"
    length = _MONTHS[period]
    periods, code = np.unique(months // length, return_inverse=True)
    first = (periods * length).astype("datetime64[M]").astype("datetime64[D]").astype(np.int32)
    return period, first, code.astype(np.intp)


def by_year(days: DayArray) -> tuple[CodeArray, tuple[str, ...]]:
    """Groups dates by calendar year.

    Args:
        days: Days since 1970-01-01, for scores the target dates (n,).

    Returns:
        Index of each date's year in the names (n,); the years that occur, in order.
    """
    years, code = np.unique(days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.intp), return_inverse=True)
    return code.astype(np.intp), tuple(str(year) for year in (years + 1970).tolist())
