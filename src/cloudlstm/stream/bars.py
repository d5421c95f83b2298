"""Bars within a day as a table, and what makes one of them unusable."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.config.tickers import ALLOWED, ticker
from cloudlstm.errors import UsageError
from cloudlstm.market import columns
from cloudlstm.market.cleaning.row_faults import MOST_OUTSIDE, MOST_RANGE

VALUES = ("open", "high", "low", "close", "volume")

BARS = pa.schema(
    [
        ("ticker", pa.string()),
        ("minute", pa.int64()),
        *((name, pa.float64()) for name in VALUES),
        ("source", pa.string()),
        ("final", pa.bool_()),
        ("sent", pa.float64()),
    ]
)
"""Bars as they arrive.

`minute` is the start of the bar in seconds since 1970-01-01 UTC, `sent` the time in the same unit when its producer
sent it (NaN if it did not say so). A bar that is not `final` may still change. Prices are split-adjusted; volume is in
shares.
"""

REFUSED = pa.schema(
    [("where", pa.string()), ("ticker", pa.string()), ("minute", pa.int64()), ("reason", pa.string()),
     ("value", pa.string())]
)  # fmt: skip
"""What was not used: where it stands in the source, its ticker and minute if they are known, and why."""

_LAST_MINUTE = 253_402_300_800
"""The year 10000; later times are usually in milliseconds."""
_LARGEST = 1e300
MOST_VALUE = 500
"""Most characters of a refused message that are kept."""


@dataclass(frozen=True, slots=True)
class Refused:
    """One row of REFUSED."""

    where: str
    reason: str
    ticker: str | None = None
    minute: int | None = None
    value: str = ""


def refused_table(rows: Sequence[Refused]) -> pa.Table:
    """The rows as a REFUSED table."""
    lists = {name: [getattr(row, name) for row in rows] for name in REFUSED.names}
    for name in ("where", "ticker", "reason", "value"):
        lists[name] = [None if text is None else written(text) for text in lists[name]]
    return pa.table(lists, schema=REFUSED)


def written(text: str) -> str:
    """The text with ? for each half of a surrogate pair: JSON can have one alone, UTF-8 cannot."""
    return text.encode(errors="replace").decode()


def empty() -> pa.Table:
    """A BARS table without rows."""
    return BARS.empty_table()


def fault_of(bar: Mapping[str, Any]) -> str | None:
    """Why a bar cannot be used; None for a usable bar. The limits of single rows are those of cleaning.

    Args:
        bar: The values by the names of BARS; a missing value is None or absent.
    """
    missing = [name for name in ("ticker", "minute", *VALUES) if bar.get(name) is None]
    if missing:
        return f"it lacks {', '.join(missing)}"
    if not isinstance(bar["ticker"], str) or ticker(bar["ticker"]) is None:
        return f"its ticker is not valid; a ticker has {ALLOWED}"
    if isinstance(bar["minute"], bool) or not isinstance(bar["minute"], int):
        return "its minute is no whole number of seconds since 1970-01-01"
    if not 0 <= bar["minute"] < _LAST_MINUTE:
        return "its minute is not in seconds since 1970-01-01"
    for name in VALUES:
        if isinstance(bar[name], bool) or not isinstance(bar[name], int | float) or not abs(bar[name]) < _LARGEST:
            return f"its {name} is no number"
    low, high = bar["low"], bar["high"]
    if min(bar[name] for name in ("open", "high", "low", "close")) <= 0:
        return "a price is not above zero"
    if high < low:
        return "its high is below its low"
    first, last = sorted((bar["open"], bar["close"]))
    if last > high * MOST_OUTSIDE or first * MOST_OUTSIDE < low:
        return "its open or close is far outside the range from low to high"
    if high > low * MOST_RANGE:
        return f"its high is more than {MOST_RANGE:g} times its low"
    if bar["volume"] < 0:
        return "its volume is below zero"
    sent = bar.get("sent")
    if sent is None or (isinstance(sent, int | float) and not isinstance(sent, bool) and not abs(sent) >= _LARGEST):
        return None  # NaN is an unknown time
    return "its sent is no number"


def usable(table: pa.Table) -> NDArray[np.bool_]:
    """Marks the rows of a BARS table for which `fault_of` finds nothing."""
    low, high, first, last, volume, sent = (
        columns.floats(table[name]) for name in ("low", "high", "open", "close", "volume", "sent")
    )
    minute = columns.filled(columns.one_chunk(table["minute"]), -1)
    codes, names = columns.codes(table["ticker"])
    is_ticker = np.array([*(name is not None and ticker(name) is not None for name in names), False])
    with np.errstate(invalid="ignore", over="ignore"):
        good: NDArray[np.bool_] = (
            is_ticker[codes]  # code -1 selects the last entry
            & (minute >= 0)
            & (minute < _LAST_MINUTE)
            & (np.minimum(np.minimum(first, last), low) > 0.0)
            & (low <= high)
            & (np.maximum(first, last) <= high * MOST_OUTSIDE)
            & (np.minimum(first, last) * MOST_OUTSIDE >= low)
            & (high <= low * MOST_RANGE)
            & (np.maximum(np.maximum(first, last), high) < _LARGEST)
            & (volume >= 0.0)
            & (volume < _LARGEST)
            & ~(np.abs(sent) >= _LARGEST)
        )
    return good


def normal(table: pa.Table) -> pa.Table:
    """The table with tickers in their normal form, volumes in whole shares, and default values instead of nulls.

    Args:
        table: BARS table whose rows are all usable.
    """
    codes, names = columns.codes(table["ticker"])
    plain = [ticker(name or "") or "" for name in names]
    order = sorted(set(plain))
    place = _places(plain, order)
    arrays: dict[str, Any] = {"ticker": columns.from_codes(place[codes] if len(codes) else codes, order)}
    for name in BARS.names[1:]:
        column = columns.one_chunk(table[name])
        if column.null_count:
            column = column.fill_null(_DEFAULTS[name])
        arrays[name] = column
    arrays["volume"] = pa.array(np.rint(columns.floats(table["volume"])))  # whole shares, as in files of bars
    return pa.table(arrays)


def _places(plain: Sequence[str], order: Sequence[str]) -> NDArray[np.int32]:
    place = {name: number for number, name in enumerate(order)}
    return np.array([place[name] for name in plain], np.int32)


_DEFAULTS: dict[str, Any] = {"source": "", "final": True, "sent": math.nan, **dict.fromkeys(VALUES, math.nan)}


def require_interval(bars: pa.Table, interval_s: int) -> None:
    """Raises UsageError if bars follow each other faster than those of a stream should.

    Bars of a shorter interval that happen to begin where the stream's bars do would be used as if they were longer.

    Args:
        bars: BARS table.
        interval_s: Length of the stream's bars in seconds.
    """
    code, minute = columns.codes(bars["ticker"])[0], bars["minute"].to_numpy()
    order = np.lexsort((minute, code))
    gaps = np.diff(minute[order])[np.diff(code[order]) == 0]
    gaps = gaps[gaps > 0]
    if len(gaps) and (usual := float(np.median(gaps))) < interval_s:
        raise UsageError(
            f"the bars of the source are {usual:.0f} s apart, and the stream has bars of {interval_s} s",
            hint="another name with --interval=1m",
        )
