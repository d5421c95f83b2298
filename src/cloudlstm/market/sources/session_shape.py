"""The shape of a session in the synthetic market, for bars within a day.

    volatility  large at the open, small around noon, larger again at the close (a U)
    volume      the same, with its peak at the close
    night       between two sessions the price moves by half a day's volatility, between two bars and in no bar

The variances of the bars of a session add up to that of a daily bar. The planted signal links one bar to the next, and
forecasts nothing of the night.

Wood, McInish, Ord: An investigation of transactions data for NYSE stocks. Journal of Finance 40(3), 1985, for the U.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cloudlstm.market.grid import Grid
from cloudlstm.market.sources.simulation import DEGREES_OF_FREEDOM, Array, Paths, random_stream

_NIGHT = 4  # purpose of a random stream
_NIGHT_VOLATILITY = 0.5


@dataclass(frozen=True, slots=True)
class SessionShape:
    """The shape of every bar; all arrays are (bars,).

    Attributes:
        session: Number of the session, from 0.
        volatility: Volatility of a bar over that of a day.
        volume: Share of a day's volume.
    """

    session: NDArray[np.intp]
    volatility: Array
    volume: Array

    @classmethod
    def of(cls, grid: Grid) -> Self:
        """The shape of the bars of a grid."""
        place = grid.place_of(grid.starts)
        numbers, session, count = np.unique(place, return_inverse=True, return_counts=True)
        opens, closes = grid.hours.opens[numbers], grid.hours.closes[numbers]
        whole = (closes - opens)[session]
        x = (grid.starts - opens[session] + grid.interval.minutes / 2) / whole
        volatility = 0.7 + 1.6 * np.exp(-8.0 * x) + 0.5 * np.exp(-10.0 * (1.0 - x))
        volume = 0.6 + 1.2 * np.exp(-8.0 * x) + 1.5 * np.exp(-12.0 * (1.0 - x))
        squares = np.bincount(session, volatility**2)[session]
        totals = np.bincount(session, volume)[session]
        usual = np.minimum(count[session] / grid.interval.bars_a_session, 1.0)  # a half day moves and trades less
        return cls(session, volatility * np.sqrt(usual / squares), volume * usual / totals)

    def scaled(self, paths: Paths) -> Paths:
        """The paths with the volatility of bars instead of that of days, (bar, ticker)."""
        later = np.append(self.volatility[1:], self.volatility[-1])
        return Paths(paths.shock, paths.sigma * self.volatility[:, None], paths.expected * later[:, None])

    def gaps(self, seed: int, tickers: Sequence[str], sigma: Sequence[float]) -> Array:
        """The log-return of the night before each bar, (ticker, bar); zero but for the first bar of a session.

        Args:
            seed: Seed of the market.
            tickers: Names.
            sigma: Volatility of a day, of each ticker.
        """
        first = np.flatnonzero(np.diff(self.session, prepend=-1))
        found = np.zeros((len(tickers), len(self.session)))
        unit = np.sqrt((DEGREES_OF_FREEDOM - 2) / DEGREES_OF_FREEDOM)
        for row, (ticker, own) in enumerate(zip(tickers, sigma, strict=True)):
            shocks = random_stream(seed, ticker, _NIGHT).standard_t(DEGREES_OF_FREEDOM, len(first)) * unit
            found[row, first] = _NIGHT_VOLATILITY * own * shocks
        found[:, 0] = 0.0
        return found
