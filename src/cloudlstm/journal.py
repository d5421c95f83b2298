"""What a job tells the world while it works: log lines and progress, as objects in the run folder.

Every platform keeps logs in a place and at a delay of its own. A job therefore writes its own: log lines as numbered
parts that are never rewritten, progress as one small object per step and worker that is rewritten every few seconds.
`cloudlstm logs`, `status` and the progress bars read only these.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, Self

from cloudlstm import storage
from cloudlstm.errors import ObjectNotFoundError, StorageError
from cloudlstm.layout import RunLayout

_LOGGER = logging.getLogger("cloudlstm")
_TELLING_S = 0.05
"""A rate over less time than this says nothing."""


@dataclass(slots=True)
class Progress:
    """How far one worker is with one step.

    Attributes:
        step: The step's name.
        worker: Who reports.
        done: Units finished.
        total: Units in all; 0 while unknown.
        unit: What is counted: "rows", "windows", "tickers", …
        started: Seconds since the epoch when the step began.
        updated: Likewise for this report.
        finished: Whether the worker is through with the step.
        facts: Further figures to show, such as epoch and loss.
        resumed: Units that were done before this worker began; no part of its rate.
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

    @property
    def rate(self) -> float:
        """Units per second since the step began; 0 while there is too little to tell."""
        seconds = self.updated - self.started
        return (self.done - self.resumed) / seconds if seconds >= _TELLING_S else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Time left at the present rate, or None while nothing can be said."""
        if not self.total or not self.rate:
            return None
        return max(self.total - self.done, 0) / self.rate


class Journal(logging.Handler):
    """Collects one job's log lines and progress and flushes them into the run folder every few seconds.

    Use as a context manager around a job's work; everything logged below the "cloudlstm" logger is kept.
    A flush that fails is tried again at the next turn: telling about the work must never stop it.

    Args:
        layout: The run.
        job: The job's name: "prepare" or "train".
        worker: Who writes: "driver", "worker-0", …
        every_s: Seconds between flushes.
    """

    def __init__(self, layout: RunLayout, job: str, worker: str, *, every_s: float = 2.0) -> None:
        super().__init__(level=logging.INFO)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S%z"))
        self._layout, self._job, self._worker = layout, job, worker
        self._every_s = every_s
        self._lines: list[str] = []
        self._progress: dict[str, Progress] = {}
        self._dirty: set[str] = set()
        self._part = 0
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps a log line for the next flush."""
        line = self.format(record)
        with self._guard:
            self._lines.append(line)

    def report(self, step: str, done: int, total: int, unit: str, *, finished: bool = False, **facts: Any) -> None:
        """Notes how far `step` is; cheap enough to be called as often as one likes."""
        now = time.time()
        with self._guard:
            known = self._progress.get(step)
            if known and (known.total or "phase" not in known.facts):
                started, resumed = known.started, known.resumed
            else:  # what came before the first count, such as a start of TensorFlow, is no part of the rate
                started, resumed = now, 0 if finished else done
            self._progress[step] = Progress(
                step, self._worker, done, total, unit, started, now, finished, facts, resumed
            )
            self._dirty.add(step)

    def flush(self) -> None:
        """Writes what has come since the last flush."""
        with self._guard:
            lines, self._lines = self._lines, []
            reports = [self._progress[step] for step in sorted(self._dirty)]
            self._dirty.clear()
        try:
            if lines:
                uri = self._layout.log(self._job, self._worker, self._part)
                storage.write(uri, ("\n".join(lines) + "\n").encode())
                self._part += 1
                lines = []
            while reports:
                latest = reports[0]
                storage.write_json(self._layout.progress(latest.step, latest.worker), asdict(latest))
                reports.pop(0)
        except StorageError:
            with self._guard:
                self._lines[:0] = lines
                self._dirty.update(report.step for report in reports)

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self.flush()

    def __enter__(self) -> Self:
        # A job that runs again in a later attempt continues the numbering of its parts.
        self._part = len(
            list(storage.list_objects(self._layout.log(self._job, self._worker, 0).rsplit("/", 1)[0] + "/"))
        )
        _LOGGER.addHandler(self)
        _LOGGER.setLevel(logging.INFO)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _LOGGER.removeHandler(self)
        self._stop.set()
        self._thread.join()
        self.flush()


def read_progress(layout: RunLayout) -> list[Progress]:
    """The latest report of every step and worker, in the order in which the steps began."""
    found = []
    for item in storage.list_objects(layout.progresses):
        try:
            found.append(Progress(**storage.read_json(item.uri)))
        except ObjectNotFoundError:
            continue
    return sorted(found, key=lambda report: (report.started, report.step, report.worker))


def read_logs(layout: RunLayout, seen: set[str]) -> Iterator[tuple[str, str]]:
    """Log lines that have come since, as (source, line); `seen` remembers the parts already read."""
    for item in storage.list_objects(layout.logs):
        if item.uri in seen:
            continue
        seen.add(item.uri)
        _, job, worker, _ = item.uri.removeprefix(layout.uri + "/").split("/")
        for line in storage.read(item.uri).decode().splitlines():
            yield f"{job}/{worker}", line
