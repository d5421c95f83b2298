"""The job "prepare": from a source to sequences, in four steps over shards.

If the settings name macro series or news, the step exogenous reads them first (exogenous_step.py). The step ingest
writes the bars as shards of whole tickers (ingest.py). Every later step maps one shard to one shard. The result for a
ticker does not depend on the other tickers of its shard. Steps that must run one after the other are made by one round
over the shards (rounds.py); each still has its own fingerprint, objects and manifest.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cloudlstm import __version__
from cloudlstm.dataset import sequences
from cloudlstm.dataset.splits import SPLITS
from cloudlstm.errors import DataError
from cloudlstm.features import features_of_run
from cloudlstm.features.user import require_lookbacks
from cloudlstm.market import universe
from cloudlstm.market.calendar import sessions
from cloudlstm.market.grid import Grid
from cloudlstm.market.interval import Interval
from cloudlstm.market.sources.base import Lookable, RemoteSource, Source, open_source
from cloudlstm.pipeline import exogenous_step
from cloudlstm.pipeline.engine import Engine, open_engine
from cloudlstm.pipeline.ingest import STEP, Ingest
from cloudlstm.pipeline.judge import judge
from cloudlstm.pipeline.plan import Plan
from cloudlstm.pipeline.rounds import Rounds
from cloudlstm.pipeline.shard_io import TaskResult, merge_results, read_shard
from cloudlstm.pipeline.stages import Stage
from cloudlstm.runs import user_code
from cloudlstm.runs.context import RunContext, StepRun
from cloudlstm.runs.manifest import Manifest, fingerprint, total_rows

_LOG = logging.getLogger(__name__)


def run(context: RunContext) -> None:
    """Runs the steps exogenous (if the run has it), ingest, clean, features and sequences.

    Each one that is finished for the same inputs is skipped.
    """
    with open_engine(context.config, app_name=f"cloudlstm {context.paths.run_id}") as engine:
        run_on(engine, context)


def run_on(engine: Engine, context: RunContext) -> None:
    """Runs the same steps on an engine that is open already."""
    require_lookbacks(features_of_run(context.config).features)  # before any work
    pipeline = _Pipeline(engine, context)
    exogenous = pipeline.exogenous()
    raw = pipeline.ingest(exogenous)
    last = max((row.extra["last_date"] for row in raw.of_kind("bars") if row.extra["last_date"]), default=None)
    interval = Interval(context.config.market.interval)
    plan = Plan(context, raw.fingerprint, interval.read(last) if last else None, exogenous)
    cleaned = pipeline.clean(plan, raw)
    features = pipeline.features(plan, cleaned)
    pipeline.sequences(plan, features)


def _by_session(grid: Grid | None) -> bool:
    """True if no window reaches into another session."""
    return grid is not None and not grid.bridged


class _Pipeline:
    """The steps of one run, on one engine."""

    def __init__(self, engine: Engine, context: RunContext) -> None:
        self._engine, self._context, self._config = engine, context, context.config
        self._rounds = Rounds(engine, context)
        self._ended = 0.0  # when the last step ended, seconds since the epoch

    def exogenous(self) -> Manifest | None:
        """Writes macro series and scored headlines, and what was refused; None if the run has neither."""
        if not self._config.exogenous.groups:
            return None
        step, work = exogenous_step.prepared(self._context, self._engine)
        return self._run(step, 1, work)

    def ingest(self, exogenous: Manifest | None) -> Manifest:
        """Writes the bars of the source as shards of whole tickers.

        Args:
            exogenous: The manifest of the step "exogenous"; a round that makes later steps needs it.
        """
        config = self._config
        market = config.market
        requested = universe.requested_tickers(config.universe, market)
        source = open_source(config, requested)
        sessions(market.calendar, market.start, market.end)  # fail on a wrong name before anything starts
        limits = [requested, sorted(config.universe.exclude)]
        inputs = [source.identity(), *limits, market.start, market.end, market.calendar, market.tickers_per_shard]
        inputs += [] if market.interval == "1d" else [market.interval]
        step = self._context.step(STEP, fingerprint([__version__, STEP, inputs]))
        if (
            isinstance(source, Lookable)
            and not isinstance(source, RemoteSource)
            and not Manifest.load(self._context.paths, STEP)
        ):
            for note in source.look(config.universe.exclude).notes:  # the launcher may have no access to the files
                _LOG.info("%s", note)

        def later(read: Source) -> list[Stage]:
            last = read.last_date()
            return Plan(self._context, step.fingerprint, last, exogenous).after(STEP) if last else []

        def work() -> TaskResult:
            return Ingest(step, self._rounds, later).run(source, requested)

        tasks = 2 if isinstance(source, RemoteSource) else len(source.partitions())
        return self._run(step, tasks, work)

    def clean(self, plan: Plan, raw: Manifest) -> Manifest:
        """Writes clean bars and the quarantine, and applies the quality gate."""
        step = self._step(plan, "clean", raw)

        def work() -> TaskResult:
            results = self._results(plan, step, raw)
            try:
                return merge_results(results, judge(raw, results, self._config, step.data))
            except DataError:
                self._rounds.discard()
                raise

        return self._run(step, len(raw.of_kind("bars")), work)

    def features(self, plan: Plan, cleaned: Manifest) -> Manifest:
        """Computes the features of every bar."""
        step = self._step(plan, "features", cleaned)

        def work() -> TaskResult:
            own = user_code.identity(self._config.features.extra)
            return merge_results(self._results(plan, step, cleaned), {"own_code": own} if own else {})

        return self._run(step, len(cleaned.of_kind("bars")), work)

    def sequences(self, plan: Plan, features: Manifest) -> Manifest:
        """Writes TFRecord sequences by split, and single windows as well if dataset.layout is "windows"."""
        step = self._step(plan, "sequences", features)

        def work() -> TaskResult:
            results = self._results(plan, step, features)
            merged = merge_results(results, {})
            counts = {split: total_rows(row for row in merged.objects if row.kind == split) for split in SPLITS}
            longest = max((each.facts["longest"] for each in results), default=0)
            dates, days = plan.dates_between([date for each in results for date in each.facts["dates"]])
            facts: dict[str, Any] = {"windows": counts, "features": plan.features.described()}
            if plan.grid:
                facts["interval"] = plan.grid.interval.name
            left_out = None
            if plan.members:
                left_out = {split: sum(each.facts["left_out"][split] for each in results) for split in SPLITS}
                last_bars = {ticker: day for each in results for ticker, day in each.facts["last_bars"].items()}
                facts["members"] = {**plan.members.facts(last_bars, days), "windows_left_out": left_out}
            sequences.require_windows(
                counts, self._config.dataset, longest, dates, left_out, plan.features, _by_session(plan.grid)
            )
            return replace(merged, facts=facts)

        return self._run(step, len(features.objects), work)

    def _step(self, plan: Plan, name: str, before: Manifest) -> StepRun:
        """A step after ingest, whose input is the result of the step before it."""
        inputs = [before.digest(), *plan.settings[name]]
        place = plan.stages[name].data.place
        return self._context.step(name, fingerprint([__version__, name, inputs]), place)

    def _results(self, plan: Plan, step: StepRun, before: Manifest) -> list[TaskResult]:
        """The result of a step for each shard: from an earlier round, or from one that makes later steps as well."""
        if (made := self._rounds.take(step.data)) is not None:
            return made
        shards = [row for row in before.objects if row.kind in ("bars", "features")]
        total = total_rows(shards)
        step.report(0, total, "rows")
        stages = [plan.stages[step.name], *plan.after(step.name)]
        return self._rounds.run(stages, read_shard, shards, lambda done: step.report(done, total, "rows"))

    def _run(self, step: StepRun, tasks: int, work: Callable[[], TaskResult]) -> Manifest:
        """Runs a step and writes its manifest, or returns the manifest if it is finished for the same inputs.

        Args:
            step: The step.
            tasks: About how many tasks it has.
            work: Writes the step's objects.
        """
        if known := step.finished():
            _LOG.info("%s is finished for these inputs, skipped", step.name)
            step.prune(known)  # an earlier job may have been killed before this
            step.report(1, 1, "rows", finished=True, skipped=True)
            return known
        ahead = self._rounds.is_made(step.data)
        if not ahead:
            self._engine.start(tasks)
        began, watch, started = time.time(), time.monotonic(), self._engine.start_seconds
        result = work()
        starts = self._engine.start_seconds - started  # of workers that only a later round of the step needs
        seconds = time.monotonic() - watch - starts + self._rounds.booked_s(step.name)
        if ahead:
            began = self._ended
        self._ended = began + seconds
        facts = {
            **result.facts,
            "rows": result.rows,
            "rows_per_s": result.rows / max(seconds, 1e-9),
            "engine": self._engine.facts(),
        }
        manifest = step.finish(result.objects, facts, seconds=seconds, began=began)
        step.prune()
        step.report(result.rows, result.rows, "rows", finished=True, seconds=seconds)
        _LOG.info("%s: %d rows in %.1f s, %d objects", step.name, result.rows, seconds, len(result.objects))
        return manifest
