"""Reads times as files write them: instants in UTC, dates without a time, and texts that are neither.

Where a text has two readings, the later one is used, because a value that is used before it was known would be a leak:

- A local time that occurs twice, or that a clock change skips, is the later one.
- EST, CST and PST are the fixed standard time also in summer; EDT, CDT and PDT are the local time of that day.
- Midnight is told apart from other times, since most programs write a date without a time as midnight.
"""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm.market import columns
from cloudlstm.market.columns import NO_DATE
from cloudlstm.market.sources import date_forms
from cloudlstm.market.sources.date_forms import DAY_SECONDS, ISO, Reading
from cloudlstm.market.sources.date_texts import NO_OFFSET, NO_TIME

Days = NDArray[np.int32]
Times = NDArray[np.int64]
Flags = NDArray[np.bool_]

ZONES = {
    "et": "America/New_York", "edt": "America/New_York", "est": "Etc/GMT+5",
    "ct": "America/Chicago", "cdt": "America/Chicago", "cst": "Etc/GMT+6",
    "mt": "America/Denver", "mdt": "America/Denver", "mst": "Etc/GMT+7",
    "pt": "America/Los_Angeles", "pdt": "America/Los_Angeles", "pst": "Etc/GMT+8",
    "utc": "UTC", "gmt": "UTC", "z": "UTC", "bst": "Europe/London", "wet": "UTC", "west": "Europe/Lisbon",
    "cet": "Etc/GMT-1", "cest": "Europe/Berlin", "eet": "Etc/GMT-2", "eest": "Europe/Athens",
    "msk": "Europe/Moscow", "jst": "Asia/Tokyo", "kst": "Asia/Seoul", "hkt": "Asia/Hong_Kong",
    "sgt": "Asia/Singapore", "aest": "Etc/GMT-10", "aedt": "Australia/Sydney",
}  # fmt: skip
"""Short names of time zones in lower case -> zone. IST is missing: it is the time of India, Ireland or Israel."""

_RELATIVE = (
    r"(?i)^\W*(?:(?:about |over |almost )?(?:\d+|an?|few|several)\+? *"
    r"(?:s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|wks?|weeks?|mo|mos|months?|y|yrs?|years?) +ago"
    r"|just now|now|today|yesterday|last (?:week|month|year))\b"
)
_NAMED = r"^(?P<rest>.*:.*(?:\d|[aApP]\.?\s?[mM]\b\.?))\s*\(?(?P<zone>[A-Za-z]{2,5}|[A-Za-z]+/[A-Za-z_/+-]+)\)?\s*$"
_NEXT_DAY = r"(?:^|[^\d:+-])24:\d\d|:\d\d:60"
"""Hour 24 and second 60 belong to the next day; the reader of times would place them on the day before."""
_HALVES = ("am", "pm")
_LEAST_EPOCH = 1e8


@dataclass(frozen=True, slots=True)
class Moments:
    """The times of a column; one entry a row.

    Attributes:
        utc: Microseconds since 1970 in UTC; 0 where there is a fault or no time.
        day: The date as written, in days since 1970-01-01; NO_DATE where there is none.
        fault: Why the text is not used, a code of `found.REASONS`; "" where it is a date or a time.
        timed: Whether a time of day is written.
        midnight: Whether this time is midnight, to the second.
        raw: The texts.
    """

    utc: Times
    day: Days
    fault: NDArray[np.object_]
    timed: Flags
    midnight: Flags
    raw: list[str]


def read(column: pa.ChunkedArray, zone: str | None) -> Moments:
    """Reads a column of any type.

    Args:
        column: Texts, numbers (seconds and smaller units since 1970), dates or timestamps.
        zone: The time zone of times that have none; None: they have the fault `no_time_zone`.
    """
    kind = column.type
    raw = [text or "" for text in column.cast(pa.string()).to_pylist()]
    if pa.types.is_timestamp(kind):
        return _of_timestamps(column, zone, raw)
    if pa.types.is_date(kind):
        return _of_dates(column, raw)
    array = columns.one_chunk(column.dictionary_encode() if not pa.types.is_dictionary(kind) else column)
    distinct = pc.fill_null(array.dictionary.cast(pa.string()), "")
    found = _of_texts(pc.utf8_trim_whitespace(pc.replace_substring(distinct, "—", " ")), zone)
    code = columns.codes_of(array)
    return Moments(
        np.append(found.utc, np.int64(0))[code],
        np.append(found.day, np.int32(NO_DATE))[code],
        np.append(found.fault, "no_date")[code],
        np.append(found.timed, False)[code],
        np.append(found.midnight, False)[code],
        raw,
    )


def utc_of(day: Days, second: NDArray[np.integer], zone: str) -> Times:
    """Converts local dates and seconds of the day in a time zone to microseconds since 1970 in UTC.

    A local time that occurs twice, or never, is the later instant.
    """
    local = pa.array((day.astype(np.int64) * DAY_SECONDS + second) * 1_000_000).cast(pa.timestamp("us"))
    found = pc.assume_timezone(local, zone, ambiguous="latest", nonexistent="latest")
    return found.cast(pa.int64()).to_numpy()  # type: ignore[no-any-return]


def _of_dates(column: pa.ChunkedArray, raw: list[str]) -> Moments:
    day = columns.days(column.cast(pa.date32()))
    none = np.zeros(len(day), np.bool_)
    return Moments(np.zeros(len(day), np.int64), day, _faults(day == NO_DATE, "no_date"), none, none.copy(), raw)


