"""Maps values to pixels, and chooses the ticks of an axis."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from dataclasses import dataclass

_HOURS_DAYS = 15.0
"""An axis between moments that is shorter has times of day."""
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Scale:
    """Linear map of values from `low` to `high` to pixels from `start` to `end`.

    On a y axis `start` is the bottom, the larger pixel.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        span = self.high - self.low
        share = (value - self.low) / span if span > 0.0 else 0.5
        return self.start + share * (self.end - self.start)

    def clamped(self, value: float) -> float:
        """As a call; values outside the range map to its nearer end."""
        return self(min(max(value, self.low), self.high))


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled value of an axis.

    Attributes:
        value: Where it is on the axis.
        text: Its label.
        major: Whether its label stays where two labels would overlap: a new year.
    """

    value: float
    text: str
    major: bool = False


def padded(low: float, high: float, share: float) -> tuple[float, float]:
    """The range extended by a share of its length at both ends; never empty."""
    room = share * (high - low) or abs(high) * 0.1 or 1.0
    return low - room, high + room


def tick_step(low: float, high: float, at_most: int) -> float:
    """The smallest step of 1, 2, 2.5 or 5 times a power of ten that gives at most `at_most` steps in the range."""
    rough = (high - low) / max(at_most, 1) or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if power * factor >= rough * (1.0 - 1e-9))


def ticks(low: float, high: float, at_most: int, text: Callable[[float, int], str]) -> list[Tick]:
    """Round values in the range; `text` formats a value with the number of decimals that the step needs."""
    step = tick_step(low, high, at_most)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    decimals += round(step / 10.0 ** math.floor(math.log10(step) + 1e-9), 6) == 2.5 if step < 10 else 0
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [Tick(number * step, text(number * step, decimals)) for number in range(first, last + 1)]


def day_number(text: str) -> int:
    """An ISO date as a day number."""
    return dt.date.fromisoformat(text).toordinal()


def moment_number(text: str) -> float:
    """An ISO date as a day number; a moment, such as 2024-12-31T20:59Z, has a fraction."""
    moment = dt.datetime.fromisoformat(text)
    return moment.toordinal() + (moment.hour * 60 + moment.minute) / 1440.0


def date_ticks(low: float, high: float, at_most: int) -> list[Tick]:
    """First days of years, quarters or months; Mondays where the range is shorter than two months.

    The first label and the first one of each further year have the year. A range of a few days between moments has
    times, with the day at its first one.
    """
    if high - low < 1.0 or (high - low < _HOURS_DAYS and low % 1.0):
        return _hour_ticks(low, high, at_most)
    first, last = (dt.date.fromordinal(round(value)) for value in (low, high))
    months = (last.year - first.year) * 12 + last.month - first.month
    if months < 2:
        mondays = [value for value in range(math.ceil(low), math.floor(high) + 1) if value % 7 == 1]
        thinned = mondays[:: max(1, math.ceil(len(mondays) / at_most))]
        found = [dt.date.fromordinal(value) for value in thinned] or [first]
        return _with_years([(date, f"{date.day} {MONTHS[date.month - 1]}") for date in found])
    step = next((each for each in (1, 2, 3, 6, 12, 24, 60, 120, 240) if months / each <= at_most), 480)
    ticked = []
    for number in range(first.year * 12 // step * step, last.year * 12 + last.month, step):
        date = dt.date(max(number // 12, 1), number % 12 + 1, 1)
        if low <= date.toordinal() <= high:
            ticked.append((date, "" if date.month == 1 else MONTHS[date.month - 1]))
    return _with_years(ticked)


def _hour_ticks(low: float, high: float, at_most: int) -> list[Tick]:
    """Round times of day in UTC; the first label of a day is the day."""
    minutes = (high - low) * 1440.0
    step = next((each for each in (5, 10, 15, 30, 60, 120, 240, 720, 1440) if minutes / each <= at_most), 2880)
    found: list[Tick] = []
    for number in range(math.ceil(low * 1440.0 / step - 1e-9), math.floor(high * 1440.0 / step + 1e-9) + 1):
        day, minute = divmod(number * step, 1440)
        date = dt.date.fromordinal(day)
        text = f"{minute // 60:02}:{minute % 60:02}"
        if not found or date != dt.date.fromordinal(math.floor(found[-1].value + 1e-9)):
            text = f"{date.day} {MONTHS[date.month - 1]}" + ("" if step >= 1440 or not minute else f" {text}")
        found.append(Tick(number * step / 1440.0, text, not found))
    return found


def _with_years(ticked: list[tuple[dt.date, str]]) -> list[Tick]:
    """Adds the year to the first label and where the year changes. A January has no text of its own."""
    years = [0, *(date.year for date, _ in ticked)]
    return [
        Tick(date.toordinal(), f"{text} {date.year}".strip() if date.year != before else text, 0 < before < date.year)
        for before, (date, text) in zip(years, ticked, strict=False)
    ]


def duration_ticks(most: float, at_most: int) -> list[Tick]:
    """Round numbers of seconds, minutes or hours from 0 to `most` seconds."""
    steps = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
    step = next((each for each in steps if most / each <= at_most), most / at_most)
    unit, size = ("s", 1.0) if step < 60 else ("min", 60.0) if step < 3600 else ("h", 3600.0)
    count = int(most / step + 1e-9) + 1
    return [Tick(number * step, f"{number * step / size:g} {unit}") for number in range(count)]


def spread_out(places: list[float], gap: float, low: float, high: float) -> list[float]:
    """Positions shifted so that neighbours are at least `gap` apart and all are in the range."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    moved = sorted(places)
    for index in range(1, len(moved)):
        moved[index] = max(moved[index], moved[index - 1] + gap)
    if moved and moved[-1] > high:
        moved[-1] = high
        for index in range(len(moved) - 2, -1, -1):
            moved[index] = min(moved[index], moved[index + 1] - gap)
    found = [0.0] * len(places)
    for place, index in enumerate(order):
        found[index] = max(moved[place], low)
    return found
