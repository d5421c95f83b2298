"""The rules of cleaning, in the order in which they are applied. The first rule that rejects a row gives the reason.

A rule may use the row itself, other rows of the same bar, and earlier bars of the same ticker. So what is known about a
bar at its close never changes when later bars arrive, and no feature uses the future. A rule that uses later bars may
only drop labels: the bar stays an input, unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cloudlstm.config import CleanConfig
from cloudlstm.market.cleaning.levels import level_shifts, odd_adjustments, outliers, reverted_spikes, unmarked_splits
from cloudlstm.market.cleaning.row_faults import (
    between_starts,
    carried_row,
    empty_row,
    high_below_low,
    missing_open,
    missing_price,
    missing_volume,
    negative_volume,
    no_trade,
    non_positive_price,
    off_calendar,
    outside_session,
    price_outside_range,
    text_line,
    unreadable_key,
    unreadable_value,
    wild_range,
)
from cloudlstm.market.cleaning.shard import Shard

Rows = NDArray[np.intp]
Action = Literal["reject", "start_segment", "drop_label", "note", "fill"]

_STALE_BARS = 21


@dataclass(frozen=True, slots=True)
class Rule:
    """One fault that a bar can have.

    Attributes:
        reason: The code in the quarantine and in the report.
        looks_at: The data that the result for bar t depends on.
        meaning: A sentence for users.
        find: Returns the rows with this fault; rejected rows carry a verdict already. None for rules that fill.
        action: "reject" moves the row to the quarantine; "start_segment" starts a segment at the row;
            "drop_label" removes the labels that start or end at the row; "note" only counts it;
            "fill" adds a missing bar.
        gated: True if a rejected row counts in the quality gate. Exact copies, empty rows, carried rows and stale bars
            do not: no data is lost.
    """

    reason: str
    looks_at: Literal["the row", "rows of the same bar", "trailing bars", "trailing sessions", "bars before and after"]
    meaning: str
    find: Callable[[Shard, CleanConfig], Rows] | None = None
    action: Action = "reject"
    gated: bool = True

    @property
    def causal(self) -> bool:
        """True if the result for bar t does not depend on later bars. Other rules only drop labels."""
        return self.looks_at != "bars before and after"


_NOTHING: Rows = np.empty(0, np.intp)


def _superseded(shard: Shard) -> tuple[Rows, Rows]:
    """Returns valid rows that a later valid row of the same bar replaces, and that bar's last row for each of them."""
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


def _idle_rows(shard: Shard, among: Rows | slice) -> tuple[Rows, NDArray[np.intp], NDArray[np.intp]]:
    """Returns the rows without a trade `among` these rows, with two numbers for each.

    The first is how many of the last 21 rows had no trade. The second is the index, in the result, after the last row
    without a trade within the next 21 rows. For bars within a day, 21 sessions of rows.
    """
    stale_bars = _STALE_BARS * shard.scale.bars_a_session
    idle = np.flatnonzero(shard.volume[among] == 0)  # few: one pass over the shard, the rest over them
    rows = idle if isinstance(among, slice) else among[idle]
    flat = (shard.high[rows] == shard.low[rows]) & (shard.open[rows] == shard.close[rows])
    idle, rows = idle[flat], rows[flat]
    rank, nth = shard.rank[rows], np.arange(len(rows))
    first, last = np.searchsorted(rank, rank, side="left"), np.searchsorted(rank, rank, side="right")
    until_now = nth - np.maximum(np.searchsorted(idle, idle - stale_bars, side="right"), first) + 1
    to_come = np.minimum(np.searchsorted(idle, idle + stale_bars, side="left"), last)
    return rows, until_now, to_come


def _stale(shard: Shard, config: CleanConfig) -> Rows:
    rows, n_idle, _ = _idle_rows(shard, shard.kept())
    return rows[n_idle > config.max_stale_bars * shard.scale.bars_a_session]


def _stale_begin(shard: Shard, _: CleanConfig) -> Rows:
    # Rows that were rejected as stale, or by a later rule, were counted when staleness was decided.
    among = np.flatnonzero((shard.verdict == 0) | (shard.verdict >= _NUMBER["stale"]))
    rows, _now, to_come = _idle_rows(shard, among)
    stale = np.append(0, np.cumsum(shard.verdict[rows] == _NUMBER["stale"]))
    kept = shard.verdict[rows] == 0
    begin: Rows = rows[kept & (stale[to_come] > stale[:-1])]
    return begin


