"""The features, declared in one table, and the functions that compute them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.market import columns

Values = NDArray[np.float64]
Starts = NDArray[np.intp]
Kernel = Callable[[Values, Starts], Values]
"""Computes a feature from its source column and the row at which each segment starts; both are (bars,)."""

Kind = Literal["price", "volume", "return"]

_BLOCK_ROWS = 16_384
"""Rows that are summed at a time, so that they stay in the processor's cache over all shifts."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of the feature table.

    Attributes:
        name: The column's name.
        kind: A price (or an average of prices), a volume, or a return. It decides how relative inputs scale a window.
        unit: The unit of its values. Prices are split-adjusted, in the currency of the listing.
        lookback_bars: Number of bars that it depends on, including the bar itself.
        source: The column of cleaned bars that it is computed from.
        kernel: The function that computes it; None copies the source column.
    """

    name: str
    kind: Kind
    unit: Literal["currency per share", "shares", "fraction"]
    lookback_bars: int
    source: str
    kernel: Kernel | None = None


def moving_average(values: Values, starts: Starts, n_bars: int) -> Values:
    """Returns the mean of each bar and the `n_bars` - 1 bars before it; NaN where the segment has fewer bars.

    It adds shifted slices, the latest bar first, so that the result depends on these bars only. A difference of
    cumulative sums would carry rounding errors from all earlier bars.

    Args:
        values: One column, (bars,).
        starts: The row at which each segment starts.
        n_bars: Length of the average.
    """
    out = np.empty(len(values))
    for start in range(n_bars - 1, len(values), _BLOCK_ROWS):
        end = min(start + _BLOCK_ROWS, len(values))
        total = out[start:end]
        total[:] = values[start:end]
        for shift in range(1, n_bars):
            total += values[start - shift : end - shift]
        total /= n_bars
    return blank_first(out, starts, n_bars - 1)


def simple_return(close: Values, starts: Starts) -> Values:
    """Returns close[t] / close[t-1] - 1; NaN for the first bar of a segment."""
    out = np.empty(len(close))
    np.divide(close[1:], close[:-1], out=out[1:])
    out[1:] -= 1.0
    return blank_first(out, starts, 1)


def blank_first(out: Values, starts: Starts, n_bars: int) -> Values:
    """Sets the first `n_bars` of each segment to NaN, in place."""
    lengths = np.minimum(np.diff(np.append(starts, len(out))), n_bars)
    nth = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    out[np.repeat(starts, lengths) + nth] = np.nan
    return out


FEATURES: tuple[Feature, ...] = (
    Feature("open", "price", "currency per share", 1, "open"),
    Feature("high", "price", "currency per share", 1, "high"),
    Feature("low", "price", "currency per share", 1, "low"),
    Feature("close", "price", "currency per share", 1, "close"),
    Feature("volume", "volume", "shares", 1, "volume"),
    Feature("ma7", "price", "currency per share", 7, "close", partial(moving_average, n_bars=7)),
    Feature("ma21", "price", "currency per share", 21, "close", partial(moving_average, n_bars=21)),
    Feature("daily_return", "return", "fraction", 2, "close", simple_return),
)
"""All features, in the order of the columns in Parquet, in TFRecord and in the network's input.

To add a feature, add a line. The dataset, the inputs and the width of the network follow. Three features must stay:
"close" (targets and prices), "volume" (turnover in the report) and "daily_return" (volatility of a window).
"""

FEATURE_NAMES = tuple(feature.name for feature in FEATURES)

CLOSE, VOLUME, DAILY_RETURN = (FEATURE_NAMES.index(name) for name in ("close", "volume", "daily_return"))
"""Places of single features among all."""

SCHEMA = pa.schema(
    [
        ("ticker", pa.string()),
        ("date", pa.date32()),
        ("segment", pa.int32()),
        ("filled", pa.bool_()),
        ("withdrawn", pa.bool_()),
        *((name, pa.float64()) for name in FEATURE_NAMES),
    ]
)
"""The feature table: keys, then features. A feature is NaN while its look-back is incomplete; there are no nulls."""


def places_of(kind: Kind) -> list[int]:
    """Returns the places of all features of a kind among all features."""
    return [place for place, feature in enumerate(FEATURES) if feature.kind == kind]


def compute(cleaned: pa.Table) -> pa.Table:
    """Returns the features of a shard of cleaned bars, one row per bar, in the same order."""
    ticker, _ = columns.codes(cleaned.column("ticker"))
    segment = columns.filled(columns.one_chunk(cleaned.column("segment")), 0)
    starts = columns.group_starts(columns.join_keys(ticker, segment))
    values = {
        name: columns.filled(columns.one_chunk(cleaned.column(name)), np.nan).astype(np.float64, copy=False)
        for name in dict.fromkeys(feature.source for feature in FEATURES)
    }
    arrays = [cleaned.column(name) for name in SCHEMA.names if name not in FEATURE_NAMES]
    for feature in FEATURES:
        column = values[feature.source]
        arrays.append(pa.array(column if feature.kernel is None else feature.kernel(column, starts)))
    return pa.table(arrays, names=SCHEMA.names)
