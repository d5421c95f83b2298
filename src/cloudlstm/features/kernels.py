"""Functions of trailing bars over a whole shard at once.

`starts` says where each run of bars begins (a ticker's segment); a look-back never reaches over it, and where it is not
complete the value is NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
