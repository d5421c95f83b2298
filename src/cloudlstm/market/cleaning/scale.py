"""What the limits of cleaning mean for bars within a day.

    outlier_min_move   a move over a session; between two bars of one session it is multiplied by
                       sqrt(1 / bars a session), as the move of a random walk is, and so is the largest gap that trading
                       explains
    max_stale_bars     of 21 daily bars; within a day of 21 sessions of bars, so that it finds a ticker without a market
                       and not a quiet hour
    max_fill_bars, outlier_lookback_bars, and all shares of bars: the same number of bars for every interval

A usual session has 390 minutes: 390, 78, 26 or 7 bars.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from cloudlstm.market.interval import Interval


@dataclass(frozen=True, slots=True)
class Scale:
    """What limits are multiplied with.

    Attributes:
        within_session: For moves between two bars of the same session.
        bars_a_session: For numbers of bars that stand for sessions.
    """

    within_session: float = 1.0
    bars_a_session: int = 1

    @classmethod
    def of(cls, interval: Interval) -> Self:
        """The scale of an interval."""
        return cls(1.0 / math.sqrt(interval.bars_a_session), interval.bars_a_session)


DAILY = Scale()
"""Daily bars: the limits are as they are."""
