"""The files that match `market.path` as a source of bars.

    market.path = "s3://bucket/bars/*.csv.gz"     *, ? and [...] match within a folder, ** matches across folders

A file may contain any part of the bars: everything, one ticker, or one day. Files arrive in the order of their URIs: of
two versions of a bar, the one in the later file is used.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cloudlstm.config import MarketConfig
from cloudlstm.errors import ConfigError
from cloudlstm.market import bars
from cloudlstm.market.sources.base import Findings, Partition
from cloudlstm.market.sources.files import tabular
from cloudlstm.market.sources.files.column_names import ALIASES
from cloudlstm.market.sources.files.listing import SourceFile, list_files
from cloudlstm.market.sources.files.look import look
from cloudlstm.market.sources.files.pieces import (
    BLOCK_BYTES,
    ROWS_AT_ONCE,
    in_blocks,
    last_day_of,
    partitions_of,
    shards_of,
)
from cloudlstm.market.sources.files.reader import Reader, ShardReader, Survey
from cloudlstm.text.numbers import counted

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class FilesSource:
    """The files that match a path, with their sizes and etags at the time of opening.

    Attributes:
        config: The settings of the market.
        universe: The requested tickers; None for all.
        folder: URI of the folder of all files.
        files: The files.
        name: `market.path`.
        left_out: Names of other files in the folder.
    """

    config: MarketConfig
    universe: tuple[str, ...] | None
    folder: str
    files: tuple[SourceFile, ...]
    name: str
    left_out: tuple[str, ...] = ()
    whole_tickers: bool = False

    @classmethod
    def open(cls, config: MarketConfig, requested: tuple[str, ...] | None) -> FilesSource:
        """Lists the files at `config.path`.

        Raises:
            ConfigError: if `market.columns` names a column that bars do not have.
            DataError: if there are no files.
        """
        unknown = sorted(set(config.columns) - set(ALIASES))
        if unknown:
            raise ConfigError(
                f"market.columns names {', '.join(unknown)}, which is not a column of bars",
                hint=f"the names left of the equals sign are {', '.join(ALIASES)}",
            )
        path = config.path or ""
        listing = list_files(path, config.ignore_files)
        return cls(config, requested, listing.folder, listing.files, path, listing.left_out)

    def look(self, exclude: Collection[str] = ()) -> Findings:
        """Looks at all files; raises DataError if one of them is not read with these settings.

        Args:
            exclude: Tickers that the run leaves out; their dates do not count.
        """
        reader = self.reader

        def wanted(table: pa.Table) -> pa.Table:
            table = reader.wanted(table)
            if not exclude:
                return table
            others = pc.invert(pc.is_in(table.column("ticker").cast(pa.string()), value_set=pa.array(list(exclude))))
            return table.filter(others)

        findings = look(self.folder, self.files, self.config, wanted)
        if not self.left_out:
            return findings
        names = ", ".join(self.left_out[:_SHOWN]) + (" …" if len(self.left_out) > _SHOWN else "")
        verb = "is" if len(self.left_out) == 1 else "are"
        note = f"{counted(len(self.left_out), 'other file')} in the folder {verb} not read: {names}"
        return replace(findings, notes=(*findings.notes, note))

    def identity(self) -> Any:
        config = self.config
        return {
            "source": "files",
            "parser": tabular.PARSER_VERSION,
            "files": [[file.item, file.size_bytes, file.etag] for file in self.files],
            "columns": dict(config.columns),
            "renames": [rename.model_dump(mode="json") for rename in config.renames],
            "ticker": config.ticker,
            "date_format": config.date_format,
            "decimal": config.decimal,
            "time_zone": config.time_zone,
            "encoding": config.encoding,
            "header": list(config.header),
            "missing_volume": config.missing_volume,
            "dates": [config.start.isoformat(), config.end.isoformat()],
            "universe": None if self.universe is None else list(self.universe),
            **({} if config.interval == "1d" else {"interval": config.interval, "calendar": config.calendar}),
        }

    def partitions(self) -> list[Partition]:
        pieces = (
            (piece, (piece.end or piece.size_bytes) - piece.start) for file in self.files for piece in in_blocks(file)
        )
        return list(partitions_of(pieces, BLOCK_BYTES))

    @property
    def reader(self) -> Reader:
        return Reader(self.config, self.universe, self.folder)

    def shards(self, surveys: Sequence[Survey], tickers: Sequence[str]) -> ShardReader | None:
        extents = [extent for each in surveys for extent in each.extents]
        shards = shards_of(extents, tickers, self.config.tickers_per_shard)
        if shards is None:
            return None
        others = {name for each in surveys for name in each.tickers}.difference(tickers)
        # The metadata of files tell days, not the start of a bar.
        last = last_day_of(extents, tickers, sorted(others)) if self.config.interval == "1d" else None
        return ShardReader(replace(self.reader, universe=None), self.name, tuple(shards), last)

    def surveyed(self, surveys: Sequence[Survey]) -> list[Partition]:
        extents = ((extent.piece, extent.rows) for each in surveys for extent in each.extents)
        return list(partitions_of(extents, ROWS_AT_ONCE))

    def tickers(self, partition: Partition) -> list[str]:
        return self.reader.survey([partition]).tickers

    def last_date(self) -> dt.date | None:
        return None

    def read(self, partition: Partition) -> pa.Table:
        return bars.joined(list(self.reader.tables(partition)))
