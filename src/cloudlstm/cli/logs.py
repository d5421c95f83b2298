"""`cloudlstm logs`: the log lines of all jobs and workers in one stream.

Each worker writes its lines as numbered parts, with time stamps of its own clock. Lines of one worker keep their order,
also if its clock is set back. Lines of different workers are ordered by their stamps.
"""

from __future__ import annotations

import datetime as dt
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rich.text import Text

from cloudlstm import storage
from cloudlstm.cli import terminal
from cloudlstm.cli.json_output import LogLine, Logs, iso_time, print_document
from cloudlstm.cli.tables import console
from cloudlstm.errors import UsageError
from cloudlstm.runs import attempts
from cloudlstm.runs.journal import FIRST_WARNING_PART
from cloudlstm.runs.liveness import Verdict, Watch
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.steps import ALL_STEPS

_POLL_S = 1.0
HOLD_S = 2.5
"""Workers write every two seconds: a line waits this long for earlier lines of other workers."""
_GAP_POLLS = 3
"""How many polls a part waits for a part with a smaller number that is not listed yet."""
_COLOURS = ("cyan", "green", "magenta", "blue", "yellow", "bright_cyan", "bright_green", "bright_magenta")
_LEVELS = {"WARNING": "yellow", "ERROR": "bold red", "CRITICAL": "bold red"}


class Merger:
    """Merges the lines of several sources by time stamp; the order within a source stays."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[tuple[float, float, str]]] = {}
        self._latest: dict[str, float] = {}

    def add(self, source: str, lines: list[str], now: float) -> None:
        """Adds lines that were read at `now` (seconds of a monotonic clock)."""
        queue = self._waiting.setdefault(source, deque())
        for text in lines:
            # Lines of a traceback have no stamp, and a clock that is set back must not change the order.
            latest = max(stamp_of(text) or 0.0, self._latest.get(source, 0.0))
            self._latest[source] = latest
            queue.append((latest, now, text))

    def ready(self, before: float) -> Iterator[tuple[str, str]]:
        """Yields (source, line) in order, while the next line was read at or before `before`."""
        while True:
            heads = [(queue[0][0], source) for source, queue in self._waiting.items() if queue]
            if not heads:
                return
            _, source = min(heads)
            if self._waiting[source][0][1] > before:
                return
            yield source, self._waiting[source].popleft()[2]


class Parts:
    """Reads the log parts of a run, each once, those of a worker in order."""

    def __init__(self, paths: RunPaths) -> None:
        self._paths = paths
        self._read: set[str] = set()
        self._last: dict[str, int] = {}
        self._waited: dict[str, int] = {}

    def poll(self, *, final: bool = False) -> Iterator[tuple[str, list[str]]]:
        """Yields (source, lines) of new parts. A part after a gap waits for the missing one, unless `final` is true."""
        held: set[str] = set()
        for item in list(storage.list_objects(self._paths.logs)):
            if item.uri in self._read or not self._paths.is_ours(item.uri):
                continue
            _, job, worker, name = item.uri.removeprefix(self._paths.uri + "/").split("/")
            source, number = f"{job}/{worker}", int(name.split(".", 1)[0])
            gap = source in self._last and self._last[source] + 1 < number < FIRST_WARNING_PART
            if source in held or (gap and not final and self._waited.get(item.uri, 0) < _GAP_POLLS):
                self._waited[item.uri] = self._waited.get(item.uri, 0) + 1
                held.add(source)
                continue
            self._read.add(item.uri)
            self._last[source] = number
            yield source, storage.read(item.uri).decode(errors="replace").splitlines()


class _Launcher:
    """Watches the launcher of the newest attempt."""

    def __init__(self, paths: RunPaths) -> None:
        self._paths = paths
        self._attempt = 0
        self._watch: Watch | None = None

    def has_ended(self) -> bool:
        """True if it is known to have ended."""
        number = attempts.latest_attempt(self._paths)
        if self._watch is None or number != self._attempt:
            self._attempt, self._watch = number, attempts.watch(self._paths, number)
        return self._watch.look() in (Verdict.ENDED, Verdict.DEAD)


def job_of(name: str) -> str:
    """The job of a step. Raises UsageError if there is no such step."""
    for step in ALL_STEPS:
        if name == step.name:
            return step.job
    raise UsageError(f"there is no step {name!r}", hint=f"one of {', '.join(step.name for step in ALL_STEPS)}")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which lines are printed.

    Attributes:
        job: Those of this job; None for all.
        worker: Those of this worker; None for all.
        tail: This many last ones; None for all. With `follow`, of the lines that are there at the beginning.
    """

    job: str | None = None
    worker: str | None = None
    tail: int | None = None

    def holds(self, source: str) -> bool:
        """True if lines of a source, `job/worker`, are printed."""
        job, _, worker = source.partition("/")
        return self.job in (None, job) and self.worker in (None, worker)


