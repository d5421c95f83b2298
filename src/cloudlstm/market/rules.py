"""The rules of cleaning, in the order in which they are asked: the first that finds a row gives the reason.

A rule may look at the row itself, at other rows of the same bar, and at earlier bars of the same ticker. Then what is
known of a bar at its close never changes when later bars come, and no feature can have seen the future.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cloudlstm.config import CleanConfig
from cloudlstm.market import columns
from cloudlstm.market.outliers import outliers
from cloudlstm.market.shard import NO_SESSION, NO_VOLUME, Shard

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that can be wrong with a bar.

    Attributes:
        reason: The code in the quarantine and in the report.
        looks_at: What the verdict on bar t depends on.
        meaning: For people.
        find: The rows to refuse, given that those with a verdict are refused already; None for rules that fill.
        action: "refuse" moves the row to the quarantine; "fill" puts a bar where one is missing.
        causal: Whether no bar after t has a say. A rule that is not causal may only withdraw t as a label.
        gated: Whether it counts against the quality gate: an exact copy of a bar costs nothing.
    """

    reason: str
    looks_at: Literal["the row", "rows of the same bar", "trailing bars", "trailing sessions"]
    meaning: str
    find: Callable[[Shard, CleanConfig], Rows] | None = None
    action: Literal["refuse", "fill"] = "refuse"
    causal: bool = True
    gated: bool = True


_NOTHING: Rows = np.empty(0, np.intp)


def _unreadable_key(shard: Shard, _: CleanConfig) -> Rows:
    # The table is sorted, so a missing ticker stands at the end; a missing date stands at the end of its ticker.
    return np.flatnonzero((shard.rank == len(shard.names)) | (shard.day == columns.NO_DATE))


def _off_calendar(shard: Shard, _: CleanConfig) -> Rows:
    return np.flatnonzero(shard.session == NO_SESSION)


def _missing_price(shard: Shard, _: CleanConfig) -> Rows:
    prices = (shard.open, shard.high, shard.low, shard.close)
    # NaN spreads through min and max, and a comparison with NaN is false: four quick passes clear a sound shard.
    if all(len(price) == 0 or (price.max() < np.inf and price.min() > -np.inf) for price in prices):
        return _NOTHING
    return np.flatnonzero(~np.logical_and.reduce([np.isfinite(price) for price in prices]))


def _non_positive_price(shard: Shard, _: CleanConfig) -> Rows:
    lowest = np.minimum(np.minimum(shard.open, shard.high), np.minimum(shard.low, shard.close))
    return np.flatnonzero(lowest <= 0.0)


def _high_below_low(shard: Shard, _: CleanConfig) -> Rows:
    return np.flatnonzero(shard.high < shard.low)


def _missing_volume(shard: Shard, _: CleanConfig) -> Rows:
    return np.flatnonzero(shard.volume == NO_VOLUME)


def _negative_volume(shard: Shard, _: CleanConfig) -> Rows:
    return np.flatnonzero((shard.volume < 0) & (shard.volume != NO_VOLUME))


def _superseded(shard: Shard) -> tuple[Rows, Rows]:
    """Sound rows that are followed by another sound row of the same bar, and the last row of that bar for each."""
    rows = np.arange(len(shard.key))[shard.kept()]
    key = shard.key[rows]
    again = np.flatnonzero(key[1:] == key[:-1])
    if not len(again):
        return _NOTHING, _NOTHING
    last = np.searchsorted(key, key[again], side="right") - 1
    return rows[again], rows[last]


def _duplicate_exact(shard: Shard, _: CleanConfig) -> Rows:
    earlier, last = _superseded(shard)
    same = shard.volume[earlier] == shard.volume[last]
    for values in (shard.open, shard.high, shard.low, shard.close, shard.adj_close):
        same &= (values[earlier] == values[last]) | (np.isnan(values[earlier]) & np.isnan(values[last]))
    copies: Rows = earlier[same]
    return copies


def _duplicate_conflict(shard: Shard, _: CleanConfig) -> Rows:
    return _superseded(shard)[0]


RULES: tuple[Rule, ...] = (
    Rule("unreadable_key", "the row", "no ticker, or a date that is none", _unreadable_key),
    Rule("off_calendar", "the row", "the exchange had no session on that date", _off_calendar),
    Rule("missing_price", "the row", "open, high, low or close is no number", _missing_price),
    Rule("non_positive_price", "the row", "a price of zero or less", _non_positive_price),
    Rule("high_below_low", "the row", "high is below low", _high_below_low),
    Rule("missing_volume", "the row", "volume is no number", _missing_volume),
    Rule("negative_volume", "the row", "volume is below zero", _negative_volume),
    Rule(
        "duplicate_exact",
        "rows of the same bar",
        "a later sound row of the same bar says the same",
        _duplicate_exact,
        gated=False,
    ),
    Rule(
        "duplicate_conflict",
        "rows of the same bar",
        "a later sound row of the same bar says otherwise: the last to arrive stands",
        _duplicate_conflict,
    ),
    Rule("outlier", "trailing bars", "close is far from the bar before and from the trailing level", outliers),
    Rule(
        "short_gap",
        "trailing sessions",
        "a session without a sound bar, soon after one: the last close is carried on with volume 0",
        action="fill",
        gated=False,
    ),
)
"""Every rule of cleaning, in order."""


def refuse(shard: Shard, config: CleanConfig) -> None:
    """Writes the verdict of every rule that refuses into the shard."""
    for number, rule in enumerate(RULES, 1):
        if rule.find is not None:
            rows = rule.find(shard, config)
            shard.verdict[rows[shard.verdict[rows] == 0]] = number
