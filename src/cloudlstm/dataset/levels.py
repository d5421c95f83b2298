"""Inputs as z-scores of raw values, with the training statistics of each ticker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cloudlstm.dataset.scaling import Chosen, Names, Windows, blank
from cloudlstm.dataset.window_set import WindowSet
from cloudlstm.errors import DataError
from cloudlstm.features import CLOSE, EIGHT, FeatureSet

_BATCH_WINDOWS = 8192
_NEVER = 1e30


class Levels(Chosen):
    """Z-scores of raw values with the training statistics of each ticker.

    Args:
        statistics: By ticker: mean and standard deviation, each in the order of the chosen features; "" is all tickers.
        features: The features of the windows.
        chosen: Those of the network; by default all.
    """

    name = "levels"

    def __init__(
        self,
        statistics: Mapping[str, tuple[list[float], list[float]]],
        features: FeatureSet = EIGHT,
        chosen: FeatureSet | None = None,
    ) -> None:
        super().__init__(features, chosen)
        self._statistics = dict(statistics)
        self._order = np.array(sorted(self._statistics))
        table = np.array([self._statistics[str(ticker)] for ticker in self._order], np.float64)
        self._mean, self._deviation = table[:, 0], table[:, 1]  # (ticker, feature)

    @classmethod
    def fit(cls, train: WindowSet, chosen: FeatureSet | None = None) -> Self:
        """Statistics of the last bars of all training windows, so that each bar counts once; missing values do not."""
        places = (chosen or train.features).places_in(train.features)
        sums: dict[str, NDArray[np.float64]] = {}
        for begin in range(0, len(train), _BATCH_WINDOWS):
            indices = np.arange(begin, min(begin + _BATCH_WINDOWS, len(train)))
            last = train.last_bars(indices)[:, places].astype(np.float64)
            tickers = train.tickers(indices)
            for ticker in np.unique(tickers):
                bars = last[tickers == ticker]
                known = np.isfinite(bars)
                bars = np.where(known, bars, 0.0)
                part = np.stack([known.sum(axis=0), bars.sum(axis=0), (bars * bars).sum(axis=0)])
                sums[str(ticker)] = sums.get(str(ticker), np.zeros_like(part)) + part
        if not sums:
            raise DataError("train.inputs=levels needs training windows, and there are none")
        sums[""] = every = np.sum(list(sums.values()), axis=0)
        statistics = {}
        for ticker, own in sums.items():
            # A column without a value of the ticker takes the statistics of all tickers.
            present, total, squares = np.where(own[0] > 0, own, every)
            count = np.maximum(present, 1)
            mean = total / count
            deviation = np.sqrt(np.maximum(squares / count - mean * mean, 0.0))
            # Constant feature: scale by its mean to avoid division by zero.
            deviation = np.where(deviation > 1e-9 * np.abs(mean), deviation, np.maximum(np.abs(mean), 1.0))
            deviation[present == 0] = _NEVER  # no training window has a value: the input is 0
            statistics[ticker] = (mean.tolist(), deviation.tolist())
        return cls(statistics, train.features, chosen)

    def inputs(self, windows: Windows, tickers: Names, out: Windows | None = None) -> Windows:
        """The network's inputs, (batch, window, input), written to `out` if it is given."""
        mean, deviation = self._statistics_of(tickers)
        windows = self.of(windows)
        out = np.empty_like(windows) if out is None else out
        out[:] = (windows - mean[:, None]) / deviation[:, None]
        blank(out)
        return out

    def labels(self, windows: Windows, tickers: Names, returns: NDArray[np.float32]) -> NDArray[np.float32]:
        """The labels, (batch,)."""
        mean, deviation = self._statistics_of(tickers)
        close = windows[:, -1, CLOSE] * np.exp(returns.astype(np.float64))
        return ((close - mean[:, CLOSE]) / deviation[:, CLOSE]).astype(np.float32)

    def returns(self, outputs: NDArray[np.floating], windows: Windows, tickers: Names) -> NDArray[np.float64]:
        """Log-returns, (batch,). A price forecast is at least a hundredth of the last close."""
        mean, deviation = self._statistics_of(tickers)
        last = windows[:, -1, CLOSE].astype(np.float64)
        price = mean[:, CLOSE] + outputs.astype(np.float64) * deviation[:, CLOSE]
        log_returns: NDArray[np.float64] = np.log(np.maximum(price, 0.01 * last) / last)
        return log_returns

    def settings(self) -> dict[str, Any]:
        """The settings, JSON-ready."""
        return {"inputs": self.name, **self.named(), "statistics": self._statistics}

    def _statistics_of(self, tickers: Names) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and deviation of each window's ticker, (batch, feature)."""
        place = np.minimum(np.searchsorted(self._order, tickers), len(self._order) - 1)
        place = np.where(self._order[place] == tickers, place, 0)  # "" sorts first: all tickers together
        return self._mean[place], self._deviation[place]
