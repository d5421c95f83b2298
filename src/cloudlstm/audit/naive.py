"""The ways in which exogenous values are joined without asking when they were published."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm.audit.panel import Ints, Panel, Values
from cloudlstm.exogenous.asof import Bars, last_seen
from cloudlstm.exogenous.cuts import Cuts
from cloudlstm.exogenous.rows import MARKET, Rows, rows_of
from cloudlstm.exogenous.summaries import summarise
from cloudlstm.market import columns

_DAY_S = 86_400
_DAY_US = 86_400_000_000.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """One naive join of a series to the rows of a table.

    Attributes:
        series: The series.
        how: The join in a few words.
        values: What it shows (rows,).
        known: What the as-of join shows (rows,).
        early: Rows in which it shows something that was published after their limit (rows,).
        days_early: How many days after (rows,).
        compared: The rows in which a column that was joined so has to equal it (rows,).
    """

    series: str
    how: str
    values: Values
    known: Values
    early: NDArray[np.bool_]
    days_early: Values
    compared: NDArray[np.bool_]


def candidates_of(table: pa.Table, panel: Panel, limit: Ints) -> Iterator[Candidate]:
    """Yields the naive joins of all series, each in the row of its date and in the row after it.

    Args:
        table: A table of EXOGENOUS.
        panel: The table to check.
        limit: Up to when each time of it knows what was published, in microseconds of UTC (steps,).
    """
    steps = np.arange(len(limit), dtype=np.int32)
    bars = Bars(panel.entity + 1, panel.step, Cuts(steps, limit, steps))
    for series in sorted(pc.unique(table.column("series")).drop_null().to_pylist()):
        rows = rows_of(table, series, list(panel.entities))
        if not len(rows):
            continue
        for candidate in (*_by_period(rows, panel, bars), *_by_date(rows, panel, bars)):
            named = replace(candidate, series=series)
            yield named
            yield _a_row_later(named, panel, limit)


def _by_period(rows: Rows, panel: Panel, bars: Bars) -> Iterator[Candidate]:
    """The newest period by date or month, in its first or last version; and the last version as of the first."""
    seen = last_seen(rows, bars, by_period=True)
    known = np.append(rows.value, np.nan)[seen]
    own = np.isin(panel.entity + 1, rows.entity)
    entity = np.where(own, panel.entity + 1, MARKET)
    days = panel.seconds // _DAY_S
    month_end = (days.astype("datetime64[D]").astype("datetime64[M]") + 1).astype("datetime64[D]").astype(np.int64) - 1
    base = int(min(rows.period.min(), days.min()))
    span = int(max(rows.period.max(), month_end.max())) - base + 2
    order = np.lexsort((rows.vintage, rows.available_at, rows.period, rows.entity))
    key = rows.entity[order] * span + (rows.period[order] - base)
    starts = columns.group_starts(key)
    ends = np.append(starts[1:], len(order)) - 1
    last_version = np.empty(len(order), np.int64)
    last_version[order] = np.repeat(order[ends], ends - starts + 1)
    shown = last_version[seen]  # the right day with the number of a later one, where series are revised
    yield _candidate("its time of publication, in its last version", np.where(seen >= 0, rows.value[shown], np.nan),
                     known, rows.available_at[shown], seen >= 0, panel, bars)  # fmt: skip
    for how, up_to in (("its period", days), ("its month", month_end)):
        place = np.searchsorted(key[starts], entity * span + (up_to[panel.step] - base), side="right") - 1
        found = (place >= 0) & (rows.entity[order[starts[place]]] == entity)
        for version, chosen in (("", starts), (", in its last version", ends)):
            shown = order[chosen[place]]
            yield _candidate(how + version, np.where(found, rows.value[shown], np.nan), known,
                             rows.available_at[shown], found, panel, bars)  # fmt: skip


def _by_date(rows: Rows, panel: Panel, bars: Bars) -> Iterator[Candidate]:
    """What is about the very date of a row; of several values their number, mean, sum and strongest."""
    span = int(rows.period.max()) - int(rows.period.min()) + 2
    base = int(rows.period.min())
    key = rows.entity * span + (rows.period - base)
    order = np.argsort(key, kind="stable")
    starts = columns.group_starts(key[order])
    group = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(order))))
    values = rows.value[order]
    count = np.bincount(group).astype(np.float64)
    total = np.bincount(group, values)
    latest = np.maximum.reduceat(rows.available_at[order], starts)
    by_size = np.lexsort((np.abs(values), group))
    strongest = values[by_size[np.cumsum(count).astype(np.int64) - 1]]

    own = np.isin(panel.entity + 1, rows.entity)
    entity = np.where(own, panel.entity + 1, MARKET)
    day = (panel.seconds // _DAY_S)[panel.step] - base
    wanted = np.where((day >= 0) & (day < span), entity * span + day, -1)
    at = np.minimum(np.searchsorted(key[order][starts], wanted), len(starts) - 1)
    found = key[order][starts][at] == wanted
    if len(starts) == len(rows):  # one value a date needs no summary
        newest = np.append(rows.value, np.nan)[last_seen(rows, bars, by_period=True)]
        yield _candidate("its date", np.where(found, total[at], np.nan), newest, latest[at], found, panel, bars)
        return
    known = summarise(rows, bars)
    for how, naive, seen in (
        ("its date as their number", count, known.count),
        ("its date as their mean", total / count, known.mean),
        ("its date as their sum", total, np.where(known.count > 0, known.mean * known.count, 0.0)),
        ("its date as the strongest", strongest, known.strongest),
    ):
        yield _candidate(how, np.where(found, naive[at], np.nan), seen, latest[at], found, panel, bars)


def _candidate(
    how: str, values: Values, known: Values, available_at: Ints, found: NDArray[np.bool_], panel: Panel, bars: Bars
) -> Candidate:
    after = (available_at - bars.cuts.cuts[panel.step]) / _DAY_US
    return Candidate("", how, values, known, found & (after > 0), after, found)


def _a_row_later(candidate: Candidate, panel: Panel, limit: Ints) -> Candidate:
    """The same join with every value one row later, as after a shift."""
    rows = np.arange(panel.rows) - 1
    first = panel.nth == 0
    rows[first] = 0
    waited = (limit[panel.step] - limit[panel.step[rows]]) / _DAY_US
    after = candidate.days_early[rows] - waited
    return replace(
        candidate,
        how=f"{candidate.how} and shifted by one row",
        values=np.where(first, np.nan, candidate.values[rows]),
        early=candidate.compared[rows] & (after > 0) & ~first,
        days_early=after,
        compared=candidate.compared[rows] & ~first,
    )
