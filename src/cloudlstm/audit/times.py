"""Parses a column of times to seconds, and says what is ambiguous in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm.errors import UnreadableSourceError
from cloudlstm.market import columns

MISSING = np.iinfo(np.int64).min
"""The seconds of a missing time."""

_ZONE = r"^(?P<text>.*?\d)\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2})$"
_CLOCK = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}"
_PARTS = r"^(?P<a>\d{1,4})[-/.](?P<b>\d{1,2})[-/.](?P<c>\d{1,4})(?P<clock>[T ].*)?$"
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Times:
    """A parsed column.

    Attributes:
        seconds: Seconds since 1970-01-01, of UTC where the text has a zone; MISSING where it cannot be read (rows,).
        unreadable: Rows with a text that is no time.
        with_zone: Rows whose text has a zone.
        without_zone: Rows with a time of day but no zone.
        day_first: Rows that can only be day/month; 0 unless the dates are written with slashes or the like.
        month_first: Rows that can only be month/day.
        either: Rows that can be both.
    """

    seconds: NDArray[np.int64]
    unreadable: int = 0
    with_zone: int = 0
    without_zone: int = 0
    day_first: int = 0
    month_first: int = 0
    either: int = 0


def parse(column: pa.ChunkedArray, name: str, where: str) -> Times:
    """Parses a column of dates, timestamps, texts or whole numbers (YYYYMMDD, YYYYMM, a year, epoch seconds or ms).

    Raises:
        UnreadableSourceError: Less than half of the values are times.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        unit = column.cast(pa.timestamp("s", getattr(kind, "tz", None)), safe=False)
        return Times(columns.filled(columns.one_chunk(unit).view(pa.int64()), MISSING))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        found = _of_numbers(columns.filled(columns.one_chunk(column.cast(pa.float64())), np.nan))
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        found = _of_texts(columns.one_chunk(column.cast(pa.string())))
    else:
        raise UnreadableSourceError(f"the column {name} of {where} is of type {kind}, not of times", hint="--time")
    present = len(column) - column.null_count
    if present and found.unreadable * 2 > present:
        raise UnreadableSourceError(
            f"{found.unreadable} of {present} values of the column {name} of {where} are no dates or times",
            hint="--time=COLUMN",
        )
    return found


def _of_numbers(values: NDArray[np.float64]) -> Times:
    seconds = np.full(len(values), MISSING)
    whole = np.isfinite(values)
    number = np.where(whole, values, 0.0).astype(np.int64)
    for low, high, form in ((19000101, 21991231, "%Y%m%d"), (190001, 219912, "%Y%m"), (1800, 2200, "%Y")):
        fits = whole & (number >= low) & (number <= high)
        if fits.any():
            distinct, place = np.unique(number[fits], return_inverse=True)
            texts = pa.array(distinct.astype(str))
            read = pc.strptime(texts, format=form, unit="s", error_is_null=True)
            seconds[fits] = columns.filled(read.view(pa.int64()), MISSING)[place]
    for low, scale in ((10**8, 1), (10**11, 1000), (10**14, 10**6), (10**17, 10**9)):
        fits = whole & (number >= low) & (number < low * 1000) & (seconds == MISSING)
        seconds[fits] = number[fits] // scale
    return Times(seconds, int((whole & (seconds == MISSING)).sum()))


