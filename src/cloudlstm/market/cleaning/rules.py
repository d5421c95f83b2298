"""The rules of cleaning, in the order in which they are asked: the first that refuses a row gives the reason.

A rule may look at the row itself, at other rows of the same bar, and at earlier bars of the same ticker. Then what is
known of a bar at its close never changes when later bars come, and no feature can have seen the future. A rule that
looks at later bars too may only withdraw labels: the bar stays an input as it stood.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cloudlstm.config import CleanConfig
from cloudlstm.market import columns
from cloudlstm.market.cleaning.levels import level_shifts, odd_adjustments, outliers, reverted_spikes, unmarked_splits
from cloudlstm.market.cleaning.shard import NO_SESSION, NO_VOLUME, Shard

Rows = NDArray[np.intp]
Action = Literal["refuse", "divide", "withdraw", "note", "fill"]

_MOST_RANGE = 5.0
_MOST_OUTSIDE = 1.25
_STALE_BARS = 21


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that can be wrong with a bar.

    Attributes:
        reason: The code in the quarantine and in the report.
        looks_at: What the verdict on bar t depends on.
        meaning: For people.
        find: The rows that it is about, given that those with a verdict are refused already; None for rules that fill.
        action: "refuse" moves the row to the quarantine; "divide" begins a segment with it; "withdraw" takes its label
            and those that end in it; "note" only counts it; "fill" puts a bar where one is missing.
        gated: Whether a refused row counts against the quality gate: an exact copy of a bar costs nothing.
    """

    reason: str
    looks_at: Literal["the row", "rows of the same bar", "trailing bars", "trailing sessions", "bars before and after"]
    meaning: str
    find: Callable[[Shard, CleanConfig], Rows] | None = None
    action: Action = "refuse"
    gated: bool = True

    @property
    def causal(self) -> bool:
        """Whether no bar after t has a say; the others withdraw labels."""
        return self.looks_at != "bars before and after"


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


def _no_trade(shard: Shard, _: CleanConfig) -> Rows:
    rows: Rows = np.flatnonzero(shard.high == 0.0)
    empty: Rows = rows[(shard.open[rows] == 0.0) & (shard.low[rows] == 0.0) & (shard.volume[rows] == 0)]
    return empty


def _missing_open(shard: Shard, _: CleanConfig) -> Rows:
    rows: Rows = np.flatnonzero(shard.open == 0.0)
    alone: Rows = rows[(shard.high[rows] > 0.0) & (shard.low[rows] > 0.0) & (shard.close[rows] > 0.0)]
    return alone


def _non_positive_price(shard: Shard, _: CleanConfig) -> Rows:
    lowest = np.minimum(np.minimum(shard.open, shard.high), np.minimum(shard.low, shard.close))
    return np.flatnonzero(lowest <= 0.0)


def _high_below_low(shard: Shard, _: CleanConfig) -> Rows:
    return np.flatnonzero(shard.high < shard.low)


def _price_outside_range(shard: Shard, _: CleanConfig) -> Rows:
    outside = np.maximum(shard.open, shard.close) > shard.high * _MOST_OUTSIDE
    outside |= np.minimum(shard.open, shard.close) * _MOST_OUTSIDE < shard.low
    return np.flatnonzero(outside)


def _wild_range(shard: Shard, _: CleanConfig) -> Rows:
    return np.flatnonzero(shard.high > shard.low * _MOST_RANGE)


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


def _untraded(shard: Shard, among: Rows | slice) -> tuple[Rows, NDArray[np.intp], NDArray[np.intp]]:
    """Of the rows `among` these: those without a trade, how many of the last 21 were so, and where the next 21 end."""
    idle = np.flatnonzero(shard.volume[among] == 0)  # few: one pass over the shard, the rest over them
    rows = idle if isinstance(among, slice) else among[idle]
    flat = (shard.high[rows] == shard.low[rows]) & (shard.open[rows] == shard.close[rows])
    idle, rows = idle[flat], rows[flat]
    rank, nth = shard.rank[rows], np.arange(len(rows))
    first, last = np.searchsorted(rank, rank, side="left"), np.searchsorted(rank, rank, side="right")
    until_now = nth - np.maximum(np.searchsorted(idle, idle - _STALE_BARS, side="right"), first) + 1
    to_come = np.minimum(np.searchsorted(idle, idle + _STALE_BARS, side="left"), last)
    return rows, until_now, to_come


