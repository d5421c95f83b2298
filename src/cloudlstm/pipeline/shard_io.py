"""Shards: which shard a bar belongs to, how shards are read and written, and what a task returns.

A shard holds consecutive tickers of the sorted universe. A task cuts what it read with `split`, a shuffle brings a
shard's pieces together, `join` puts them in order. With pieces in the order of the partitions, the order of arrival of
two bars of one ticker and date is the order of files and lines, on every machine.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm.market import bars, columns
from cloudlstm.runs.context import StepData
from cloudlstm.runs.manifest import ManifestRow, read_object, write_object


@dataclass(frozen=True, slots=True)
class TaskResult:
    """The result of a task or of a whole step.

    Attributes:
        objects: The objects that it wrote.
        rows: Rows that it processed, for progress and rates.
        facts: Values for the step's manifest, JSON-ready.
    """

    objects: Sequence[ManifestRow]
    rows: int
    facts: Mapping[str, Any] = field(default_factory=dict)


def rows_of(result: TaskResult) -> int:
    """The rows that a task processed."""
    return result.rows


def merge_results(results: Sequence[TaskResult], facts: Mapping[str, Any]) -> TaskResult:
    """One result of several tasks, in their order, with the facts of the step."""
    return TaskResult([row for each in results for row in each.objects], sum(each.rows for each in results), facts)


def read_shard(row: ManifestRow) -> pa.Table:
    """Reads one Parquet shard and checks its size and checksum."""
    return bars.from_parquet(read_object(row), uri=row.uri)


def write_shard(data: StepData, kind: str, number: int, table: pa.Table) -> TaskResult:
    """Writes one shard as Parquet.

    Args:
        data: The step that writes it.
        kind: What the shard holds, such as "bars".
        number: The shard's number.
        table: Its rows.
    """
    uri = data.uri(f"{kind}-{number:05d}.parquet")
    last = pc.max(table.column("date")).as_py()
    extra = {"last_date": last.isoformat() if last else None}
    row = write_object(uri, bars.to_parquet(table), kind=kind, rows=table.num_rows, extra=extra)
    return TaskResult([row], table.num_rows)


def count(universe: Sequence[str], tickers_per_shard: int) -> int:
    """How many shards the universe fills."""
    return -(-len(universe) // tickers_per_shard)


def shard_of(tickers: pa.ChunkedArray, universe: Sequence[str], tickers_per_shard: int) -> NDArray[np.int32]:
    """The shard number of each ticker; -1 for a ticker outside the universe (sorted, unique).

    A bar whose ticker is unreadable goes to shard 0, so that cleaning can say what became of it.
    """
    code, values = columns.codes(tickers)
    shard = [0 if value is None else _place(value, universe, tickers_per_shard) for value in values]
    return np.array([*shard, 0], np.int32)[code]  # code -1, a missing ticker, takes the last entry


def _place(ticker: str, universe: Sequence[str], tickers_per_shard: int) -> int:
    # A search, not a table: there may be as many partitions as tickers, and each would make one of the whole universe.
    position = bisect_left(universe, ticker)
    there = position < len(universe) and universe[position] == ticker
    return position // tickers_per_shard if there else -1


def split(table: pa.Table, universe: Sequence[str], tickers_per_shard: int) -> list[tuple[int, pa.Table]]:
    """The table's rows by shard, in their order; rows of tickers outside the universe are left out.

    A piece holds the names that occur in it and no other: the names of a whole file in every piece would add up to the
    square of its tickers.
    """
    if not table.num_rows:
        return []
    shard = shard_of(table.column("ticker"), universe, tickers_per_shard)
    if (shard == shard[0]).all():
        return [(int(shard[0]), _compact(table))] if shard[0] >= 0 else []
    order = np.argsort(shard, kind="stable")
    numbers, starts = np.unique(shard[order], return_index=True)
    ends = [*starts[1:], len(order)]
    return [
        (int(number), _compact(table.take(pa.array(order[start:end]))))
        for number, start, end in zip(numbers, starts, ends, strict=True)
        if number >= 0
    ]


def _compact(table: pa.Table) -> pa.Table:
    return pa.table([columns.compact(column) for column in table.columns], names=table.column_names)


def join(pieces: Sequence[pa.Table]) -> pa.Table:
    """One shard of its pieces, given in order of arrival: sorted by (ticker, date, arrival)."""
    if not pieces:
        return bars.empty()
    whole = pa.concat_tables([bars.conform(piece, bars.BARS) for piece in pieces])
    return bars.sort(whole.unify_dictionaries().combine_chunks())
