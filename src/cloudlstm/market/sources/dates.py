"""Reads dates as people and programs write them, and finds out which of the forms a file has.

A form is ISO, a date with numbers or names of months in another order, seconds since 1970, the number of a day in
Excel, or a year of the Republic of China. If one form alone reads the dates of a file, it needs no setting. The text
`01/02/2024` has two readings: then the order of the rows and the weekdays decide, else `market.date_format`.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm.errors import UnreadableSourceError
from cloudlstm.market import columns
from cloudlstm.market.sources.date_forms import FORMS, Moment, read_strptime

ISO = "%Y-%m-%d"

_MOST_COMPARED = 500
_MOST_OTHERS = 0.05
_WEEKDAYS = 0.97
_EPOCH = dt.date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class DateForm:
    """How the dates of a file are written.

    Attributes:
        name: As for `market.date_format`.
    """

    name: str


@dataclass(frozen=True, slots=True)
class Dates:
    """The dates of a column.

    Attributes:
        days: date32; null where a date is missing or not understood.
        unreadable: True where a text is there and is no date, (rows,).
        has_times: True if a date has a time of day.
        in_utc: True if the times are in UTC.
    """

    days: pa.ChunkedArray
    unreadable: NDArray[np.bool_]
    has_times: bool = False
    in_utc: bool = False


def find_form(column: pa.ChunkedArray, configured: str | None, name: str, uri: str) -> DateForm:
    """Finds the form that reads the dates of a column.

    Args:
        column: The column as in the file.
        configured: `market.date_format`; then it is the answer, if it reads any date.
        name: The file's name for the column, for the error message.
        uri: The file, for the error message.

    Raises:
        UnreadableSourceError: if no form reads the dates, or two of them read them differently.
    """
    if not _is_text(column):
        return DateForm(ISO)
    texts = _distinct_texts(column)
    if not texts:
        return DateForm(configured or ISO)
    step = max(len(texts) // _MOST_COMPARED, 1)
    some = texts[::step]
    if configured:
        if not any(_reader(configured)(text) for text in some):
            raise UnreadableSourceError(
                f"{uri}: no value of column {name!r} is a date by market.date_format={configured}, the first is "
                f"{texts[0]!r}",
                hint=_hint(
                    [found for found in FORMS if _share(found, some) > 1 - _MOST_OTHERS], "another market.date_format"
                ),
            )
        return DateForm(configured)
    shares = {found: _share(found, some) for found in FORMS}
    best = max(shares.values())
    if not best:
        raise UnreadableSourceError(
            f"{uri}: no value of column {name!r} is a date, the first is {texts[0]!r}",
            hint="market.date_format, or another column in market.columns",
        )
    candidates = [found for found, share in shares.items() if share > best - _MOST_OTHERS / 2 and share]
    candidates = [found for found in candidates if shares[found] == best] or candidates
    chosen = _plausible(candidates, some)
    if len(chosen) > 1:
        first = [_reader(found)(some[0]) for found in chosen]
        days = " or ".join(str(dt.date.fromordinal(each.day)) for each in first if each)
        raise UnreadableSourceError(
            f"{uri}: the dates of column {name!r} have two readings, the first is {texts[0]!r}: {days}",
            hint=_hint(chosen, ""),
        )
    return DateForm(chosen[0])


def parse(column: pa.ChunkedArray, form: DateForm, zone: str | None = None) -> Dates:
    """Reads the dates of a column of any type.

    Args:
        column: Dates, times, or text with dates or times.
        form: The form of text and numbers.
        zone: Time zone of the exchange: a moment becomes its date there. None: a time with an offset gives the date as
            written.
    """
    kind = column.type
    none = np.zeros(len(column), bool)
    if pa.types.is_date(kind):
        return Dates(column.cast(pa.date32()), none)
    if pa.types.is_timestamp(kind):
        if kind.tz and zone:
            column = column.cast(pa.timestamp(kind.unit, tz=zone))
        local = pc.local_timestamp(column) if column.type.tz else column
        days = local.cast(pa.date32(), safe=False)
        timed = pc.any(pc.not_equal(days.cast(local.type), local)).as_py() or False
        return Dates(days, none, timed, kind.tz in ("UTC", "Etc/UTC", "+00:00"))
    if pa.types.is_dictionary(kind) and form.name == ISO and (fast := _fast(columns.one_chunk(column))) is not None:
        return Dates(pa.chunked_array([fast]), none)
    code, values = columns.codes(_as_text(column))
    read = _reader(form.name)
    moments = [read(value.strip()) if value and value.strip() else None for value in values]
    days = [columns.NO_DATE if moment is None else _day(moment, zone) - _EPOCH for moment in moments]
    wrong = [moment is None and bool(value and value.strip()) for moment, value in zip(moments, values, strict=True)]
    known = [moment for moment in moments if moment is not None]
    return Dates(
        pa.chunked_array([columns.from_days(np.array([*days, columns.NO_DATE], np.int32)[code])]),
        np.array([*wrong, False])[code],
        any(moment.seconds for moment in known),
        bool(known) and all(moment.offset == 0 for moment in known),
    )


def _fast(array: pa.DictionaryArray) -> pa.Array | None:
    """Reads ISO dates without times by Arrow; None if a text is something else."""
    try:
        return array.dictionary.cast(pa.date32()).take(array.indices)
    except pa.ArrowInvalid:
        return None


def _day(moment: Moment, zone: str | None) -> int:
    """Returns the date of a moment, as a proleptic Gregorian ordinal."""
    if zone is None or moment.offset is None:
        return moment.day
    at = dt.datetime.combine(dt.date.fromordinal(moment.day), dt.time(), dt.UTC)
    at += dt.timedelta(seconds=moment.seconds - moment.offset)
    return at.astimezone(zoneinfo.ZoneInfo(zone)).date().toordinal()


@lru_cache(maxsize=64)
def _reader(name: str) -> Callable[[str], Moment | None]:
    """Returns the function that reads text in a form."""
    if name in FORMS:
        return lru_cache(maxsize=65536)(FORMS[name])
    return lru_cache(maxsize=65536)(lambda text: read_strptime(text, name))


def _share(name: str, texts: Sequence[str]) -> float:
    """Returns the share of texts that a form reads; stops early if it is small."""
    read = _reader(name)
    if not any(read(text) for text in texts[:20]):
        return 0.0
    return sum(read(text) is not None for text in texts) / len(texts)


def _plausible(candidates: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Returns the candidates that read the texts as bars have them: in order, and not on weekends."""
    read: dict[tuple[int, ...], str] = {}
    for name in candidates:
        days = tuple(found.day for text in texts if (found := _reader(name)(text)))
        read.setdefault(days, name)
    if len(read) == 1:
        return list(read.values())
    good = []
    for days, name in read.items():
        steps = np.diff(np.array(days))
        weekday = np.mean([(day + 6) % 7 < 5 for day in days])
        if (
            len(days) > 2
            and weekday >= _WEEKDAYS
            and ((steps > 0).mean() > _WEEKDAYS or (steps < 0).mean() > _WEEKDAYS)
        ):
            good.append(name)
    return good if len(good) == 1 else list(read.values())


def _hint(forms: Sequence[str], otherwise: str) -> str:
    return " or ".join(f"market.date_format={form}" for form in forms) or otherwise


def _distinct_texts(column: pa.ChunkedArray) -> list[str]:
    """Returns the distinct texts in order of their first row."""
    values = pc.unique(_as_text(column).cast(pa.string())).to_pylist()
    return [value.strip() for value in values if value and value.strip()]


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_floating(kind):
        column = column.cast(pa.int64(), safe=False)
    if pa.types.is_dictionary(kind) or pa.types.is_string(kind):
        return column
    return column.cast(pa.string())


def _is_text(column: pa.ChunkedArray) -> bool:
    return not (pa.types.is_date(column.type) or pa.types.is_timestamp(column.type))
