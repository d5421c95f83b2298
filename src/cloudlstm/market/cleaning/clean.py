"""Cleans one shard: keeps valid bars, rejects the others with a reason, and fills short gaps.

Every input row is either kept or rejected; filled bars are marked. Cleaning uses no later bars: what happens to a
session depends on that session and earlier ones. So a gap is filled after every valid bar, even if no other bar
follows, and a filled bar does not prove that the market was open. Rules that need later bars only drop labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.config import CleanConfig
from cloudlstm.market import bars, columns
from cloudlstm.market.cleaning.duplicate_series import Sketches, sketches
from cloudlstm.market.cleaning.rules import RULES, Action, Rows, find, of_action, reject
from cloudlstm.market.cleaning.shard import Shard
from cloudlstm.market.grid import Grid

FILL = "fill"
"""Value of the column "source" in filled bars."""

_NO_ROWS: Rows = np.empty(0, np.intp)

Counts = dict[str, dict[str, int]]
"""By ticker: "rows", "kept", "filled", and the number of rows that each rule found. "" is an unreadable ticker."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """The result of cleaning a shard.

    Attributes:
        bars: CLEANED table: unique bars, sorted by (ticker, date).
        quarantine: QUARANTINE table: the rejected rows, in their order.
        counts: Numbers of rows by ticker, JSON-ready.
        examples: By reason: the first row that was rejected for it, as text such as "close='12,3x' in bars.csv".
        sketches: MinHash sketches by ticker, JSON-ready; see duplicate_series.py.
    """

    bars: pa.Table
    quarantine: pa.Table
    counts: Counts
    examples: dict[str, str]
    sketches: Sketches


def clean(raw: pa.Table, config: CleanConfig, sessions: NDArray[np.int32], grid: Grid | None = None) -> Cleaned:
    """Cleans the bars of one shard.

    Args:
        raw: BARS table of whole tickers; rows with equal (ticker, date) in order of arrival.
        config: The limits of the rules.
        sessions: All sessions in the run's date range, as days since 1970-01-01, sorted; for bars within a day the
            starts of all bars.
        grid: The trading hours, for bars within a day; None for daily bars.
    """
    raw = bars.sort(bars.conform(raw, bars.BARS))
    shard = Shard.of(raw, sessions, grid)
    reject(shard, config)
    found = find(shard, config)
    kept = shard.kept()
    starts_segment, drops_label = (_marked(shard, found, action)[kept] for action in ("start_segment", "drop_label"))
    rank, session = shard.rank[kept], shard.session[kept]
    may_fill = np.full(len(session), config.max_fill_bars, np.int32)
    if grid and not grid.bridged:
        place = grid.place_of(shard.day[kept])
        starts_segment[1:] |= place[1:] != place[:-1]
        np.minimum(may_fill, grid.left(session), out=may_fill)
    runs = _runs(rank, session, starts_segment, len(sessions), may_fill)
    cleaned = _cleaned(raw, shard, kept, runs, drops_label, sessions)
    counts = _counts(shard, kept, runs.copies, found)
    return Cleaned(cleaned, _quarantine(raw, shard), counts, _examples(raw, shard), sketches(shard))


def _marked(shard: Shard, found: Mapping[str, Rows], action: Action) -> NDArray[np.bool_]:
    """Marks the rows that a rule with this action has found."""
    marked = np.zeros(len(shard.verdict), bool)
    for rule in of_action(action):
        marked[found[rule.reason]] = True
    return marked


@dataclass(frozen=True, slots=True)
class _Runs:
    """For each kept bar: its number of output rows (itself and the bars that it fills), and its segment."""

    copies: NDArray[np.int32]
    segment: NDArray[np.int32]


def _runs(
    rank: NDArray[np.int32],
    session: NDArray[np.int32],
    starts_segment: NDArray[np.bool_],
    n_sessions: int,
    may_fill: NDArray[np.int32],
) -> _Runs:
    """Counts the bars to fill after each kept bar, and numbers the segments of each ticker."""
    missing = np.empty(len(session), np.int32)  # number of sessions without a bar before the ticker's next bar
    starts = columns.group_starts(rank)
    if len(session):
        np.subtract(session[1:], session[:-1], out=missing[:-1])
        missing[:-1] -= 1
        last = np.append(starts[1:], len(rank)) - 1
        missing[last] = n_sessions - 1 - session[last]
    # A segment starts after a gap that is too long to fill, and where a rule says so.
    breaks = np.flatnonzero((missing[:-1] > may_fill[:-1]) | starts_segment[1:]) + 1
    breaks = breaks[rank[breaks] == rank[breaks - 1]]
    segment = np.zeros(len(rank), np.int32)
    if len(breaks):
        segment[breaks] = 1
        np.cumsum(segment, out=segment)
        before = segment[starts]
        segment -= np.repeat(before, np.diff(np.append(starts, len(rank))))
    return _Runs(np.minimum(missing, may_fill, out=missing) + 1, segment)


def _cleaned(
    raw: pa.Table,
    shard: Shard,
    kept: Rows | slice,
    runs: _Runs,
    drops_label: NDArray[np.bool_],
    sessions: NDArray[np.int32],
) -> pa.Table:
    """Returns the kept bars, each followed by the bars that it fills."""
    filled_after = runs.copies - 1
    if isinstance(kept, slice) and not filled_after.any():
        added = {"segment": runs.segment, "filled": np.zeros(len(raw), bool), "withdrawn": drops_label}
        raw = raw.select(bars.VALUES.names)
        for name, values in added.items():
            raw = raw.append_column(name, pa.array(values))
        return raw
    rows = np.arange(len(shard.day))[kept]
    source = np.repeat(rows, runs.copies)
    filler = np.flatnonzero(filled_after)
    first = (np.cumsum(runs.copies) - runs.copies)[filler]  # row of each filling bar in the output
    length = filled_after[filler]
    nth = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length) + 1
    fills = np.repeat(first, length) + nth

    day = shard.day[source]
    day[fills] = sessions[np.repeat(shard.session[rows[filler]], length) + nth]
    close = shard.close[source]
    prices = []
    for values in (shard.open, shard.high, shard.low):
        price = values[source]
        price[fills] = close[fills]
        prices.append(price)
    volume = shard.volume[source]
    volume[fills] = 0
    filled = np.zeros(len(source), bool)
    filled[fills] = True
    code, values_of_code = columns.codes(raw.column("source"))
    names = [name or "" for name in values_of_code]
    if FILL not in names:
        names.append(FILL)
    code = code[source]
    code[fills] = names.index(FILL)
    adj_close = columns.from_floats(shard.adj_close[source], nullable=raw.column("adj_close").null_count > 0)
    arrays = [
        columns.from_codes(shard.rank[source], shard.names),
        columns.from_days(day, raw.schema.field("date").type),
        *(pa.array(price) for price in (*prices, close)),
        adj_close,
        pa.array(volume),
        columns.from_codes(code, names),
        pa.array(np.repeat(runs.segment, runs.copies)),
        pa.array(filled),
        pa.array(np.repeat(drops_label, runs.copies) & ~filled),
    ]
    return pa.table(arrays, names=bars.CLEANED.names)


def _quarantine(raw: pa.Table, shard: Shard) -> pa.Table:
    """Returns the rejected rows with their reasons."""
    rows = np.flatnonzero(shard.verdict)
    reason = columns.from_codes(shard.verdict[rows].astype(np.int32) - 1, [rule.reason for rule in RULES])
    rejected = raw.take(pa.array(rows)) if len(rows) else raw.slice(0, 0)
    return rejected.append_column("reason", reason)


def _counts(shard: Shard, kept: Rows | slice, copies: NDArray[np.int32], found: Mapping[str, Rows]) -> Counts:
    """Counts rows by ticker: in total, kept, filled, and by rule."""
    names = [*shard.names, ""]
    rank = shard.rank[kept]
    columns_of_counts = {
        "rows": np.bincount(shard.rank, minlength=len(names)),
        "kept": np.bincount(rank, minlength=len(names)),
        "filled": np.bincount(rank, weights=copies - 1, minlength=len(names)).astype(np.int64),
    }
    for number, rule in enumerate(RULES, 1):
        rows = found[rule.reason] if rule.reason in found else np.flatnonzero(shard.verdict == number)
        if len(rows):
            columns_of_counts[rule.reason] = np.bincount(shard.rank[rows], minlength=len(names))
    always = ("rows", "kept", "filled")
    by_ticker = zip(names, zip(*(values.tolist() for values in columns_of_counts.values()), strict=True), strict=True)
    return {
        name: {what: n for what, n in zip(columns_of_counts, row, strict=True) if n or what in always}
        for name, row in by_ticker
        if row[0]
    }


def _examples(raw: pa.Table, shard: Shard) -> dict[str, str]:
    """Returns the first row that was rejected for each reason that the quality gate counts, as text for a message."""
    examples: dict[str, str] = {}
    if not shard.verdict.any():
        return examples
    for number, rule in enumerate(RULES, 1):
        rows = np.flatnonzero(shard.verdict == number) if rule.action == "reject" and rule.gated else _NO_ROWS
        if len(rows):
            row = raw.slice(int(rows[0]), 1).to_pylist()[0]
            where = f"{row['ticker'] or 'no ticker'} on {row['date'] or 'no date'} in {row['source']}"
            if row[bars.UNREADABLE]:
                where = f"{row[bars.UNREADABLE]} in {row['source']}"
            elif rule.reason == "duplicate_conflict":
                same = np.flatnonzero((shard.key == shard.key[rows[0]]) & (shard.verdict == 0))
                where += f" and in {raw.column('source')[int(same[-1])]}" if len(same) else ""
            examples[rule.reason] = where
    return examples
