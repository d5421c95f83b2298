"""A store, and its versions: the bars as they were known on one day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from cloudlstm import storage
from cloudlstm.config import RunConfig
from cloudlstm.errors import UsageError
from cloudlstm.market.store import manifest as manifests
from cloudlstm.market.store import pieces, tails
from cloudlstm.market.store.changes import Changes
from cloudlstm.market.store.manifest import Manifest
from cloudlstm.runs.manifest import fingerprint
from cloudlstm.runs.paths import bars as bars_folder
from cloudlstm.runs.paths import join

_NAME_DIGITS = 8
_NOT_BARS = {"end", "tickers_per_shard", "yahoo", "synthetic"}
"""Settings of `market` on which the bars of a day do not depend; those of `synthetic` count for this source only."""


@dataclass(frozen=True, slots=True)
class Version:
    """The bars of a store as they were known on one day.

    Attributes:
        folder: URI of the store, without a slash at the end.
        manifest: The pieces of this version.
    """

    folder: str
    manifest: Manifest

    @classmethod
    def open(cls, uri: str) -> Version:
        """Opens the version whose manifest is at `uri`; ObjectNotFoundError if there is none."""
        return cls(manifests.store_of(uri), manifests.load(uri))

    @property
    def uri(self) -> str:
        """URI of the manifest; the value of `market.path` for the source `stored`."""
        return manifests.uri_of(self.folder, self.manifest.as_of)

    @property
    def as_of(self) -> dt.date:
        """Bars of sessions up to this day are known."""
        return self.manifest.day

    @property
    def changes(self) -> Changes:
        """What the update that made this version has changed."""
        return self.manifest.changes

    def tickers(self) -> tuple[str, ...]:
        """Returns all tickers, sorted; also those without bars."""
        return self.manifest.tickers

    def bars(self, tickers: Collection[str] | None = None) -> pa.Table:
        """Returns BARS, sorted by (ticker, date, arrival).

        Args:
            tickers: The wanted tickers; None for all, and for bars without a ticker. Only pieces that may hold one of
                them are read. The ticker "" stands for bars without a ticker.

        Raises:
            CorruptObjectError: if a piece does not have the checksum in its name.
        """
        return pieces.fold([pieces.read(self.folder, info) for info in self._needed(tickers)], tickers=tickers)

    def tail(self, bars: int) -> pa.Table:
        """Returns the BARS of the last `bars` sessions up to `as_of`, sorted like `bars()`; also bars without a date.

        Reads the tail of an earlier version and the pieces since, if there is one, and stores a tail now and then.
        """
        return tails.tail(self.folder, self.manifest, bars, self.bars)

    def _needed(self, tickers: Collection[str] | None) -> list[pieces.PieceInfo]:
        if tickers is None:
            return list(self.manifest.pieces)
        return [info for info in self.manifest.pieces if any(info.lowest <= name <= info.highest for name in tickers)]


@dataclass(frozen=True, slots=True)
class Store:
    """The store of one source.

    Attributes:
        folder: URI of the store, `<root>/bars/<source>`, without a slash at the end.
    """

    folder: str

    @classmethod
    def of(cls, root: str, config: RunConfig) -> Store:
        """Returns the store of a configuration's source below a root; it may have no version yet.

        Args:
            root: Path or storage URI of the root.
            config: The settings; the name of the store depends on those of `market` that decide the bars of a day.

        Raises:
            UsageError: if the source is a store itself.
        """
        if config.market.source == "stored":
            raise UsageError("market.source=stored is a version of a store, and has no store of its own",
                             hint="the settings of the store's source")  # fmt: skip
        name = f"{config.market.source}-{fingerprint(_identity(config))[:_NAME_DIGITS]}"
        return cls(join(bars_folder(storage.absolute(root)), name))

    def days(self) -> list[dt.date]:
        """Returns the days of all versions, in order."""
        return manifests.days(self.folder)

    def newest(self, at: dt.date | None = None) -> Version | None:
        """Returns the newest version, or the newest one of day `at` or before; None if there is none."""
        found = [day for day in self.days() if at is None or day <= at]
        return self.version(found[-1]) if found else None

    def version(self, as_of: dt.date) -> Version:
        """Returns the version of a day; ObjectNotFoundError if there is none."""
        return Version.open(manifests.uri_of(self.folder, as_of))


def _identity(config: RunConfig) -> dict[str, Any]:
    """The settings on which the bars of a day depend. Synthetic bars of all days depend on the last date, too."""
    market = config.market.model_dump(mode="json") | {"universe": _universe(config)}
    if config.market.source == "synthetic":
        return {name: market[name] for name in ("source", "start", "end", "calendar", "synthetic", "universe")}
    found = {name: value for name, value in market.items() if name not in _NOT_BARS}
    if "://" not in (config.market.path or "://"):
        found["path"] = storage.absolute(str(config.market.path))
    return found


def _universe(config: RunConfig) -> dict[str, Any]:
    """The settings that choose the tickers: a store updates all of its tickers, so each universe has its own."""
    chosen = config.universe.model_dump(mode="json", exclude={"sectors"})
    path = chosen["path"]
    return chosen | {"path": path and storage.absolute(path), "tickers": sorted(chosen["tickers"])}
