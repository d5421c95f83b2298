"""What a job tells the world while it works: log lines and progress, as objects in the run folder.

Every platform keeps logs in a place and at a delay of its own. A job therefore writes its own: log lines as numbered
parts that are never rewritten, progress as one small object per step and worker that is rewritten every few seconds.
`cloudlstm logs`, `status` and the progress bars read only these.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, Self

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError, StorageError
from cloudlstm.runs import documents, numbered
from cloudlstm.runs.paths import RunPaths
from cloudlstm.storage.retry import retry

_LOGGER = logging.getLogger("cloudlstm")
_STAMP = "%Y-%m-%dT%H:%M:%S%z"
_TELLING_S = 0.05
"""A rate over less time than this says nothing."""

_LAST_TRIES, _LAST_PAUSE_S = 3, 0.5
"""To write what is left at the end; backends have repeated their requests before that."""


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
        paths: The run.
        job: The job's name: "prepare" or "train".
        worker: Who writes: "driver", "worker-0", …
        every_s: Seconds between flushes.
    """

    def __init__(self, paths: RunPaths, job: str, worker: str, *, every_s: float = 2.0) -> None:
        super().__init__(level=logging.INFO)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", datefmt=_STAMP))
        self._paths, self._job, self._worker = paths, job, worker
        self._every_s = every_s
        self._lines: list[str] = []
        self._progress: dict[str, Progress] = {}
        self._dirty: set[str] = set()
        self._part: int | None = None  # not known yet
        self._pending: bytes | None = None
        self._guard = threading.Lock()
        self._stop, self._urgent = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps a log line for the next flush; a warning is not kept waiting, for the end may be near."""
        line = self.format(record)
        with self._guard:
            self._lines.append(line)
        if record.levelno >= logging.WARNING:
            self._urgent.set()

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
        """Writes what has come since the last flush; what cannot be written now stays for the next."""
        with suppress(StorageError):
            self._write()

    def _write(self) -> None:
        self._write_lines()
        self._write_progress()

    def _write_lines(self) -> None:
        """Writes parts until no line is left. One that may have arrived is written again as it was: it may be read."""
        while True:
            if self._pending is None:
                with self._guard:
                    lines, self._lines = self._lines, []
                if not lines:
                    return
                self._pending = "".join(f"{line}\n" for line in lines).encode(errors="backslashreplace")
            if self._part is None:
                self._part = self._next_part()
            storage.write(self._paths.log(self._job, self._worker, self._part), self._pending)
            self._part += 1
            self._pending = None

    def _write_progress(self) -> None:
        with self._guard:
            reports = [self._progress[step] for step in sorted(self._dirty)]
        for report in reports:
            storage.write_json(self._paths.progress(report.step, report.worker), asdict(report))
            with self._guard:
                if self._progress[report.step] is report:
                    self._dirty.discard(report.step)

    def _next_part(self) -> int:
        """A job that runs again in a later attempt continues the numbering of its parts."""
        folder = self._paths.log(self._job, self._worker, 0).rsplit("/", 1)[0] + "/"
        return max(numbered.numbers(folder, ".log", digits=5), default=-1) + 1

    def _run(self) -> None:
        while not self._stop.is_set():
            self._urgent.wait(self._every_s)
            self._urgent.clear()
            self.flush()

    def __enter__(self) -> Self:
        _LOGGER.addHandler(self)
        _LOGGER.setLevel(logging.INFO)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _LOGGER.removeHandler(self)
        self._stop.set()
        self._urgent.set()
        self._thread.join()
        try:
            retry(self._write, StorageError, tries=_LAST_TRIES, first_pause_s=_LAST_PAUSE_S)
        except StorageError:  # the platform keeps what a job prints: there the last lines are not lost
            sys.stderr.write((self._pending or b"").decode() + "".join(f"{line}\n" for line in self._lines))


FIRST_NOTE = 10**9
"""Parts of a journal are numbered from 0 without gaps; notes by milliseconds, which are greater than this."""


def note(paths: RunPaths, job: str, who: str, said: str, printed: Iterable[str] = (), *, when: float) -> None:
    """Logs a warning of somebody who keeps no journal, and below it what a process had printed; never fails.

    Args:
        paths: The run.
        job: The job that it is about.
        who: Who says it, as in "launcher".
        said: One line.
        printed: Lines, told indented.
        when: Seconds since the epoch.
    """
    stamp = time.strftime(_STAMP, time.localtime(when))
    text = "\n".join([f"{stamp} WARNING {said}", *(f"    {line}" for line in printed)]) + "\n"
    with suppress(StorageError):
        storage.write(paths.log(job, who, time.time_ns() // 1_000_000), text.encode(errors="backslashreplace"))


def read_progress(paths: RunPaths) -> list[Progress]:
    """The latest report of every step and worker, in the order in which the steps began."""
    found = []
    for item in storage.list_objects(paths.progresses):
        if not paths.is_ours(item.uri):
            continue
        try:
            found.append(documents.read(Progress, item.uri))
        except (ObjectNotFoundError, CorruptObjectError):
            continue
    return sorted(found, key=lambda report: (report.started, report.step, report.worker))


class PhaseNote:
    """The phase of one job, written whenever it is another one.

    Args:
        paths: The run.
        attempt: The attempt that the job works for.
        job: Its name.
    """

    def __init__(self, paths: RunPaths, attempt: int, job: str) -> None:
        self._uri, self._job = paths.phase(attempt), job
        self._written = ""

    def tell(self, phase: str) -> None:
        """Writes the phase unless it is the one that was written last; a failure to write is no harm."""
        if phase != self._written:
            with suppress(StorageError):
                storage.write_json(self._uri, {"job": self._job, "phase": phase})
                self._written = phase


def read_phase(paths: RunPaths, attempt: int) -> tuple[str, str]:
    """The job that an attempt's launcher watched last, and its phase; both may be empty."""
    try:
        found = storage.read_json(paths.phase(attempt))
        return str(found["job"]), str(found["phase"])
    except (ObjectNotFoundError, CorruptObjectError, KeyError, TypeError):
        return "", ""
