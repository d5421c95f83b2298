"""The protocols that sources implement, and the table of all sources.

The driver asks a source for its partitions; tasks read them on any machine. So a source object is small and picklable,
and contains everything a task needs. If a source delivers whole tickers, each partition is a shard. Otherwise the
pipeline splits partitions by ticker and shuffles them into shards. A remote source is slow and can fail for single
tickers: the pipeline first fetches it into snapshots, and then reads these.
"""

from __future__ import annotations

import datetime as dt
import importlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast, runtime_checkable

import pyarrow as pa

from cloudlstm.config import CleanConfig, RunConfig
from cloudlstm.errors import DataError
from cloudlstm.market import universe
from cloudlstm.market.calendar import sessions
from cloudlstm.market.sources.coverage import Outcome


@dataclass(frozen=True, slots=True)
class Partition:
    """A piece of a source that one task reads.

    Attributes:
        number: Its position among the partitions. Bars of a later partition arrive later.
        items: The tickers (if the source delivers whole tickers) or the URIs to read.
    """

    number: int
    items: tuple[str, ...]


class Source(Protocol):
    """A source of bars that tasks can read in partitions."""

    @property
    def name(self) -> str:
        """The name in error messages and in the report."""
        ...

    @property
    def whole_tickers(self) -> bool:
        """True if each partition is a shard already; its items are then the shard's tickers."""
        ...

    def identity(self) -> Any:
        """Returns a JSON-ready value that changes whenever the bars change. Equal values need no second ingest."""
        ...

    def partitions(self) -> list[Partition]:
        """Returns the partitions, in order of arrival."""
        ...

    def tickers(self, partition: Partition) -> list[str]:
        """Returns all tickers of a partition, sorted, also those outside the universe; cheaper than `read`."""
        ...

    def last_date(self) -> dt.date | None:
        """Returns the date of the last bar as far as it can be told without reading bars; None if it cannot.

        Of bars within a day it is a datetime, the start of the bar in UTC.
        """
        ...

    def read(self, partition: Partition) -> pa.Table:
        """Returns the BARS of a partition within the run's dates and universe, in order of arrival.

        Raises:
            UnreadableSourceError: if a file is not readable; names it and the reason.
        """
        ...


class Survey(Protocol):
    """What some partitions hold."""

    @property
    def tickers(self) -> list[str]:
        """Their tickers, sorted, also those outside the universe."""
        ...


class Reader(Protocol):
    """Reads the partitions of an unordered source in tasks; small and picklable."""

    def survey(self, partitions: Sequence[Partition]) -> Survey:
        """Finds the tickers of partitions; cheaper than reading them."""
        ...

    def tables(self, partition: Partition) -> Iterator[pa.Table]:
        """Yields the BARS of a partition within the run's dates, in order of arrival."""
        ...


@runtime_checkable
class UnorderedSource(Protocol):
    """A source whose partitions hold bars of any tickers. A survey of all partitions tells which."""

    @property
    def name(self) -> str:
        """The name in error messages and in the report."""
        ...

    @property
    def reader(self) -> Reader:
        """What tasks need."""
        ...

    def partitions(self) -> list[Partition]:
        """Returns the partitions, in order of arrival."""
        ...

    def surveyed(self, surveys: Sequence[Any]) -> list[Partition]:
        """Returns partitions of about the same number of rows, for a shuffle.

        Args:
            surveys: What `reader.survey` has found, of all partitions in their order.
        """
        ...

    def shards(self, surveys: Sequence[Any], tickers: Sequence[str]) -> Source | None:
        """Returns the same bars as a source of whole tickers; None if tasks would read too much twice.

        Args:
            surveys: What `reader.survey` has found, of all partitions in their order.
            tickers: The universe, sorted.
        """
        ...


