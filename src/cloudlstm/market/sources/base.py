"""Where bars come from: one protocol, and a table of the sources that keep it.

A source divides itself into partitions in the driver; tasks read them anywhere. So a source object is small and
picklable, and holds whatever a task needs. One that delivers whole tickers makes each partition a shard; of any other
the partitions are cut by ticker and shuffled into shards (shards.py). A remote source answers ticker by ticker, slowly
and not always: it is fetched first, into snapshots, and these are read.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast, runtime_checkable

import pyarrow as pa

from cloudlstm.config import RunConfig
from cloudlstm.market.sources.coverage import Outcome


@dataclass(frozen=True, slots=True)
class Partition:
    """A piece of a source that one task reads.

    Attributes:
        number: Its place among the partitions: of two bars alike, the one of the later partition arrived later.
        items: What to read: tickers of a source that delivers whole tickers, else URIs.
    """

    number: int
    items: tuple[str, ...]


class Source(Protocol):
    """Bars in partitions."""

    @property
    def name(self) -> str:
        """For people: in errors and in the report."""
        ...

    @property
    def whole_tickers(self) -> bool:
        """Whether each partition already is a shard; its items then are the shard's tickers."""
        ...

    def identity(self) -> Any:
        """A JSON-ready value that changes whenever the bars would: equal identities need no second ingest."""
        ...

    def partitions(self) -> list[Partition]:
        """The pieces, in order of arrival."""
        ...

    def tickers(self, partition: Partition) -> list[str]:
        """Every ticker of a partition, in the universe or not, sorted; cheaper than reading it."""
        ...

    def read(self, partition: Partition) -> pa.Table:
        """BARS of a partition within the run's dates and universe, in order of arrival.

        Raises:
            UnreadableSourceError: naming what cannot be read and why.
        """
        ...


@runtime_checkable
class RemoteSource(Protocol):
    """Tickers of a service that has to be asked for each of them."""

    @property
    def name(self) -> str:
        """For people: in errors and in the report."""
        ...

    def identity(self) -> Any:
        """As of a source."""
        ...

    def tasks(self, known: Sequence[str], cores: int) -> list[Partition]:
        """The universe as one partition for each task that may fetch at the same time.

        Args:
            known: Tickers that are stored already.
            cores: How many tasks can run at the same time.
        """
        ...

    def fetch(self, partition: Partition, tasks: int, folder: str) -> list[Outcome]:
        """What became of each ticker of one of the `tasks` partitions; what is not in `folder` already is asked for."""
        ...

    def fetched(self, outcomes: Sequence[Outcome]) -> Source:
        """What has been fetched, to be read."""
        ...


_SOURCES = {
    "files": ("cloudlstm.market.sources.files", "FilesSource"),
    "synthetic": ("cloudlstm.market.sources.synthetic", "SyntheticSource"),
    "yahoo": ("cloudlstm.market.sources.yahoo.source", "YahooSource"),
}
"""market.source -> module and class; a module, and with it its packages, is imported when first used."""


def open_source(config: RunConfig, universe: Sequence[str] | None) -> Source | RemoteSource:
    """The source that a run asks for, narrowed to the run's dates and to `universe` (None: all tickers).

    Raises:
        DataError: when it has nothing, or not what the universe names (see the source).
    """
    module, name = _SOURCES[config.market.source]
    kind = getattr(importlib.import_module(module), name)
    return cast(Source | RemoteSource, kind.open(config.market, None if universe is None else tuple(universe)))
