"""Scales windows to the network's inputs, targets to its labels, and its outputs back to returns.

For a window of W bars with prices p, volumes v and daily returns r, last close c, horizon h and target log-return y:

`relative` (the default): each window is scaled by its own values, so no statistic of another window, another ticker or
the future is needed.

    volatility   s = sqrt(mean(r^2)), not below 1e-4 (one basis point a bar)
    prices       log(p / c) / (s * sqrt(W))        about unit size for a random walk
    volume       (log(1 + v) - its window mean) / its window standard deviation
    return       r / s
    rate         (x - its window mean) / its window standard deviation, at least 0.01
    index        (log(x) - its window mean) / its window standard deviation, at least 1e-4
    count        log(1 + x)
    score        x
    age          1 / (1 + x), with x in days: 1 if it is new
    label        y / (s * sqrt(h))                 unit size in calm and volatile times
    return from an output o                        o * s * sqrt(h)

Inputs and labels are clipped to +-10, which only faults and rare shocks reach. Forecasts are not clipped. A missing
value, which only features that are joined to bars may have, gives the input 0.

`levels` (the method of many tutorials, for comparison): z-scores of raw values with each ticker's training statistics.
The label is the z-score of the target's close; the return from an output o is log((mean + o * deviation) / c). A ticker
without training windows uses the statistics of all tickers. Nothing is clipped, so prices outside the range of the
training years give large inputs: the known weakness of this method. A missing value gives the input 0 here, too.

A network may take only some of the features of the data (`chosen`); inputs have these only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cloudlstm.config import RunConfig
from cloudlstm.dataset.levels import Levels
from cloudlstm.dataset.scaling import CLIP, NOT_PRICES, Chosen, Names, Windows, clip, scale, window_volatility
from cloudlstm.dataset.window_set import WindowSet
from cloudlstm.errors import DataError
from cloudlstm.features import CLOSE, EIGHT, FeatureSet

_BLOCK_VALUES = 200_000
"""Values that are scaled together; their input and output stay in a core's cache."""


class Inputs(Protocol):
    """Scales windows for a network. Windows are raw values (batch, window, feature), tickers (batch,)."""

    chosen: FeatureSet

    @property
    def width(self) -> int:
        """Inputs of a bar."""
        ...

    def inputs(self, windows: Windows, tickers: Names, out: Windows | None = None) -> Windows:
        """The network's inputs, (batch, window, input), written to `out` if it is given."""
        ...

    def labels(self, windows: Windows, tickers: Names, returns: NDArray[np.float32]) -> NDArray[np.float32]:
        """The labels of the target log-returns, (batch,)."""
        ...

    def returns(self, outputs: NDArray[np.floating], windows: Windows, tickers: Names) -> NDArray[np.float64]:
        """The log-returns of the network's outputs, (batch,)."""
        ...

    def settings(self) -> dict[str, Any]:
        """The settings, JSON-ready, from which `restore` makes an equal object."""
        ...


