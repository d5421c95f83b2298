"""The step "ingest": from any source to shards of whole tickers.

A remote source is first downloaded to snapshots in the step's folder. They are kept when the step fails or is killed,
so a repeated step with the same inputs downloads only what is missing.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any

from cloudlstm.errors import StorageError
from cloudlstm.market.sources import coverage, snapshots
from cloudlstm.market.sources.base import Partition, RemoteSource, Source, UnorderedSource
from cloudlstm.market.sources.coverage import Outcome
from cloudlstm.pipeline import unordered
from cloudlstm.pipeline.rounds import Rounds
from cloudlstm.pipeline.shard_io import TaskResult, merge_results
from cloudlstm.pipeline.stages import Ingested, Stage
from cloudlstm.runs.context import StepRun
from cloudlstm.runs.index import newest_first
from cloudlstm.runs.manifest import ManifestRow, write_object
from cloudlstm.runs.paths import RunPaths

_LOG = logging.getLogger(__name__)

STEP = "ingest"
_COUNT_EVERY_S = 2.0
_RUNS_LOOKED_AT = 10
"""Runs whose downloaded bars are looked at before a service is asked."""
_NO_ANSWER_S = 15.0
"""The progress shows "no answer" after this many seconds without a new ticker."""


class Ingest:
    """Ingests the bars of one run .

    Args:
        step: The step of the run.
        rounds: What runs its tasks.
        later: Returns the steps that a round over the shards of a source makes as well.
    """

    def __init__(self, step: StepRun, rounds: Rounds, later: Callable[[Source], Sequence[Stage]]) -> None:
        self._step, self._rounds, self._engine, self._later = step, rounds, rounds.engine, later
        self._market = step.context.config.market
        self._snapshots = step.context.paths.snapshots(step.name, step.fingerprint)

    def run(self, source: Source | RemoteSource, requested: tuple[str, ...] | None) -> TaskResult:
        """Writes the shards and the coverage report of a source.

        Args:
            source: Where the bars come from.
            requested: The tickers of the configured universe; None means every ticker of the source.

        Raises:
            FetchError: a remote source did not answer for every ticker.
        """
        facts: dict[str, Any] = {"source": self._market.source}
        report: list[ManifestRow] = []
        if isinstance(source, RemoteSource):
            outcomes = self._fetch(source)
            report = [self._write_coverage(outcomes)]
            coverage.require_fetched(outcomes, source.name, report[0].uri)
            facts["coverage"] = coverage.summary(outcomes)
            source = source.fetched(outcomes)
        else:
            unit = "file" if isinstance(source, UnorderedSource) else "ticker"
            self._report_reading(source.partitions(), unit)(0)
        shards = (
            self._read_unordered(source, requested)
            if isinstance(source, UnorderedSource)
            else self._read_shards(source, source.partitions())
        )
        merged = merge_results(shards, facts | {"shards": len(shards)})
        return TaskResult([*merged.objects, *report], merged.rows, merged.facts)

    def _fetch(self, source: RemoteSource) -> list[Outcome]:
        """Downloads all tickers; returns their outcomes sorted by ticker. Each snapshot is written at once."""
        folder = self._snapshots
        if adopted := source.adopt(folder, self._other_runs()):
            _LOG.info("%d tickers are copied from other runs, which fetched them within a day", adopted)
        known = sorted(snapshots.uris_by_ticker(folder))
        tasks = source.tasks(known, self._engine.cores)
        total = sum(len(task.items) for task in tasks)
        if known:
            _LOG.info("%d of %d tickers are already downloaded", len(known), total)
        self._step.report(len(known), total, "tickers")

        fetch = partial(source.fetch, tasks=len(tasks), folder=folder)
        done = self._engine.map(fetch, tasks, report=self._report_snapshots(source.name, folder, total))
        outcomes = sorted((outcome for each in done for outcome in each), key=lambda outcome: outcome.ticker)
        for remark in coverage.remarks(outcomes):
            _LOG.warning("%s", remark)
        settled = sum(outcome.status != coverage.FAILED for outcome in outcomes)
        self._step.report(settled, total, "tickers")
        return outcomes

    def _other_runs(self) -> Iterator[str]:
        """Yields where the last runs of this root keep what they ingested."""
        paths = self._step.context.paths
        with suppress(StorageError):
            others = (run_id for run_id in newest_first(paths.root) if run_id != paths.run_id)
            for run_id in islice(others, _RUNS_LOOKED_AT):
                yield RunPaths.of(paths.root, run_id).step_data(self._step.name)

    def _report_snapshots(self, name: str, folder: str, total: int) -> Callable[[int], None]:
        """Reports the number of snapshots, because the tasks of a remote source are few and long.

        Args:
            name: The source's name, for the message.
            folder: Where the snapshots are.
            total: Tickers in all.
        """
        due = time.monotonic() + _COUNT_EVERY_S
        last, since = -1, time.monotonic()

        def report(_: int) -> None:
            nonlocal due, last, since
            began = time.monotonic()
            if began < due:
                return
            with suppress(StorageError):  # progress is optional
                stored = len(snapshots.uris_by_ticker(folder))
                if stored != last:
                    last, since = stored, began
                waiting: dict[str, Any] = {"phase": f"no answer from {name}, retrying"}
                self._step.report(stored, total, "tickers", **(waiting if began - since >= _NO_ANSWER_S else {}))
            now = time.monotonic()
            due = now + max(_COUNT_EVERY_S, 10 * (now - began))  # listing many thousands of objects takes seconds

        return report

    def _write_coverage(self, outcomes: list[Outcome]) -> ManifestRow:
        data = self._step.data
        text = json.dumps(coverage.document(outcomes, data.uri("") + "/"), indent=1, sort_keys=True) + "\n"
        return write_object(data.uri("coverage.json"), text.encode(), kind="coverage", rows=len(outcomes))

    def _read_shards(self, source: Source, partitions: list[Partition]) -> list[TaskResult]:
        """For a source whose partitions are whole tickers: each task writes one shard."""
        stages = [Ingested(self._step.data), *self._later(source)]
        return self._rounds.run(stages, source.read, partitions, self._report_rows)

    def _read_unordered(self, source: UnorderedSource, requested: tuple[str, ...] | None) -> list[TaskResult]:
        """For files of any layout."""
        config = self._step.context.config
        reading = self._report_reading(source.partitions(), "file")
        found = unordered.survey(
            self._engine, source, requested, config.universe.exclude, reading, config.clean.max_missing_fraction
        )
        if found.whole is not None:
            return self._read_shards(found.whole, found.whole.partitions())
        reading = self._report_reading(found.partitions, "file")
        data, per_shard = self._step.data, self._market.tickers_per_shard
        return unordered.shuffle(self._engine, source.reader, found, per_shard, data, self._report_rows, reading)

    def _report_reading(self, partitions: Sequence[Partition], unit: str) -> Callable[[int], None]:
        """Reports how much is being read, and how many partitions are read, until the first rows are counted."""
        number, parts = len({item for each in partitions for item in each.items}), len(partitions)
        facts: dict[str, Any] = {"reading": f"{number:,} {unit}{'' if number == 1 else 's'}"}

        def report(done: int) -> None:
            part = {"part": f"{done} of {parts}"} if parts > 1 else {}
            self._step.report(0, 0, "rows", **(facts | part))

        return report

    def _report_rows(self, done: int) -> None:
        self._step.report(done, 0, "rows")
