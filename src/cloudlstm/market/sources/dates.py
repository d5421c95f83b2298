"""Parses columns of dates: finds the one form in which a file writes them, and reads each distinct text once.

A text that begins with a year of four digits or names the month has one reading. `01/02/2024` has two: other dates of
the file decide, or the spacing of the dates, else `market.date_format`.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm.errors import UnreadableSourceError
from cloudlstm.market import columns
from cloudlstm.market.columns import NO_DATE
from cloudlstm.market.sources import date_forms
from cloudlstm.market.sources.date_forms import ISO, Ints, Reading, Texts

_MOST_UNREADABLE = 0.05
_FEW_TEXTS = 10
"""So many different texts may be unreadable in any file: cleaning counts them."""
_MEAN_GAP_DAYS = 5.0
_LEAST_DATES = 6
"""First days of six consecutive months, read with day and month exchanged, are six days in a row, and so include a
weekend. So six dates without a weekend are taken for daily bars."""
_LONG_DAYS = 60
_EVERY_DAY = 1.2
_IN_ORDER = 0.95


@dataclass(frozen=True, slots=True)
class DateForm:
    """The form in which a file writes its dates."""

    name: str = ISO
    """As in the setting `market.date_format`: a format of strptime, "epoch", "excel" or "roc"."""


@dataclass(frozen=True, slots=True)
class Dates:
    """A parsed column."""

    days: pa.ChunkedArray
    """date32; null where the value is missing or unreadable."""
    unreadable: NDArray[np.bool_]
    """For each row, whether it has a text that is no date."""
    has_times: bool = False
    """Whether a value has a time of day other than midnight."""
    step_s: float = 0.0
    """Median distance of the different times, in seconds; 0 without times."""


def find_form(column: pa.ChunkedArray, configured: str | None, name: str, uri: str) -> DateForm:
    """Returns the form that reads the column, or the configured one.

    Args:
        column: Dates, times, numbers or text.
        configured: The setting `market.date_format`.
        name: The file's name for the column.
        uri: The file.

    Raises:
        UnreadableSourceError: if no value is a date, if more than 5 % are no dates in the best form, or if two forms
            read all values and give other dates. The hint names the forms.
    """
    if _has_days(column.type):
        return DateForm()
    texts = date_forms.split(column)
    present = ~texts.missing[:-1]
    if not present.any():
        return DateForm(configured or ISO)
    found = {configured: date_forms.read(texts, configured)} if configured else dict(date_forms.read_all(texts))
    counts = {form: int((reading.days != NO_DATE)[present].sum()) for form, reading in found.items()}
    most = max(counts.values())
    if not most:
        raise _no_date(texts, configured, name, uri)
    best = [form for form, count in counts.items() if count == most]
    form = _agreed(best, found) or _agreed([each for each in best if _like_bars(found[each].days)], found)
    if form is None and 2 * next(iter(counts.values())) > present.sum():
        form = next(iter(counts))  # most dates have one reading; the few others are unreadable
    if form is None:
        raise _two_forms({each: found[each].days for each in best}, texts, name, uri)
    wrong = np.flatnonzero(present & (found[form].days == NO_DATE))
    if len(wrong) > max(_MOST_UNREADABLE * present.sum(), _FEW_TEXTS):
        raise UnreadableSourceError(
            f"{uri}: {len(wrong):,} of the {present.sum():,} different dates of column {name!r} are not in the form "
            f"{form} of the others, the first is {texts.values[int(wrong[0])].as_py()!r}",
            hint=_setting(texts, configured) or "correct these dates, or leave the file out by market.ignore_files",
        )
    return DateForm(form)


def is_certain(column: pa.ChunkedArray, form: DateForm) -> bool:
    """Whether texts show their form whatever the other dates of their file are.

    A text that begins with a year of four digits or names the month has one reading. In another form some text must
    have no reading in any other form.

    Args:
        column: The texts.
        form: What `find_form` has found for them.
    """
    texts = date_forms.split(column)
    counts = {name: int((reading.days != NO_DATE).sum()) for name, reading in date_forms.read_all(texts)}
    most = max(counts.values())
    best = [name for name, count in counts.items() if count == most]
    return bool(most) and form.name == best[0] and (len(best) == 1 or best[0] == next(iter(counts)))


def parse(column: pa.ChunkedArray, form: DateForm, zone: str | None = None) -> Dates:
    """Converts a column of any type to dates.

    Args:
        column: Dates, times, numbers or text.
        form: The form of numbers and texts, see `find_form`.
        zone: The time zone of the exchange, where a time gives its date. A time without an offset is in UTC. None: the
            date as written.
    """
    if _has_days(column.type):
        return _of_timestamps(column, zone) if pa.types.is_timestamp(column.type) else _of_dates(column)
    texts = date_forms.split(column)
    reading = date_forms.read(texts, form.name)
    known = reading.days != NO_DATE
    days = np.append(reading.in_zone(zone) if zone else reading.days, NO_DATE)[texts.code]
    return Dates(
        pa.chunked_array([columns.from_days(days.astype(np.int32))]),
        (days == NO_DATE) & ~texts.missing[texts.code],
        bool((reading.second[known] > 0).any()),
        _step(reading.days[known].astype(np.int64) * date_forms.DAY_SECONDS + np.maximum(reading.second[known], 0)),
    )


def _has_days(kind: pa.DataType) -> bool:
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def _of_dates(column: pa.ChunkedArray) -> Dates:
    return Dates(column.cast(pa.date32()), np.zeros(len(column), np.bool_))


def _of_timestamps(column: pa.ChunkedArray, zone: str | None) -> Dates:
    kind = column.type
    local = pc.local_timestamp(column) if kind.tz else column
    days = local.cast(pa.date32(), safe=False)
    has_times = bool(pc.any(pc.not_equal(days.cast(local.type), local)).as_py())
    if zone and (kind.tz or has_times):
        moved = pc.local_timestamp(column.cast(pa.timestamp(kind.unit, tz=zone)))
        days = moved.cast(pa.date32(), safe=False)
    seconds = columns.one_chunk(local.drop_null().cast(pa.timestamp("s"), safe=False)).view(pa.int64()).to_numpy()
    return Dates(days, np.zeros(len(column), np.bool_), has_times, _step(seconds) if has_times else 0.0)


def _step(seconds: NDArray[np.int64]) -> float:
    """Returns the median distance of different times, given in seconds; 0 if there are none between days."""
    steps = np.diff(np.unique(seconds))
    return float(np.median(steps)) if len(steps) else 0.0


def _agreed(forms: list[str], found: dict[str, Reading]) -> str | None:
    """Returns the first form if all the forms give the same dates."""
    same = all(np.array_equal(found[form].days, found[forms[0]].days) for form in forms)
    return forms[0] if forms and same else None


def _like_bars(days: Ints) -> bool:
    """Whether distinct dates, in order of their first rows, are those of daily bars.

    They are in order, without long gaps, and have either no weekends or every day of two months and more.
    """
    days = days[days != NO_DATE]
    distinct = np.unique(days)
    if len(distinct) < _LEAST_DATES:
        return False
    later = float((np.diff(days) > 0).mean())
    mean_gap = (int(distinct[-1]) - int(distinct[0])) / (len(distinct) - 1)
    weekdays = bool(((distinct + 3) % 7 < 5).all())  # 1970-01-01 was a Thursday
    every_day = mean_gap < _EVERY_DAY and len(distinct) > _LONG_DAYS
    return max(later, 1 - later) > _IN_ORDER and (every_day or (weekdays and mean_gap < _MEAN_GAP_DAYS))


def _setting(texts: Texts, configured: str | None) -> str | None:
    """Returns what to write instead of a configured format that does not fit: the form that reads most texts."""
    if configured is None:
        return None
    counts = {form: int((reading.days != NO_DATE).sum()) for form, reading in date_forms.read_all(texts)}
    best = [form for form, count in counts.items() if count == max(counts.values()) and count]
    return " or ".join(f"market.date_format={form}" for form in best) or None


def _no_date(texts: Texts, configured: str | None, name: str, uri: str) -> UnreadableSourceError:
    first = texts.values[int(np.argmin(texts.missing))].as_py()
    also = f"; market.date_format is {configured}" if configured else ""
    return UnreadableSourceError(
        f"{uri}: no value of column {name!r} is a date, the first is {first!r}{also}",
        hint=_setting(texts, configured) or "market.date_format, or another column in market.columns",
    )


def _two_forms(found: dict[str, Ints], texts: Texts, name: str, uri: str) -> UnreadableSourceError:
    one, other = list(found.values())[:2]
    at = int(np.argmax(one != other))
    both = " or ".join(
        "no date" if days[at] == NO_DATE else str(dt.date(1970, 1, 1) + dt.timedelta(int(days[at])))
        for days in (one, other)
    )
    return UnreadableSourceError(
        f"{uri}: the dates of column {name!r} have two readings, {texts.values[at].as_py()!r} is {both}",
        hint=" or ".join(f"market.date_format={form}" for form in found),
    )