def _of_timestamps(column: pa.ChunkedArray, zone: str | None, raw: list[str]) -> Moments:
    kind = column.type
    local = pc.local_timestamp(column) if kind.tz else column
    missing = local.is_null().to_numpy()
    seconds = columns.filled(columns.one_chunk(local.cast(pa.timestamp("s"), safe=False).cast(pa.int64())), 0)
    day = np.where(missing, NO_DATE, seconds // DAY_SECONDS).astype(np.int32)
    second = seconds % DAY_SECONDS
    fault = _faults(missing, "no_date")
    if kind.tz:
        instants = column.cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.int64())
        utc = columns.filled(columns.one_chunk(instants), 0).astype(np.int64)
    elif zone:
        utc = utc_of(np.where(missing, 0, day).astype(np.int32), second, zone)
    else:
        utc = np.zeros(len(day), np.int64)
        fault[~missing & (second != 0)] = "no_time_zone"
    return Moments(np.where(missing, 0, utc), day, fault, ~missing, ~missing & (second == 0), raw)


def _of_texts(texts: pa.Array, zone: str | None) -> Moments:
    """Reads distinct texts."""
    relative = _matches(texts, _RELATIVE)
    parts = pc.extract_regex(texts, _NAMED)
    named = pc.fill_null(pc.utf8_lower(parts.field("zone")), "").to_pylist() if len(texts) else []
    named = ["" if name in _HALVES else name for name in named]
    has_name = np.array([bool(name) for name in named], np.bool_)
    rest = pc.if_else(pa.array(has_name, pa.bool_()), pc.fill_null(parts.field("rest"), ""), texts)
    reading, ambiguous = _reading(rest)
    timed = (reading.second != NO_TIME) & (reading.day != NO_DATE)
    offset_known = reading.offset != NO_OFFSET
    utc = np.zeros(len(texts), np.int64)
    exact = timed & offset_known
    seconds = reading.day.astype(np.int64) * DAY_SECONDS + reading.second - np.where(offset_known, reading.offset, 0)
    utc[exact] = seconds[exact] * 1_000_000
    fault = _faults(reading.day == NO_DATE, "no_date")
    fault[ambiguous] = "ambiguous_date"
    fault[_matches(texts, _NEXT_DAY)] = "no_date"
    fault[relative] = "relative_date"
    open_ = timed & ~offset_known & (fault == "")
    zones = np.array([_zone(name) for name in named], object)
    fault[open_ & has_name & (zones == "")] = "unknown_time_zone"
    zones[~has_name] = zone or ""
    unknown = open_ & ~has_name & (zones == "")
    fault[unknown & (reading.second != 0)] = "no_time_zone"  # a midnight without a zone is a date
    for name in sorted({str(each) for each in zones[open_] if each}):
        at = open_ & (zones == name)
        utc[at] = utc_of(reading.day[at], reading.second[at], name)
    utc[fault != ""] = 0
    return Moments(utc, reading.day, fault, timed, timed & (reading.second == 0), [])


@dataclass(frozen=True, slots=True)
class _Read:
    day: Days
    second: NDArray[np.int32]
    offset: NDArray[np.int32]


def _reading(texts: pa.Array) -> tuple[_Read, Flags]:
    """Reads texts as dates with times, and tells for which ones day and month can be exchanged."""
    split = date_forms.split(pa.chunked_array([texts]))
    found = _rows(date_forms.read(split, ISO), split.code)
    ambiguous = np.zeros(len(texts), np.bool_)
    left = (found.day == NO_DATE) & ~split.missing[split.code]
    if not left.any():
        return found, ambiguous
    number = np.append(split.number, np.nan)[split.code]
    counted = left & (np.nan_to_num(number) >= _LEAST_EPOCH)
    if counted.any():
        found = _chosen(counted, _rows(date_forms.read(split, "epoch"), split.code), found)
    first, second = (_rows(date_forms.read(split, name), split.code) for name in ("%m/%d/%Y", "%d/%m/%Y"))
    month, day = (left & (each.day != NO_DATE) for each in (first, second))
    by_month, by_day = int((month & ~day).sum()), int((day & ~month).sum())
    both = month & day & (first.day != second.day)
    if by_month and not by_day:
        return _chosen(month, first, found), ambiguous
    if by_day and not by_month:
        return _chosen(day, second, found), ambiguous
    found = _chosen(month & ~both, first, _chosen(day & ~both, second, found))
    return found, both


def _rows(reading: Reading, code: Days) -> _Read:
    """One entry a row instead of one a distinct text."""
    day, second, offset = (
        np.append(values, np.int32(missing))[code]
        for values, missing in zip(reading, (NO_DATE, NO_TIME, NO_OFFSET), strict=True)
    )
    return _Read(day, second, offset)


def _chosen(where: Flags, one: _Read, other: _Read) -> _Read:
    return _Read(
        np.where(where, one.day, other.day),
        np.where(where, one.second, other.second),
        np.where(where, one.offset, other.offset),
    )


def _zone(name: str) -> str:
    """The zone of a name in lower case; "" if it is not known."""
    if "/" not in name:
        return ZONES.get(name, "")
    return next((zone for zone in zoneinfo.available_timezones() if zone.lower() == name), "")


def _matches(texts: pa.Array, pattern: str) -> Flags:
    return pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def _faults(where: Flags, reason: str) -> NDArray[np.object_]:
    return np.where(where, reason, "").astype(object)