def _stale(shard: Shard, config: CleanConfig) -> Rows:
    rows, untraded, _ = _untraded(shard, shard.kept())
    return rows[untraded > config.max_stale_bars]


def _stale_begin(shard: Shard, _: CleanConfig) -> Rows:
    # Rows that were refused as stale, or later, stood among the others when staleness was counted.
    among = np.flatnonzero((shard.verdict == 0) | (shard.verdict >= _NUMBER["stale"]))
    rows, _now, to_come = _untraded(shard, among)
    stale = np.append(0, np.cumsum(shard.verdict[rows] == _NUMBER["stale"]))
    kept = shard.verdict[rows] == 0
    begin: Rows = rows[kept & (stale[to_come] > stale[:-1])]
    return begin


RULES: tuple[Rule, ...] = (
    Rule("unreadable_key", "the row", "no ticker, or a date that is none", _unreadable_key),
    Rule("off_calendar", "the row", "the exchange had no session on that date", _off_calendar),
    Rule("missing_price", "the row", "open, high, low or close is no number", _missing_price),
    Rule(
        "no_trade", "the row", "open, high, low and volume are 0: how some vendors say that nothing traded", _no_trade
    ),
    Rule("missing_open", "the row", "open is 0 while high, low and close are prices", _missing_open),
    Rule("non_positive_price", "the row", "a price of zero or less", _non_positive_price),
    Rule("high_below_low", "the row", "high is below low", _high_below_low),
    Rule(
        "price_outside_range",
        "the row",
        "open or close is above high or below low by more than a quarter: a row of two series",
        _price_outside_range,
    ),
    Rule("wild_range", "the row", "high is more than five times low", _wild_range),
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
    Rule(
        "stale",
        "trailing bars",
        "one price and no volume, as in more than `max_stale_bars` of the last 21 bars: not listed yet, or no longer",
        _stale,
        gated=False,
    ),
    Rule(
        "outlier",
        "trailing bars",
        "close is far from the bar before and from the trailing level, and neither trading nor a split nor a dividend "
        "explains it",
        outliers,
    ),
    Rule(
        "unmarked_split",
        "trailing bars",
        "close jumps by a simple ratio that adj_close does not have, or with volume changed against it",
        unmarked_splits,
        action="divide",
    ),
    Rule(
        "level_shift",
        "trailing bars",
        "close is far from the last sound bar, unexplained, and confirmed: another unit or an unknown event",
        level_shifts,
        action="divide",
    ),
    Rule(
        "stale_begin",
        "bars before and after",
        "no trade, and kept because there had been few such bars, but a stale one came within 21",
        _stale_begin,
        action="withdraw",
    ),
    Rule(
        "reverted_spike",
        "bars before and after",
        "close is far from the bars before and after it, which agree",
        reverted_spikes,
        action="withdraw",
    ),
    Rule(
        "odd_adjustment",
        "trailing bars",
        "adj_close is no price, or changes against close by a tenth or more where close shows no dividend and no split",
        odd_adjustments,
        action="note",
    ),
    Rule(
        "short_gap",
        "trailing sessions",
        "a session without a sound bar, soon after one: the last close is carried on with volume 0",
        action="fill",
        gated=False,
    ),
)
"""Every rule of cleaning, in order."""


_NUMBER = {rule.reason: number for number, rule in enumerate(RULES, 1)}


def of_action(action: Action) -> tuple[Rule, ...]:
    """The rules that do this, in order."""
    return tuple(rule for rule in RULES if rule.action == action)


def refuse(shard: Shard, config: CleanConfig) -> None:
    """Writes the verdict of every rule that refuses into the shard."""
    for rule in of_action("refuse"):
        if rule.find is not None:
            rows = rule.find(shard, config)
            shard.verdict[rows[shard.verdict[rows] == 0]] = _NUMBER[rule.reason]


def find(shard: Shard, config: CleanConfig) -> dict[str, Rows]:
    """By reason, the kept rows that the rules which refuse nothing are about.

    Args:
        shard: After `refuse`.
        config: How strict to be.
    """
    rules = [rule for rule in RULES if rule.action not in ("refuse", "fill")]
    return {rule.reason: rule.find(shard, config) for rule in rules if rule.find is not None}