def _of_texts(texts: pa.Array) -> Times:
    encoded = texts.dictionary_encode()
    code, distinct = columns.codes_of(encoded), encoded.dictionary
    count = np.bincount(code[code >= 0], minlength=len(distinct))
    seconds = np.full(len(distinct) + 1, MISSING)  # the last entry is that of code -1
    trimmed = pc.utf8_trim_whitespace(distinct)
    zoned = pc.extract_regex(trimmed, _ZONE)
    clocked = _is(pc.match_substring_regex(trimmed, _CLOCK))
    has_zone = _is(pc.is_valid(zoned)) & (clocked | _is(pc.ends_with(trimmed, "Z")))
    body = pc.if_else(pa.array(has_zone), pc.struct_field(zoned, "text"), trimmed)
    offset = np.array([_offset(zone) for zone in _texts(pc.struct_field(zoned, "zone"))], np.int64)
    parts = pc.extract_regex(body, _PARTS)
    a, b, c = (_number(pc.struct_field(parts, name)) for name in "abc")
    clock = _clock(pc.struct_field(parts, "clock"))
    iso = (a >= 1000) & (c <= 31)
    slashed = (c >= 1000) & (a <= 31) & (b <= 31)
    only_day, only_month = slashed & (a > 12) & (b <= 12), slashed & (b > 12) & (a <= 12)
    day_first = (count * only_day).sum() > (count * only_month).sum()
    year = np.where(iso, a, c)
    month = np.where(iso, b, np.where(only_day | (slashed & ~only_month & day_first), b, a))
    day = np.where(iso, c, np.where(month == a, b, a))
    read = (iso | slashed) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31) & (clock >= 0)
    written = (year[read] - 1970).astype("datetime64[Y]").astype("datetime64[M]") + (month[read] - 1)
    days = written.astype("datetime64[D]") + (day[read] - 1)
    real = days.astype("datetime64[M]") == written  # no 31st of June
    at = np.flatnonzero(read)[real]
    seconds[at] = days[real].astype(np.int64) * _DAY_S + clock[at] - np.where(has_zone[at], offset[at], 0)
    left = np.flatnonzero(seconds[:-1] == MISSING)
    if len(left):
        digits = pc.match_substring_regex(trimmed.take(pa.array(left)), r"^\d+$")
        numbers = np.array([float(each) if ok else np.nan for each, ok in
                            zip(trimmed.take(pa.array(left)).to_pylist(), _is(digits), strict=True)])  # fmt: skip
        seconds[left] = _of_numbers(numbers).seconds
    rows = seconds[code]
    return Times(
        rows,
        int((count * (seconds[:-1] == MISSING)).sum()),
        int((count * has_zone).sum()),
        int((count * (clocked & ~has_zone)).sum()),
        int((count * only_day).sum()),
        int((count * only_month).sum()),
        int((count * (slashed & (a <= 12) & (b <= 12) & (a != b))).sum()),
    )


def _is(mask: pa.Array) -> NDArray[np.bool_]:
    return np.asarray(pc.fill_null(mask, pa.scalar(value=False)).to_numpy(zero_copy_only=False), bool)


def _texts(values: pa.Array) -> list[str]:
    return [each or "" for each in values.to_pylist()]


def _number(values: pa.Array) -> NDArray[np.int64]:
    return np.array([int(each) if each else 99_999 for each in values.to_pylist()], np.int64)


def _offset(zone: str) -> int:
    """Seconds that a zone is ahead of UTC."""
    if not zone or not zone[-1].isdigit():
        return 0
    digits = zone[1:].replace(":", "")
    return (int(digits[:2]) * 3600 + int(digits[2:]) * 60) * (-1 if zone[0] == "-" else 1)


def _clock(values: pa.Array) -> NDArray[np.int64]:
    """Seconds since midnight; 0 without a time of day, -1 if it cannot be read."""
    out = np.zeros(len(values), np.int64)
    for i, text in enumerate(values.to_pylist()):
        if text:
            parts = text[1:].partition(".")[0].split(":")
            ok = 2 <= len(parts) <= 3 and all(each.isdigit() for each in parts)
            out[i] = sum(int(each) * scale for each, scale in zip(parts, (3600, 60, 1), strict=False)) if ok else -1
    return out


def iso(seconds: int) -> str:
    """The date, or the time if it is not midnight, in ISO 8601."""
    text = str(np.datetime64(int(seconds), "s"))
    return text.removesuffix("T00:00:00")
