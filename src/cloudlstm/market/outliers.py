"""Bad ticks: closes far from all that the ticker's recent past suggests.

A close is refused when its log-distance from the close before it *and* from the trailing level both exceed

    max(outlier_min_move, outlier_mads * 1.4826 * MAD of the trailing log-returns)

The level is the median of the last five closes, bad ones included. So a bad tick does not make the sound bar after it
look like another, also when two come in a row; and a real jump of the level costs one bar, because the next one
confirms it. Nothing here looks ahead.

MAD is the median absolute deviation; 1.4826 of it estimate the standard deviation of a normal law (Hampel, 1974, "The
influence curve and its role in robust estimation").
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cloudlstm.config import CleanConfig
from cloudlstm.market.shard import Shard

LEVEL_BARS = 5
"""Closes whose median is the level: with fewer, two bad ticks in a row would cost the sound bar after them."""

_MAD_TO_SD = 1.4826
_BLOCK_ROWS = 16_384


def outliers(shard: Shard, config: CleanConfig) -> NDArray[np.intp]:
    """Rows of sound bars whose close is an outlier; the first bar of a ticker has no past and cannot be one."""
    kept = shard.kept()
    close, rank = shard.close[kept], shard.rank[kept]
    # No threshold is below min_move, so only bars that moved that far need a closer look: two cheap passes.
    ratio = np.exp(config.outlier_min_move)
    moved = close[1:] > close[:-1] * ratio
    moved |= close[1:] * ratio < close[:-1]
    moved &= rank[1:] == rank[:-1]
    candidates = np.flatnonzero(moved) + 1
    found = [
        block[_is_outlier(close, rank, block, config)]
        for block in np.array_split(candidates, range(_BLOCK_ROWS, len(candidates), _BLOCK_ROWS))
    ]
    rows: NDArray[np.intp] = np.concatenate(found)
    return rows if isinstance(kept, slice) else kept[rows]


def _is_outlier(
    close: NDArray[np.float64], rank: NDArray[np.int32], rows: NDArray[np.intp], config: CleanConfig
) -> NDArray[np.bool_]:
    """Which of `rows` are outliers; each has at least one earlier bar of its ticker."""
    earlier = rows - np.searchsorted(rank, rank[rows], side="left")
    lookback = config.outlier_lookback_bars
    now = np.log(close[rows])[:, None]
    past = np.log(_trailing(close, rows, earlier, lookback + 1))  # (row, bar), the latest first
    sd = _MAD_TO_SD * _mad(past[:, :-1] - past[:, 1:])
    threshold = np.maximum(config.outlier_min_move, config.outlier_mads * np.nan_to_num(sd))
    from_last = np.abs(now[:, 0] - past[:, 0])
    # Of an even number of closes both middle ones are the level: two bars ago may be the sound one of the two.
    low, high = _middle(past[:, :LEVEL_BARS])
    from_level = np.minimum(np.abs(now[:, 0] - low), np.abs(now[:, 0] - high))
    outlier: NDArray[np.bool_] = (from_last > threshold) & (from_level > threshold)
    return outlier


def _trailing(
    close: NDArray[np.float64], rows: NDArray[np.intp], earlier: NDArray[np.intp], n_bars: int
) -> NDArray[np.float64]:
    """The `n_bars` closes before each row, the latest first, (row, bar); NaN before the ticker's first bar."""
    back = np.arange(1, n_bars + 1)
    values: NDArray[np.float64] = close[np.maximum(rows[:, None] - back, 0)]
    values[back > earlier[:, None]] = np.nan
    return values


def _middle(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The lower and upper median of each row's numbers; NaN for a row that has none."""
    ordered = np.sort(values, axis=1)  # NaN goes to the end
    numbers = np.isfinite(values).sum(axis=1)
    row = np.arange(len(values))
    return ordered[row, np.maximum(numbers - 1, 0) // 2], ordered[row, np.minimum(numbers // 2, values.shape[1] - 1)]


def _mad(returns: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median absolute deviation of each row's numbers; NaN for a row that has none."""
    low, high = _middle(returns)
    low, high = _middle(np.abs(returns - ((low + high) / 2)[:, None]))
    mad: NDArray[np.float64] = (low + high) / 2
    return mad
