"""Scales windows to the network's inputs, targets to its labels, and its outputs back to returns.

For a window of W bars with prices p, volumes v and daily returns r, last close c, horizon h and target log-return y:

`relative` (the default): each window is scaled by its own values, so no statistic of another window, another ticker or
the future is needed.

    volatility   s = sqrt(mean(r^2)), not below 1e-4 (one basis point a bar)
    prices       log(p / c) / (s * sqrt(W))        about unit size for a random walk
    volume       (log(1 + v) - its window mean) / its window standard deviation
    return       r / s
    label        y / (s * sqrt(h))                 unit size in calm and volatile times
    return from an output o                        o * s * sqrt(h)

Inputs and labels are clipped to +-10, which only faults and rare shocks reach. Forecasts are not clipped.

`levels` (the method of many tutorials, for comparison): z-scores of raw values with each ticker's training statistics.
The label is the z-score of the target's close; the return from an output o is log((mean + o * deviation) / c). A ticker
without training windows uses the statistics of all tickers. Nothing is clipped, so prices outside the range of the
training years give large inputs: the known weakness of this method.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from cloudlstm.dataset.window_set import WindowSet
from cloudlstm.errors import DataError
from cloudlstm.features import CLOSE, DAILY_RETURN, FEATURE_NAMES, places_of

Windows = NDArray[np.float32]
Names = NDArray[np.str_]

CLIP = 10.0
MIN_VOLATILITY = 1e-4
_MIN_LOG_VOLUME_DEVIATION = 1e-3
_BATCH_WINDOWS = 8192

_BLOCK_VALUES = 200_000
"""Values that are scaled together; their input and output stay in a core's cache."""

_PRICES, _VOLUMES, _RETURNS = places_of("price"), places_of("volume"), places_of("return")


class Inputs(Protocol):
    """Scales windows for a network. Windows are raw values (batch, window, feature), tickers (batch,)."""

    def inputs(self, windows: Windows, tickers: Names, out: Windows | None = None) -> Windows:
        """The network's inputs, (batch, window, feature), written to `out` if it is given."""
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


def window_volatility(windows: Windows) -> NDArray[np.float32]:
    """Root mean square of each window's daily returns, at least MIN_VOLATILITY, (batch,)."""
    returns = windows[:, :, DAILY_RETURN]
    volatility: NDArray[np.float32] = np.sqrt(np.mean(returns * returns, axis=1))
    return np.maximum(volatility, np.float32(MIN_VOLATILITY))


