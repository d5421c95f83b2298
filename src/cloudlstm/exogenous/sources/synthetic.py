"""Generated macro series and headlines for the synthetic market, with an effect of known size.

    x[t] = sqrt(a) * r[t+1] / sd + sqrt(1 - a) * e[t]        score[t] = the phrase's score nearest to 0.33 * x[t]

The headline of session t tells of the return of session t+1, so much that its score explains the share
`exogenous.news.synthetic_r2` of the variance of the next return. It is published between the close before and one hour
before the close of session t. So a join by the time of publication finds the effect, and the same day's return has
nothing of it. The series SYNTHETIC is a random walk without any effect.

What is known of a session does not depend on later sessions: a market that is longer has the same headlines.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudlstm.config import MarketConfig
from cloudlstm.errors import UsageError
from cloudlstm.exogenous.sources import headlines
from cloudlstm.exogenous.sources.found import Found
from cloudlstm.exogenous.sources.macro_files import rows_of
from cloudlstm.exogenous.sources.news_files import headlines_of
from cloudlstm.market import calendar
from cloudlstm.market.sources import synthetic
from cloudlstm.market.sources.simulation import random_stream

MODEL_VERSION = 1
"""Increase it whenever what is generated changes; part of the source's identity."""

SERIES = "SYNTHETIC"
"""The generated macro series, a rate in percent."""

SOURCE = "synthetic"
_NEWS, _WALK = 101, 102  # purposes of random streams
_MINUTE_US = 60 * 1_000_000
_HOUR_US = 60 * _MINUTE_US
_START_PERCENT, _STEP_PERCENT = 2.5, 0.04
_SCALE = 0.33
"""Scores per unit of x: few numbers lie beyond the strongest phrases."""
_SD = 1.09
"""Standard deviation of a return in units of the ticker's base volatility, by the model of volatility."""
_LOSS = 0.925
"""Share of the planted effect that is left in all tickers together, since phrases are few and volatilities differ."""


def identity(market: MarketConfig, synthetic_r2: float | None = None) -> dict[str, Any]:
    """Returns what decides what is generated."""
    return {
        "law": [MODEL_VERSION, synthetic.MODEL_VERSION],
        "settings": market.synthetic.model_dump(mode="json"),
        "calendar": market.calendar,
        "dates": [market.start.isoformat(), market.end.isoformat()],
        "r2": synthetic_r2,
    }


def require_synthetic(market: MarketConfig, setting: str) -> None:
    """Raises UsageError if the market is not the synthetic one, about which generated data would tell nothing."""
    if market.source != "synthetic":
        raise UsageError(
            f"{setting}=synthetic is for the synthetic market, and market.source is {market.source}",
            hint=f"{setting}=files, or market.source=synthetic",
        )


def macro(market: MarketConfig) -> Found:
    """Returns the series SYNTHETIC: one value a session, published one hour before the next session opens."""
    require_synthetic(market, "exogenous.macro.source")
    sessions = _sessions(market)
    opens = calendar.hours_on(market.calendar, sessions).opens.astype(np.int64) * _MINUTE_US
    steps = random_stream(market.synthetic.seed, SERIES, _WALK).standard_normal(len(sessions) - 1)
    value = np.round(_START_PERCENT + _STEP_PERCENT * np.cumsum(steps), 4)
    found = Found()
    found.rows.append(rows_of(SERIES, sessions[:-1], opens[1:] - _HOUR_US, value, 0, SOURCE))
    return found


def news(market: MarketConfig, tickers: Sequence[str] | None, r2: float) -> Found:
    """Returns one headline for each ticker and session, whose score explains a share of the next return's variance.

    Args:
        market: The settings of the market.
        tickers: The tickers; None for all of the market.
        r2: The share.
    """
    require_synthetic(market, "exogenous.news.source")
    known = synthetic.ticker_names(market.synthetic)
    names = [name for name in known if tickers is None or name in tickers]
    sessions = _sessions(market)
    found = Found()
    if not names or len(sessions) < 3:
        return found
    returns, sigma = synthetic.log_returns(market.synthetic, names, sessions)
    closes = calendar.hours_on(market.calendar, sessions).closes.astype(np.int64) * _MINUTE_US
    share = min(r2 / _LOSS, 1.0)
    for row, name in enumerate(names):
        random = random_stream(market.synthetic.seed, name, _NEWS)
        noise, when, number = _draws(random, len(sessions))
        x = np.sqrt(share) * returns[row, 1:] / (_SD * sigma[row]) + np.sqrt(1.0 - share) * noise[:-1]
        place = headlines.nearest(_SCALE * x)[1:]  # the first session has no close before it
        before, latest = closes[:-2], closes[1:-1] - _HOUR_US
        utc = before + (when[1:-1] * (latest - before)).astype(np.int64)
        texts = [headlines.headline(name, int(one), int(two)) for one, two in zip(place, number[1:-1], strict=True)]
        found.headlines.append(headlines_of([name] * len(place), sessions[1:-1], utc, texts, SOURCE))
    return found


def _draws(random: np.random.Generator, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Draws a normal number, a part of the time span and a number for each session, session by session."""
    uniform = random.random((n, 4))
    normal = np.sqrt(-2.0 * np.log1p(-uniform[:, 0])) * np.cos(2.0 * np.pi * uniform[:, 1])
    return normal, uniform[:, 2], (uniform[:, 3] * 10_000).astype(np.int64)


def _sessions(market: MarketConfig) -> NDArray[np.int32]:
    """Returns the sessions of the market, and the first one after them."""
    sessions = calendar.sessions(market.calendar, market.start, market.end)
    after = calendar.sessions_after(market.calendar, sessions[-1:])
    return np.concatenate([sessions, after])
