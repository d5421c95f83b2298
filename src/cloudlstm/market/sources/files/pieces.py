"""Pieces of files: what is read without the rest of a file, which tickers it holds, and which shards need it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cloudlstm.market.sources.base import Partition

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
    """

    item: str
    size_bytes: int
    groups: tuple[int, ...] = ()


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
    """

    piece: Piece
    rows: int
    first: str | None
    last: str | None
    nameless: bool


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


def _needed_by(extent: Extent, tickers: Sequence[str], per_shard: int) -> tuple[int, int]:
    """Returns the numbers of the first shard that needs a piece, and of the one behind the last."""
    start, end = 0, 0
    if extent.first is not None and extent.last is not None:
        inside = bisect_left(tickers, extent.first), bisect_right(tickers, extent.last)
        if inside[0] < inside[1]:
            start, end = inside[0] // per_shard, (inside[1] - 1) // per_shard + 1
    return (0, max(end, 1)) if extent.nameless else (start, end)