class Relative(Chosen):
    """Scales each window by its own last close and volatility.

    Args:
        horizon_bars: Bars from a window's last bar to its target.
        features: The features of the windows.
        chosen: Those of the network; by default all.
    """

    name = "relative"

    def __init__(self, horizon_bars: int, features: FeatureSet = EIGHT, chosen: FeatureSet | None = None) -> None:
        super().__init__(features, chosen)
        self._horizon_bars = horizon_bars
        self._by_kind = {kind: places for kind in NOT_PRICES if (places := self.chosen.places_of(kind))}

    def inputs(self, windows: Windows, tickers: Names, out: Windows | None = None) -> Windows:
        """The network's inputs, (batch, window, input), written to `out` if it is given."""
        del tickers
        windows = self.of(windows)
        out = np.empty_like(windows) if out is None else out
        size = max(_BLOCK_VALUES // max(windows[:1].size, 1), 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            for begin in range(0, len(windows), size):
                self._scale(windows[begin : begin + size], out[begin : begin + size])
        return out

    def _scale(self, windows: Windows, out: Windows) -> None:
        """Writes the inputs of a block of windows to `out`.

        All columns are treated as prices, because operations on whole rows are faster than on some columns; then those
        of other kinds are overwritten.
        """
        bars = windows.shape[1]
        volatility = window_volatility(windows)[:, None]
        rows = out.reshape(len(out), -1)
        np.divide(windows.reshape(rows.shape), windows[:, -1, CLOSE, None], out=rows)
        np.log(rows, out=rows)
        rows *= 1 / (volatility * np.float32(math.sqrt(bars)))
        for kind, places in self._by_kind.items():
            for place in places:
                scale(kind, windows[:, :, place], volatility, out[:, :, place])
        clip(rows)

    def labels(self, windows: Windows, tickers: Names, returns: NDArray[np.float32]) -> NDArray[np.float32]:
        """The labels, (batch,)."""
        del tickers
        labels: NDArray[np.float32] = returns / (window_volatility(windows) * np.float32(math.sqrt(self._horizon_bars)))
        clip(labels)
        return labels

    def returns(self, outputs: NDArray[np.floating], windows: Windows, tickers: Names) -> NDArray[np.float64]:
        """Log-returns, (batch,)."""
        del tickers
        scale = window_volatility(windows).astype(np.float64) * math.sqrt(self._horizon_bars)
        log_returns: NDArray[np.float64] = outputs.astype(np.float64) * scale
        return log_returns

    def settings(self) -> dict[str, Any]:
        """The settings, JSON-ready."""
        return {"inputs": self.name, "horizon_bars": self._horizon_bars, "clip": CLIP, **self.named()}


def chosen_features(features: FeatureSet, group: str) -> FeatureSet:
    """The features of the data that a network gets with a group of exogenous columns, as `exogenous.inputs`."""
    return features.of_groups(("macro", "news") if group == "both" else (group,))


def make(config: RunConfig, train: WindowSet, group: str) -> Inputs:
    """New inputs of a network.

    Args:
        config: How inputs are made, and the horizon.
        train: Its training windows.
        group: Which exogenous columns it gets, as `exogenous.inputs`.
    """
    chosen = chosen_features(train.features, group)
    if config.train.inputs == "levels":
        return Levels.fit(train, chosen)
    return Relative(config.dataset.horizon_bars, train.features, chosen)


def restore(settings: Mapping[str, Any], features: FeatureSet = EIGHT) -> Inputs:
    """The inputs with these settings.

    Args:
        settings: Of the inputs.
        features: The features of the windows.

    Raises:
        DataError: the windows lack a feature with which the network was trained, or its inputs had other limits.
    """
    names = settings.get("features", list(EIGHT.names))
    if names[: EIGHT.width] != list(EIGHT.names) or set(names) - set(features.names):
        _require_equal("the features", names, list(features.names))
    kinds = [str(features.features[features.names.index(name)].kind) for name in names]
    _require_equal("features of the kinds", settings.get("kinds", kinds), kinds)
    _require_equal("a clip", settings.get("clip", CLIP), CLIP)
    chosen = FeatureSet(tuple(features.features[features.names.index(name)] for name in names))
    if settings["inputs"] == Relative.name:
        return Relative(int(settings["horizon_bars"]), features, chosen)
    statistics = {ticker: (mean, deviation) for ticker, (mean, deviation) in settings["statistics"].items()}
    return Levels(statistics, features, chosen)


def _require_equal(what: str, found: Any, ours: Any) -> None:
    if found != ours:
        shown, wanted = (", ".join(map(str, value)) if isinstance(value, list) else value for value in (found, ours))
        raise DataError(
            f"the network was trained with {what} {shown}, not with {wanted}",
            hint="the version and the settings that trained it, or train again",
        )
