"""The step "ingest": from a source of any kind to shards of whole tickers.

A remote source is fetched first, into snapshots below the step's fingerprint. They outlive a step that fails or is
killed, and the step that is done again for the same inputs asks only for what is missing there.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pyarrow as pa

from cloudlstm.errors import StorageError
from cloudlstm.market import bars, universe
from cloudlstm.market.sources import coverage, snapshots
from cloudlstm.market.sources.base import Partition, RemoteSource, Source
from cloudlstm.market.sources.coverage import Outcome
from cloudlstm.pipeline import shard_io
from cloudlstm.pipeline.shard_io import TaskResult, merge_results, rows_of, write_shard
from cloudlstm.pipeline.spark import Spark
from cloudlstm.runs.context import StepRun
from cloudlstm.runs.manifest import ManifestRow, write_object

_LOG = logging.getLogger(__name__)

STEP = "ingest"
_LOOK_EVERY_S = 2.0
_SILENT_S = 15.0
"""A source from which nothing has come for this long is worth a word."""


class Ingest:
    """Ingests one run's bars, carried by one Spark application.

    Args:
        step: The step of the run.
        spark: The application.
    """

    def __init__(self, step: StepRun, spark: Spark) -> None:
        self._step, self._spark = step, spark
        self._market = step.context.config.market
        self._snapshots = step.context.paths.snapshots(step.name, step.fingerprint)

    def run(self, source: Source | RemoteSource, asked: tuple[str, ...] | None) -> TaskResult:
        """The shards of a source, and what the report says of them.

        Raises:
            FetchError: when a remote source did not answer for every ticker.
        """
        facts: dict[str, Any] = {"source": self._market.source}
        report: list[ManifestRow] = []
        if isinstance(source, RemoteSource):
            outcomes = self._fetch(source)
            report = [self._report_coverage(outcomes)]
            coverage.require_fetched(outcomes, source.name, report[0].uri)
            facts["coverage"] = coverage.summary(outcomes)
            source = source.fetched(outcomes)
        else:
            self._rows_done(0)
        partitions = source.partitions()
        shards = self._read_shards(source, partitions) if source.whole_tickers else self._shuffled(source, asked)
        merged = merge_results(shards, facts | {"partitions": len(partitions), "shards": len(shards)})
        return TaskResult([*merged.objects, *report], merged.rows, merged.facts)

    def _fetch(self, source: RemoteSource) -> list[Outcome]:
        """What became of each ticker, sorted by ticker. Each is stored as soon as it has been fetched."""
        folder = self._snapshots
        known = sorted(snapshots.uris_by_ticker(folder))
        tasks = source.tasks(known, self._spark.cores)
        total = sum(len(task.items) for task in tasks)
        if known:
            _LOG.info("%d of %d tickers have been fetched already", len(known), total)
        self._step.report(len(known), total, "tickers")

        def fetch(task: Partition) -> list[Outcome]:
            return source.fetch(task, len(tasks), folder)

        done = self._spark.map(fetch, tasks, report=self._counting(source.name, folder, total))
        outcomes = sorted((outcome for each in done for outcome in each), key=lambda outcome: outcome.ticker)
        for outcome in outcomes:
            if outcome.cause and not outcome.reused:
                _LOG.warning("%s is %s: %s", outcome.ticker, outcome.status, outcome.cause)
        settled = sum(outcome.status != coverage.FAILED for outcome in outcomes)
        self._step.report(settled, total, "tickers")
        return outcomes

    def _counting(self, name: str, folder: str, total: int) -> Callable[[int], None]:
        """Reports the tickers that are stored: tasks of a remote source are few and long, and say nothing meanwhile."""
        due = time.monotonic() + _LOOK_EVERY_S
        last, since = -1, time.monotonic()

        def report(_: int) -> None:
            nonlocal due, last, since
            began = time.monotonic()
            if began < due:
                return
            with suppress(StorageError):  # progress is a comfort
                stored = len(snapshots.uris_by_ticker(folder))
                if stored != last:
                    last, since = stored, began
                silent: dict[str, Any] = {"phase": f"no answer from {name} for a while, asking again"}
                self._step.report(stored, total, "tickers", **(silent if began - since >= _SILENT_S else {}))
            now = time.monotonic()
            due = now + max(_LOOK_EVERY_S, 10 * (now - began))  # a listing of many thousands takes its time

        return report

    def _report_coverage(self, outcomes: list[Outcome]) -> ManifestRow:
        data = self._step.data
        text = json.dumps(coverage.document(outcomes, data.uri("") + "/"), indent=1, sort_keys=True) + "\n"
        return write_object(data.uri("coverage.json"), text.encode(), kind="coverage", rows=len(outcomes))

    def _read_shards(self, source: Source, partitions: list[Partition]) -> list[TaskResult]:
        """A source that knows its tickers delivers whole shards; each task makes one."""
        data = self._step.data

        def make(numbered: tuple[int, Partition]) -> TaskResult:
            number, partition = numbered
            table = bars.sort(bars.conform(source.read(partition), bars.BARS))
            return write_shard(data, "bars", number, table)

        return self._spark.map(make, list(enumerate(partitions)), units=rows_of, report=self._rows_done)

    def _shuffled(self, source: Source, asked: tuple[str, ...] | None) -> list[TaskResult]:
        """Files of any layout: which tickers there are, then every bar to its ticker's shard."""
        data, per_shard = self._step.data, self._market.tickers_per_shard
        partitions = source.partitions()
        found = self._spark.map(source.tickers, partitions)
        tickers = universe.resolve_universe(asked, {ticker for each in found for ticker in each}, source.name)

        def split(partition: Partition) -> list[tuple[int, bytes]]:
            pieces = shard_io.split(source.read(partition), tickers, per_shard)
            return [(number, _to_ipc(table)) for number, table in pieces]

        def join(number: int, pieces: list[bytes]) -> TaskResult:
            table = shard_io.join([_from_ipc(piece) for piece in pieces])
            return write_shard(data, "bars", number, table)

        n_shards = shard_io.count(tickers, per_shard)
        return self._spark.shuffle(split, partitions, join, n_shards=n_shards, units=rows_of, report=self._rows_done)

    def _rows_done(self, done: int) -> None:
        self._step.report(done, 0, "rows")


def _to_ipc(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def _from_ipc(data: bytes) -> pa.Table:
    return pa.ipc.open_stream(data).read_all()
