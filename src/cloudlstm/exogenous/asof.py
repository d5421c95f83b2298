"""The newest value of a series as it was known at the cut of each bar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudlstm.exogenous.cuts import Cuts
from cloudlstm.exogenous.rows import MARKET, Rows

_DAY_US = 86_400_000_000.0


@dataclass(frozen=True, slots=True)
class Bars:
    """The bars that get columns.

    Attributes:
        entity: 1 + the number of the ticker of each bar (bars,).
        place: The place of its cut; -1 if there is none at or before its date (bars,).
        cuts: The cuts.
    """

    entity: NDArray[np.int64]
    place: NDArray[np.int64]
    cuts: Cuts


@dataclass(frozen=True, slots=True)
class Newest:
    """What was known at the cut of each bar; NaN where nothing was known, or for too long.

    Attributes:
        value: The value (bars,).
        age_days: Days from the time at which it became available to the cut (bars,).
    """

    value: NDArray[np.float64]
    age_days: NDArray[np.float64]


def newest(rows: Rows, bars: Bars, max_age_days: int, *, by_period: bool) -> Newest:
    """Returns the newest value of a series as of the cut of each bar.

    Of the rows with available_at <= cut it is the newest period, in its latest available version: the last by (period,
    available_at, vintage). The last by available_at would be wrong for series that are revised: a late correction of
    an old month would hide the newer month that is known already.

    A bar uses the rows of its ticker if one of them was available at its cut, else those of the whole market. Whether
    a ticker has rows is asked as of the cut too, since a first row of later may not change an earlier bar.

    Args:
        rows: The rows of the series.
        bars: The bars.
        max_age_days: Value and age are missing if the value has been available for longer.
        by_period: False takes the last by available_at, as for headlines, whose period says nothing of their order.
    """
    row = last_seen(rows, bars, by_period=by_period)
    known = row >= 0
    value = np.append(rows.value, np.nan)[row]
    since = np.append(rows.available_at, 0)[row]
    cut = np.append(bars.cuts.cuts, 0)[bars.place]
    age = np.where(known, (cut - since) / _DAY_US, np.nan)
    fresh = age <= max_age_days
    return Newest(np.where(fresh, value, np.nan), np.where(fresh, age, np.nan))


def last_seen(rows: Rows, bars: Bars, *, by_period: bool) -> NDArray[np.int64]:
    """Returns the row that each bar sees as the newest; -1 if it sees none (bars,)."""
    n_places = len(bars.cuts.cuts)
    if not len(rows) or not n_places:
        return np.full(len(bars.place), -1, np.int64)
    # Rows come by entity and time, so the first bar that sees a row never decreases within an entity.
    place = rows.entity * (n_places + 1) + bars.cuts.first_that_sees(rows.available_at)
    if by_period:
        order = np.lexsort((np.arange(len(rows)), rows.vintage, rows.available_at, rows.period, rows.entity))
        rank = np.empty(len(rows), np.int64)
        rank[order] = np.arange(len(rows))
        # All ranks of an entity are above those of the entities before it, so the maximum starts anew with each.
        best = order[np.maximum.accumulate(rank)]
    else:
        best = np.arange(len(rows))
    return lookup(place, rows.entity, best, bars)


def lookup(
    place: NDArray[np.int64], entity: NDArray[np.int64], best: NDArray[np.int64], bars: Bars
) -> NDArray[np.int64]:
    """Returns the entry of `best` at the last place of each bar's ticker up to its own, else of the market; or -1.

    Args:
        place: entity * (places + 1) + place, ascending (rows,).
        entity: The entity (rows,).
        best: What is looked up (rows,).
        bars: The bars.
    """
    n_places = len(bars.cuts.cuts)
    # Of the market, one row for each place; bars then take them, which is much faster than a search for each bar.
    at = np.searchsorted(place, MARKET * (n_places + 1) + np.arange(n_places), side="right") - 1
    market = np.append(np.where(at >= 0, best[at], -1), -1)
    found: NDArray[np.int64] = market[bars.place]
    own = np.unique(entity[entity != MARKET])
    if len(own):
        has_rows = np.zeros(int(max(bars.entity.max(initial=0), own[-1])) + 1, np.bool_)
        has_rows[own] = True
        asking = np.flatnonzero(has_rows[bars.entity] & (bars.place >= 0))
        wanted = bars.entity[asking] * (n_places + 1) + bars.place[asking]
        at = np.searchsorted(place, wanted, side="right") - 1
        hit = (at >= 0) & (entity[at] == bars.entity[asking])
        found[asking[hit]] = best[at[hit]]
    return found
