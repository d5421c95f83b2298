"""Scales the values of one feature over a window, by the kind of the feature; and which features a network takes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cloudlstm.features import DAILY_RETURN, FeatureSet

Windows = NDArray[np.float32]
Names = NDArray[np.str_]

CLIP = 10.0
MIN_VOLATILITY = 1e-4

NOT_PRICES = ("volume", "return", "rate", "index", "count", "score", "age")
"""All kinds but prices."""

_LEAST_DEVIATION = {"volume": 1e-3, "rate": 1e-2, "index": 1e-4}
"""Least standard deviation of a window by which a feature of each kind is divided."""


class Chosen:
    """The features of a network among those of the data.

    Args:
        features: The features of the windows.
        chosen: Those of the network; by default all.
    """

    def __init__(self, features: FeatureSet, chosen: FeatureSet | None) -> None:
        self.chosen = chosen or features
        self._places = None if self.chosen.names == features.names else self.chosen.places_in(features)

    @property
    def width(self) -> int:
        """Inputs of a bar."""
        return self.chosen.width

    def named(self) -> dict[str, list[str]]:
        """Names and kinds of the inputs, for the settings from which they are restored."""
        return {"features": list(self.chosen.names), "kinds": [feature.kind for feature in self.chosen.features]}

    def of(self, windows: Windows) -> Windows:
        """The values of the chosen features."""
        return windows if self._places is None else np.ascontiguousarray(windows[:, :, self._places])


def window_volatility(windows: Windows) -> NDArray[np.float32]:
    """Root mean square of each window's daily returns, at least MIN_VOLATILITY, (batch,)."""
    returns = windows[:, :, DAILY_RETURN]
    volatility: NDArray[np.float32] = np.sqrt(np.mean(returns * returns, axis=1))
    return np.maximum(volatility, np.float32(MIN_VOLATILITY))


def scale(kind: str, values: Windows, volatility: NDArray[np.float32], out: Windows) -> None:
    """Writes the inputs of one feature that is no price.

    Args:
        kind: Its kind.
        values: Its raw values, (batch, window).
        volatility: Of each window, (batch, 1).
        out: Receives the inputs, (batch, window); NaN where a value is missing.
    """
    if kind == "volume":
        _standardise(np.log1p(np.maximum(values, 0)), _LEAST_DEVIATION[kind], out)
    elif kind == "return":
        np.divide(values, volatility, out=out)
    elif kind == "count":
        np.log1p(np.maximum(values, 0), out=out)
    elif kind == "score":
        out[:] = values
    elif kind == "age":
        np.divide(1, 1 + np.maximum(values, 0), out=out)
    else:
        level = np.log(values) if kind == "index" else values.copy()
        known = np.isfinite(level)
        if known.all():
            _standardise(level, _LEAST_DEVIATION[kind], out)
            return
        # A missing value gets the mean of the others, so that it does not count.
        total = np.add.reduce(np.where(known, level, 0), axis=1, keepdims=True)
        count = np.maximum(np.add.reduce(known, axis=1, keepdims=True), 1).astype(np.float32)
        _standardise(np.where(known, level, total / count), _LEAST_DEVIATION[kind], out)
        out[~known] = 0


def _standardise(values: NDArray[np.float32], least: float, out: NDArray[np.float32]) -> None:
    """Writes (values - their mean) / their standard deviation, at least `least`, of each row (batch, window)."""
    bars = np.float32(values.shape[1])
    values -= np.add.reduce(values, axis=1, keepdims=True) / bars
    variance = np.add.reduce(values * values, axis=1, keepdims=True) / bars
    np.divide(values, np.maximum(np.sqrt(variance), np.float32(least)), out=out)


def clip(values: NDArray[np.float32]) -> None:
    """Clips to +-CLIP, in place; NaN becomes 0."""
    np.clip(values, -CLIP, CLIP, out=values)
    blank(values)


def blank(values: NDArray[np.float32]) -> None:
    """Replaces NaN by 0, in place."""
    missing = np.isnan(values)
    if missing.any():
        values[missing] = 0.0
