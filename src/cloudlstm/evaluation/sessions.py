"""The unit of evidence: one number per session, also for bars within a day.

The labels of one session are not independent observations: they share its news and its volatility, and so do its
tickers. So errors are averaged over all labels of a session first, every session weighs the same, and the tests see
one number per session. For daily bars a session is a date.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from cloudlstm.config import RunConfig
from cloudlstm.evaluation.forecasts import Forecasts
from cloudlstm.market.grid import around
from cloudlstm.market.interval import Interval


def evidence_horizon(config: RunConfig) -> int:
    """Sessions over which the labels of one session overlap with those of later ones, plus 1.

    Daily labels overlap on horizon - 1 sessions. Labels of bars within a day lie in one session, unless they may cross
    a close: then they reach as many sessions ahead as half days of bars are needed for the horizon.
    """
    horizon = config.dataset.horizon_bars
    if config.market.interval == "1d":
        return horizon
    if not (config.market.bridge_sessions and config.dataset.labels_across_closes):
        return 1
    half_day = max(Interval(config.market.interval).bars_a_session // 2, 1)
    return 1 - (-horizon // half_day)


def with_sessions(splits: Mapping[str, Forecasts], config: RunConfig) -> dict[str, Forecasts]:
    """The forecasts by split, those of bars within a day with the session of each origin and target.

    Args:
        splits: Forecasts of the network by split.
        config: Interval and calendar.
    """
    found = {}
    for name, own in splits.items():
        if own.unit == "D" or not len(own):
            found[name] = own
            continue
        dates = np.stack([own.origin, own.target])
        found[name] = replace(own, sessions=around(config.market, dates).session_of(dates))
    return found
