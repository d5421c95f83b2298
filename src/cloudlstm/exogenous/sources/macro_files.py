"""Tables of series in the form of EXOGENOUS: each value with the time at which it was known.

    series,entity,period,available_at,value[,vintage]

`available_at` is needed, with a time of day and a time zone. A file without it is refused, because the date that a
value is about says nothing about when it was published: with CPI taken on its month, every session sees a value that
nobody knew. FRED's own files, which have no such column, are read by `exogenous.macro.source=fred`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm.config import MacroConfig
from cloudlstm.config.tickers import ticker as ticker_of_text
from cloudlstm.errors import UnreadableSourceError
from cloudlstm.exogenous.sources import moments, tables
from cloudlstm.exogenous.sources.found import Found
from cloudlstm.exogenous.sources.moments import Flags, Moments
from cloudlstm.exogenous.sources.tables import Table
from cloudlstm.exogenous.table import EXOGENOUS
from cloudlstm.market import columns
from cloudlstm.market.sources import numbers

ALIASES = {
    "series": ("series", "series_id", "series id", "indicator", "name", "variable", "code"),
    "entity": ("entity", "ticker", "symbol", "stock"),
    "period": ("period", "date", "observation_date", "reference date", "reference period", "as of date"),
    "available_at": (
        "available_at", "published_at", "released_at", "release time", "release_date", "release date", "known_at",
        "publication time", "publication date", "published", "realtime_start",
    ),
    "value": ("value", "actual", "observation"),
    "vintage": ("vintage", "revision", "version"),
}  # fmt: skip
"""Our column -> names in files, the most certain one first."""

_NEEDED = ("series", "period", "available_at", "value")
_FILE = "exogenous.macro.path"
_EARLIEST_ZONE_US = 14 * 3600 * 1_000_000
"""A date begins 14 hours before midnight in UTC, on the Line Islands."""
_DAY_US = 86_400 * 1_000_000


def read(config: MacroConfig, tickers: Collection[str] | None, now: int) -> Found:
    """Reads the tables at `exogenous.macro.path`; what cannot be used is refused with a reason.

    Args:
        config: The settings.
        tickers: The tickers of the run; rows of other tickers are left out. None: all.
        now: Microseconds since 1970 in UTC; nothing later can be known.
    """
    found = Found()
    match = tables.by_aliases(ALIASES, {}, _NEEDED)
    for table in tables.read_all(config.path or "", match, found, _FILE):
        _add(table, named(config.series), tickers, now, found)
    return found


def named(series: Sequence[str]) -> dict[str, str]:
    """Returns the series of the settings by their names in lower case, as files may write them."""
    return {name.lower(): name for name in series}


def rows_of(
    series: Sequence[str] | str,
    period: NDArray[np.int32],
    utc: NDArray[np.int64],
    value: NDArray[np.float64],
    vintage: NDArray[np.int32] | int,
    source: str,
    entity: Sequence[str] | str = "",
) -> pa.Table:
    """Returns EXOGENOUS rows.

    Args:
        series: The series of each row, or of all.
        period: The date that each value is about, in days since 1970-01-01.
        utc: When each value was known, in microseconds since 1970 in UTC.
        value: The values.
        vintage: The vintage of each row, or of all.
        source: Where they come from.
        entity: The ticker of each row, or of all.
    """
    count = len(period)
    texts = [[each] * count if isinstance(each, str) else list(each) for each in (series, entity)]
    arrays = [
        pa.array(texts[0], pa.string()),
        pa.array(texts[1], pa.string()),
        pa.array(period, pa.int32()).cast(pa.date32()),
        pa.array(utc, pa.int64()).cast(pa.timestamp("us", "UTC")),
        pa.array(value, pa.float64()),
        pa.array(np.broadcast_to(np.asarray(vintage, np.int32), count)),
        pa.array([source] * count, pa.string()),
    ]
    return pa.table(arrays, schema=EXOGENOUS)


def value_of(column: pa.ChunkedArray, source: str) -> tuple[NDArray[np.float64], Flags]:
    """Returns numbers, NaN where none is written, and which texts are no numbers."""
    try:
        parsed = numbers.parse(column, numbers.decimal_mark({"value": column}, None, source))
    except UnreadableSourceError:  # 1,234 has two readings
        return np.full(len(column), np.nan), np.ones(len(column), np.bool_)
    return columns.floats(parsed.values), parsed.unreadable


def _add(table: Table, series: dict[str, str], tickers: Collection[str] | None, now: int, found: Found) -> None:
    """Adds the rows of one file."""
    rows = table.rows
    texts = {
        name: [(text or "").strip() for text in rows.column(name).cast(pa.string()).to_pylist()]
        if name in rows.column_names
        else [""] * rows.num_rows
        for name in ("series", "entity", "value", "vintage")
    }
    names = [series.get(text.lower(), "") for text in texts["series"]]
    entities = [(ticker_of_text(text) if text else "") for text in texts["entity"]]
    mine = np.array([bool(name) or not text for name, text in zip(names, texts["series"], strict=True)], np.bool_)
    if tickers is not None:
        mine &= np.array([not each or each in tickers for each in entities], np.bool_)
    period, time = moments.read(rows.column("period"), "UTC"), moments.read(rows.column("available_at"), None)
    value, no_number = value_of(rows.column("value"), table.source)
    vintage, bad_vintage = _vintages(texts["vintage"])
    fault = _faults(period, time, now)
    for reason, where in (
        ("bad_vintage", bad_vintage),
        ("no_number", no_number),
        ("no_ticker", np.array([each is None for each in entities], np.bool_)),
        ("no_series", np.array([not text for text in texts["series"]], np.bool_)),
    ):
        fault[where] = reason
    fault[~mine] = "other"
    keys = list(zip(names, [each or "" for each in entities], period.day.tolist(), time.utc.tolist(), strict=True))
    kept = _decided(keys, value, vintage, fault)
    for reason in sorted({str(each) for each in fault} - {"", "other", "doubled"}):
        at = np.flatnonzero(fault == reason)
        raw = [f"{period.raw[row]} | {time.raw[row]} | {texts['value'][row]}" for row in at]
        found.refuse(
            reason, raw, table.source, [texts["series"][row] for row in at], [texts["entity"][row] for row in at]
        )
    found.rows.append(
        rows_of(
            [names[row] for row in kept],
            period.day[kept],
            time.utc[kept],
            value[kept],
            _numbered([keys[row] for row in kept], vintage[kept]),
            table.source,
            [entities[row] or "" for row in kept],
        )
    )


def _faults(period: Moments, time: Moments, now: int) -> NDArray[np.object_]:
    """Returns why each row is not used, by its times; "" if it is."""
    fault = time.fault.copy()
    day = np.where(period.fault == "", period.day, 0).astype(np.int64)
    fault[(fault == "") & (~time.timed | time.midnight)] = "no_time"  # programs write a date as midnight
    fault[(fault == "") & (time.utc == 0)] = "no_time_zone"  # a midnight without a zone
    fault[(fault == "") & (period.fault != "")] = "no_date"
    fault[(fault == "") & (time.utc > now)] = "in_the_future"
    fault[(fault == "") & (time.utc < day * _DAY_US - _EARLIEST_ZONE_US)] = "before_its_period"
    return fault


def _vintages(texts: Sequence[str]) -> tuple[NDArray[np.int32], Flags]:
    """Returns the vintages, -1 where none is written, and which texts are no vintage."""
    numbers_ = pa.array(texts, pa.string())
    whole = pc.match_substring_regex(numbers_, r"^\d{1,9}(\.0*)?$").to_numpy(zero_copy_only=False)
    vintage = np.array([int(float(text)) if ok else -1 for text, ok in zip(texts, whole, strict=True)], np.int32)
    return vintage, ~whole & np.array([bool(text) for text in texts], np.bool_)


def _decided(
    keys: Sequence[tuple[str, str, int, int]],
    value: NDArray[np.float64],
    vintage: NDArray[np.int32],
    fault: NDArray[np.object_],
) -> list[int]:
    """Returns the rows that are used, and marks the others: doubled ones, and two values of one period at one time."""
    by_key: dict[tuple[tuple[str, str, int, int], int], list[int]] = {}
    for row in np.flatnonzero(fault == "").tolist():
        by_key.setdefault((keys[row], int(vintage[row])), []).append(row)
    kept = []
    for rows in by_key.values():
        if len(rows) > 1:
            same = all(value[row] == value[rows[0]] or np.isnan(value[[row, rows[0]]]).all() for row in rows)
            fault[rows[1:] if same else rows] = "doubled" if same else "two_values"
            if not same:
                continue
        kept.append(rows[0])
    return kept


def _numbered(keys: Sequence[tuple[str, str, int, int]], vintage: NDArray[np.int32]) -> NDArray[np.int32]:
    """Returns the vintages; where none is written, the number of the row among those of its period, by time."""
    order = sorted(range(len(keys)), key=lambda row: keys[row])
    counts: dict[tuple[str, str, int], int] = {}
    numbered = vintage.copy()
    for row in order:
        of_period = keys[row][:3]
        number = counts.get(of_period, 0)
        counts[of_period] = number + 1
        if vintage[row] < 0:
            numbered[row] = number
    return numbered
