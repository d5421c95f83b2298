"""Writes a job's log lines and progress to the run folder, the same way on every platform.

Log lines are numbered parts that are never rewritten. Progress is one small object per step and worker, rewritten
every few seconds. `cloudlstm logs`, `status` and the progress bars read only these.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

from cloudlstm import storage
from cloudlstm.errors import StorageError
from cloudlstm.runs import numbered
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.progress import Progress
from cloudlstm.storage.retry import retry

_LOGGER = logging.getLogger("cloudlstm")
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%S%z"

_FINAL_TRIES, _FINAL_PAUSE_S = 3, 0.5
"""For the last flush; each try includes the retries of the storage backend."""

FIRST_WARNING_PART = 10**9
"""A journal numbers its parts from 0; `write_warning` numbers them by milliseconds, always above this."""


class Journal(logging.Handler):
    """Collects one job's log lines and progress and writes them to the run folder every few seconds.

    Use as a context manager around a job's work: it keeps what is logged below the "cloudlstm" logger. A flush that
    fails is repeated at the next turn and does not stop the work.

    Args:
        paths: The run.
        job: The job's name: "prepare" or "train".
        worker: The name of this process, such as "driver" or "worker-0".
        every_s: Seconds between flushes.
    """

    def __init__(self, paths: RunPaths, job: str, worker: str, *, every_s: float = 2.0) -> None:
        super().__init__(level=logging.INFO)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", datefmt=_TIME_FORMAT))
        self._paths, self._job, self._worker = paths, job, worker
        self._every_s = every_s
        self._lines: list[str] = []
        self._progress: dict[str, Progress] = {}
        self._changed: set[str] = set()
        self._part: int | None = None  # not known yet
        self._pending: bytes | None = None
        self._lock = threading.Lock()
        self._stop, self._urgent = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps a log line for the next flush; a warning starts a flush at once, as the process may end soon."""
        line = self.format(record)
        with self._lock:
            self._lines.append(line)
        if record.levelno >= logging.WARNING:
            self._urgent.set()

    def report(
        self,
        step: str,
        done: int,
        total: int,
        unit: str,
        *,
        finished: bool = False,
        seconds: float | None = None,
        **facts: Any,
    ) -> None:
        """Records the progress of a step; cheap enough for every batch.

        Args:
            step: The step's name.
            done: Units finished.
            total: Units in all; 0 while unknown.
            unit: What is counted, such as "rows".
            finished: True if this worker has finished the step.
            seconds: How long the finished step took, if this worker has written its manifest.
            facts: Further values to show.
        """
        now = time.time()
        with self._lock:
            known = self._progress.get(step)
            if known and (known.total or "phase" not in known.facts):
                started, resumed = known.started, known.resumed
            else:  # the time before the first count, such as TensorFlow's start, is not part of the rate
                started, resumed = now, 0 if finished else done
            self._progress[step] = Progress(
                step, self._worker, done, total, unit, started, now, finished, facts, resumed, seconds
            )
            self._changed.add(step)

    def flush(self) -> None:
        """Writes what is new; what cannot be written now is kept for the next flush."""
        with suppress(StorageError):
            self._write()

    def _write(self) -> None:
        self._write_lines()
        self._write_progress()

    def _write_lines(self) -> None:
        """Writes parts until no line is left. After a failed write the same part is written with the same bytes."""
        while True:
            if self._pending is None:
                with self._lock:
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
        with self._lock:
            changed = [self._progress[step] for step in sorted(self._changed)]
        for progress in changed:
            storage.write_json(self._paths.progress(progress.step, progress.worker), asdict(progress))
            with self._lock:
                if self._progress[progress.step] is progress:
                    self._changed.discard(progress.step)

    def _next_part(self) -> int:
        """The number of the next part; a job of a later attempt continues the numbers of the earlier one."""
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
            retry(self._write, StorageError, tries=_FINAL_TRIES, first_pause_s=_FINAL_PAUSE_S)
        except StorageError:  # the platform keeps a job's standard error
            sys.stderr.write((self._pending or b"").decode() + "".join(f"{line}\n" for line in self._lines))


def write_warning(
    paths: RunPaths, job: str, writer: str, message: str, printed: Iterable[str] = (), *, when: float
) -> None:
    """Writes one warning to the log of a job, from a process without a journal; a failed write is ignored.

    Args:
        paths: The run.
        job: The job that the warning is about.
        writer: Who writes, such as "launcher".
        message: One line.
        printed: Lines that a process printed, shown indented below the message.
        when: Seconds since the epoch.
    """
    stamp = time.strftime(_TIME_FORMAT, time.localtime(when))
    text = "\n".join([f"{stamp} WARNING {message}", *(f"    {line}" for line in printed)]) + "\n"
    with suppress(StorageError):
        storage.write(paths.log(job, writer, time.time_ns() // 1_000_000), text.encode(errors="backslashreplace"))
