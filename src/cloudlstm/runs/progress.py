"""The progress of a run: what each worker of a step reports, and the phase that the launcher sees."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError, StorageError
from cloudlstm.runs import documents
from cloudlstm.runs.paths import RunPaths

_MIN_RATE_S = 0.05
"""No rate is shown before this many seconds."""


@dataclass(slots=True)
class Progress:
    """How much of one step one worker has done.

    Attributes:
        step: The step's name.
        worker: The worker that reports, such as "driver" or "worker-0".
        done: Units finished.
        total: Units in all; 0 while unknown.
        unit: What is counted: "rows", "windows", "tickers", …
        started: When counting began, seconds since the epoch.
        updated: When this was reported, seconds since the epoch.
        finished: True if the worker has finished the step.
        facts: Further values to show, such as epoch and loss.
        resumed: Units that were done before this worker began; they do not count in the rate.
        seconds: How long the finished step took, as in its manifest; None from workers that do not write it.
    """

    step: str
    worker: str
    done: int
    total: int
    unit: str
    started: float
    updated: float
    finished: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    resumed: int = 0
    seconds: float | None = None

    @property
    def rate(self) -> float:
        """Units per second since counting began; 0 before _MIN_RATE_S."""
        seconds = self.updated - self.started
        return (self.done - self.resumed) / seconds if seconds >= _MIN_RATE_S else 0.0

    @property
    def took_s(self) -> float:
        """Seconds that the finished step took; those of its counting if nothing else is known."""
        return self.updated - self.started if self.seconds is None else self.seconds

    @property
    def seconds_left(self) -> float | None:
        """Seconds left at the present rate; None while the total or the rate is unknown."""
        if not self.total or not self.rate:
            return None
        return max(self.total - self.done, 0) / self.rate


def read_progress(paths: RunPaths) -> list[Progress]:
    """The latest progress of every step and worker, in the order in which they started."""
    found = []
    for item in storage.list_objects(paths.progresses):
        if not paths.is_ours(item.uri):
            continue
        try:
            found.append(documents.read(Progress, item.uri))
        except (ObjectNotFoundError, CorruptObjectError):
            continue
    return sorted(found, key=lambda each: (each.started, each.step, each.worker))


class PhaseWriter:
    """Writes the phase of one job for `cloudlstm status`, until the job reports progress itself.

    Args:
        paths: The run.
        attempt: The attempt that the job works for.
        job: Its name.
    """

    def __init__(self, paths: RunPaths, attempt: int, job: str) -> None:
        self._uri, self._job = paths.phase(attempt), job
        self._written = ""

    def write(self, phase: str) -> None:
        """Writes the phase if it has changed; a failed write is ignored."""
        if phase != self._written:
            with suppress(StorageError):
                storage.write_json(self._uri, {"job": self._job, "phase": phase})
                self._written = phase


def read_phase(paths: RunPaths, attempt: int) -> tuple[str, str]:
    """The job that the attempt's launcher waits for, and its phase; two empty strings if none is written."""
    try:
        found = storage.read_json(paths.phase(attempt))
        return str(found["job"]), str(found["phase"])
    except (ObjectNotFoundError, CorruptObjectError, KeyError, TypeError):
        return "", ""
