"""When the publishers of FRED's series release them: one rule a series, on the late side.

FRED's files say what a value is about, not when it was published. A rule gives a time at which the value had certainly
been published. It is an assumption, so its rows have the vintage -1. It is also about the time only: a file of FRED
holds the values as they are today, after all revisions. Series that are revised (CPI, payrolls, GDP, …) show what was
known only by `exogenous.macro.source=alfred`.

The rules are checked against the releases from 2010 to 2025. Statistics whose release a shutdown of the federal
government delayed count 60 days later.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudlstm.exogenous.sources.business_days import next_working_day
from cloudlstm.exogenous.sources.moments import utc_of

Days = NDArray[np.int64]

ZONE = "America/New_York"
"""The time zone of all rules."""

VINTAGE = -1
"""The vintage of rows whose time is assumed by a rule."""

_MONDAY, _FRIDAY = 0, 4
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday
_SHUTDOWN_DAYS = 60
_MONTHLY_DELAYS = ("2013-09", "2025-09", "2025-10", "2025-11")
_INCOME_DELAYS = (*_MONTHLY_DELAYS, "2013-10", "2018-12", "2019-01", "2019-02", "2025-12", "2026-01")
_QUARTER_DELAYS = ("2013-07", "2018-10", "2025-07", "2025-10")
"""Periods whose statistics the shutdowns of 2013, 2018-19 and 2025 delayed, by their first month."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When a series is released.

    Attributes:
        text: The rule in words.
        source: Where the rule comes from.
        day: Takes the dates that values are about, returns the dates of their release; days since 1970-01-01.
        clock: The time of day in New York.
    """

    text: str
    source: str
    day: Callable[[Days], Days]
    clock: dt.time

    def available(self, period: NDArray[np.int32]) -> NDArray[np.int64]:
        """Returns when values were known, in microseconds since 1970 in UTC.

        Args:
            period: The dates that they are about, in days since 1970-01-01.
        """
        day = self.day(period.astype(np.int64))
        second = np.full(len(day), self.clock.hour * 3600 + self.clock.minute * 60, np.int32)
        return utc_of(day.astype(np.int32), second, ZONE)


def _same_day(period: Days) -> Days:
    return period


def _next_working_day(period: Days) -> Days:
    return next_working_day(period, 1)


def _weekday_after(weeks: int, weekday: int) -> Callable[[Days], Days]:
    """The working day from this weekday on, so many weeks after the week of the date."""

    def day(period: Days) -> Days:
        monday = period - (period + _EPOCH_WEEKDAY) % 7
        return next_working_day(monday + 7 * weeks + weekday)

    return day


def _first_monday(period: Days) -> Days:
    """The first Monday after the month of the date, or the next working day."""
    first = _month(period, 1)
    return next_working_day(first + (-(first + _EPOCH_WEEKDAY)) % 7)


def _day_of_month(months: int, number: int, delayed: Sequence[str] = _MONTHLY_DELAYS) -> Callable[[Days], Days]:
    """The working day from the day `number` on, so many months after the month of the date.

    Periods that a shutdown delayed count 60 days more.
    """
    late = np.array(delayed, "datetime64[M]").astype(np.int64)

    def day(period: Days) -> Days:
        more = np.where(np.isin(_month_number(period), late), _SHUTDOWN_DAYS, 0)
        return next_working_day(_month(period, months) + number - 1 + more)

    return day


def _month_number(period: Days) -> Days:
    number: Days = period.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return number


def _month(period: Days, months: int) -> Days:
    """The first day of the month that is so many months after the month of each date."""
    first: Days = (_month_number(period) + months).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return first


_H15 = "Federal Reserve H.15, posted at 16:15 every business day with the rates of the business day before"
_LATE = dt.time(16, 15)
_MORNING = dt.time(8, 30)

_YIELD = Rule("next business day, 16:15", _H15, _next_working_day, _LATE)
_SPREAD = Rule("next business day, 18:00", f"{_H15}; FRED computes it from them", _next_working_day, dt.time(18, 0))
_JOBS = Rule(
    "12th of the next month, or the next business day, 08:30",
    "BLS Employment Situation: the third Friday after the week of the 12th, so at the latest on the 10th",
    _day_of_month(1, 12),
    _MORNING,
)
_PRICES = Rule(
    "27th of the next month, or the next business day, 08:30",
    "BLS Consumer Price Index: usually from the 10th to the 15th, and as late as 26 February 2015",
    _day_of_month(1, 27),
    _MORNING,
)

RULES = {
    "VIXCLS": Rule("same day, 16:15", "Cboe: the closing value of the index, computed until 16:15", _same_day, _LATE),
    **dict.fromkeys(
        ("DGS1MO", "DGS3MO", "DGS6MO", "DGS1", "DGS2", "DGS3", "DGS5", "DGS7", "DGS10", "DGS20", "DGS30", "DTB3"),
        _YIELD,
    ),
    "T10Y2Y": _SPREAD,
    "T10Y3M": _SPREAD,
    "DFF": Rule(
        "next business day, 16:15",
        "New York Fed: about 09:00 of the next business day, corrected until 14:30; FRED takes it from H.15 at 16:15",
        _next_working_day,
        _LATE,
    ),
    "FEDFUNDS": Rule(
        "first Monday after the month, or the next business day, 16:15",
        "Federal Reserve H.15: averages on the first Monday, since November 2016 on the first business day",
        _first_monday,
        _LATE,
    ),
    "BAMLH0A0HYM2": Rule("next business day, 18:00", "ICE BofA: the next morning", _next_working_day, dt.time(18, 0)),
    "DTWEXBGS": Rule(
        "Monday of the next week, or the next business day, 16:15",
        "Federal Reserve H.10: on Mondays for the week before",
        _weekday_after(1, _MONDAY),
        _LATE,
    ),
    "DCOILWTICO": Rule(
        "Friday two weeks later, or the next business day, 18:00",
        "EIA: weekly on Wednesdays; two weeks late in June 2022",
        _weekday_after(2, _FRIDAY),
        dt.time(18, 0),
    ),
    "CPIAUCSL": _PRICES,
    "CPILFESL": _PRICES,
    "UNRATE": _JOBS,
    "PAYEMS": _JOBS,
    "INDPRO": Rule(
        "20th of the next month, or the next business day, 09:15",
        "Federal Reserve G.17: about the 16th",
        _day_of_month(1, 20),
        dt.time(9, 15),
    ),
    "PCEPI": Rule(
        "5th of the second month after, or the next business day, 08:30",
        "BEA Personal Income and Outlays: from the 26th of the next month to the 1st of the second",
        _day_of_month(2, 5, _INCOME_DELAYS),
        _MORNING,
    ),
    "GDP": Rule(
        "5th of the second month after the quarter, or the next business day, 08:30",
        "BEA, first estimate: from the 25th to the 30th of the month after the quarter",
        _day_of_month(4, 5, _QUARTER_DELAYS),
        _MORNING,
    ),
}
"""Series -> rule. The date of a monthly or quarterly series is the first day of its period, as FRED writes it."""


def rows_of_rules() -> list[tuple[str, str, str]]:
    """Returns the series of each rule, the rule and its source in words, for docs/exogenous.md."""
    by_rule: dict[Rule, list[str]] = {}
    for series, rule in RULES.items():
        by_rule.setdefault(rule, []).append(series)
    return [(", ".join(series), rule.text, rule.source) for rule, series in by_rule.items()]
