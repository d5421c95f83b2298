"""Reads the distinct texts of a column of dates in one form, or in each form that may be meant.

A text is split into a date and a time, since a million different times have few different dates.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm.market import columns
from cloudlstm.market.columns import NO_DATE
from cloudlstm.market.sources import date_texts
from cloudlstm.market.sources.date_texts import BAD_TIME, NO_OFFSET, NO_TIME, Order
from cloudlstm.market.sources.numbers import MISSING

Ints = NDArray[np.int32]

ISO = "%Y-%m-%d"
_NAMED = "%d-%b-%Y"
_ORDERS: dict[str, Order] = {
    ISO: "ymd", _NAMED: "ymd", "%m/%d/%Y": "mdy", "%d/%m/%Y": "dmy", "%d.%m.%Y": "dmy", "%y-%m-%d": "yy", "roc": "roc",
}  # fmt: skip
"""Names of forms that read any marks between the numbers -> the order of the numbers."""

_EPOCH_UNITS = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (np.inf, 1e9))
"""Numbers below the first value count in the second one, per second."""
_LEAST_EPOCH = 1e8
DAY_SECONDS = 86_400
_YEARS = (-62_091, 84_006)
"""1800 to 2199, in days since 1970-01-01."""
_EXCEL_DAY_0 = (dt.date(1899, 12, 30) - dt.date(1970, 1, 1)).days
_EXCEL_DAYS = (20_000, 60_001)

_PARTS = (
    r"(?s)^(?P<date>.*?)(?P<time>[Tt\s,]*(?:AM|PM|am|pm|上午|下午|오전|오후)?\s*\d{1,2}:\d{2}.*"
    r"|[Tt ]\d{6}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:?\d{2})?|[Tt]\d{4}(?:[Zz]|[+-]\d{2}:?\d{2})?)?$"
)
_OTHER_PLACES = (
    (r"^((?:18|19|20|21)\d{6})(\d{6})$", r"\1 \2"),
    (r"^((?:19|20)\d{6})(\d{4})$", r"\1T\2"),
    (r"^(\d{8})\.0*$", r"\1"),
    (r"^(\d{4}-\d{2}-\d{2})([+-]\d{2}:\d{2})$", r"\1 00:00\2"),
    (r"^(\pL+ \pL+ \d{1,2}) (\d{1,2}:\d{2}:\d{2})( [A-Z]{3,5})? (\d{4})$", r"\1 \4 \2\3"),
)
"""Texts whose time is not set apart at their end, and what they are changed to."""


class Reading(NamedTuple):
    """What the texts are in one form; for each text."""

    days: Ints
    """Days since 1970-01-01, as written; NO_DATE where it is no date."""
    second: Ints
    """The second of the day; NO_TIME without a time."""
    offset: Ints
    """Seconds that the time is ahead of UTC; NO_OFFSET where that is not written."""

    def in_zone(self, zone: str) -> Ints:
        """Returns the days in a time zone, of the texts with a time. A time without an offset is in UTC."""
        has_offset = self.offset != NO_OFFSET
        in_utc = (self.second > 0).any() & (self.second != NO_TIME)  # midnights alone are dates without a time
        known = (self.days != NO_DATE) & (has_offset | in_utc)
        offset = np.where(has_offset, self.offset, 0)
        second = self.days.astype(np.int64) * DAY_SECONDS + np.maximum(self.second, 0) - offset
        moments = pa.array(np.where(known, second, 0)).cast(pa.timestamp("s", tz=zone))
        local = pc.local_timestamp(moments).cast(pa.date32()).cast(pa.int32()).to_numpy()
        return np.where(known, local, self.days).astype(np.int32)


@dataclass(frozen=True)
class Texts:
    """The distinct texts of a column, in parts."""

    code: Ints
    """For each row, its text; -1 is a missing value."""
    values: pa.Array
    """The texts."""
    missing: NDArray[np.bool_]
    """For each text, whether it stands for no value; the last entry is for code -1."""
    number: NDArray[np.float64]
    """For each text, the number that it is, or NaN."""
    date_code: Ints
    """For each text, the place of its date in `dates`."""
    dates: list[str]
    second: Ints
    """For each text, the second of the day; NO_TIME without a time, BAD_TIME where it cannot be read."""
    offset: Ints


def split(column: pa.ChunkedArray) -> Texts:
    """Splits the distinct texts of a column, or its distinct numbers, into their parts."""
    if pa.types.is_string_view(column.type):
        column = column.cast(pa.string())  # Arrow has no empty dictionary of this type
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    array = columns.one_chunk(encoded)
    text = _text(array.dictionary)
    digits = pc.if_else(pc.match_substring_regex(text, r"^-?\d+(\.\d*)?$"), text, pa.scalar(None, pa.string()))
    number = columns.filled(digits.cast(pa.float64()), np.nan)
    parted = pa.array([""] * len(text), pa.string()) if _all_epoch(number) else text
    for pattern, changed in _OTHER_PLACES:
        parted = pc.replace_substring_regex(parted, pattern, changed)
    parts = pc.extract_regex(parted, _PARTS)
    date_code, dates = columns.codes(pa.chunked_array([parts.field("date")]))
    time_code, times = columns.codes(pa.chunked_array([parts.field("time")]))
    read = np.array([*(date_texts.time(time or "") for time in times), (NO_TIME, NO_OFFSET)], np.int32)[time_code]
    missing = np.append(pc.is_in(pc.utf8_lower(text), pa.array(sorted(MISSING))).to_numpy(zero_copy_only=False), True)
    code = columns.codes_of(array)
    return Texts(code, text, missing, number, date_code, [date or "" for date in dates], read[:, 0], read[:, 1])


def _all_epoch(number: NDArray[np.float64]) -> bool:
    """Whether all texts are numbers that are too large for a date, and none is a date and a time without marks."""
    with np.errstate(invalid="ignore"):
        written = ((number >= 1.8e13) & (number < 2.2e13)) | ((number >= 1.9e11) & (number < 2.1e11))
        large = (number >= _LEAST_EPOCH) & ~written
    return bool(large.all())


def _text(values: pa.Array) -> pa.Array:
    """Returns values of any type as text."""
    if pa.types.is_floating(values.type):
        shown = [f"{value:.6f}".rstrip("0").rstrip(".") if value == value else "" for value in values.to_pylist()]
        return pa.array(shown, pa.string())
    return pc.fill_null(pc.utf8_trim_whitespace(values.cast(pa.string())), "")


def read(texts: Texts, name: str) -> Reading:
    """Reads the texts in one form: "epoch", "excel", "roc" or a format of strptime."""
    if name == "epoch":
        return _epoch(texts.number)
    if name == "excel":
        return _excel(texts.number)
    if name in _ORDERS:
        return _by_order(texts, _ORDERS[name])
    return _by_format(texts, name)


def read_all(texts: Texts) -> Iterator[tuple[str, Reading]]:
    """Yields the name and the reading of each form that may be meant."""
    written = [parts for date in texts.dates if (parts := date_texts.written(date))]
    known = _by_order(texts, "ymd")
    named = bool(written) and all(parts.month for parts in written)
    yield _NAMED if named else ISO, known
    if not bool(((known.days == NO_DATE) & ~texts.missing[:-1]).any()):
        return  # no other form reads these texts otherwise
    if not np.isnan(texts.number).all():
        if np.nanmedian(np.abs(texts.number)) >= _LEAST_EPOCH:
            yield "epoch", _epoch(texts.number)
        yield "excel", _excel(texts.number)
    dotted = all(parts.dotted for parts in written if not parts.month)
    if not dotted:  # with points, no country writes the month first
        yield "%m/%d/%Y", _by_order(texts, "mdy")
    yield "%d.%m.%Y" if dotted else "%d/%m/%Y", _by_order(texts, "dmy")
    yield "%y-%m-%d", _by_order(texts, "yy")
    if any(parts.numbers and len(parts.numbers[0]) in (3, 7) for parts in written):
        yield "roc", _by_order(texts, "roc")


def _by_order(texts: Texts, order: Order) -> Reading:
    """Reads dates whose numbers stand in an order, with any marks between them."""
    days = np.array([date_texts.day(date_texts.written(date), order) for date in texts.dates], np.int32)
    return _with_times(texts, days)


def _with_times(texts: Texts, days_of_dates: Ints) -> Reading:
    days = np.where(texts.second == BAD_TIME, NO_DATE, days_of_dates[texts.date_code]).astype(np.int32)
    return Reading(days, texts.second, texts.offset)


def _by_format(texts: Texts, date_format: str) -> Reading:
    """Reads texts by a format of strptime. A time that the format does not name may follow."""
    if "%H" not in date_format and "%I" not in date_format:
        return _with_times(texts, np.array([_strptime(date, date_format)[0] for date in texts.dates], np.int32))
    read = np.array([_strptime(value, date_format) for value in texts.values.to_pylist()], np.int32).reshape(-1, 3)
    return Reading(read[:, 0], read[:, 1], read[:, 2])


def _strptime(text: str, date_format: str) -> tuple[int, int, int]:
    try:
        found = dt.datetime.strptime(text, date_format)
    except ValueError:
        return NO_DATE, NO_TIME, NO_OFFSET
    offset = found.utcoffset()
    second = found.hour * 3600 + found.minute * 60 + found.second
    return (
        (found.date() - dt.date(1970, 1, 1)).days,
        second,
        NO_OFFSET if offset is None else int(offset.total_seconds()),
    )


def _epoch(number: NDArray[np.float64]) -> Reading:
    """Reads times since 1970 in UTC; the size of a number shows its unit, for small ones the usual size does."""
    size = np.abs(number)
    usual = 0.0 if np.isnan(number).all() else float(np.nanmedian(size))
    bounds, units = (np.array(values) for values in zip(*_EPOCH_UNITS, strict=True))
    own = units[np.searchsorted(bounds, size, side="right").clip(max=len(units) - 1)]
    common = units[int(np.searchsorted(bounds, usual, side="right").clip(max=len(units) - 1))]
    per_second = np.where(size >= bounds[0], own, common)
    return _of_days(number / per_second / DAY_SECONDS, *_YEARS, offset=0)


def _excel(number: NDArray[np.float64]) -> Reading:
    """Reads days as Excel counts them."""
    least, below = (limit + _EXCEL_DAY_0 for limit in _EXCEL_DAYS)
    return _of_days(number + _EXCEL_DAY_0, least, below, offset=NO_OFFSET)


def _of_days(days: NDArray[np.float64], least: int, below: int, *, offset: int) -> Reading:
    with np.errstate(invalid="ignore"):
        inside = (days >= least) & (days < below)
    second = np.rint(np.where(inside, days, 0.0) * DAY_SECONDS).astype(np.int64)
    whole = np.where(inside, second // DAY_SECONDS, NO_DATE).astype(np.int32)
    of_day = np.where(inside, second % DAY_SECONDS, NO_TIME).astype(np.int32)
    return Reading(whole, of_day, np.full(len(days), offset, np.int32))