RULES: tuple[Rule, ...] = (
    Rule(
        "text_line",
        "the row",
        "a line of text, such as a footnote, or the header once more: it is no bar",
        text_line,
        gated=False,
    ),
    Rule(
        "unreadable_key",
        "the row",
        "the ticker is missing, or the date is missing or not a date",
        unreadable_key,
    ),
    Rule(
        "empty_row",
        "the row",
        "no price, and no volume or a volume of 0: a date that was listed without a bar",
        empty_row,
        gated=False,
    ),
    Rule(
        "carried_row",
        "trailing bars",
        "the exchange had no session on that date, and the row repeats the row before: it was carried forward",
        carried_row,
        gated=False,
    ),
    Rule("off_calendar", "the row", "the exchange had no session on that date", off_calendar),
    Rule(
        "outside_session",
        "the row",
        "a bar within a day before the open, after the close or in the break of the session: extended hours",
        outside_session,
        gated=False,
    ),
    Rule(
        "between_starts",
        "the row",
        "a bar within a day at a moment at which no bar of `market.interval` starts",
        between_starts,
    ),
    Rule(
        "unreadable_value",
        "the row",
        "a price or the volume is there but is no number that was understood; the column `unreadable` has its text",
        unreadable_value,
    ),
    Rule("missing_price", "the row", "open, high, low or close is missing", missing_price),
    Rule(
        "no_trade",
        "the row",
        "open, high, low and volume are 0: some vendors write this for a day without trades",
        no_trade,
    ),
    Rule("missing_open", "the row", "open is 0 while high, low and close are prices", missing_open),
    Rule("non_positive_price", "the row", "a price of zero or less", non_positive_price),
    Rule("high_below_low", "the row", "high is below low", high_below_low),
    Rule(
        "price_outside_range",
        "the row",
        "open or close is above high or below low by more than a quarter: the row mixes two series",
        price_outside_range,
    ),
    Rule("wild_range", "the row", "high is more than five times low", wild_range),
    Rule("missing_volume", "the row", "volume is missing", missing_volume),
    Rule("negative_volume", "the row", "volume is below zero", negative_volume),
    Rule(
        "duplicate_exact",
        "rows of the same bar",
        "a later valid row of the same bar has the same values",
        _duplicate_exact,
        gated=False,
    ),
    Rule(
        "duplicate_conflict",
        "rows of the same bar",
        "a later valid row of the same bar has other values: the last one to arrive is kept",
        _duplicate_conflict,
    ),
    Rule(
        "stale",
        "trailing bars",
        "one price and no volume, as in more than `max_stale_bars` of the last 21 bars: not yet listed, or delisted",
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
        "close jumps by a simple ratio and adj_close does not, or volume changes in the opposite direction",
        unmarked_splits,
        action="start_segment",
    ),
    Rule(
        "level_shift",
        "trailing bars",
        "close is far from the last valid bar, unexplained, and confirmed: another unit or an unknown event",
        level_shifts,
        action="start_segment",
    ),
    Rule(
        "stale_begin",
        "bars before and after",
        "no trade; kept because few earlier bars were like it, but a stale bar follows within 21 bars",
        _stale_begin,
        action="drop_label",
    ),
    Rule(
        "reverted_spike",
        "bars before and after",
        "close is far from the bars before and after it, and these two agree",
        reverted_spikes,
        action="drop_label",
    ),
    Rule(
        "odd_adjustment",
        "trailing bars",
        "adj_close is not a price, or adj_close / close changes by a tenth or more without a dividend or split",
        odd_adjustments,
        action="note",
    ),
    Rule(
        "short_gap",
        "trailing sessions",
        "no valid bar in this session, but one shortly before: filled with the last close and volume 0",
        action="fill",
        gated=False,
    ),
)
"""All rules of cleaning, in order."""


_NUMBER = {rule.reason: number for number, rule in enumerate(RULES, 1)}


def of_action(action: Action) -> tuple[Rule, ...]:
    """Returns the rules with this action, in order."""
    return tuple(rule for rule in RULES if rule.action == action)


def reject(shard: Shard, config: CleanConfig) -> None:
    """Applies all rules that reject rows, and writes their verdicts into the shard."""
    for rule in of_action("reject"):
        if rule.find is not None:
            rows = rule.find(shard, config)
            shard.verdict[rows[shard.verdict[rows] == 0]] = _NUMBER[rule.reason]


def find(shard: Shard, config: CleanConfig) -> dict[str, Rows]:
    """Returns the kept rows that the other rules find, by reason. Call `reject` first."""
    rules = [rule for rule in RULES if rule.action not in ("reject", "fill")]
    return {rule.reason: rule.find(shard, config) for rule in rules if rule.find is not None}
