"""Parses dates: ISO, or a configured format. If nothing is a date, an error suggests the format."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cloudlstm.errors import UnreadableSourceError
from cloudlstm.market import columns

_FORMATS = ("%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%Y/%m/%d", "%Y.%m.%d", "%m-%d-%Y", "%d-%m-%Y", "%m/%d/%y", "%d %b %Y",
            "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%B %d, %Y", "%Y年%m月%d日")  # fmt: skip
"""Formats that an error can suggest. For ambiguous dates, the more common format comes first."""


def parse(column: pa.ChunkedArray, date_format: str | None) -> pa.ChunkedArray:
    """Converts a column of any type to date32; null where a value is not a date.

    A time with a UTC offset gives the local date, as written.

    Args:
        column: Dates, times, or text with dates or times.
        date_format: Format of text dates, as in strptime; None for ISO.
    """
    kind = column.type
    if pa.types.is_date32(kind):
        return column
    if pa.types.is_date64(kind):
        return column.cast(pa.date32())
    if pa.types.is_timestamp(kind):
        return (pc.local_timestamp(column) if kind.tz else column).cast(pa.date32(), safe=False)
    if not (pa.types.is_dictionary(kind) or pa.types.is_string(kind)):
        column = column.cast(pa.string())
    code, values = columns.codes(column)
    day = _by_format(date_format) if date_format else _day
    day_of = np.array([*(day(value) for value in values), columns.NO_DATE], np.int32)
    return pa.chunked_array([columns.from_days(day_of[code])])


def _by_format(date_format: str) -> Callable[[str | None], int]:
    """Returns a function like `_day` for another date format."""
    read = _reader(date_format)

    def day(text: str | None) -> int:
        date = read((text or "").strip())
        return (date - dt.date(1970, 1, 1)).days if date else columns.NO_DATE

    return day


def _day(text: str | None) -> int:
    """Parses an ISO date, with or without a time, to days since 1970-01-01; NO_DATE for anything else."""
    text = (text or "").strip()
    date = text[:8] if text[:8].isdigit() else text[:10]
    rest = text[len(date) :]
    if rest and rest[0] not in "T ":
        return columns.NO_DATE
    try:
        return dt.date.fromisoformat(date).toordinal() - dt.date(1970, 1, 1).toordinal()
    except ValueError:
        return columns.NO_DATE


def require_dates(date: pa.ChunkedArray, column: pa.ChunkedArray, name: str, uri: str) -> None:
    """Raises UnreadableSourceError if no value is a date; the hint suggests a format.

    Args:
        date: The parsed column.
        column: The column as in the file.
        name: The file's name for the column.
        uri: The file.
    """
    if date.null_count < len(date):
        return
    values = [value.strip() for value in column.cast(pa.string()).unique().to_pylist() if value and value.strip()]
    found = next((form for form in _FORMATS if values and all(map(_reader(form), values[:500]))), None)
    raise UnreadableSourceError(
        f"{uri}: no value of column {name!r} is a date, the first is {values[0] if values else None!r}",
        hint=f"market.date_format={found!r}" if found else "market.date_format, or another column in market.columns",
    )


def _reader(date_format: str) -> Callable[[str], dt.date | None]:
    """Returns a function that parses text in this format; it returns None for other text."""

    def read(text: str) -> dt.date | None:
        try:
            return dt.datetime.strptime(text, date_format).date()
        except ValueError:
            return None

    return read
