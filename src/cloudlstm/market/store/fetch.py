"""Reads the bars of a source for a store: whole histories, or each ticker from a day of its own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import pyarrow as pa

from cloudlstm.config import RunConfig
from cloudlstm.errors import FetchError, UsageError
from cloudlstm.market import bars, columns, universe
from cloudlstm.market.calendar import to_date, to_days
from cloudlstm.market.sources import coverage, snapshots
from cloudlstm.market.sources.base import RemoteSource, Source, UnorderedSource, open_source
from cloudlstm.market.store import pieces, sessions
from cloudlstm.runs.paths import join

FETCHED = "fetched"
"""Folder of a store with the answers of a remote source, until the update is stored."""


@dataclass(frozen=True, slots=True)
class Events:
    """What a remote source has reported about a ticker: day -> ratio of a split, day -> dividend per share."""

    splits: Mapping[int, float] = field(default_factory=dict)
    dividends: Mapping[int, float] = field(default_factory=dict)

    def split_after(self, day: int) -> float:
        """Returns the product of all splits after a day."""
        product = 1.0
        for when, ratio in self.splits.items():
            product *= ratio if when > day else 1.0
        return product

    def pays_after(self, day: int) -> bool:
        """True if a dividend was paid after a day."""
        return any(when > day for when in self.dividends)


@dataclass(frozen=True, slots=True)
class Delivery:
    """Bars that a source has delivered.

    Attributes:
        bars: BARS, sorted by (ticker, date, arrival).
        tickers: The tickers that the source has, also those without bars here.
        rows_read: Bars that were read within the dates, before each ticker's own first day was applied.
        requests: Tickers that a remote source was asked for.
        events: Splits and dividends by ticker; None if the source is its own whole history.
        failed: Ticker -> why a remote source gave no answer.
    """

    bars: pa.Table
    tickers: frozenset[str]
    rows_read: int
    requests: int = 0
    events: Mapping[str, Events] | None = None
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fetch:
    """Reads the source of a configuration for one update.

    Attributes:
        config: The settings; `market.end` is not used, but by the synthetic source.
        as_of: The last date.
        folder: URI of the store.
    """

    config: RunConfig
    as_of: dt.date
    folder: str

    def requested(self) -> tuple[str, ...] | None:
        """Returns the tickers that the configuration names; None for all of the source."""
        market = self.config.market.model_copy(update={"end": self.as_of})
        return universe.requested_tickers(self.config.universe, market)

    def histories(self, requested: Sequence[str] | None, may_lack: float) -> Iterator[Delivery]:
        """Yields all bars up to `as_of` in chunks of whole tickers; the chunks are sorted by ticker.

        Args:
            requested: The tickers; None for all.
            may_lack: Largest share of the requested tickers that the source may lack.
        """
        start = self.config.market.start
        source = self._open(start, requested)
        if isinstance(source, RemoteSource):
            yield from self._chunks(_answered(self._ask(start, requested or ()), source.name))
        elif isinstance(source, UnorderedSource):
            surveys = [source.reader.survey([each]) for each in source.partitions()]
            known = {ticker for each in surveys for ticker in each.tickers}
            names = universe.resolve_universe(requested, known, source.name, self.config.universe.exclude, may_lack)
            whole = source.shards(surveys, names)
            if whole is not None:
                yield from self._whole(whole, {})
            else:
                read = self._unordered(source, {}, {*names, pieces.NAMELESS})
                yield from self._chunks(replace(read, tickers=frozenset(names)))
        else:
            yield from self._whole(source, {})

    def since(self, requested: Sequence[str] | None, starts: Mapping[str, int]) -> Delivery:
        """Returns the bars of each ticker from its own first day up to `as_of`.

        Args:
            requested: The tickers; None for all of the source. A remote source needs their names.
            starts: Ticker -> first day, as days since 1970-01-01. Others begin at `market.start`.
        """
        begin = self.config.market.start
        source = self._open(begin, requested)
        if isinstance(source, RemoteSource):
            groups: dict[dt.date, list[str]] = {}
            for ticker in requested or ():
                groups.setdefault(to_date(starts[ticker]) if ticker in starts else begin, []).append(ticker)
            asked = [self._ask(first, groups[first]) for first in sorted(groups)]
            return _answered(_merged(asked, remote=True), source.name)
        if isinstance(source, UnorderedSource):
            exclude = set(self.config.universe.exclude)
            read = self._unordered(source, starts, None)
            tickers = read.tickers - exclude
            return replace(read, bars=pieces.only(read.bars, tickers | {pieces.NAMELESS}), tickers=tickers)
        return _merged(list(self._whole(source, starts)), remote=False)

    def _open(self, start: dt.date, requested: Sequence[str] | None) -> Source | RemoteSource:
        market = self.config.market
        if market.source != "synthetic":  # its bars of all days depend on the last one
            market = market.model_copy(update={"start": start, "end": self.as_of})
        return open_source(self.config.model_copy(update={"market": market}), requested)

    def _whole(self, source: Source, starts: Mapping[str, int]) -> Iterator[Delivery]:
        """Yields the partitions of a source of whole tickers."""
        begin = to_days(self.config.market.start)
        for partition in source.partitions():
            table = self._until(pieces.joined([source.read(partition)]))
            cut = pieces.starting(table, starts, begin)
            yield Delivery(cut, frozenset(source.tickers(partition)), table.num_rows)

    def _unordered(self, source: UnorderedSource, starts: Mapping[str, int], wanted: set[str] | None) -> Delivery:
        """Reads all partitions; keeps of each table only the wanted rows."""
        begin = to_days(self.config.market.start)
        kept, rows, tickers = [], 0, set()
        for partition in source.partitions():
            for table in source.reader.tables(partition):
                rows += table.num_rows
                read = bars.conform(table, bars.BARS)
                tickers |= {name for name in columns.codes(read.column("ticker"))[1] if name is not None}
                cut = pieces.starting(read, starts, begin)
                kept.append(cut if wanted is None else pieces.only(cut, wanted))
        return Delivery(pieces.joined(kept), frozenset(tickers), rows)

    def _until(self, table: pa.Table) -> pa.Table:
        """Returns the rows up to `as_of`, and those without a date."""
        day = columns.days(table.column("date"))
        wanted = (day <= to_days(self.as_of)) | (day == columns.NO_DATE)
        return table if wanted.all() else table.filter(pa.array(wanted))

    def _ask(self, start: dt.date, tickers: Sequence[str]) -> Delivery:
        """Fetches tickers of a remote source into snapshots, and reads these."""
        source = cast(RemoteSource, self._open(start, tickers))
        self._require_closed(source.through)
        folder = join(self.folder, FETCHED, self.as_of.isoformat(), start.isoformat()) + "/"
        known = sorted(snapshots.uris_by_ticker(folder))
        tasks = source.tasks(known, 1)
        outcomes = [outcome for task in tasks for outcome in source.fetch(task, len(tasks), folder)]
        outcomes.sort(key=lambda outcome: outcome.ticker)
        failed = {each.ticker: each.cause for each in outcomes if each.status == coverage.FAILED}
        tables, events = [], {}
        for each in outcomes:
            if each.snapshot is not None:
                snapshot = snapshots.read(each.snapshot)
                tables.append(bars.conform(snapshot.table, bars.BARS))
                events[each.ticker] = _events(snapshot.table)
        table = self._until(pieces.joined(tables))
        answered = frozenset(each.ticker for each in outcomes) - failed.keys()
        return Delivery(table, answered, table.num_rows, len(outcomes), events, failed)

    def _require_closed(self, through: dt.date) -> None:
        """Raises UsageError if a session up to `as_of` has no final bar yet."""
        code = self.config.market.calendar
        last = to_date(sessions.first_of_last(code, self.as_of, 1))
        if last > through:
            raise UsageError(
                f"the session {last} of {code} has not closed yet, and its bars are not final",
                hint=f"the bars as of {through}",
            )

    def _chunks(self, delivery: Delivery) -> Iterator[Delivery]:
        """Divides a delivery into chunks of `market.tickers_per_shard` tickers."""
        size, names = self.config.market.tickers_per_shard, sorted(delivery.tickers)
        for at in range(0, max(len(names), 1), size):
            chunk = frozenset(names[at : at + size])
            wanted = chunk | {pieces.NAMELESS} if at == 0 else chunk
            table = pieces.only(delivery.bars, wanted)
            first = {} if at else {"requests": delivery.requests, "failed": delivery.failed}
            yield Delivery(table, chunk, table.num_rows, events=delivery.events, **first)  # type: ignore[arg-type]


def _events(table: pa.Table) -> Events:
    """Reads splits and dividends of a snapshot."""
    day = columns.days(table.column("date"))
    found = {}
    for name in ("split", "dividend"):
        value = columns.floats(table.column(name))
        at = (value > 0) & (day != columns.NO_DATE)
        found[name] = dict(zip(day[at].tolist(), value[at].tolist(), strict=True))
    return Events(found["split"], found["dividend"])


def _merged(deliveries: Sequence[Delivery], *, remote: bool) -> Delivery:
    """Returns several deliveries of different tickers as one."""
    events: dict[str, Events] = {}
    failed: dict[str, str] = {}
    for each in deliveries:
        events.update(each.events or {})
        failed.update(each.failed)
    return Delivery(
        pieces.joined(each.bars for each in deliveries),
        frozenset[str]().union(*(each.tickers for each in deliveries)),
        sum(each.rows_read for each in deliveries),
        sum(each.requests for each in deliveries),
        events if remote else None,
        failed,
    )


def _answered(delivery: Delivery, name: str) -> Delivery:
    """Returns the delivery; raises FetchError if a remote source answered for no ticker."""
    if delivery.failed and not delivery.tickers:
        ticker = min(delivery.failed)
        raise FetchError(
            f"none of {len(delivery.failed)} tickers could be fetched from {name}: {ticker}: {delivery.failed[ticker]}",
            hint="the same command again; `cloudlstm doctor` checks the connection",
        )
    return delivery
