"""Parses the dates of bars within a day: moments in UTC at which bars start.

A time with an offset from UTC, and a number since 1970, is one moment. Any other time is that of a clock whose zone the
file does not tell: `market.time_zone` must name it. A time in the hour that a clock goes through twice in autumn is the
earlier one. With `market.bar_time=end` a time is the end of its bar, and becomes its start here.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm.config import MarketConfig
from cloudlstm.errors import CloudLSTMError, UnreadableSourceError
from cloudlstm.market import calendar, columns
from cloudlstm.market.columns import MOMENT, NO_DATE
from cloudlstm.market.grid import Grid
from cloudlstm.market.interval import Interval
from cloudlstm.market.sources import date_forms
from cloudlstm.market.sources.date_texts import NO_OFFSET, NO_TIME
from cloudlstm.market.sources.dates import DateForm, Dates

_SECONDS = pa.timestamp("s")


def parse(column: pa.ChunkedArray, form: DateForm, config: MarketConfig, name: str, uri: str) -> Dates:
    """Converts a column of any type to moments. One that is no whole minute is unreadable.

    Args:
        column: Times, numbers or text.
        form: The form of numbers and texts, see `dates.find_form`.
        config: Interval, time zone, and the calendar for hints.
        name: The file's name for the column.
        uri: The file.

    Raises:
        UnreadableSourceError: the column has no times, or their time zone is not known.
    """
    kind = column.type
    if pa.types.is_date(kind):
        raise _no_times(column[0].as_py() if len(column) else None, config, name, uri)
    if pa.types.is_timestamp(kind):
        return _of_timestamps(column, config, name, uri)
    texts = date_forms.split(column)
    reading = date_forms.read(texts, form.name)
    known = reading.days != NO_DATE
    if known.any() and (reading.second[known] == NO_TIME).all():
        raise _no_times(texts.values[int(np.argmax(known))].as_py(), config, name, uri)
    own_offset = reading.offset != NO_OFFSET
    seconds = reading.days.astype(np.int64) * date_forms.DAY_SECONDS + np.maximum(reading.second, 0)
    moments = np.where(known & own_offset, seconds - np.where(own_offset, reading.offset, 0), 0)
    of_clock = known & ~own_offset
    if of_clock.any():
        if config.time_zone is None:
            raise _no_zone(texts.values[int(np.argmax(of_clock))].as_py(), config, name, uri)
        moments[of_clock] = _in_utc(pa.array(seconds[of_clock]).cast(_SECONDS), config.time_zone)
    whole = known & (moments % 60 == 0)
    minutes = np.append(np.where(whole, moments // 60, NO_DATE), NO_DATE).astype(np.int32)[texts.code]
    minutes = _starts(minutes, config)
    return Dates(
        pa.chunked_array([columns.from_days(minutes, MOMENT)]),
        (minutes == NO_DATE) & ~texts.missing[texts.code],
        has_times=True,
        step_s=_step(moments[whole]),
    )


def _of_timestamps(column: pa.ChunkedArray, config: MarketConfig, name: str, uri: str) -> Dates:
    array = columns.one_chunk(column)
    if array.type.tz is None and len(array) > array.null_count:
        if config.time_zone is None:
            raise _no_zone(str(array.drop_null()[0].as_py()), config, name, uri)
        array = pc.assume_timezone(array, config.time_zone, ambiguous="earliest", nonexistent="earliest")
    unit = pa.timestamp(array.type.unit, tz="UTC")
    exact = columns.filled(array.cast(unit).view(pa.int64()), np.iinfo(np.int64).min)
    a_minute = {"s": 60, "ms": 60_000, "us": 60_000_000, "ns": 60_000_000_000}[array.type.unit]
    present = exact != np.iinfo(np.int64).min
    whole = present & (exact % a_minute == 0)
    minutes = np.where(whole, exact // a_minute, NO_DATE)
    inside = np.abs(minutes) < NO_DATE
    minutes = _starts(np.where(inside, minutes, NO_DATE).astype(np.int32), config)
    read = pa.chunked_array([columns.from_days(minutes, MOMENT)])
    return Dates(
        read,
        present & (minutes == NO_DATE),
        has_times=True,
        step_s=_step(minutes[minutes != NO_DATE].astype(np.int64) * 60),
    )


def _in_utc(clock: pa.Array, zone: str) -> NDArray[np.int64]:
    """Times of a clock as seconds since 1970-01-01 UTC."""
    moments = pc.assume_timezone(clock, zone, ambiguous="earliest", nonexistent="earliest")
    found: NDArray[np.int64] = moments.view(pa.int64()).to_numpy()
    return found


def _starts(minutes: NDArray[np.int32], config: MarketConfig) -> NDArray[np.int32]:
    """The starts of bars that are named as the settings say.

    The last bar before a break or a close may be shorter than the interval; its end is that of the trading hours.
    """
    if config.bar_time == "start":
        return minutes
    grid = Grid.of(config)
    ends = grid.ends(grid.starts)
    place = np.searchsorted(ends, minutes).clip(max=len(ends) - 1)
    length = np.where(ends[place] == minutes, ends[place] - grid.starts[place], Interval(config.interval).minutes)
    found: NDArray[np.int32] = np.where(minutes == NO_DATE, NO_DATE, minutes - length).astype(np.int32)
    return found


def _step(moments: NDArray[np.int64]) -> float:
    """The median distance of different times, in seconds; 0 for fewer than two."""
    steps = np.diff(np.unique(moments))
    return float(np.median(steps)) if len(steps) else 0.0


def _no_times(first: object, config: MarketConfig, name: str, uri: str) -> UnreadableSourceError:
    return UnreadableSourceError(
        f"{uri}: the column {name!r} has dates without times, the first is {first}, and market.interval is "
        f"{config.interval}",
        hint="market.interval=1d for daily bars, or a column with times in market.columns.date",
    )


def _no_zone(first: object, config: MarketConfig, name: str, uri: str) -> UnreadableSourceError:
    try:
        zone = calendar.time_zone(config.calendar)
    except CloudLSTMError:
        zone = "America/New_York"
    return UnreadableSourceError(
        f"{uri}: the times of the column {name!r} have no offset from UTC, the first is {first!r}: the file does not "
        "tell their time zone",
        hint=f"market.time_zone={zone} if they are times of the exchange, or market.time_zone=UTC",
    )
