"""The job "prepare": from a source to sequences, in four steps over shards.

The step ingest writes the bars as shards of whole tickers (ingest.py). Every later step maps one shard to one shard.
The result for a ticker does not depend on the other tickers of its shard.
"""

from __future__ import annotations

import datetime as dt
import itertools
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm import __version__, storage
from cloudlstm.dataset import sequences
from cloudlstm.dataset.splits import SPLITS
from cloudlstm.features import FEATURE_NAMES
from cloudlstm.market import universe
from cloudlstm.market.calendar import sessions
from cloudlstm.market.calendar_fit import Problem, describe_bars
from cloudlstm.market.cleaning import quality_gate
from cloudlstm.market.cleaning.duplicate_series import find_duplicate_series
from cloudlstm.market.cleaning.gate_problems import Evidence
from cloudlstm.market.sources.base import Lookable, RemoteSource, open_source
from cloudlstm.pipeline.engine import Engine, open_engine
from cloudlstm.pipeline.ingest import STEP, Ingest
from cloudlstm.pipeline.shard_io import TaskResult, merge_results, read_shard
from cloudlstm.pipeline.stages import Chain, Cleaned, Featured, Sequenced, Stage, rows_of_first
from cloudlstm.runs.context import RunContext, StepRun
from cloudlstm.runs.manifest import Manifest, ManifestRow, fingerprint, total_rows

_LOG = logging.getLogger(__name__)


def run(context: RunContext) -> None:
    """Runs the steps ingest, clean, features and sequences; skips each one that is finished for the same inputs."""
    with open_engine(context.config, app_name=f"cloudlstm {context.paths.run_id}") as engine:
        run_on(engine, context)


def run_on(engine: Engine, context: RunContext) -> None:
    """Runs the same steps on an engine that is open already."""
    pipeline = _Pipeline(engine, context)
    raw = pipeline.ingest()
    cleaned = pipeline.clean(raw)
    features = pipeline.features(cleaned)
    pipeline.sequences(features)


