"""The step "evaluate": from the network's forecasts to the report. It runs on the trainer, without TensorFlow."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import numpy as np

from cloudlstm import __version__, storage
from cloudlstm.config import RunConfig
from cloudlstm.dataset.inputs import Inputs, Levels, Relative, restore
from cloudlstm.dataset.reader import SequenceSet
from cloudlstm.errors import DataError
from cloudlstm.evaluation.baselines import add_baselines
from cloudlstm.evaluation.forecasts import (
    DayArray,
    Forecasts,
    as_csv,
    as_parquet,
    next_session_table,
    read_predictions,
)
from cloudlstm.features import CLOSE, VOLUME
from cloudlstm.market.calendar import sessions_after
from cloudlstm.report import html
from cloudlstm.report.build import Evaluation, document
from cloudlstm.runs import attempts
from cloudlstm.runs.context import RunContext, StepRun
from cloudlstm.runs.manifest import Manifest, ManifestRow, fingerprint, read_object, write_object
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.steps import STEPS
from cloudlstm.training.fingerprint import train_fingerprint

_LOG = logging.getLogger(__name__)

STEP = "evaluate"


def run(context: RunContext) -> Manifest:
    """Judges the forecasts of the train step and writes the report, unless it is there for the same inputs.

    Raises:
        DataError: when sequences or forecasts are missing or do not fit together.
        MissingExtraError: when scipy, jinja2 or exchange-calendars is not installed.
    """
    paths, config = context.paths, context.config
    manifests = _manifests(paths)
    step = context.step(STEP, _fingerprint(config, manifests))
    if done := step.finished():
        _LOG.info("%s is done for these inputs, skipped", STEP)
        step.report(1, 1, "windows", finished=True, skipped=True)
        return done
    clock, began = time.time(), time.monotonic()
    train = _required(manifests, "train")
    splits = read_predictions(read_object(row) for row in train.of_kind("predictions"))
    if "test" not in splits:
        raise DataError(
            "the test split has no forecast to judge", hint="a later market.end, or an earlier validation_end"
        )
    history = _history(train)
    windows = _windows(config, _required(manifests, "sequences"))
    seen = _Seen(step, sum(len(split) for split in windows.values()))
    transform = _transform(config, train, windows["train"])
    fitted = add_baselines(splits, windows, transform, config.evaluation.ridge_alphas, seen)
    beyond = _beyond(config, splits.get("forecast"))
    turnover = _turnover(windows["test"])
    itself = Evaluation(clock, time.monotonic() - began, seen.total, _submitted(paths), turnover)
    report = document(paths.run_id, config, manifests, history, splits, beyond, fitted, itself)
    objects = _write(paths, report, splits.get("forecast"), beyond)
    lstm = next(row for row in report["models"] if row["model"] == "lstm")
    facts = {"headline": report["headline"], "rmse_price": lstm["rmse_price"], "skill": lstm["skill"]}
    manifest = step.finish(objects, facts, seconds=time.monotonic() - began, began=clock)
    step.report(seen.total, seen.total, "windows", finished=True)
    _LOG.info("%s", report["headline"])
    return manifest


def _manifests(paths: RunPaths) -> dict[str, Manifest | None]:
    return {step.name: Manifest.load(paths, step.name) for step in STEPS if step.name != STEP}


def _fingerprint(config: RunConfig, manifests: dict[str, Manifest | None]) -> str:
    """Hash of all that the report depends on: what the steps made, and how it is judged."""
    made = {step: (manifest.fingerprint, manifest.digest()) for step, manifest in manifests.items() if manifest}
    return fingerprint([__version__, STEP, made, config.identity()])


def _required(manifests: dict[str, Manifest | None], step: str) -> Manifest:
    manifest = manifests[step]
    if manifest is None:
        raise DataError(f"there is nothing to judge: the step {step} has not finished", hint="submit the run again")
    return manifest


def _windows(config: RunConfig, sequences: Manifest) -> dict[str, SequenceSet]:
    """The windows of every split, staged where training has them already."""
    return {
        split: SequenceSet.stage(
            sequences.of_kind(split),
            window_bars=config.dataset.window_bars,
            horizon_bars=config.dataset.horizon_bars,
            cache_dir=config.train.cache_dir,
        )
        for split in ("train", "validation", "test", "forecast")
    }


def _history(train: Manifest) -> list[dict[str, Any]]:
    """Training's records, one an epoch."""
    lines = (line for row in train.of_kind("history") for line in read_object(row).decode().splitlines())
    return [json.loads(line) for line in lines if line]


def _transform(config: RunConfig, train: Manifest, windows: SequenceSet) -> Inputs:
    """The network's own way to see windows: as it stored it, or made anew."""
    for row in train.of_kind("inputs"):
        return restore(json.loads(read_object(row)))
    return Levels.fit(windows) if config.train.inputs == "levels" else Relative(config.dataset.horizon_bars)


def _beyond(config: RunConfig, split: Forecasts | None) -> DayArray:
    """The session that each forecast beyond the last bar is for, days since 1970-01-01 (n,)."""
    if split is None:
        return np.zeros(0, np.int32)
    return sessions_after(config.market.calendar, split.origin, config.dataset.horizon_bars)


def _submitted(paths: RunPaths) -> float:
    """When the attempt that this evaluation belongs to began, seconds since the epoch; 0.0 when there is none."""
    owner = attempts.read_owner(paths, attempts.latest_attempt(paths))
    return owner.started if owner else 0.0


def _turnover(windows: SequenceSet) -> dict[str, float]:
    """Ticker -> close x volume, the mean of its last window in dollars a session."""
    names = windows.tickers(np.arange(len(windows)))
    found, place = np.unique(names[::-1], return_index=True)  # the first from the end is a ticker's last
    bars = windows.windows(len(names) - 1 - place).astype(np.float64)
    means = (bars[:, :, CLOSE] * bars[:, :, VOLUME]).mean(axis=1)
    return dict(zip(found.tolist(), means.tolist(), strict=True))


def _write(
    paths: RunPaths, report: dict[str, Any], forecast: Forecasts | None, beyond: DayArray
) -> tuple[ManifestRow, ...]:
    text = json.dumps(report, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"
    page = html.render(report)
    judged = report["models"][0]["labels"]
    objects = [
        write_object(paths.report("report.json"), text.encode(), kind="report_json", rows=judged),
        write_object(paths.report("report.html"), page.encode(), kind="report_html", rows=judged),
    ]
    if forecast is not None:
        usual = {row["ticker"]: row["rmse_return"] for row in report["per_ticker"] if row["model"] == "lstm"}
        table = next_session_table(forecast, beyond, usual)
        for name, data in (("csv", as_csv(table)), ("parquet", as_parquet(table))):
            uri = paths.report(f"forecasts.{name}")
            objects.append(write_object(uri, data, kind=f"forecasts_{name}", rows=table.num_rows))
    return tuple(objects)


class _Seen:
    """Counts windows as they are seen and reports the progress."""

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
    if context.step(STEP, _fingerprint(config, _manifests(context.paths))).finished():
        context.ensure_not_superseded()
        storage.write_json(context.paths.complete(context.attempt), {})
