"""The files that match `market.path` as a source of bars.

    market.path = "s3://bucket/bars/*.csv.gz"     *, ? and [...] match within a folder, ** matches across folders

A file may contain any part of the bars: everything, one ticker, or one day. Files arrive in the order of their URIs: of
two versions of a bar, the one in the later file is used.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cloudlstm.config import MarketConfig
from cloudlstm.errors import ConfigError
from cloudlstm.market import bars
from cloudlstm.market.sources import renames
from cloudlstm.market.sources.base import Findings, Partition
from cloudlstm.market.sources.files import contents, tabular
from cloudlstm.market.sources.files.column_names import ALIASES
from cloudlstm.market.sources.files.listing import SourceFile, list_files
from cloudlstm.market.sources.files.look import look
from cloudlstm.text.numbers import counted

_SHOWN = 5

PARTITION_BYTES = 16 * 2**20
"""Small files are grouped up to this size, since starting a task takes as long as reading half a mebibyte."""


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

        def wanted(table: pa.Table) -> pa.Table:
            table = self._wanted(table)
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
        }

    def partitions(self) -> list[Partition]:
        groups: list[list[str]] = []
        room = 0
        for file in self.files:
            if not groups or file.size_bytes > room:
                groups.append([])
                room = PARTITION_BYTES
            groups[-1].append(file.item)
            room -= file.size_bytes
        return [Partition(number, tuple(items)) for number, items in enumerate(groups)]

    def tickers(self, partition: Partition) -> list[str]:
        found: set[str] = set()
        for item in partition.items:
            found.update(tabular.tickers(self._content(item), self.config))
        return sorted(renames.tickers_after(found, self.config.renames))

    def read(self, partition: Partition) -> pa.Table:
        tables = [self._wanted(tabular.parse(self._content(item), self.config).bars) for item in partition.items]
        return pa.concat_tables(tables).unify_dictionaries() if tables else bars.empty()

    def _content(self, item: str) -> tabular.Content:
        return tabular.Content(contents.read(item), item, self.folder)

    def _wanted(self, table: pa.Table) -> pa.Table:
        """Applies renames; keeps rows in the run's dates and universe, and rows with an unreadable date or ticker."""
        table = renames.apply_renames(table, self.config.renames)
        date = table.column("date")
        start, end = (pa.scalar(day, pa.date32()) for day in (self.config.start, self.config.end))
        wanted = pc.fill_null(pc.and_(pc.greater_equal(date, start), pc.less_equal(date, end)), True)  # noqa: FBT003
        if self.universe is not None:
            requested = pa.array([*self.universe, None], pa.string())
            wanted = pc.and_(wanted, pc.is_in(table.column("ticker"), value_set=requested))
        return table if pc.all(wanted).as_py() is not False else table.filter(wanted)
