"""Task results and shard I/O of the job "prepare".

A shard holds consecutive tickers of the sorted universe. A task splits its partition with `split`, a shuffle collects
the pieces of each shard, and `join` sorts them. Pieces arrive in the order of the partitions, so two bars of the same
ticker and date keep the order of files and lines on every machine.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm.market import bars, columns
from cloudlstm.market.interval import iso
from cloudlstm.pipeline import row_pieces
from cloudlstm.runs.context import StepData
from cloudlstm.runs.manifest import ManifestRow, read_object, write_object


@dataclass(frozen=True, slots=True)
class TaskResult:
    """The result of a task or of a whole step.

    Attributes:
        objects: The objects that it wrote.
        rows: Rows that it processed, for progress and rates.
        facts: Values for the step's manifest, JSON-ready.
        seconds: How long it took, in a task that does several steps.
    """

    objects: Sequence[ManifestRow]
    rows: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


def rows_of(result: TaskResult) -> int:
    """The rows that a task processed."""
    return result.rows


def merge_results(results: Sequence[TaskResult], facts: Mapping[str, Any]) -> TaskResult:
    """One result of several tasks, in their order, with the facts of the step."""
    return TaskResult([row for each in results for row in each.objects], sum(each.rows for each in results), facts)


def read_shard(row: ManifestRow) -> pa.Table:
    """Reads one Parquet shard and checks its size and checksum."""
    return bars.from_parquet(read_object(row), uri=row.uri)


def write_shard(
    data: StepData, kind: str, number: int, table: pa.Table, write: Callable[[str, bytes], object] | None = None
) -> TaskResult:
    """Writes one shard as Parquet.

    Args:
        data: The step that writes it.
        kind: What the shard holds, such as "bars".
        number: The shard's number.
        table: Its rows.
        write: Writes the object, see `write_object`.
    """
    uri = data.uri(f"{kind}-{number:05d}.parquet")
    ends = pc.min_max(table.column("date")).as_py()
    named = {"first_date": ends["min"], "last_date": ends["max"]}
    extra = {name: iso(day) if day else None for name, day in named.items()}
    row = write_object(uri, bars.to_parquet(table), kind=kind, rows=table.num_rows, extra=extra, write=write)
    return TaskResult([row], table.num_rows)


def count(universe: Sequence[str], tickers_per_shard: int) -> int:
    """The number of shards of the universe."""
    return -(-len(universe) // tickers_per_shard)


def shard_of(tickers: pa.ChunkedArray, universe: Sequence[str], tickers_per_shard: int) -> NDArray[np.int32]:
    """The shard number of each row, (rows,); -1 for a ticker outside the universe.

    A bar without a ticker goes to shard 0, where cleaning rejects it.

    Args:
        tickers: The ticker of each row.
        universe: All tickers, sorted and unique.
        tickers_per_shard: Tickers in a shard.
    """
    code, values = columns.codes(tickers)
    shard = [0 if value is None else _shard_number(value, universe, tickers_per_shard) for value in values]
    return np.array([*shard, 0], np.int32)[code]  # code -1, a missing ticker, takes the last entry


def _shard_number(ticker: str, universe: Sequence[str], tickers_per_shard: int) -> int:
    # Binary search: with as many partitions as tickers, a table of the universe in each would be too large.
    position = bisect_left(universe, ticker)
    found = position < len(universe) and universe[position] == ticker
    return position // tickers_per_shard if found else -1


def split(table: pa.Table, universe: Sequence[str], tickers_per_shard: int) -> Iterator[tuple[int, bytes]]:
    """Yields (shard number, piece) pairs of a table; rows keep their order, tickers outside the universe are dropped.

    Args:
        table: The bars of one partition.
        universe: All tickers, sorted and unique.
        tickers_per_shard: Tickers in a shard.
    """
    if table.num_rows:
        yield from row_pieces.encode(table, shard_of(table.column("ticker"), universe, tickers_per_shard))


def join(pieces: Sequence[bytes]) -> pa.Table:
    """One shard from its pieces in order of arrival, sorted by (ticker, date, arrival)."""
    return bars.sort(row_pieces.decode(pieces)) if pieces else bars.empty()
