"""Daily bars of a market whose law changes: slowly, or by a jump of sign on one day.

The next return of a ticker has an expected value that depends on its own past: coefficient x (its return of the day,
and the mean of its last five, in standard deviations). The coefficient is the law; it gives an R² of a few per cent.
Returns share a market factor, and volatility moves as in real markets: by ticker, and slowly over time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

Array = NDArray[np.float64]

R2 = 0.04
"""Mean share of the returns' variance that the past explains."""
DRIFT_DAYS, DRIFT_SHARE = 500, 0.3
"""Days in which the drifting coefficient forgets where it was, and its standard deviation as a share of its mean."""
MARKET_SHARE = 0.3
"""Share of the variance that all tickers have in common."""


def coefficients(law: str, sessions: int, jump: int, rng: np.random.Generator) -> Array:
    """The law on each session, in units of the coefficient whose R² is R2; (sessions,).

    Args:
        law: "drift": an autoregressive path around 1; "jump": 1 before the session `jump`, -1 from then on.
        sessions: Number of sessions.
        jump: The session of the jump.
        rng: Draws the path.
    """
    if law == "jump":
        return np.where(np.arange(sessions) < jump, 1.0, -1.0)
    keep = 1.0 - 1.0 / DRIFT_DAYS
    path, value = np.empty(sessions), DRIFT_SHARE * rng.standard_normal()
    for day, shock in enumerate(rng.standard_normal(sessions) * DRIFT_SHARE * np.sqrt(1.0 - keep**2)):
        value = keep * value + shock
        path[day] = 1.0 + value
    return path


def returns(law: Array, tickers: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Daily log-returns and their standard deviations; both (sessions, tickers).

    Args:
        law: The coefficient on each session.
        tickers: Number of tickers.
        rng: Draws the shocks.
    """
    level = 0.012 * 2.0 ** rng.random(tickers)
    slow, sd = 0.0, np.empty((len(law), tickers))
    for day, shock in enumerate(rng.standard_normal(len(law))):
        slow = 0.98 * slow + 0.05 * shock
        sd[day] = level * np.exp(slow)
    common = rng.standard_t(6, (len(law), 1)) * np.sqrt(4.0 / 6.0 * MARKET_SHARE)
    own = rng.standard_t(6, (len(law), tickers)) * np.sqrt(4.0 / 6.0 * (1.0 - MARKET_SHARE))
    noise = (common + own) * np.sqrt(1.0 - R2)
    z = np.zeros((len(law) + 5, tickers))  # returns in standard deviations, after five days without any
    for day in range(len(law)):
        past = z[day : day + 5]
        signal = (past[-1] - past.mean(axis=0) * np.sqrt(5.0)) / np.sqrt(2.0 - 2.0 / np.sqrt(5.0))
        z[day + 5] = law[day] * np.sqrt(R2) * signal + noise[day]
    return z[5:] * sd, sd


def write(folder: Path, days: NDArray[np.int32], law: Array, tickers: int, seed: int) -> None:
    """Writes one Parquet file of bars for each ticker.

    Args:
        folder: Made by this function.
        days: Sessions, as days since 1970-01-01.
        law: The coefficient on each session.
        tickers: Number of tickers.
        seed: Seed of the market.
    """
    rng = np.random.default_rng(seed)
    found, sd = returns(law, tickers, rng)
    close = np.log(50.0) + np.cumsum(found, axis=0)
    opened = close - 0.75 * found + 0.3 * sd * rng.standard_normal(sd.shape)
    high = np.maximum(opened, close) + 0.4 * sd * np.abs(rng.standard_normal(sd.shape))
    low = np.minimum(opened, close) - 0.4 * sd * np.abs(rng.standard_normal(sd.shape))
    volume = np.exp(13.0 + 0.3 * rng.standard_normal(sd.shape) + 0.2 * np.abs(found) / sd)
    folder.mkdir(parents=True)
    for place in range(tickers):
        columns: dict[str, Any] = {"date": pa.array(days, pa.int32()).cast(pa.date32())}
        columns |= {
            name: np.exp(values[:, place])
            for name, values in (("open", opened), ("high", high), ("low", low), ("close", close))
        }
        columns["volume"] = np.rint(volume[:, place]).astype(np.int64)
        pq.write_table(pa.table(columns), folder / f"T{place:03d}.parquet")
