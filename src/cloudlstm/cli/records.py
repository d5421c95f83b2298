"""What is known of a run, gathered for comparing it with others."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from cloudlstm import attempts, storage
from cloudlstm.cli.views import state
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError
from cloudlstm.layout import RunLayout
from cloudlstm.manifest import Manifest
from cloudlstm.runs import settings
from cloudlstm.steps import STEPS

_AT_ONCE = 16
"""Runs that are read at the same time: in a bucket each takes some ten requests of tens of milliseconds."""


@dataclass(frozen=True, slots=True)
class Record:
    """A run as its folder tells it.

    Attributes:
        run_id: Its id.
        attempts: How often it was submitted; 0 where its folder is gone.
        submitted: Seconds since the epoch when it was last submitted.
        state: In a word or two, as in `status`.
        config: Its configuration, as JSON; empty where there is none.
        report: Its report; empty while there is none.
        manifests: What its finished steps made, by step.
    """

    run_id: str
    attempts: int
    submitted: float
    state: str
    config: dict[str, Any]
    report: dict[str, Any]
    manifests: dict[str, Manifest]

    @property
    def lstm(self) -> dict[str, Any]:
        """The LSTM's row of results."""
        return next((row for row in self.report.get("models", []) if row["model"] == "lstm"), {})

    @property
    def train(self) -> dict[str, Any]:
        """What training said of itself."""
        return dict(self.manifests["train"].facts) if "train" in self.manifests else {}

    @property
    def seconds(self) -> float | None:
        """Wall-clock seconds of all finished steps."""
        return sum(manifest.seconds for manifest in self.manifests.values()) if self.manifests else None


def gather(layouts: Iterable[RunLayout]) -> list[Record]:
    """The records of runs, the newest first."""
    runs = list(layouts)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        numbers = list(pool.map(attempts.latest_attempt, runs))
        alive = attempts.are_alive([(run, number) for run, number in zip(runs, numbers, strict=True) if number])
        found = list(pool.map(lambda run, number: _read(run, number, alive=run.uri in alive), runs, numbers))
    return sorted(found, key=lambda record: -record.submitted)


def _read(layout: RunLayout, number: int, *, alive: bool) -> Record:
    owner = attempts.read_owner(layout, number)
    made = {step.name: manifest for step in STEPS if (manifest := _manifest(layout, step.name))}
    report = _json(layout.report("report.json"))
    return Record(
        run_id=layout.run_id,
        attempts=number,
        submitted=owner.started if owner else 0.0,
        state=state(layout, number, alive, complete=bool(report)),
        config=_settings(layout, number),
        report=report,
        manifests=made,
    )


def _json(uri: str) -> dict[str, Any]:
    try:
        document: dict[str, Any] = storage.read_json(uri)
    except (ObjectNotFoundError, CorruptObjectError):  # a damaged run does not keep the others from being shown
        return {}
    return document


def _settings(layout: RunLayout, number: int) -> dict[str, Any]:
    try:
        return settings.document(layout, number)
    except CorruptObjectError:
        return {}


def _manifest(layout: RunLayout, step: str) -> Manifest | None:
    try:
        return Manifest.load(layout, step)
    except CorruptObjectError:
        return None
