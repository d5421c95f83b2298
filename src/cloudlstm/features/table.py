"""The features, declared in one table, and the functions that compute them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Values = NDArray[np.float64]
Starts = NDArray[np.intp]
Kernel = Callable[..., Values]
"""Computes a feature, (bars,), from its source columns, (bars,) each, and the row at which each segment starts."""

Kind = Literal["price", "volume", "return", "rate", "index", "count", "score", "age"]

_BLOCK_ROWS = 16_384
"""Rows that are summed at a time, so that they stay in the processor's cache over all shifts."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of the feature table.

    Attributes:
        name: The column's name.
        kind: Decides how relative inputs scale a window: a price (or an average of prices), a volume, a return, a rate
            (a difference of two means something), an index (a ratio of two means something), a count, a score (about
            -1 to 1), or an age in days.
        unit: The unit of its values. Prices are split-adjusted, in the currency of the listing.
        lookback_bars: Number of bars that it depends on, including the bar itself.
        source: The column of cleaned bars that it is computed from, or several; the kernel gets one array for each.
        kernel: The function that computes it; None copies the source column.
        group: "bars" if it is computed from bars; "macro" or "news" if it is joined to them. A feature that is joined
            may be missing: its input is then 0, and the window is used.
    """

    name: str
    kind: Kind
    unit: str
    lookback_bars: int = 1
    source: str | tuple[str, ...] = ""
    kernel: Kernel | None = None
    group: Literal["bars", "macro", "news"] = "bars"


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
"""The features of every run, in the order of the columns in Parquet, in TFRecord and in the network's input.

A run may have more, see `feature_set`. To add a feature to all runs, add a line. The dataset, the inputs and the width
of the network follow. Three features must stay: "close" (targets and prices), "volume" (turnover in the report) and
"daily_return" (volatility of a window).
"""

FEATURE_NAMES = tuple(feature.name for feature in FEATURES)

CLOSE, VOLUME, DAILY_RETURN = (FEATURE_NAMES.index(name) for name in ("close", "volume", "daily_return"))
"""Places of single features among all."""

KEYS = (
    pa.field("ticker", pa.string()),
    pa.field("date", pa.date32()),
    pa.field("segment", pa.int32()),
    pa.field("filled", pa.bool_()),
    pa.field("withdrawn", pa.bool_()),
)
"""The columns of a feature table before its features."""


def sources_of(feature: Feature) -> tuple[str, ...]:
    """Returns the columns of cleaned bars that a feature is computed from."""
    return (feature.source,) if isinstance(feature.source, str) else tuple(feature.source)


def kernel_values(feature: Feature, columns: Mapping[str, Values], starts: Starts) -> Values:
    """Returns the values of a feature, (bars,), from the columns of bars and the row at which each segment starts."""
    sources = [columns[name] for name in sources_of(feature)]
    return sources[0] if feature.kernel is None else feature.kernel(*sources, starts)
