"""The step "evaluate": scores the network's forecasts and writes the report. It does not need TensorFlow."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cloudlstm import __version__, storage
from cloudlstm.config import RunConfig
from cloudlstm.costs.usage import Usage, read_usage
from cloudlstm.dataset import folds
from cloudlstm.dataset.folds import Fold
from cloudlstm.dataset.inputs import Inputs, make, restore
from cloudlstm.dataset.reader import SequenceSet
from cloudlstm.dataset.splits import LABELLED, SPLITS
from cloudlstm.errors import DataError
from cloudlstm.evaluation.forecasts import (
    DayArray,
    Forecasts,
    as_csv,
    as_parquet,
    next_session_table,
)
from cloudlstm.evaluation.members import read_folds
from cloudlstm.evaluation.scored import Scored, score_folds
from cloudlstm.evaluation.sessions import with_sessions
from cloudlstm.features import CLOSE, VOLUME
from cloudlstm.market.calendar import sessions_after
from cloudlstm.market.grid import bars_after
from cloudlstm.market.interval import texts_of
from cloudlstm.market.sectors import read_sectors
from cloudlstm.report import html
from cloudlstm.report.build import ReportInputs, build_report
from cloudlstm.report.exogenous import exogenous_section
from cloudlstm.report.models import Report
from cloudlstm.report.run_models import Epoch
from cloudlstm.report.schema import to_json
from cloudlstm.report.timeline import Timing
from cloudlstm.runs import attempts
from cloudlstm.runs.context import RunContext, StepRun
from cloudlstm.runs.manifest import Manifest, ManifestRow, fingerprint, read_object, write_object
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.steps import ALL_STEPS
from cloudlstm.runs.weights import RIDGE
from cloudlstm.training.results import member_of, several
from cloudlstm.training.step import train_fingerprint

_LOG = logging.getLogger(__name__)

STEP = "evaluate"


def run(context: RunContext) -> Manifest:
    """Scores the forecasts of the train step and writes the report, unless it exists for the same inputs.

    Raises:
        DataError: sequences or forecasts are missing or do not match.
        MissingExtraError: scipy, jinja2 or exchange-calendars is not installed.
    """
    paths, config = context.paths, context.config
    manifests = _manifests(paths)
    sectors = _sectors(config)
    step = context.step(STEP, _fingerprint(config, manifests, sectors))
    if done := step.finished():
        _LOG.info("%s is done for these inputs, skipped", STEP)
        step.report(1, 1, "windows", finished=True, skipped=True)
        return done
    clock, began = time.time(), time.monotonic()
    train = _required(manifests, "train")
    forecasts = [with_sessions(fold, config) for fold in read_folds(train)]
    if not all("test" in fold for fold in forecasts):
        raise DataError(
            "the test split has no forecast to score", hint="a later market.end, or an earlier validation_end"
        )
    sequences = _required(manifests, "sequences")
    windows = {split: SequenceSet.of_split(sequences, split, config) for split in SPLITS}
    made = folds.make(windows, config)
    progress = _WindowProgress(step, sum(len(split) for fold in made for split in fold.splits.values()))
    scored = score_folds(forecasts, made, _transforms(config, train, made), config, progress)
    next_dates = _next_session_dates(config, scored.forecast)
    report = build_report(
        ReportInputs(
            run_id=paths.run_id,
            config=config,
            manifests=manifests,
            history=_history(train),
            scored=scored,
            next_session_dates=next_dates,
            label_dates=_label_dates(windows),
            turnover=_turnover(windows["test"]),
            windows=progress.total,
            timing=Timing(_submitted(paths), clock, time.monotonic() - began),
            usage=_usage(paths, context.attempt),
            sectors=sectors,
            exogenous=exogenous_section(config, manifests, made, scored),
        )
    )
    objects = _write(paths, report, scored, next_dates)
    lstm = next(row for row in report.models if row.model == "lstm")
    facts = {"headline": report.headline, "rmse_price": lstm.rmse_price, "skill": lstm.skill}
    manifest = step.finish(objects, facts, seconds=time.monotonic() - began, began=clock)
    step.report(progress.total, progress.total, "windows", finished=True, seconds=manifest.seconds)
    _LOG.info("%s", report.headline)
    return manifest


def _manifests(paths: RunPaths) -> dict[str, Manifest | None]:
    return {step.name: Manifest.load(paths, step.name) for step in ALL_STEPS if step.name != STEP}


def _sectors(config: RunConfig) -> dict[str, str] | None:
    """Ticker -> sector; None without a table of sectors."""
    return read_sectors(config.universe.sectors) if config.universe.sectors else None


def _fingerprint(
    config: RunConfig, manifests: dict[str, Manifest | None], sectors: dict[str, str] | None
) -> str:  # fmt: skip
    """Hash of everything that the report depends on: the results of the steps, the settings, and the sectors."""
    results = {step: (manifest.fingerprint, manifest.digest()) for step, manifest in manifests.items() if manifest}
    return fingerprint([__version__, STEP, results, config.identity(), sectors])


def _required(manifests: dict[str, Manifest | None], step: str) -> Manifest:
    manifest = manifests[step]
    if manifest is None:
        raise DataError(f"there is nothing to score: the step {step} has not finished", hint="submit the run again")
    return manifest


def _history(train: Manifest) -> list[Epoch]:
    lines = (line for row in train.of_kind("history") for line in read_object(row).decode().splitlines())
    return [Epoch.model_validate(json.loads(line)) for line in lines if line]


def _transforms(config: RunConfig, train: Manifest, made: Sequence[Fold]) -> list[Inputs]:
    """The transform between windows and the network's inputs of each fold: the stored one, else a new one."""
    stored = {member_of(row).fold: row for row in reversed(several(train, "inputs"))}
    found: list[Inputs] = []
    for fold in made:
        windows = fold.splits["train"]
        if fold.number in stored:
            found.append(restore(json.loads(read_object(stored[fold.number])), windows.features))
        else:
            found.append(make(config, windows, config.exogenous.own_inputs))
    return found


