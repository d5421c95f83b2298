"""Synthetic bars within a day, always labelled synthetic, for demos, tests and load.

Volatility and volume follow the usual pattern of a session: high after the open, low at noon, higher to the close.
Returns have fat tails and a weak reversal from bar to bar, so that a forecast can be better than none. The same seed,
number of tickers and session give the same bars.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.market import columns

SOURCE = "synthetic"
_DEGREES = 5
_REVERSAL = 0.15
_DAILY_SD = 0.02
_LARGEST = 6.0
"""Shocks are cut at so many standard deviations."""


def ticker_names(n: int) -> list[str]:
    """The tickers of a market of n."""
    return [f"SYN{number:06d}" for number in range(1, n + 1)]


def session_bars(
    tickers: int, minutes: NDArray[np.int64], seed: int, session: int, first_close: NDArray[np.float64] | None = None
) -> tuple[Iterator[pa.Table], NDArray[np.float64]]:
    """The bars of one session.

    Args:
        tickers: Number of tickers.
        minutes: Starts of the bars of the session, in seconds since 1970-01-01 UTC, (bar,).
        seed: Seed of the market.
        session: The session as days since 1970-01-01.
        first_close: The closes before the session, (ticker,); by default first prices from the seed.

    Returns:
        A BARS table for each minute, and the closes at the end of the session, (ticker,).
    """
    bars = len(minutes)
    random = np.random.default_rng((seed, session))
    own = np.random.default_rng(seed)
    price = own.uniform(20.0, 400.0, tickers) if first_close is None else first_close
    size = own.uniform(2e3, 2e5, tickers)
    day = np.linspace(-1.0, 1.0, bars) if bars > 1 else np.zeros(1)
    shape = 0.7 + 0.9 * day**2 + 0.4 * (day < -0.8)
    sd = _DAILY_SD / np.sqrt(bars) * shape
    noise = random.standard_t(_DEGREES, (bars, tickers)) * np.sqrt((_DEGREES - 2) / _DEGREES)
    noise = np.clip(noise, -_LARGEST, _LARGEST)
    market = random.standard_normal(bars)
    shock = 0.4 * market[:, None] + np.sqrt(1 - 0.4**2) * noise
    shock[1:] -= _REVERSAL * shock[:-1]
    close = np.round(price * np.exp(np.cumsum(sd[:, None] * shock, axis=0)), 4)
    first = np.vstack([price[None], close[:-1]]).round(4)
    wide = np.abs(random.standard_normal((2, bars, tickers))) * 0.4 * sd[:, None]
    high = np.round(np.maximum(first, close) * (1.0 + wide[0]), 4)
    low = np.round(np.minimum(first, close) * (1.0 - wide[1]), 4)
    volume = np.round(size * shape[:, None] * np.exp(0.5 * random.standard_normal((bars, tickers))))
    ticker = columns.from_codes(np.arange(tickers, dtype=np.int32), ticker_names(tickers))

    def tables() -> Iterator[pa.Table]:
        for bar in range(bars):
            yield pa.table(
                {
                    "ticker": ticker, "minute": np.full(tickers, minutes[bar]), "open": first[bar],
                    "high": np.maximum(high[bar], np.maximum(first[bar], close[bar])),
                    "low": np.minimum(low[bar], np.minimum(first[bar], close[bar])), "close": close[bar],
                    "volume": volume[bar], "source": columns.from_codes(np.zeros(tickers, np.int32), [SOURCE]),
                    "final": np.ones(tickers, bool), "sent": np.full(tickers, np.nan),
                }
            )  # fmt: skip

    return tables(), close[-1] if bars else price