class _Pipeline:
    """The steps of one run, on one engine."""

    def __init__(self, engine: Engine, context: RunContext) -> None:
        self._engine, self._context, self._config = engine, context, context.config

    def ingest(self) -> Manifest:
        """Writes the bars of the source as shards of whole tickers."""
        config = self._config
        market = config.market
        requested = universe.requested_tickers(config.universe)
        source = open_source(config, requested)
        sessions(market.calendar, market.start, market.end)  # fail on a wrong name before anything starts
        limits = [requested, sorted(config.universe.exclude)]
        inputs = [source.identity(), *limits, market.start, market.end, market.calendar, market.tickers_per_shard]

        if (
            isinstance(source, Lookable)
            and not isinstance(source, RemoteSource)
            and not Manifest.load(self._context.paths, STEP)
        ):
            for note in source.look(config.universe.exclude).notes:  # the launcher may have no access to the files
                _LOG.info("%s", note)

        tasks = 2 if isinstance(source, RemoteSource) else len(source.partitions())

        def work(step: StepRun) -> TaskResult:
            return Ingest(step, self._engine).run(source, requested)

        return self._step(STEP, inputs, None, tasks, work)

    def clean(self, raw: Manifest) -> Manifest:
        """Writes clean bars and the quarantine, and applies the quality gate."""
        config = self._config
        market = config.market
        # Sessions after the last bar of the data set are not missing: they may not have happened yet.
        shards = raw.of_kind("bars")
        last = max((row.extra["last_date"] for row in shards if row.extra["last_date"]), default=None)
        as_of = min(market.end, dt.date.fromisoformat(last)) if last else market.end
        days = sessions(market.calendar, market.start, as_of)

        def work(step: StepRun) -> TaskResult:
            results = self._map_shards(Cleaned(step.data, config.clean, days), shards, step)
            facts = quality_gate.evaluate_gate(
                (each.facts["counts"] for each in results),
                universe.requested_tickers(config.universe),
                config.clean,
                _evidence(raw, shards, results, step, market.calendar),
            )
            facts["same_bars"] = find_duplicate_series(each.facts["sketches"] for each in results)
            for group in facts["same_bars"]:
                _LOG.warning("these tickers have the same bars: %s", ", ".join(group))
            return merge_results(results, facts)

        inputs = [raw.digest(), config.clean.model_dump(mode="json"), fingerprint(days.tolist())]
        return self._step("clean", inputs, total_rows(shards), len(shards), work)

    def features(self, cleaned: Manifest) -> Manifest:
        """Computes the features of every bar."""

        def work(step: StepRun) -> TaskResult:
            results = self._map_shards(Featured(step.data), cleaned.of_kind("bars"), step)
            return merge_results(results, {})

        shards = cleaned.of_kind("bars")
        return self._step("features", [cleaned.digest(), FEATURE_NAMES], total_rows(shards), len(shards), work)

    def sequences(self, features: Manifest) -> Manifest:
        """Writes TFRecord sequences by split, and single windows as well if dataset.layout is "windows"."""
        config = self._config.dataset

        def work(step: StepRun) -> TaskResult:
            results = self._map_shards(Sequenced(step.data, config), features.objects, step)
            merged = merge_results(results, {})
            counts = {split: total_rows(row for row in merged.objects if row.kind == split) for split in SPLITS}
            longest = max((each.facts["longest"] for each in results), default=0)
            sequences.require_windows(counts, config, longest, self._sessions_between(results))
            return replace(merged, facts={"windows": counts})

        inputs = [features.digest(), config.model_dump(mode="json")]
        return self._step("sequences", inputs, total_rows(features.objects), len(features.objects), work)

    def _sessions_between(self, results: Sequence[TaskResult]) -> NDArray[np.int32]:
        """Returns the sessions from the first to the last date of all shards."""
        dates = [dt.date.fromisoformat(date) for each in results for date in each.facts["dates"]]
        if not dates:
            return np.zeros(0, np.int32)
        return sessions(self._config.market.calendar, min(dates), max(dates))

    def _step(
        self, name: str, inputs: Any, total: int | None, tasks: int, work: Callable[[StepRun], TaskResult]
    ) -> Manifest:
        """Runs a step and writes its manifest, or returns the manifest if it is finished for the same inputs.

        Args:
            name: The step's name.
            inputs: Everything that its result depends on, JSON-ready.
            total: Rows to process; None if `work` reports its own counts.
            tasks: About how many tasks it has.
            work: Writes the step's objects.
        """
        step = self._context.step(name, fingerprint([__version__, name, inputs]))
        if known := step.finished():
            _LOG.info("%s is finished for these inputs, skipped", name)
            step.prune()  # an earlier job may have been killed before this
            step.report(1, 1, "rows", finished=True, skipped=True)
            return known
        self._engine.start(tasks)
        if total is not None:
            step.report(0, total, "rows")
        began = time.monotonic()
        result = work(step)
        seconds = time.monotonic() - began
        facts = {
            **result.facts,
            "rows": result.rows,
            "rows_per_s": result.rows / max(seconds, 1e-9),
            "engine": self._engine.facts(),
        }
        manifest = step.finish(result.objects, facts, seconds=seconds, began=time.time() - seconds)
        step.prune()
        step.report(result.rows, result.rows, "rows", finished=True, seconds=seconds)
        _LOG.info("%s: %d rows in %.1f s, %d objects", name, result.rows, seconds, len(result.objects))
        return manifest

    def _map_shards(self, stage: Stage, rows: Sequence[ManifestRow], step: StepRun) -> list[TaskResult]:
        total = total_rows(rows)

        def report(done: int) -> None:
            step.report(done, total, "rows")

        task = Chain(read_shard, [stage])
        done = self._engine.map(task, list(enumerate(rows)), units=rows_of_first, report=report)
        return [results[0] for results in done]


def _evidence(
    raw: Manifest, shards: Sequence[ManifestRow], results: Sequence[TaskResult], step: StepRun, calendar: str
) -> Evidence:
    """Returns what the message of the quality gate can tell beyond the counts; it reads bars only for a failed gate."""

    def dates(ticker: str) -> Problem | None:
        holder = next(row for row, each in zip(shards, results, strict=True) if ticker in each.facts["counts"])
        table = read_shard(holder)
        return describe_bars(table.filter(pc.equal(table.column("ticker"), ticker)), calendar)

    numbers = itertools.count(1)

    def save(names: str) -> str:
        uri = step.data.uri(f"tickers-{next(numbers)}.txt")
        storage.write(uri, names.encode())
        return uri.removeprefix("file://")

    causes = {each["ticker"]: each["cause"] for each in raw.facts.get("coverage", {}).get("unfetched", ())}
    examples: dict[str, str] = {}
    for each in results:
        examples = each.facts["examples"] | examples  # the first shard with a reason gives its example
    return Evidence(causes, examples, dates, save)