@runtime_checkable
class RemoteSource(Protocol):
    """A service that is asked for one ticker at a time."""

    @property
    def name(self) -> str:
        """The name in error messages and in the report."""
        ...

    @property
    def through(self) -> dt.date:
        """The last date whose bars are final and within the run's dates."""
        ...

    def identity(self) -> Any:
        """Returns a JSON-ready value, as in `Source`."""
        ...

    def adopt(self, folder: str, places: Iterable[str]) -> int:
        """Copies fresh snapshots of other runs that answer the same request; returns their number.

        Args:
            folder: URI of the folder for snapshots; ends with a slash.
            places: Beginnings of the URIs of other runs' objects, the best first.
        """
        ...

    def tasks(self, known: Sequence[str], cores: int) -> list[Partition]:
        """Divides the universe into one partition per fetching task.

        Args:
            known: Tickers that are stored already.
            cores: Number of tasks that can run at the same time.
        """
        ...

    def fetch(self, partition: Partition, tasks: int, folder: str) -> list[Outcome]:
        """Fetches the tickers of a partition that are not stored in `folder`, and returns an outcome for each ticker.

        Args:
            partition: One of the partitions from `tasks`.
            tasks: Number of these partitions.
            folder: URI of the folder for snapshots; ends with a slash.
        """
        ...

    def fetched(self, outcomes: Sequence[Outcome]) -> Source:
        """Returns the fetched bars as a source."""
        ...


@dataclass(frozen=True, slots=True)
class Findings:
    """What a look at a source has found.

    Attributes:
        tickers: All tickers, sorted; None if they are not known.
        first: Date of the first bar that was seen.
        last: Date of the last bar; None if not all bars were seen.
        notes: What was decided about the bars without a setting, as sentences.
        off_calendar: If the dates fit another calendar than `market.calendar`: what was found, and words to type.
    """

    tickers: tuple[str, ...] | None = None
    first: dt.date | None = None
    last: dt.date | None = None
    notes: tuple[str, ...] = ()
    off_calendar: tuple[str, str] | None = None


@runtime_checkable
class Lookable(Protocol):
    """A source that can be looked at more closely than by opening it."""

    def look(self, exclude: Collection[str] = ()) -> Findings:
        """Raises a CloudLSTMError if the source cannot deliver the bars.

        Args:
            exclude: Tickers that the run leaves out.
        """
        ...


_SOURCES = {
    "files": ("cloudlstm.market.sources.files.source", "FilesSource"),
    "stored": ("cloudlstm.market.sources.stored", "StoredSource"),
    "synthetic": ("cloudlstm.market.sources.synthetic", "SyntheticSource"),
    "yahoo": ("cloudlstm.market.sources.yahoo.source", "YahooSource"),
}
"""market.source -> module and class. A module, and the packages that it needs, is imported on first use."""


def open_source(config: RunConfig, requested: Sequence[str] | None) -> Source | RemoteSource:
    """Opens the source of a run, limited to the run's dates and to the `requested` tickers.

    None requests all tickers; of a source of whole tickers, all but the excluded ones. For files, the step that reads
    them leaves the excluded ones out.

    Raises:
        DataError: if the source has no data, or lacks tickers of the universe.
    """
    module, name = _SOURCES[config.market.source]
    kind = getattr(importlib.import_module(module), name)
    source = cast(Source | RemoteSource, kind.open(config.market, None if requested is None else tuple(requested)))
    exclude = config.universe.exclude
    if requested is None and exclude and not isinstance(source, RemoteSource) and source.whole_tickers:
        known = {ticker for each in source.partitions() for ticker in source.tickers(each)}
        left = universe.resolve_universe(None, known, source.name, exclude)
        source = cast(Source, kind.open(config.market, left))
    return source


def look_at_source(config: RunConfig, *, closely: bool = True, services: bool = True) -> Findings:
    """Checks the universe, the calendar and the source of a run before anything of the run is made.

    Args:
        config: The settings of the run.
        closely: Whether to check more than opening does. A run that has its bars already does not need it.
        services: Whether to check that a service can be reached from this machine.

    Raises:
        CloudLSTMError: a job of this run would fail for the same reason.
    """
    market = config.market
    requested = universe.requested_tickers(config.universe, market)
    source = open_source(config, requested)
    sessions(market.calendar, market.start, market.end)
    remote = isinstance(source, RemoteSource)
    if not closely or not isinstance(source, Lookable) or (remote and not services):
        return Findings()
    findings = source.look(config.universe.exclude)
    if findings.off_calendar and not _limits_are_raised(config.clean):
        message, hint = findings.off_calendar
        raise DataError(message, hint=hint)
    if findings.tickers is not None:
        may_lack = config.clean.max_missing_fraction
        universe.resolve_universe(requested, findings.tickers, source.name, config.universe.exclude, may_lack)
    return findings


def _limits_are_raised(clean: CleanConfig) -> bool:
    """True if the user accepts more rejected or filled bars, and so dates that do not fit the calendar."""
    usual = CleanConfig()
    return (
        clean.max_refused_fraction > usual.max_refused_fraction or clean.max_filled_fraction > usual.max_filled_fraction
    )
