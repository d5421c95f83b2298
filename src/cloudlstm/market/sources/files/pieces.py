"""Pieces of files: what is read without the rest of a file, which tickers it holds, and which shards need it."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cloudlstm.market.sources.base import Partition
from cloudlstm.market.sources.files.contents import archive_of
from cloudlstm.market.sources.files.listing import SourceFile

BLOCK_BYTES = 16 * 2**20
"""Size of a block of a text file. Small files are read together up to this size, since a task takes time to start."""

LARGE_BYTES = 2 * BLOCK_BYTES
"""Text files that are larger, unpacked, are read in blocks."""

ROWS_AT_ONCE = 1 << 18
"""Pieces are read together up to this number of rows."""

_NOT_CUT = (".gz", ".parquet", ".pq")

MOST_READS = 2.0
"""Shards read their pieces themselves if a row is read at most so many times on average; a shuffle costs as much."""

KEPT = 1 / 8
"""The cost of taking rows from a piece that is in memory already, in readings of the piece."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A file, or a part of it that is read as if it were a file.

    Attributes:
        item: The file, see contents.py.
        size_bytes: Size of the file.
        groups: The row groups of a Parquet file; empty for all.
        start, end: The first byte of a block of a text file, and the one behind its last; both 0 for the whole file.
            A line belongs to the block in which it begins.
    """

    item: str
    size_bytes: int
    groups: tuple[int, ...] = ()
    start: int = 0
    end: int = 0


def in_blocks(file: SourceFile) -> list[Piece]:
    """Returns a file as pieces; a large one that may be text is cut into blocks."""
    item, size = file.item, file.size_bytes
    if size <= LARGE_BYTES or archive_of(item)[1] or item.lower().endswith(_NOT_CUT):
        return [Piece(item, size)]
    starts = range(0, size, BLOCK_BYTES)
    return [Piece(item, size, start=start, end=min(start + BLOCK_BYTES, size)) for start in starts]


@dataclass(frozen=True, slots=True)
class FilesPartition(Partition):
    """Pieces of files that one task reads.

    Attributes:
        pieces: The pieces, in order of arrival.
        shared: True if the next partition begins with the last of them.
    """

    pieces: tuple[Piece, ...] = ()
    shared: bool = False


def pieces_of(partition: Partition) -> tuple[Piece, ...]:
    """Returns the pieces of a partition that a source of files has made."""
    assert isinstance(partition, FilesPartition)
    return partition.pieces


@dataclass(frozen=True, slots=True)
class Extent:
    """The bars of a piece.

    Attributes:
        piece: The piece.
        rows: Their number.
        first, last: The first and the last of their tickers in alphabetical order; None without a ticker.
        nameless: Whether a row has no ticker that can be read.
        last_day: The date of the last bar; None if it is not known without reading bars.
    """

    piece: Piece
    rows: int
    first: str | None
    last: str | None
    nameless: bool
    last_day: dt.date | None = None


def partitions_of(weighed: Iterable[tuple[Piece, int]], most: int) -> list[FilesPartition]:
    """Returns pieces in partitions, in their order, so that the weights of a partition are at most `most` together.

    Args:
        weighed: The pieces and their weights: bytes or rows.
        most: The limit; a piece that is larger is a partition of its own.
    """
    groups: list[list[Piece]] = []
    room = 0
    for piece, weight in weighed:
        if not groups or weight > room:
            groups.append([])
            room = most
        groups[-1].append(piece)
        room -= weight
    return [
        FilesPartition(number, tuple(piece.item for piece in pieces), tuple(pieces))
        for number, pieces in enumerate(groups)
    ]


def shards_of(extents: Sequence[Extent], tickers: Sequence[str], per_shard: int) -> list[FilesPartition] | None:
    """Returns one partition for each shard, with the pieces that may hold its bars; None if that reads too much twice.

    A row without a ticker belongs to the first shard.

    Args:
        extents: All pieces, in order of arrival.
        tickers: The universe, sorted.
        per_shard: Tickers in a shard.
    """
    n_shards = -(-len(tickers) // per_shard)
    ranges = [_needed_by(extent, tickers, per_shard) for extent in extents]
    first, last = np.full(n_shards, len(extents)), np.full(n_shards, -1)
    for number, (start, end) in enumerate(ranges):
        first[start:end] = np.minimum(first[start:end], number)
        last[start:end] = number
    again = np.append(first[1:] == last[:-1], False)  # a task keeps the last piece for the next shard
    rows = np.array([extent.rows for extent in extents])
    reads = sum(int(rows[number]) * (end - start) for number, (start, end) in enumerate(ranges))
    if reads - (1 - KEPT) * rows[last[again]].sum() > MOST_READS * rows.sum():
        return None
    found: list[list[Piece]] = [[] for _ in range(n_shards)]
    for extent, (start, end) in zip(extents, ranges, strict=True):
        for number in range(start, end):
            found[number].append(extent.piece)
    return [
        FilesPartition(number, tuple(tickers[number * per_shard :][:per_shard]), tuple(pieces), bool(again[number]))
        for number, pieces in enumerate(found)
    ]


def last_day_of(extents: Sequence[Extent], tickers: Sequence[str], others: Sequence[str]) -> dt.date | None:
    """Returns the date of the last bar of some tickers; None if it is not known without reading bars.

    Args:
        extents: All pieces.
        tickers: The tickers, sorted. Rows without a ticker count too.
        others: All other tickers of the pieces, sorted.
    """
    last, possible = dt.date.min, dt.date.min
    for extent in extents:
        if not extent.rows or not (extent.nameless or _holds(extent, tickers)):
            continue
        if extent.last_day is None:
            return None
        if _holds(extent, others):  # the last bar of the piece may be of another ticker
            possible = max(possible, extent.last_day)
        else:
            last = max(last, extent.last_day)
    return last if last >= possible and last > dt.date.min else None


def _holds(extent: Extent, tickers: Sequence[str]) -> bool:
    """Whether one of the tickers, sorted, lies between the first and the last of a piece."""
    if extent.first is None or extent.last is None:
        return False
    return bisect_left(tickers, extent.first) < bisect_right(tickers, extent.last)


def _needed_by(extent: Extent, tickers: Sequence[str], per_shard: int) -> tuple[int, int]:
    """Returns the numbers of the first shard that needs a piece, and of the one behind the last."""
    start, end = 0, 0
    if extent.first is not None and extent.last is not None:
        inside = bisect_left(tickers, extent.first), bisect_right(tickers, extent.last)
        if inside[0] < inside[1]:
            start, end = inside[0] // per_shard, (inside[1] - 1) // per_shard + 1
    return (0, max(end, 1)) if extent.nameless else (start, end)
