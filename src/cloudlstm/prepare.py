"""The job "prepare": from a source to sequences, step by step, each a function over shards.

Bars become shards of whole tickers once, at the start; from then on every step maps shard to shard, and nothing that
a step computes for a ticker depends on its neighbours in the shard.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cloudlstm import __version__
from cloudlstm.config import RunConfig
from cloudlstm.dataset import sequences, windows
from cloudlstm.dataset.splits import SPLITS
from cloudlstm.features import compute
from cloudlstm.journal import Journal
from cloudlstm.layout import RunLayout
from cloudlstm.manifest import (
    Manifest,
    ManifestRow,
    fingerprint,
    finished,
    prune,
    read_object,
    total_rows,
    write_object,
)
from cloudlstm.market import bars, gate, shards, universe
from cloudlstm.market.calendar import sessions
from cloudlstm.market.clean import clean
from cloudlstm.market.sources import Partition, Source, open_source
from cloudlstm.spark import Spark

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Made:
    """What a task, or a whole step, has made.

    Attributes:
        objects: The objects it wrote.
        rows: Rows that it worked on, for progress and rates.
        facts: What it has to say, JSON-ready.
    """

    objects: Sequence[ManifestRow]
    rows: int
    facts: Mapping[str, Any] = field(default_factory=dict)


def run(layout: RunLayout, config: RunConfig, journal: Journal) -> None:
    """Brings ingest, clean, features and sequences up to date; skips what has been done for the same inputs."""
    with Spark(config.spark, app_name=f"cloudlstm {layout.run_id}") as spark:
        run_on(spark, layout, config, journal)


def run_on(spark: Spark, layout: RunLayout, config: RunConfig, journal: Journal) -> None:
    """As `run`, in a Spark application that is there already."""
    pipeline = _Pipeline(layout, config, journal, spark)
    raw = pipeline.ingest()
    cleaned = pipeline.clean(raw)
    features = pipeline.features(cleaned)
    pipeline.sequences(features)


class _Pipeline:
    """The steps of one run, carried by one Spark application."""

    def __init__(self, layout: RunLayout, config: RunConfig, journal: Journal, spark: Spark) -> None:
        self._layout, self._config, self._journal, self._spark = layout, config, journal, spark

    def ingest(self) -> Manifest:
        """Bars of the source in shards of whole tickers."""
        config = self._config
        asked = universe.resolve(config.universe)
        source = open_source(config, asked)
        identity = source.identity()
        market = config.market
        inputs = [identity, asked, market.start, market.end, market.calendar, market.tickers_per_shard]

        def work(step: str, print_: str) -> Made:
            made = (
                self._read_shards(source, step, print_)
                if source.whole_tickers
                else self._shuffled(source, asked, step, print_)
            )
            facts = {"source": market.source, "partitions": len(source.partitions()), "shards": len(made)}
            return _together(made, facts)

        return self._step("ingest", inputs, 0, work)

    def _read_shards(self, source: Source, step: str, print_: str) -> list[Made]:
        """A source that knows its tickers delivers whole shards; each task makes one."""
        layout = self._layout

        def make(numbered: tuple[int, Partition]) -> Made:
            number, partition = numbered
            table = bars.sort(bars.conform(source.read(partition), bars.BARS))
            return _stored(layout, step, print_, number, table, "bars")

        return self._spark.map(make, list(enumerate(source.partitions())), units=_rows, report=self._report(step, 0))

    def _shuffled(self, source: Source, asked: tuple[str, ...] | None, step: str, print_: str) -> list[Made]:
        """Files of any layout: which tickers there are, then every bar to its ticker's shard."""
        layout, per_shard = self._layout, self._config.market.tickers_per_shard
        partitions = source.partitions()
        found = self._spark.map(source.tickers, partitions)
        tickers = universe.settle(asked, {ticker for each in found for ticker in each}, source.name)

        def split(partition: Partition) -> list[tuple[int, bytes]]:
            pieces = shards.split(source.read(partition), tickers, per_shard)
            return [(number, _to_ipc(table)) for number, table in pieces]

        def join(number: int, pieces: list[bytes]) -> Made:
            table = shards.join([_from_ipc(piece) for piece in pieces])
            return _stored(layout, step, print_, number, table, "bars")

        n_shards = shards.count(tickers, per_shard)
        return self._spark.shuffle(
            split, partitions, join, n_shards=n_shards, units=_rows, report=self._report(step, 0)
        )

    def clean(self, raw: Manifest) -> Manifest:
        """Bars fit to use, a quarantine, and the quality gate."""
        config, layout = self._config, self._layout
        market = config.market
        # Sessions after the last bar of all have not happened yet as far as this data can tell: nothing to fill there.
        last = max((row.extra["last_date"] for row in raw.objects if row.extra["last_date"]), default=None)
        as_of = min(market.end, dt.date.fromisoformat(last)) if last else market.end
        days = sessions(market.calendar, market.start, as_of)

        def work(step: str, print_: str) -> Made:
            def make(numbered: tuple[int, ManifestRow]) -> Made:
                number, row = numbered
                cleaned = clean(_loaded(row), config.clean, days)
                kept = _stored(layout, step, print_, number, cleaned.bars, "bars")
                refused = _stored(layout, step, print_, number, cleaned.quarantine, "quarantine")
                objects = [*kept.objects, *(refused.objects if cleaned.quarantine.num_rows else [])]
                return Made(objects, row.rows, {"counts": cleaned.counts})

            made = self._map_shards(make, raw.objects, step)
            facts = gate.judge((each.facts["counts"] for each in made), universe.resolve(config.universe), config.clean)
            return _together(made, facts)

        inputs = [raw.digest(), config.clean.model_dump(mode="json"), fingerprint(days.tolist())]
        return self._step("clean", inputs, total_rows(raw.objects), work)

    def features(self, cleaned: Manifest) -> Manifest:
        """The eight features of record."""
        layout = self._layout

        def work(step: str, print_: str) -> Made:
            def make(numbered: tuple[int, ManifestRow]) -> Made:
                number, row = numbered
                table = compute(_loaded(row))
                return _stored(layout, step, print_, number, table, "features")

            return _together(self._map_shards(make, cleaned.of_kind("bars"), step), {})

        return self._step("features", [cleaned.digest()], total_rows(cleaned.of_kind("bars")), work)

    def sequences(self, features: Manifest) -> Manifest:
        """TFRecord sequences by split; windows for foreign readers beside them where the layout asks for it."""
        config, layout = self._config.dataset, self._layout

        def work(step: str, print_: str) -> Made:
            def make(numbered: tuple[int, ManifestRow]) -> Made:
                number, row = numbered
                table = _loaded(row)
                built = sequences.build(table, config)
                if config.layout == "windows":
                    built |= {f"{split}-windows": shard for split, shard in windows.export(table, config).items()}
                objects = []
                for kind, shard in built.items():
                    if shard.windows:
                        uri = layout.data(step, print_, f"{kind}-{number:05d}.tfrecord")
                        extra = {"sequences": shard.sequences, "bars": shard.bars}
                        objects.append(write_object(uri, shard.data, kind=kind, rows=shard.windows, extra=extra))
                return Made(objects, row.rows)

            made = _together(self._map_shards(make, features.objects, step), {})
            counts = {split: total_rows(row for row in made.objects if row.kind == split) for split in SPLITS}
            sequences.require_windows(counts, config)
            return replace(made, facts={"windows": counts})

        inputs = [features.digest(), config.model_dump(mode="json")]
        return self._step("sequences", inputs, total_rows(features.objects), work)

    def _step(self, name: str, inputs: Any, total: int, work: Callable[[str, str], Made]) -> Manifest:
        """Does a step unless it has been done for the same inputs; its manifest comes last."""
        print_ = fingerprint([__version__, name, inputs])
        known = finished(self._layout, name, print_)
        if known is not None:
            _LOG.info("%s is done for these inputs, skipped", name)
            self._journal.report(name, 1, 1, "rows", finished=True, skipped=True)
            return known
        self._spark.context  # noqa: B018 - starting the JVM is no part of any step's time
        self._journal.report(name, 0, total, "rows")
        began = time.monotonic()
        made = work(name, print_)
        seconds = time.monotonic() - began
        facts = {
            **made.facts,
            "rows": made.rows,
            "rows_per_s": made.rows / max(seconds, 1e-9),
            "spark": self._spark.facts(),
        }
        manifest = Manifest(name, print_, tuple(made.objects), seconds, facts, began=time.time() - seconds)
        manifest.save(self._layout)
        prune(self._layout, name, print_)
        self._journal.report(name, made.rows, made.rows, "rows", finished=True)
        _LOG.info("%s: %d rows in %.1f s, %d objects", name, made.rows, seconds, len(made.objects))
        return manifest

    def _map_shards(
        self, make: Callable[[tuple[int, ManifestRow]], Made], rows: Sequence[ManifestRow], step: str
    ) -> list[Made]:
        return self._spark.map(make, list(enumerate(rows)), units=_rows, report=self._report(step, total_rows(rows)))

    def _report(self, step: str, total: int) -> Callable[[int], None]:
        return lambda done: self._journal.report(step, done, total, "rows")


def _rows(made: Made) -> int:
    return made.rows


def _loaded(row: ManifestRow) -> pa.Table:
    """Reads one shard of Parquet, held to its manifest row."""
    return bars.from_parquet(read_object(row), uri=row.uri)


def _stored(layout: RunLayout, step: str, print_: str, number: int, table: pa.Table, kind: str) -> Made:
    """Writes one shard as Parquet."""
    uri = layout.data(step, print_, f"{kind}-{number:05d}.parquet")
    last = pc.max(table.column("date")).as_py()
    extra = {"last_date": last.isoformat() if last else None}
    row = write_object(uri, bars.to_parquet(table), kind=kind, rows=table.num_rows, extra=extra)
    return Made([row], table.num_rows)


def _together(made: Sequence[Made], facts: Mapping[str, Any]) -> Made:
    return Made([row for each in made for row in each.objects], sum(each.rows for each in made), facts)


def _to_ipc(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def _from_ipc(data: bytes) -> pa.Table:
    return pa.ipc.open_stream(data).read_all()
