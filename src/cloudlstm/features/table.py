"""The eight features of record, declared once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.market import columns

_BLOCK_ROWS = 16_384
"""Rows summed at a time, so that they stay in the processor's cache over all shifts."""


def moving_average(values: NDArray[np.float64], starts: NDArray[np.intp], n_bars: int) -> NDArray[np.float64]:
    """Mean of each bar and the `n_bars` - 1 before it.

    The sum adds shifted slices, the latest bar first, so that it depends on these bars alone: a difference of
    cumulative sums would carry rounding from everything before them.
    """
    out = np.empty(len(values))
    for start in range(n_bars - 1, len(values), _BLOCK_ROWS):
        end = min(start + _BLOCK_ROWS, len(values))
        total = out[start:end]
        total[:] = values[start:end]
        for shift in range(1, n_bars):
            total += values[start - shift : end - shift]
        total /= n_bars
    return blank(out, starts, n_bars - 1)


def simple_return(close: NDArray[np.float64], starts: NDArray[np.intp]) -> NDArray[np.float64]:
    """close[t] / close[t-1] - 1."""
    out = np.empty(len(close))
    np.divide(close[1:], close[:-1], out=out[1:])
    out[1:] -= 1.0
    return blank(out, starts, 1)


def blank(out: NDArray[np.float64], starts: NDArray[np.intp], n_bars: int) -> NDArray[np.float64]:
    """Sets the first `n_bars` of each run to NaN, in place."""
    lengths = np.minimum(np.diff(np.append(starts, len(out))), n_bars)
    nth = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    out[np.repeat(starts, lengths) + nth] = np.nan
    return out


Values = NDArray[np.float64]
Kernel = Callable[[Values, NDArray[np.intp]], Values]


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of the feature table.

    Attributes:
        name: The column's name.
        kind: What it is, which decides how a window is scaled: a price or its average, a volume, or a return.
        unit: Of its values. Prices are split-adjusted, in the currency of the listing.
        lookback_bars: Bars that it depends on, the bar itself included.
        of: The column of cleaned bars that it is computed from.
        kernel: How; None takes the column as it is.
    """

    name: str
    kind: Literal["price", "volume", "return"]
    unit: Literal["currency per share", "shares", "fraction"]
    lookback_bars: int
    of: str
    kernel: Kernel | None = None


def _average(n_bars: int) -> Kernel:
    return partial(moving_average, n_bars=n_bars)


FEATURES: tuple[Feature, ...] = (
    Feature("open", "price", "currency per share", 1, "open"),
    Feature("high", "price", "currency per share", 1, "high"),
    Feature("low", "price", "currency per share", 1, "low"),
    Feature("close", "price", "currency per share", 1, "close"),
    Feature("volume", "volume", "shares", 1, "volume"),
    Feature("ma7", "price", "currency per share", 7, "close", _average(7)),
    Feature("ma21", "price", "currency per share", 21, "close", _average(21)),
    Feature("daily_return", "return", "fraction", 2, "close", simple_return),
)
"""In the order of the columns, in Parquet and in the model's input."""

NAMES = tuple(feature.name for feature in FEATURES)
"""Names of the features, in order."""

SCHEMA = pa.schema(
    [
        ("ticker", pa.string()),
        ("date", pa.date32()),
        ("segment", pa.int32()),
        ("filled", pa.bool_()),
        ("withdrawn", pa.bool_()),
        *((name, pa.float64()) for name in NAMES),
    ]
)
"""The feature table: keys, then the features. NaN where a look-back is not complete within the segment; no nulls."""


def compute(cleaned: pa.Table) -> pa.Table:
    """The features of a shard of cleaned bars, row for row."""
    ticker, _ = columns.codes(cleaned.column("ticker"))
    segment = columns.filled(columns.one_chunk(cleaned.column("segment")), 0)
    starts = columns.group_starts(columns.join_keys(ticker, segment))
    values = {
        name: columns.filled(columns.one_chunk(cleaned.column(name)), np.nan).astype(np.float64, copy=False)
        for name in dict.fromkeys(feature.of for feature in FEATURES)
    }
    arrays = [cleaned.column(name) for name in SCHEMA.names if name not in NAMES]
    for feature in FEATURES:
        column = values[feature.of]
        arrays.append(pa.array(column if feature.kernel is None else feature.kernel(column, starts)))
    return pa.table(arrays, names=SCHEMA.names)
