"""Bars from files: CSV, gzipped CSV or Parquet, one or many, at any storage URI.

    market.path = "s3://bucket/bars/*.csv.gz"     *, ? and [...] match within a folder, ** matches across folders

A file may contain any part of the bars: everything, one ticker, or one day. Files arrive in the order of their URIs: of
two versions of a bar, the one in the later file is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cloudlstm import storage
from cloudlstm.config import MarketConfig
from cloudlstm.errors import ConfigError, DataError, ObjectNotFoundError
from cloudlstm.market import bars
from cloudlstm.market.sources import renames, tabular
from cloudlstm.market.sources.base import Partition
from cloudlstm.storage import ObjectInfo

PARTITION_BYTES = 16 * 2**20
"""Small files are grouped up to this size, since starting a task takes as long as reading half a mebibyte."""

_SUFFIXES = (".csv", ".csv.gz", ".parquet", ".pq")
_CHECKED_BYTES = 64 * 2**20
_CHECKED_FILES = 5
_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class FilesSource:
    """The files that match a path, with their sizes and etags at the time of opening."""

    config: MarketConfig
    universe: tuple[str, ...] | None
    files: tuple[ObjectInfo, ...]
    name: str
    whole_tickers: bool = False

    @classmethod
    def open(cls, config: MarketConfig, requested: tuple[str, ...] | None) -> FilesSource:
        """Lists the files at `config.path` and checks the first one of each type; DataError if there are none."""
        unknown = sorted(set(config.columns) - set(tabular.ALIASES))
        if unknown:
            raise ConfigError(
                f"market.columns names {', '.join(unknown)}, which is not a column of bars",
                hint=f"the names left of the equals sign are {', '.join(tabular.ALIASES)}",
            )
        path = config.path or ""
        files = tuple(matching(path))
        _check_layouts(files, config)
        return cls(config, requested, files, path)

    def identity(self) -> Any:
        config = self.config
        return {
            "source": "files",
            "parser": tabular.PARSER_VERSION,
            "files": [[file.uri, file.size_bytes, file.etag] for file in self.files],
            "columns": dict(config.columns),
            "renames": [rename.model_dump(mode="json") for rename in config.renames],
            "date_format": config.date_format,
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
            groups[-1].append(file.uri)
            room -= file.size_bytes
        return [Partition(number, tuple(uris)) for number, uris in enumerate(groups)]

    def tickers(self, partition: Partition) -> list[str]:
        found: set[str] = set()
        for uri in partition.items:
            found.update(tabular.tickers(storage.read(uri), uri, self.config.columns))
        return sorted(renames.tickers_after(found, self.config.renames))

    def read(self, partition: Partition) -> pa.Table:
        columns, dates = self.config.columns, self.config.date_format
        tables = [self._wanted(tabular.parse(storage.read(uri), uri, columns, dates)) for uri in partition.items]
        return pa.concat_tables(tables).unify_dictionaries() if tables else bars.empty()

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


def _check_layouts(files: Sequence[ObjectInfo], config: MarketConfig) -> None:
    """Checks the first file of each type now, so that a wrong column is reported before a cluster starts."""
    for suffix in _SUFFIXES:
        alike = [file for file in files if file.uri.lower().endswith(suffix) and file.size_bytes <= _CHECKED_BYTES]
        for file in alike[:_CHECKED_FILES]:
            if tabular.check(storage.read(file.uri), file.uri, config.columns, config.date_format):
                break  # an empty file shows no columns: check the next one


def matching(path: str) -> Iterable[ObjectInfo]:
    """Returns the files that a path, storage URI, folder or glob matches, in the order of their URIs.

    Raises:
        DataError: if there are none.
    """
    uri = storage.absolute(path)
    if _GLOB.search(uri):
        pattern = re.compile(_regex(uri))
        found = [file for file in storage.list_objects(_GLOB.split(uri)[0]) if pattern.fullmatch(file.uri)]
        if not found:
            raise DataError(f"no file matches {path}", hint="** matches across folders, * and ? within one")
        return found
    try:
        return [storage.stat(uri)]
    except ObjectNotFoundError:
        folder = uri.rstrip("/") + "/"
        found = [file for file in storage.list_objects(folder) if file.uri.lower().endswith(_SUFFIXES)]
        if not found:
            raise DataError(
                f"there is no file at {path}, and no {', '.join(_SUFFIXES)} file below it", hint="check market.path"
            ) from None
        return found


def _regex(glob: str) -> str:
    """Converts a glob over URIs to a regular expression."""
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    pieces = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", glob)
    return "".join(
        parts.get(piece) or (re.sub(r"^\[!", "[^", piece) if piece.startswith("[") else re.escape(piece))
        for piece in pieces
    )
