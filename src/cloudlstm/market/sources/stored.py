"""The source "stored": a version of a bars store, the bars of another source as they were known on one day.

    market.path = "<root>/bars/<store>/universe/<day>.json"

A version never changes, and its shards are those of the source itself: the same tickers, in the same order.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from cloudlstm import storage
from cloudlstm.config import MarketConfig
from cloudlstm.market import columns, universe
from cloudlstm.market.calendar import to_days
from cloudlstm.market.sources.base import Findings, Partition
from cloudlstm.market.store import pieces
from cloudlstm.market.store.pieces import NAMELESS, Piece, PieceInfo
from cloudlstm.market.store.version import Version


@dataclass(frozen=True, slots=True)
class StoredSource:
    """A version of a store, limited to a run's dates and universe.

    Attributes:
        config: The settings of the market.
        universe: The tickers, sorted.
        folder: URI of the store.
        pieces: The pieces of the version, in order.
        base: Number of base pieces. Tasks keep the others in memory, since every partition needs them.
        known: All tickers of the version.
        name: `market.path`.
        kept: Pieces that this process has read.
    """

    config: MarketConfig
    universe: tuple[str, ...]
    folder: str
    pieces: tuple[PieceInfo, ...]
    base: int
    known: tuple[str, ...]
    name: str
    whole_tickers: bool = True
    kept: dict[str, Piece] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def open(cls, config: MarketConfig, requested: tuple[str, ...] | None) -> StoredSource:
        """Opens the version at `config.path` with the requested tickers.

        Tickers that it lacks are left out, and the quality gate counts them.

        Raises:
            ObjectNotFoundError: There is no version.
            UnknownTickerError: It lacks all requested tickers.
        """
        path = config.path or ""
        version = Version.open(storage.absolute(path))
        known = version.tickers()
        names = universe.resolve_universe(requested, known, path, may_lack=1.0)
        return cls(config, names, version.folder, version.manifest.pieces, version.manifest.base, known, path)

    def __reduce__(self) -> tuple[Any, ...]:
        # A task gets its partition, and no piece that another process has read.
        return StoredSource, (self.config, (), self.folder, self.pieces, self.base, (), self.name)

    def look(self, exclude: Collection[str] = ()) -> Findings:  # noqa: ARG002 - the pieces tell no dates of tickers
        """Returns all tickers of the version, and the dates of its bars."""
        ends = self._ends()
        return Findings(self.known, min(ends, default=None), max(ends, default=None))

    def _ends(self) -> list[dt.date]:
        """Returns the dates of the first and the last bar of all pieces."""
        return [dt.date.fromisoformat(day) for info in self.pieces for day in (info.first, info.last) if day]

    def identity(self) -> Any:
        return {
            "source": "stored",
            "pieces": [info.name for info in self.pieces],
            "dates": [self.config.start.isoformat(), self.config.end.isoformat()],
            "universe": list(self.universe),
        }

    def partitions(self) -> list[Partition]:
        size = self.config.tickers_per_shard
        chunks = [self.universe[at : at + size] for at in range(0, len(self.universe), size)]
        return [Partition(number, tickers) for number, tickers in enumerate(chunks)]

    def tickers(self, partition: Partition) -> list[str]:
        return list(partition.items)

    def last_date(self) -> dt.date | None:
        last = max(self._ends(), default=None)
        whole = self.universe == self.known and last is not None and last <= self.config.end
        return last if whole else None

    def read(self, partition: Partition) -> pa.Table:
        wanted = {*partition.items} | ({NAMELESS} if partition.number == 0 else set())
        needed = []
        for number, info in enumerate(self.pieces):
            if number >= self.base:
                needed.append(self._kept(info))
            elif any(info.lowest <= name <= info.highest for name in wanted):
                needed.append(pieces.read(self.folder, info))
        table = pieces.fold(needed, to_days(self.config.start), wanted)
        day = columns.days(table.column("date"))
        within = (day <= to_days(self.config.end)) | (day == columns.NO_DATE)
        return table if within.all() else columns.compacted(table.filter(pa.array(within)))

    def _kept(self, info: PieceInfo) -> Piece:
        if info.name not in self.kept:
            self.kept[info.name] = pieces.read(self.folder, info)
        return self.kept[info.name]