def show_logs(
    paths: RunPaths, *, follow: bool = False, selection: Selection | None = None, as_json: bool = False
) -> int:
    """Prints the log lines of a run.

    Args:
        paths: The run.
        follow: Whether to continue until the launcher has ended.
        selection: Which lines are printed; by default all.
        as_json: Whether to print a JSON document.

    Raises:
        UsageError: A worker is selected that has written no log.
    """
    selection = selection or Selection()
    if follow and as_json:
        raise UsageError("logs prints one JSON document, and --follow has no end", hint="leave --follow out")
    if not follow:
        _show_stored(paths, selection, as_json=as_json)
        return 0
    parts, merger, launcher = Parts(paths), Merger(), _Launcher(paths)
    write = _writer()
    try:
        if selection.tail is not None:
            for source, text in _stored(parts, selection):
                write(source, text)
        while True:
            last = launcher.has_ended()
            now = time.monotonic()
            for source, lines in parts.poll(final=last):
                if selection.holds(source):
                    merger.add(source, lines, now)
            for source, text in merger.ready(float("inf") if last else now - HOLD_S):
                write(source, text)
            sys.stdout.flush()
            if last:
                return 0
            time.sleep(_POLL_S)
    except KeyboardInterrupt:  # only the output ends, not the run
        return 130


def _show_stored(paths: RunPaths, selection: Selection, *, as_json: bool) -> None:
    lines = _stored(Parts(paths), selection)
    if selection.worker and not lines:
        items = storage.list_objects(paths.logs)
        workers = sorted({item.uri.rsplit("/", 2)[1] for item in items if paths.is_ours(item.uri)})
        raise UsageError(
            f"run {paths.run_id} has no log of worker {selection.worker}",
            hint=f"--worker={' or --worker='.join(workers)}" if workers else f"cloudlstm status {paths.run_id}",
        )
    if as_json:
        print_document(Logs(run=paths.run_id, lines=tuple(_document(*line) for line in lines)))
        return
    write = _writer()
    for source, text in lines:
        write(source, text)


def _stored(parts: Parts, selection: Selection) -> list[tuple[str, str]]:
    """The selected lines that are in storage now."""
    merger = Merger()
    for source, lines in parts.poll(final=True):
        if selection.holds(source):
            merger.add(source, lines, 0.0)
    return list(deque(merger.ready(float("inf")), maxlen=selection.tail))


def _document(source: str, text: str) -> LogLine:
    job, _, worker = source.partition("/")
    stamp = stamp_of(text)
    if stamp is None:
        return LogLine(time=None, job=job, worker=worker, level=None, text=text)
    _, level, rest = f"{text}  ".split(" ", 2)
    return LogLine(time=iso_time(stamp), job=job, worker=worker, level=level or None, text=rest.rstrip())


def stamp_of(text: str) -> float | None:
    """The time stamp at the beginning of a line, in seconds since the epoch; None without a stamp."""
    first = text.split(" ", 1)[0]
    if len(first) < 19 or first[10:11] != "T":
        return None
    try:
        return dt.datetime.fromisoformat(first).timestamp()
    except ValueError:
        return None


def _writer() -> Callable[[str, str], None]:
    """The function that prints a line of a source."""
    return _coloured() if sys.stdout.isatty() else _plain


def _plain(source: str, text: str) -> None:
    terminal.write(f"{source:<16} {text}\n")


class _coloured:  # noqa: N801 - used like a function
    """Prints lines with the local time, a colour for each worker, and marked warnings and errors."""

    def __init__(self) -> None:
        self._console = console()
        self._colours: dict[str, str] = {}

    def __call__(self, source: str, text: str) -> None:
        colour = self._colours.setdefault(source, _COLOURS[len(self._colours) % len(_COLOURS)])
        stamp = stamp_of(text)
        clock, style = " " * 8, ""
        if stamp is not None:
            clock = time.strftime("%H:%M:%S", time.localtime(stamp))
            _, level, text = f"{text}  ".split(" ", 2)
            style = _LEVELS.get(level, "")
        prefix = Text.assemble((clock, "dim"), " ", (f"{source:<15}", colour), " ")
        self._console.print(prefix + Text(terminal.printable_lines(text.rstrip()), style=style), soft_wrap=True)
