"""Reads pieces of files in tasks: their tickers, and their bars."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cloudlstm.config import MarketConfig
from cloudlstm.market import bars, columns
from cloudlstm.market.grid import moments_of
from cloudlstm.market.sources import renames
from cloudlstm.market.sources.base import Partition
from cloudlstm.market.sources.files import blocks, contents, tabular
from cloudlstm.market.sources.files.pieces import ROWS_AT_ONCE, Extent, FilesPartition, Piece, pieces_of
from cloudlstm.market.sources.files.survey import survey


@dataclass(frozen=True, slots=True)
class Survey:
    """The pieces of some partitions, and all their tickers.

    Attributes:
        extents: The pieces, in order of arrival.
        names: The tickers, sorted, one a line: a million texts of their own take ten times the memory.
    """

    extents: tuple[Extent, ...]
    names: str

    @property
    def tickers(self) -> list[str]:
        """The tickers, sorted."""
        return self.names.split("\n") if self.names else []


@dataclass(frozen=True, slots=True)
class Reader:
    """What a task needs to read files.

    Attributes:
        config: The settings of the market.
        universe: The requested tickers; None for all.
        folder: URI of the folder of all files.
    """

    config: MarketConfig
    universe: tuple[str, ...] | None
    folder: str

    def survey(self, partitions: Iterable[Partition]) -> Survey:
        """Finds the tickers of partitions, also those outside the universe."""
        extents: list[Extent] = []
        names: set[str] = set()
        for partition in partitions:
            for piece in pieces_of(partition):
                found, tickers = survey(piece, self.folder, self.config)
                extents += found
                names |= tickers
        return Survey(tuple(extents), "\n".join(sorted(names)))

    def tables(self, partition: Partition) -> Iterator[pa.Table]:
        """Yields the BARS of a partition within the run's dates and universe, in order of arrival.

        Small files are yielded together.
        """
        tables: list[pa.Table] = []
        for piece in pieces_of(partition):
            for table in self.read(piece):
                tables.append(table)
                if sum(each.num_rows for each in tables) >= ROWS_AT_ONCE:
                    yield bars.joined(tables)
                    tables = []
        if tables:
            yield bars.joined(tables)

    def read(self, piece: Piece) -> Iterator[pa.Table]:
        """Yields the BARS of a piece within the run's dates and universe, in order of arrival."""
        item, folder, config = piece.item, self.folder, self.config
        if piece.groups:
            yield self.wanted(tabular.parse_groups(item, piece.size_bytes, piece.groups, folder, config).bars)
        elif (found := blocks.open_blocks(piece, folder, config)) is not None:
            for lines, form in found:
                yield self.wanted(tabular.parse_lines(lines, form.header, item, folder, form.config).bars)
        else:
            yield self.wanted(tabular.parse(tabular.Content(contents.read(item), item, folder), config).bars)

    def wanted(self, table: pa.Table) -> pa.Table:
        """Applies renames; keeps rows in the run's dates and universe, and rows with an unreadable date or ticker."""
        table = renames.apply_renames(table, self.config.renames)
        date = table.column("date")
        if self.config.interval == "1d":
            start, end = (pa.scalar(day, pa.date32()) for day in (self.config.start, self.config.end))
        else:  # from the first open to the last close
            begin, close = moments_of(self.config)
            start, end = columns.from_days(np.array([begin, close - 1], np.int32), columns.MOMENT)
        wanted = pc.fill_null(pc.and_(pc.greater_equal(date, start), pc.less_equal(date, end)), True)  # noqa: FBT003
        if pc.all(wanted).as_py() is False:
            table = table.filter(wanted)
        return table if self.universe is None else rows_of(table, self.universe, nameless=True)


@dataclass(frozen=True, slots=True)
class ShardReader:
    """Files as a source of whole tickers: each task reads the pieces that hold the tickers of its shard.

    Attributes:
        reader: Reads pieces.
        name: `market.path`.
        shards: The partitions; none in a task, which gets its own one.
        last: The date of the last bar, if the files tell it without being read.
        kept: The last piece of a shard, if the next shard needs it too: a task usually makes consecutive shards.
    """

    reader: Reader
    name: str
    shards: tuple[FilesPartition, ...] = ()
    last: dt.date | None = None
    whole_tickers: bool = True
    kept: dict[Piece, pa.Table] = field(default_factory=dict, compare=False, repr=False)

    def __reduce__(self) -> tuple[type[ShardReader], tuple[Reader, str]]:
        return ShardReader, (self.reader, self.name)

    def identity(self) -> Any:
        return [self.name, [list(shard.items) for shard in self.shards]]

    def partitions(self) -> list[Partition]:
        return list(self.shards)

    def tickers(self, partition: Partition) -> list[str]:
        return list(partition.items)

    def last_date(self) -> dt.date | None:
        return self.last

    def read(self, partition: Partition) -> pa.Table:
        found = []
        pieces = pieces_of(partition)
        before = dict(self.kept)
        self.kept.clear()  # also what another task has needed
        for piece in pieces:
            kept = before.pop(piece, None)
            tables = self.reader.read(piece) if kept is None else iter([kept])
            if piece == pieces[-1] and isinstance(partition, FilesPartition) and partition.shared:
                self.kept[piece] = bars.joined(list(tables))
                tables = iter([self.kept[piece]])
            found += [rows_of(table, partition.items, nameless=partition.number == 0) for table in tables]
        return bars.joined(found)


def rows_of(table: pa.Table, tickers: Sequence[str], *, nameless: bool) -> pa.Table:
    """Returns the rows of some tickers, in their order.

    Args:
        table: BARS.
        tickers: The tickers.
        nameless: Whether rows without a ticker are wanted.
    """
    code, names = columns.codes(table.column("ticker"))
    inside = set(tickers)
    wanted = np.array([*(name in inside for name in names), nameless])
    if wanted.all():
        return table
    rows = np.flatnonzero(wanted[code])  # code -1, a missing ticker, takes the last entry
    if len(rows) and rows[-1] - rows[0] + 1 == len(rows):
        return columns.compacted(table.slice(int(rows[0]), len(rows)))
    return columns.compacted(table.take(pa.array(rows)))
