"""A synthetic market with a seed, always labelled synthetic: bars for tests, demos and benchmarks of any size.

The returns come from simulation.py. This module derives prices, volume and splits (for bars within a day with
session_shape.py), and then adds the faults of real vendors: late listings, missing bars, decimal errors, zeros, crossed
high and low, and duplicate bars.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.config import MarketConfig, SyntheticConfig
from cloudlstm.market import calendar, columns, universe
from cloudlstm.market.grid import Grid
from cloudlstm.market.sources import simulation
from cloudlstm.market.sources.base import Partition
from cloudlstm.market.sources.session_shape import SessionShape
from cloudlstm.market.sources.simulation import Array, Paths, random_stream
from cloudlstm.market.sources.vendor_faults import Prices, add_faults

MODEL_VERSION = 1
"""Increase it whenever the model of the market changes; part of its identity."""

_NAME = "the synthetic market"
_SESSIONS_PER_YEAR = 252
_SPLIT_RATIOS = (2.0, 3.0, 4.0, 10.0)
_MOST_SPLIT = 1024.0
_TRAITS, _SHAPE = 1, 2  # purposes of random streams; 0 is for shocks, 3 for faults, 4 for nights


def ticker_names(config: SyntheticConfig) -> tuple[str, ...]:
    """Returns all tickers of the market, sorted."""
    return tuple(f"SYN{number:06d}" for number in range(1, config.tickers + 1))


@dataclass(frozen=True, slots=True)
class SyntheticSource:
    """The synthetic market as a source; each task generates its own shard."""

    config: MarketConfig
    universe: tuple[str, ...]
    sessions: NDArray[np.int32]
    name: str = _NAME
    whole_tickers: bool = True
    grid: Grid | None = None

    @classmethod
    def open(cls, config: MarketConfig, requested: tuple[str, ...] | None) -> SyntheticSource:
        """Opens the market with the requested tickers; UnknownTickerError if it lacks one."""
        tickers = universe.resolve_universe(requested, ticker_names(config.synthetic), _NAME)
        if config.interval != "1d":
            return cls(config, tickers, np.zeros(0, np.int32), grid=Grid.of(config))
        return cls(config, tickers, calendar.sessions(config.calendar, config.start, config.end))

    def identity(self) -> Any:
        config = self.config
        return {
            "source": "synthetic",
            "law": MODEL_VERSION,
            "settings": config.synthetic.model_dump(mode="json"),
            "calendar": config.calendar,
            "dates": [config.start.isoformat(), config.end.isoformat()],
            "universe": list(self.universe),
            **({"interval": self.config.interval} if self.grid else {}),
        }

    def partitions(self) -> list[Partition]:
        size = self.config.tickers_per_shard
        chunks = [self.universe[start : start + size] for start in range(0, len(self.universe), size)]
        return [Partition(number, tickers) for number, tickers in enumerate(chunks)]

    def tickers(self, partition: Partition) -> list[str]:
        return list(partition.items)

    def last_date(self) -> dt.date | None:
        if self.grid:
            return self.grid.interval.date(int(self.grid.starts[-1]))
        return calendar.to_date(int(self.sessions[-1])) if len(self.sessions) else None

    def read(self, partition: Partition) -> pa.Table:
        if self.grid:
            return make_bars(self.config.synthetic, partition.items, self.grid.starts, self.grid)
        return make_bars(self.config.synthetic, partition.items, self.sessions)


def make_bars(
    config: SyntheticConfig, tickers: Sequence[str], sessions: NDArray[np.int32], grid: Grid | None = None
) -> pa.Table:
    """Generates BARS of `tickers` over `sessions`, sorted by ticker and date, with faults.

    The bars of a ticker depend on the settings, its name and the sessions, but not on the other tickers.

    Args:
        config: Settings of the market.
        tickers: Names.
        sessions: Days since 1970-01-01; for bars within a day their starts, in minutes.
        grid: The trading hours, for bars within a day.
    """
    shape = SessionShape.of(grid) if grid else None
    traits = [_Traits.of(config, ticker, len(sessions), shape) for ticker in tickers]
    paths = _paths(config, tickers, traits, len(sessions), shape)
    prices = _prices(config, tickers, traits, paths, shape)
    listed = [trait.listed for trait in traits]
    return add_faults(config, tickers, sessions, listed, prices, columns.MOMENT if grid else None)


def oracle_forecast(
    config: SyntheticConfig, tickers: Sequence[str], sessions: NDArray[np.int32], grid: Grid | None = None
) -> pa.Table:
    """Returns the best possible forecast: the expected next log-return, given the market up to and including `date`.

    The table has the columns ticker, date (of the origin) and forecast (float64), for all sessions of all tickers. All
    forecasts are zero without a planted signal. They come from the model itself, so no estimate from bars can be better
    on average.

    Args:
        config: Settings of the market.
        tickers: Names.
        sessions: Days since 1970-01-01; for bars within a day their starts, in minutes.
        grid: The trading hours, for bars within a day.
    """
    shape = SessionShape.of(grid) if grid else None
    traits = [_Traits.of(config, ticker, len(sessions), shape) for ticker in tickers]
    paths = _paths(config, tickers, traits, len(sessions), shape)
    rank = np.repeat(np.arange(len(tickers), dtype=np.int32), len(sessions))
    ticker = columns.from_codes(rank, list(tickers))
    date = columns.from_days(np.tile(sessions, len(tickers)), columns.MOMENT if grid else None)
    return pa.table({"ticker": ticker, "date": date, "forecast": pa.array(paths.expected.T.ravel())})


def log_returns(config: SyntheticConfig, tickers: Sequence[str], sessions: NDArray[np.int32]) -> tuple[Array, Array]:
    """Returns the log-returns of the model, and the base volatility of each ticker.

    The returns are those of the closes before these are rounded and get faults, (ticker, session). The first one is the
    return from the price before the market's start. A session's return does not depend on later sessions.

    Args:
        config: Settings of the market.
        tickers: Names.
        sessions: Days since 1970-01-01, from the market's start on.
    """
    traits = [_Traits.of(config, ticker, len(sessions)) for ticker in tickers]
    paths = _paths(config, tickers, traits, len(sessions), None)
    return np.ascontiguousarray((paths.sigma * paths.shock).T), np.array([trait.sigma for trait in traits])


@dataclass(frozen=True, slots=True)
class _Traits:
    """The constant properties of a ticker.

    `split_factor` is the product of all splits after each session; adjusted price = traded price / factor. None: no
    split.
    """

    sigma: float
    beta: float
    first_price: float
    first_volume: float
    listed: int
    split_factor: Array | None

    @classmethod
    def of(cls, config: SyntheticConfig, ticker: str, n_sessions: int, shape: SessionShape | None = None) -> _Traits:
        random = random_stream(config.seed, ticker, _TRAITS)
        sigma, beta, price, volume, late, delay = random.random(6)
        return cls(
            sigma=0.010 * 2.0**sigma,
            beta=0.3 + 0.4 * beta,
            first_price=25.0 * 10.0**price,
            first_volume=3e5 * 100.0**volume,
            listed=int(delay * n_sessions / 2) if late < config.late_listings else 0,
            split_factor=_split_factor(random, config.splits, n_sessions, shape),
        )


def _split_factor(
    random: np.random.Generator, splits_per_year: float, n_sessions: int, shape: SessionShape | None
) -> Array | None:
    """Draws the splits of a ticker, for bars within a day between sessions."""
    if shape:
        by_session = _split_factor(random, splits_per_year, int(shape.session[-1]) + 1, None)
        return None if by_session is None else by_session[shape.session]
    n_splits = int(random.poisson(splits_per_year * n_sessions / _SESSIONS_PER_YEAR))
    if not n_splits:
        return None
    ratio = np.ones(n_sessions + 1)
    ratio[random.integers(1, n_sessions + 1, n_splits)] = random.choice(_SPLIT_RATIOS, n_splits)
    factor: Array = np.minimum(np.cumprod(ratio[:0:-1])[::-1], _MOST_SPLIT)
    return factor


def _paths(
    config: SyntheticConfig,
    tickers: Sequence[str],
    traits: list[_Traits],
    n_sessions: int,
    shape: SessionShape | None,
) -> Paths:
    sigma = np.array([trait.sigma for trait in traits])
    beta = np.array([trait.beta for trait in traits])
    paths = simulation.simulate(config.seed, tickers, sigma, beta, n_sessions, config.signal_r2)
    return shape.scaled(paths) if shape else paths


def _prices(
    config: SyntheticConfig,
    tickers: Sequence[str],
    traits: list[_Traits],
    paths: Paths,
    session: SessionShape | None,
) -> Prices:
    """Derives prices in whole ticks and volumes in round lots, then adjusts both for splits."""
    sigma = np.ascontiguousarray(paths.sigma.T)  # (ticker, session) from here on
    shock = np.ascontiguousarray(paths.shock.T)
    shape = np.empty((4, *sigma.shape))
    factor = np.ones(sigma.shape)
    for row, (ticker, trait) in enumerate(zip(tickers, traits, strict=True)):
        shape[:, row] = random_stream(config.seed, ticker, _SHAPE).standard_normal((4, sigma.shape[1]))
        if trait.split_factor is not None:
            factor[row] = trait.split_factor
    returns = sigma * shock
    close = np.cumsum(returns, axis=1)
    close += np.log([trait.first_price for trait in traits])[:, None]
    if session:
        close += np.cumsum(session.gaps(config.seed, tickers, [trait.sigma for trait in traits]), axis=1)
        open_ = close - returns + 0.1 * sigma * shape[0]
    else:
        # The open is between the last close and the close; the range extends beyond open and close on both sides.
        open_ = close - 0.75 * returns + 0.35 * sigma * shape[0]
    high = np.maximum(open_, close) + 0.4 * sigma * np.abs(shape[1])
    low = np.minimum(open_, close) - 0.4 * sigma * np.abs(shape[2])
    volume = np.minimum(np.abs(shock), simulation.NEWS_LIMIT)
    volume *= 0.35
    volume += 0.3 * shape[3]
    volume += np.log([trait.first_volume for trait in traits])[:, None]
    if session:
        volume += np.log(session.volume)
    lots = np.rint(np.exp(volume) / (100.0 * factor)) + 1.0
    # Within a day ticks of a cent would be large: a rounded price tends to come back, and so forecasts itself.
    cents = 1e-2 if session else 1.0
    return Prices(
        _round_to_ticks(open_, factor, cents),
        _round_to_ticks(high, factor, cents),
        _round_to_ticks(low, factor, cents),
        _round_to_ticks(close, factor, cents),
        (lots * (100.0 * factor)).astype(np.int64),
    )


def _round_to_ticks(log_price: Array, factor: Array, cents: float) -> Array:
    """Rounds traded prices to ticks of so many cents (below one dollar: 0.01 cents), then adjusts them for splits."""
    price = np.exp(log_price)
    price *= factor
    ticks = np.where(price < 1.0, 1e4, 1e2 / cents)
    price *= ticks
    np.maximum(np.rint(price, out=price), 1.0, out=price)
    ticks *= factor
    price /= ticks
    return price