def _next_session_dates(config: RunConfig, split: Forecasts | None) -> DayArray:
    """Target date of each forecast after the last bar, days since 1970-01-01, of bars within a day minutes (n,)."""
    if split is None:
        return np.zeros(0, np.int32)
    if split.unit != "D":
        return bars_after(config.market, split.origin, config.dataset.horizon_bars)
    return sessions_after(config.market.calendar, split.origin, config.dataset.horizon_bars)


def _submitted(paths: RunPaths) -> float:
    """Begin of the run's latest attempt, seconds since the epoch; 0.0 if there is none."""
    owner = attempts.read_owner(paths, attempts.latest_attempt(paths))
    return owner.started if owner else 0.0


def _usage(paths: RunPaths, attempt: int) -> list[Usage]:
    """The machines that the run has used; those of this attempt's training work until now."""
    return [
        replace(each, ended=max(each.ended, time.time())) if (each.attempt, each.job) == (attempt, "train") else each
        for each in read_usage(paths)
    ]


def _label_dates(windows: dict[str, SequenceSet]) -> dict[str, tuple[str, str]]:
    """Split -> first and last target date of its labels, as ISO dates; without splits that have no label."""
    found = {}
    for split in LABELLED:
        if n := len(windows[split]):
            dates = windows[split].target_dates(np.arange(n))
            first, last = texts_of(np.array([dates.min(), dates.max()]), windows[split].unit)
            found[split] = (first, last)
    return found


def _turnover(windows: SequenceSet) -> dict[str, float]:
    """Ticker -> mean close x volume of its last window, in dollars a session."""
    names = windows.tickers(np.arange(len(windows)))
    found, place = np.unique(names[::-1], return_index=True)  # reversed, so the first index is a ticker's last window
    bars = windows.windows(len(names) - 1 - place).astype(np.float64)
    means = (bars[:, :, CLOSE] * bars[:, :, VOLUME]).mean(axis=1)
    return dict(zip(found.tolist(), means.tolist(), strict=True))


def _write(paths: RunPaths, report: Report, scored: Scored, next_dates: DayArray) -> tuple[ManifestRow, ...]:
    page = html.render(report)
    labels = report.models[0].labels
    objects = [
        write_object(paths.report("report.json"), to_json(report), kind="report_json", rows=labels),
        write_object(paths.report("report.html"), page.encode(), kind="report_html", rows=labels),
    ]
    if (ridge := scored.fits[-1].baselines.ridge) is not None:
        inputs = ridge.weights.shape[0]
        objects.append(write_object(paths.report("ridge.npz"), ridge.to_npz(), kind=RIDGE, rows=inputs))
    if scored.forecast is not None:
        halves = dict(zip(scored.levels, scored.forecast_halves, strict=True))
        rmse_return = {row.ticker: row.rmse_return for row in report.per_ticker if row.model == "lstm"}
        table = next_session_table(scored.forecast, next_dates, rmse_return, halves)
        for name, data in (("csv", as_csv(table)), ("parquet", as_parquet(table))):
            uri = paths.report(f"forecasts.{name}")
            objects.append(write_object(uri, data, kind=f"forecasts_{name}", rows=table.num_rows))
    return tuple(objects)


class _WindowProgress:
    """Counts processed windows and reports the progress."""

    def __init__(self, step: StepRun, total: int) -> None:
        self.total = total
        self._step, self._done = step, 0

    def __call__(self, windows: int) -> None:
        self._done += windows
        self._step.report(min(self._done, self.total), self.total, "windows")


def mark_complete(context: RunContext) -> None:
    """Writes a marker if train and evaluate are finished for the current sequences, so that no trainers start."""
    config, sequences = context.config, context.load_manifest("sequences")
    if sequences is None or context.load_manifest(STEP) is None:
        return
    if not context.step("train", train_fingerprint(config, sequences)).finished():
        return
    if context.step(STEP, _fingerprint(config, _manifests(context.paths), _sectors(config))).finished():
        context.ensure_not_superseded()
        storage.write_json(context.paths.complete(context.attempt), {})