class Relative:
    """Scales each window by its own last close and volatility.

    Args:
        horizon_bars: Bars from a window's last bar to its target.
    """

    name = "relative"

    def __init__(self, horizon_bars: int) -> None:
        self._horizon_bars = horizon_bars

    def inputs(self, windows: Windows, tickers: Names, out: Windows | None = None) -> Windows:
        """The network's inputs, (batch, window, feature), written to `out` if it is given."""
        del tickers
        out = np.empty_like(windows) if out is None else out
        size = max(_BLOCK_VALUES // max(windows[:1].size, 1), 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            for begin in range(0, len(windows), size):
                self._scale(windows[begin : begin + size], out[begin : begin + size])
        return out

    def _scale(self, windows: Windows, out: Windows) -> None:
        """Writes the inputs of a block of windows to `out`.

        All columns are treated as prices, because operations on whole rows are faster than on some columns; then those
        of volumes and returns are overwritten.
        """
        bars = windows.shape[1]
        volatility = window_volatility(windows)[:, None]
        rows = out.reshape(len(out), -1)
        np.divide(windows.reshape(rows.shape), windows[:, -1, CLOSE, None], out=rows)
        np.log(rows, out=rows)
        rows *= 1 / (volatility * np.float32(math.sqrt(bars)))
        for place in _VOLUMES:
            volume = np.log1p(np.maximum(windows[:, :, place], 0))
            volume -= np.add.reduce(volume, axis=1, keepdims=True) / np.float32(bars)
            variance = np.add.reduce(volume * volume, axis=1, keepdims=True) / np.float32(bars)
            deviation = np.maximum(np.sqrt(variance), np.float32(_MIN_LOG_VOLUME_DEVIATION))
            np.divide(volume, deviation, out=out[:, :, place])
        for place in _RETURNS:
            np.divide(windows[:, :, place], volatility, out=out[:, :, place])
        _clip(rows)

    def labels(self, windows: Windows, tickers: Names, returns: NDArray[np.float32]) -> NDArray[np.float32]:
        """The labels, (batch,)."""
        del tickers
        labels: NDArray[np.float32] = returns / (window_volatility(windows) * np.float32(math.sqrt(self._horizon_bars)))
        _clip(labels)
        return labels

    def returns(self, outputs: NDArray[np.floating], windows: Windows, tickers: Names) -> NDArray[np.float64]:
        """Log-returns, (batch,)."""
        del tickers
        scale = window_volatility(windows).astype(np.float64) * math.sqrt(self._horizon_bars)
        log_returns: NDArray[np.float64] = outputs.astype(np.float64) * scale
        return log_returns

    def settings(self) -> dict[str, Any]:
        """The settings, JSON-ready."""
        return {"inputs": self.name, "horizon_bars": self._horizon_bars, "clip": CLIP, "features": list(FEATURE_NAMES)}


class Levels:
    """Z-scores of raw values with the training statistics of each ticker.

    Args:
        statistics: By ticker: mean and standard deviation, each in the order of the features; "" is all tickers.
    """

    name = "levels"

    def __init__(self, statistics: Mapping[str, tuple[list[float], list[float]]]) -> None:
        self._statistics = dict(statistics)
        self._order = np.array(sorted(self._statistics))
        table = np.array([self._statistics[str(ticker)] for ticker in self._order], np.float64)
        self._mean, self._deviation = table[:, 0], table[:, 1]  # (ticker, feature)

    @classmethod
    def fit(cls, train: WindowSet) -> Self:
        """Statistics of the last bars of all training windows, so that each bar counts once."""
        sums: dict[str, NDArray[np.float64]] = {}
        for begin in range(0, len(train), _BATCH_WINDOWS):
            indices = np.arange(begin, min(begin + _BATCH_WINDOWS, len(train)))
            last = train.last_bars(indices).astype(np.float64)
            tickers = train.tickers(indices)
            for ticker in np.unique(tickers):
                bars = last[tickers == ticker]
                part = np.stack([np.full(len(FEATURE_NAMES), len(bars)), bars.sum(axis=0), (bars * bars).sum(axis=0)])
                sums[str(ticker)] = sums.get(str(ticker), np.zeros_like(part)) + part
        if not sums:
            raise DataError("train.inputs=levels needs training windows, and there are none")
        sums[""] = np.sum(list(sums.values()), axis=0)
        statistics = {}
        for ticker, (count, total, squares) in sums.items():
            mean = total / count
            deviation = np.sqrt(np.maximum(squares / count - mean * mean, 0.0))
            # Constant feature: scale by its mean to avoid division by zero.
            deviation = np.where(deviation > 1e-9 * np.abs(mean), deviation, np.maximum(np.abs(mean), 1.0))
            statistics[ticker] = (mean.tolist(), deviation.tolist())
        return cls(statistics)

    def inputs(self, windows: Windows, tickers: Names, out: Windows | None = None) -> Windows:
        """The network's inputs, (batch, window, feature), written to `out` if it is given."""
        mean, deviation = self._of(tickers)
        out = np.empty_like(windows) if out is None else out
        out[:] = (windows - mean[:, None]) / deviation[:, None]
        return out

    def labels(self, windows: Windows, tickers: Names, returns: NDArray[np.float32]) -> NDArray[np.float32]:
        """The labels, (batch,)."""
        mean, deviation = self._of(tickers)
        close = windows[:, -1, CLOSE] * np.exp(returns.astype(np.float64))
        return ((close - mean[:, CLOSE]) / deviation[:, CLOSE]).astype(np.float32)

    def returns(self, outputs: NDArray[np.floating], windows: Windows, tickers: Names) -> NDArray[np.float64]:
        """Log-returns, (batch,). A price forecast is at least a hundredth of the last close."""
        mean, deviation = self._of(tickers)
        last = windows[:, -1, CLOSE].astype(np.float64)
        price = mean[:, CLOSE] + outputs.astype(np.float64) * deviation[:, CLOSE]
        log_returns: NDArray[np.float64] = np.log(np.maximum(price, 0.01 * last) / last)
        return log_returns

    def settings(self) -> dict[str, Any]:
        """The settings, JSON-ready."""
        return {"inputs": self.name, "features": list(FEATURE_NAMES), "statistics": self._statistics}

    def _of(self, tickers: Names) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and deviation of each window's ticker, (batch, feature)."""
        place = np.minimum(np.searchsorted(self._order, tickers), len(self._order) - 1)
        place = np.where(self._order[place] == tickers, place, 0)  # "" sorts first: all tickers together
        return self._mean[place], self._deviation[place]


def restore(settings: Mapping[str, Any]) -> Inputs:
    """The inputs with these settings.

    Raises:
        DataError: the network was trained with other features, or with other limits of its inputs.
    """
    _require_equal("the features", settings.get("features", list(FEATURE_NAMES)), list(FEATURE_NAMES))
    _require_equal("a clip", settings.get("clip", CLIP), CLIP)
    if settings["inputs"] == Relative.name:
        return Relative(int(settings["horizon_bars"]))
    return Levels({ticker: (mean, deviation) for ticker, (mean, deviation) in settings["statistics"].items()})


def _require_equal(what: str, found: Any, ours: Any) -> None:
    if found != ours:
        shown, wanted = (", ".join(map(str, value)) if isinstance(value, list) else value for value in (found, ours))
        raise DataError(
            f"the network was trained with {what} {shown}, and this version of cloudlstm has {wanted}",
            hint="the version that trained it, or train again with this one",
        )


def _clip(values: NDArray[np.float32]) -> None:
    """Clips to +-CLIP, in place; NaN becomes 0."""
    np.clip(values, -CLIP, CLIP, out=values)
    missing = np.isnan(values)
    if missing.any():
        values[missing] = 0.0
