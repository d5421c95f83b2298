"""`cloudlstm logs`: the log lines of all jobs and workers in one stream.

Each worker writes its lines as numbered parts, with time stamps of its own clock. Lines of one worker keep their order,
also if its clock is set back. Lines of different workers are ordered by their stamps.
"""

from __future__ import annotations

import datetime as dt
import sys
import time
from collections import deque
from collections.abc import Iterator

from rich.text import Text

from cloudlstm import storage
from cloudlstm.cli import terminal
from cloudlstm.cli.tables import console
from cloudlstm.runs import attempts
from cloudlstm.runs.journal import FIRST_WARNING_PART
from cloudlstm.runs.liveness import Verdict, Watch
from cloudlstm.runs.paths import RunPaths

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


def show_logs(paths: RunPaths, *, follow: bool) -> int:
    """Prints the log lines of all jobs; with `follow` until the launcher has ended."""
    parts, merger, launcher = Parts(paths), Merger(), _Launcher(paths)
    write = _coloured() if sys.stdout.isatty() else _plain
    try:
        while True:
            last = not follow or launcher.has_ended()
            now = time.monotonic()
            for source, lines in parts.poll(final=last):
                merger.add(source, lines, now)
            for source, text in merger.ready(float("inf") if last else now - HOLD_S):
                write(source, text)
            sys.stdout.flush()
            if last:
                return 0
            time.sleep(_POLL_S)
    except KeyboardInterrupt:  # only the output ends, not the run
        return 130


def stamp_of(text: str) -> float | None:
    """The time stamp at the beginning of a line, in seconds since the epoch; None without a stamp."""
    first = text.split(" ", 1)[0]
    if len(first) < 19 or first[10:11] != "T":
        return None
    try:
        return dt.datetime.fromisoformat(first).timestamp()
    except ValueError:
        return None


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
