"""Features that a run can add to the eight of cloudlstm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cloudlstm.features import Feature

BARS = 10


def momentum(close: NDArray[np.float64], starts: NDArray[np.intp]) -> NDArray[np.float64]:  # noqa: ARG001
    """The return over the last ten bars. cloudlstm blanks the first bars of each segment, so `starts` is not needed."""
    out = np.full(len(close), np.nan)
    out[BARS:] = close[BARS:] / close[:-BARS] - 1
    return out


def daily_range(high: NDArray[np.float64], low: NDArray[np.float64], starts: NDArray[np.intp]) -> NDArray[np.float64]:  # noqa: ARG001
    """How far the prices of a bar reach, as the logarithm of its high over its low."""
    return np.log(high / low)


MOMENTUM = Feature("momentum_10", "return", "fraction", BARS + 1, "close", momentum)
RANGE = Feature("daily_range", "return", "fraction", 1, ("high", "low"), daily_range)
