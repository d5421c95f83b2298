"""What is known of each run below a root: its state, settings and main results, read from storage."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from cloudlstm.cli.status import failures, state
from cloudlstm.errors import CorruptObjectError
from cloudlstm.evaluation.rows import ModelScores
from cloudlstm.report.models import ReportSummary
from cloudlstm.report.schema import read_summary
from cloudlstm.runs import attempts, settings
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.steps import ALL_STEPS

_AT_ONCE = 16
"""Runs that are read at the same time; in a bucket each takes about ten requests of tens of milliseconds."""


@dataclass(frozen=True, slots=True)
class Record:
    """A run as described by the objects in its folder.

    Attributes:
        run_id: Its id.
        attempts: Number of submits; 0 if its folder is gone.
        submitted: Time of the last submit, seconds since the epoch.
        state: As in `status`.
        config: Its configuration, as JSON; empty if there is none.
        report: Its main results; None if there is no report or it cannot be read.
        manifests: The manifests of its finished steps, by step.
        cause: The message of the error that ended it; empty unless it failed.
    """

    run_id: str
    attempts: int
    submitted: float
    state: str
    config: dict[str, Any]
    report: ReportSummary | None
    manifests: dict[str, Manifest]
    cause: str = ""

    @property
    def is_trained(self) -> bool:
        """False for a run of `predict`, which takes the weights of another run."""
        train = self.config.get("train")
        return not (isinstance(train, dict) and train.get("epochs") == 0)

    @property
    def lstm(self) -> ModelScores | None:
        """The scores of the LSTM; None for a run of `predict`, whose scores are those of the run with the weights."""
        return self.report.scores("lstm") if self.report and self.is_trained else None

    @property
    def train(self) -> dict[str, Any]:
        """The facts of the train step; empty if it has not finished."""
        return dict(self.manifests["train"].facts) if "train" in self.manifests else {}

    @property
    def seconds(self) -> float | None:
        """Wall-clock seconds of all finished steps; None if no step has finished."""
        return sum(manifest.seconds for manifest in self.manifests.values()) if self.manifests else None


def gather(layouts: Iterable[RunPaths]) -> list[Record]:
    """The records of runs, the newest first."""
    runs = list(layouts)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        numbers = list(pool.map(attempts.latest_attempt, runs))
        alive = attempts.are_alive([(run, number) for run, number in zip(runs, numbers, strict=True) if number])
        found = list(pool.map(lambda run, number: _read(run, number, alive=run.uri in alive), runs, numbers))
    return sorted(found, key=lambda record: -record.submitted)


def _read(paths: RunPaths, number: int, *, alive: bool) -> Record:
    owner = attempts.read_owner(paths, number)
    made = {step.name: manifest for step in ALL_STEPS if (manifest := _manifest(paths, step.name))}
    report = read_summary(paths)
    found = state(paths, number, alive, complete=report is not None)
    return Record(
        run_id=paths.run_id,
        attempts=number,
        submitted=owner.started if owner else 0.0,
        state=found,
        config=_settings(paths, number),
        report=report,
        manifests=made,
        cause=next((each.message for each in failures(paths).values()), "") if found == "failed" else "",
    )


def _settings(paths: RunPaths, number: int) -> dict[str, Any]:
    try:
        return settings.document(paths, number)
    except CorruptObjectError:
        return {}


def _manifest(paths: RunPaths, step: str) -> Manifest | None:
    try:
        return Manifest.load(paths, step)
    except CorruptObjectError:
        return None
