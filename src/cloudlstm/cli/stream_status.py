"""`cloudlstm status streams/NAME`: the state of a stream, its newest batch, and what ended it."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Literal

from rich.console import Console, Group
from rich.live import Live as Screen
from rich.text import Text

from cloudlstm import storage
from cloudlstm.cli.json_output import Document, Time, iso_time, print_document
from cloudlstm.cli.status import STYLES
from cloudlstm.cli.tables import console
from cloudlstm.errors import CloudLSTMError, CorruptObjectError, ObjectNotFoundError, UsageError, from_record
from cloudlstm.evaluation.rows import Number
from cloudlstm.runs import attempts
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.progress import read_phase
from cloudlstm.stream.journal import Journal
from cloudlstm.stream.page.live import Live
from cloudlstm.stream.paths import StreamPaths
from cloudlstm.text.numbers import duration

_RECENT = 100
"""Batches from which rate and latency are counted."""
_WATCH_EVERY_S = 2.0
JOB = "stream"
"""The name of the job of a stream."""

State = Literal["at work", "done", "cancelled", "failed", "stopped"]


class StreamStatus(Document):
    """`status streams/NAME`."""

    stream: str
    uri: str
    attempt: int
    """0 for a stream that no process has held yet."""
    state: State
    phase: str | None
    """What its job waits for, before its process works."""
    batch: int
    """Number of the newest finished batch; 0 without one."""
    bars: int
    """Bars that were used so far."""
    bars_per_s: Number
    lag: int | None
    """Messages that wait in the topic, or files that wait in the folder; null if the runner does not know."""
    latency_p50_s: Number
    latency_p95_s: Number
    finished: Time
    """When the newest batch was finished."""
    failure: str | None
    """The error of the last process, with its hint."""


def show_stream(paths: StreamPaths, *, watch: bool = False, as_json: bool = False) -> int:
    """Prints the state of a stream.

    Args:
        paths: The stream.
        watch: Whether to print it anew every two seconds until nothing works on it.
        as_json: Whether to print a JSON document.

    Raises:
        UsageError: There is no such stream.
    """
    if as_json and watch:
        raise UsageError("status prints one JSON document, and --watch prints many", hint="leave --watch out")
    out = console()
    if watch and not out.is_terminal:
        raise UsageError("status --watch needs a terminal", hint="cloudlstm logs --follow")
    reader = Reader(paths)
    status, line = reader.read()
    if as_json:
        print_document(status)
    elif watch:
        _watch(reader, status, line, out)
    else:
        for part in _view(status, line):
            out.print(part, soft_wrap=True)
    return 0


class Reader:
    """Reads the state of a stream, and again; later it reads only documents of new batches.

    Args:
        paths: The stream.
    """

    def __init__(self, paths: StreamPaths) -> None:
        self._paths, self._journal = paths, Journal(paths)
        self._live: Live | None = None

    def read(self) -> tuple[StreamStatus, str]:
        """The state of the stream, and its line of facts as on the page.

        Raises:
            UsageError: There is no such stream.
        """
        paths, folder = self._paths, RunPaths(self._paths.uri)
        number, live = attempts.latest_attempt(folder), self._newest()
        if live is None and not number:
            raise UsageError(
                f"no stream {paths.name} in {paths.root}", hint=f"cloudlstm stream {paths.name} --source=…"
            )
        return _status(paths, number, live)

    def _newest(self) -> Live | None:
        """The facts with the newest batches; None for a stream without settings."""
        if self._live is not None:
            self._live.add(self._journal.after(self._live.last.number if self._live.last else 0))
        elif settings := self._journal.settings():
            self._live = Live(self._paths.name, settings)
            self._live.add(self._journal.batches(_RECENT))
        return self._live


def _status(paths: StreamPaths, number: int, live: Live | None) -> tuple[StreamStatus, str]:
    """The state of a stream in its attempt `number`, 0 for none, and its line of facts."""
    folder = RunPaths(paths.uri)
    state = _state(folder, number)
    last = live.last if live else None
    waits = state == "at work" and attempts.latest_launcher(folder, number) == 1
    latency = live.latency if live else None
    failed = _failure(folder) if state in ("failed", "stopped") else None
    status = StreamStatus(
        stream=paths.name,
        uri=paths.uri,
        attempt=number,
        state=state,
        phase=(read_phase(folder, number)[1] or None) if waits else None,
        batch=last.number if last else 0,
        bars=last.totals["used"] if last else 0,
        bars_per_s=live.rate if live else None,
        lag=last.lag if last else None,
        latency_p50_s=latency[0] if latency else None,
        latency_p95_s=latency[1] if latency else None,
        finished=iso_time(last.finished if last else None),
        failure=str(failed) if failed else None,
    )
    line = live.line() if live else ""
    if last:
        line += f"; {duration(max(time.time() - last.finished, 0.0))} ago"
    return status, line


def _state(folder: RunPaths, number: int) -> State:
    """The state of the newest attempt; a stream that is held by no process is stopped."""
    if not number:
        return "stopped"
    if attempts.is_alive(folder, number):
        return "at work"
    if storage.exists(folder.complete(number)):
        return "done"
    if attempts.is_cancelled(folder, number):
        return "cancelled"
    return "failed" if storage.exists(folder.failure(JOB)) else "stopped"


def _failure(folder: RunPaths) -> CloudLSTMError | None:
    with suppress(ObjectNotFoundError):
        try:
            return from_record(storage.read_json(folder.failure(JOB)))
        except CorruptObjectError as error:
            return error
    return None


def _watch(reader: Reader, status: StreamStatus, line: str, out: Console) -> None:
    """Shows the state until nothing works on the stream. Ctrl-C ends the view, not the stream."""
    with Screen(Group(*_view(status, line)), console=out, auto_refresh=False) as screen:
        while status.state == "at work":
            time.sleep(_WATCH_EVERY_S)
            status, line = reader.read()
            screen.update(Group(*_view(status, line)), refresh=True)


def _view(status: StreamStatus, line: str) -> list[Text]:
    """The lines of the output."""
    place = status.uri.removeprefix("file://")
    attempt = f"attempt {status.attempt}, " if status.attempt else ""
    lines = [Text(f"stream {place}"), Text.assemble(attempt, (status.state, STYLES.get(status.state, "")))]
    lines += [Text(part) for part in (status.phase, line) if part]
    if status.failure:
        lines.append(Text(status.failure, style="red"))
    if status.state in ("failed", "cancelled", "stopped"):
        lines.append(Text("the same command continues it after the last finished batch"))
    return lines
