"""The model of the synthetic market: simulates returns of many tickers at once, (session, ticker).

    r[t+1] = sigma[t+1] * (sqrt(R2) * s[t] + sqrt(1 - R2) * e[t+1])         log-return
    e      = beta * market + sqrt(1 - beta^2) * own                        unit-variance Student t with 5 degrees
    log sigma[t+1] = c + PHI * (log sigma[t] - c) + NEWS * (|z[t]| - E|z|)  z = r / sigma
    s[t]   = -0.9 * a + 0.45 * b, scaled; depends on the returns of the last two sessions:
             a = tanh(1.5 * (0.8 * z[t] + 0.6 * z[t-1]))       reversal of the last move
             b = tanh(|z[t]| + |z[t-1]| - 1.45)                 premium for high volatility

Volatility follows Nelson's EGARCH(1,1) without the sign term (1991, "Conditional heteroskedasticity in asset returns").
Without a signal there is no drift, and the last price is the best forecast. A linear model can find most of `a`, which
is four fifths of the planted variance, and nothing of `b`, which has no sign. Both sigma[t+1] and s[t] are known at t,
so the best forecast is known as well.

Every ticker has its own random streams, keyed by (seed, ticker). Its path does not depend on the other tickers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

DEGREES_OF_FREEDOM = 5
"""Degrees of freedom of the shocks: kurtosis 9, and more with volatility clusters."""

PHI, NEWS, NEWS_LIMIT, NEWS_MEAN = 0.985, 0.08, 4.0, 0.75
"""Persistence of log-volatility, its response to a shock, the cap on shocks in this response, and the mean shock."""

_PILOT_TICKERS, _PILOT_SESSIONS = 256, 1500


@dataclass(frozen=True, slots=True)
class Paths:
    """Simulated returns without faults or gaps, (session, ticker).

    Attributes:
        shock: z, the return in units of sigma.
        sigma: Standard deviation of the log-return of the same session, known one session before.
        expected: Expected log-return of the next session, given this one and earlier ones.
    """

    shock: Array
    sigma: Array
    expected: Array


def random_stream(seed: int, ticker: str, purpose: int) -> np.random.Generator:
    """Returns the random generator of one ticker for one purpose."""
    key = (seed, purpose, *ticker.encode())
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(key)))


def simulate(
    seed: int, tickers: Sequence[str], base_sigma: Array, beta: Array, n_sessions: int, signal_r2: float
) -> Paths:
    """Simulates the paths of `tickers`.

    Args:
        seed: Seed of the market.
        tickers: Names; part of the key of their random streams.
        base_sigma: Mean volatility per session, (ticker,).
        beta: Weight of the market's shock, (ticker,).
        n_sessions: Number of sessions.
        signal_r2: Share of the returns' variance that the signal explains.
    """
    market = _shocks(random_stream(seed, "", 0), n_sessions)
    own = np.empty((n_sessions, len(tickers)))
    for column, ticker in enumerate(tickers):
        own[:, column] = _shocks(random_stream(seed, ticker, 0), n_sessions)
    own *= np.sqrt(1.0 - beta**2)
    own += market[:, None] * beta
    return _paths(own, base_sigma, signal_r2, _signal_scale(signal_r2) if signal_r2 else 0.0)


def _shocks(random: np.random.Generator, n: int) -> Array:
    """Draws unit-variance Student t shocks."""
    nu = DEGREES_OF_FREEDOM
    shocks: Array = random.standard_t(nu, n) * np.sqrt((nu - 2) / nu)
    return shocks


def _paths(noise: Array, base_sigma: Array, signal_r2: float, scale: float) -> Paths:
    """Applies the model to `noise` (session, ticker), one session after the other."""
    n_sessions, n_tickers = noise.shape
    log_vol = np.zeros((n_sessions + 1, n_tickers))
    signal = np.zeros((n_sessions, n_tickers))
    shock = noise * np.sqrt(1.0 - signal_r2)
    weight = np.sqrt(signal_r2) * scale
    for t in range(n_sessions):
        z = shock[t]
        if weight and t:
            z += weight * signal[t - 1]
            signal[t] = _signal(z, shock[t - 1])
        news = np.minimum(np.abs(z), NEWS_LIMIT)
        news -= NEWS_MEAN
        news *= NEWS
        np.multiply(log_vol[t], PHI, out=log_vol[t + 1])
        log_vol[t + 1] += news
    sigma = np.exp(log_vol, out=log_vol)
    sigma *= base_sigma
    signal *= weight
    signal *= sigma[1:]
    return Paths(shock, sigma[:-1], signal)


def _signal(today: Array, yesterday: Array) -> Array:
    """Returns the unscaled signal s from the shocks of two sessions."""
    reversal = np.tanh(1.5 * (0.8 * today + 0.6 * yesterday))
    premium = np.tanh(np.abs(today) + np.abs(yesterday) - 1.45)
    signal: Array = (0.45 / _SD_PREMIUM) * premium - (0.9 / _SD_REVERSAL) * reversal
    return signal


_SD_REVERSAL, _SD_PREMIUM = 0.70, 0.57
"""Standard deviations of the two parts; they set the parts' shares (the pilot corrects the total)."""


@cache
def _signal_scale(signal_r2: float) -> float:
    """Returns the factor with which the signal's share of the returns' variance is `signal_r2`.

    The signal depends on returns that it has influenced, and both signal and volatility depend on large returns. So the
    factor has no closed form; it is estimated from a pilot market with a fixed seed.
    """
    random = np.random.Generator(np.random.SFC64(0))
    noise = _shocks(random, _PILOT_TICKERS * _PILOT_SESSIONS).reshape(_PILOT_SESSIONS, _PILOT_TICKERS)
    base = np.ones(_PILOT_TICKERS)
    scale = 1.0
    for _ in range(4):
        pilot = _paths(noise, base, signal_r2, scale)
        variance = np.mean((pilot.sigma * pilot.shock) ** 2)
        scale *= float(np.sqrt(signal_r2 * variance / np.mean(pilot.expected**2)))
    return scale
