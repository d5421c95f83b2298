"""Shows the progress of a run: a live board on a terminal, plain lines elsewhere."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from cloudlstm.cli import tables, terminal
from cloudlstm.cli.progress import facts, figures, pace, summary
from cloudlstm.cli.tables import line
from cloudlstm.runs.progress import Progress
from cloudlstm.runs.steps import ALL_STEPS, STEPS
from cloudlstm.text.numbers import amount, seconds

if TYPE_CHECKING:
    from cloudlstm.targets import Plan
    from cloudlstm.targets.launcher import Watch

_PLAIN_EVERY_S = 5.0
_PLAIN_UNCHANGED_EVERY_S = 60.0
"""Seconds between lines of one step; unchanged lines come less often."""
_MOST_BAR = 40
_STARTING = {"prepare": "starting Spark", "train": "starting the workers"}
"""What a job does before its first report."""
_STOPPING = "stopping… finished steps are kept and training saves its state; Ctrl-C again stops at once"


@contextmanager
def progress_display(plan: Plan) -> Iterator[Watch]:
    """Shows the progress of a run while the context lasts; yields the function that takes the progress."""
    console = tables.console(stderr=True)
    epochs = _epochs(plan)
    if not console.is_terminal:
        terminal.write_error(f"run {plan.run.removeprefix('file://')}\n")
        yield _PlainWatch(epochs)
        return
    board = Board(plan.run, epochs)
    with Live(board, console=console, refresh_per_second=8) as live, _interruption(board, live):
        try:
            yield board
        finally:
            board.ended = time.monotonic()


class Board:
    """All steps of a run: finished ones in a line, the running one with a bar and figures, waiting ones dimmed.

    Args:
        run: URI of the run.
        epochs: How many epochs training may take.
    """

    def __init__(self, run: str, epochs: int | None) -> None:
        self._run, self._epochs = run, epochs
        self._began = time.monotonic()
        self._reports: dict[str, Progress] = {}
        self._arrived: dict[str, tuple[float, float]] = {}  # step -> when it was reported there, and came here
        self._spinner = Spinner("dots", style="cyan")
        self.ended = 0.0
        self.stopping = False

    def __call__(self, reports: list[Progress]) -> None:
        for report in summary(reports):  # each job reports its own steps only
            self._reports[report.step] = report
            if self._arrived.get(report.step, (None, 0.0))[0] != report.updated:
                self._arrived[report.step] = report.updated, time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the submit began, until it ended."""
        return (self.ended or time.monotonic()) - self._began

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        root, _, run_id = self._run.rpartition("/")
        head = Text.assemble((run_id, "bold"), (f"  in {root.removeprefix('file://')}", "dim"))
        head.no_wrap, head.overflow = True, "ellipsis"
        yield head
        waiting = False
        for step in ALL_STEPS:
            report = self._reports.get(step.name)
            if report is None and step not in STEPS:
                continue
            if report and report.finished:
                yield self._done(report)
            elif waiting or (self.ended and not report):
                yield line(f"· {step.name}", "dim")
            else:
                yield self._running(step.name, report or self._not_reported(step.name, step.job), options.max_width)
                waiting = True
        yield self._foot()

    def _done(self, report: Progress) -> Text:
        if report.facts.get("skipped"):
            text = "unchanged, skipped"
        else:
            rate = f"{amount(report.rate)} {report.unit}/s" if report.rate else ""
            own = facts(report, self._epochs)  # before the rate: a narrow terminal cuts the end
            parts = [own, rate] if own else [rate, f"{amount(report.done)} {report.unit}"]
            text = " · ".join([seconds(report.took_s), *filter(None, parts)])
        row = Text.assemble(("✓ ", "green"), f"{report.step:<10} ", (text, "dim"))
        row.no_wrap, row.overflow = True, "ellipsis"
        return row

    def _running(self, name: str, report: Progress, width: int) -> Group:
        """The running step: its bar, rate and time left, and below them its own figures."""
        row = Table.grid(padding=(0, 1))
        mark: Any = Text("■", style="yellow") if self.ended else self._spinner
        arrived = self._arrived.get(name)
        rate = pace(report, (self.ended or time.monotonic()) - arrived[1] if arrived else 0.0)
        cells: list[Any] = [mark, Text(f"{name:<10}", style="bold")]
        for column in (1, 10):
            row.add_column(width=column, no_wrap=True)
        if report.total and not report.facts.get("phase"):
            share = min(report.done / report.total, 1.0)
            room = width - 20 - len(rate)
            if room >= 6:
                bar = ProgressBar(total=1.0, completed=share, width=min(room, _MOST_BAR))
                row.add_column(width=min(room, _MOST_BAR))
                cells.append(bar)
            row.add_column(width=4, no_wrap=True)
            cells.append(Text(f"{share:4.0%}", style="bold cyan"))
        row.add_column(no_wrap=True, overflow="ellipsis")
        row.add_row(*cells, line(rate))
        own = [facts(report, self._epochs)]
        if report.worker.endswith("workers"):
            own.append(report.worker)
        below = " · ".join(part for part in own if part)
        return Group(row, line(f"{'':<13}{below}")) if below else Group(row)

    def _not_reported(self, name: str, job: str) -> Progress:
        """The progress of a step that has not reported yet."""
        first = next(step.name for step in STEPS if step.job == job)
        doing = _STARTING[job] if name == first else "starting"
        return Progress(name, "", 0, 0, "", 0.0, 0.0, facts={"phase": doing})

    def _foot(self) -> Text:
        if self.stopping:
            return line(f"stopped after {seconds(self.elapsed_s)}" if self.ended else _STOPPING, "yellow")
        if self.ended:
            return line(f"{seconds(self.elapsed_s)} in total", "dim")
        return line(f"{seconds(self.elapsed_s)} elapsed · Ctrl-C stops it, a later submit continues", "dim")


class _PlainWatch:
    """One line when a step begins, every few seconds while it runs, and when it ends; for log files."""

    def __init__(self, epochs: int | None) -> None:
        self._epochs = epochs
        self._last: dict[str, tuple[float, str]] = {}
        self._ended: set[str] = set()

    def __call__(self, reports: list[Progress]) -> None:
        for report in summary(reports):
            now, text = time.monotonic(), figures(report, self._epochs)
            before, last = self._last.get(report.step, (-1e9, ""))
            due = now - before >= (_PLAIN_UNCHANGED_EVERY_S if text == last else _PLAIN_EVERY_S)
            if report.step in self._ended or not (due or report.finished):
                continue
            self._last[report.step] = now, text
            if report.finished:
                self._ended.add(report.step)
            share = f"{report.done / report.total:4.0%}" if report.total else "    "
            terminal.write_error(f"{report.step:<10}{share if not report.finished else 'done'}  {text}\n")


def _epochs(plan: Plan) -> int | None:
    """The number of epochs in the configuration of a plan."""
    documents = (request["document"] for request in plan.requests if "document" in request)
    return next((document["train"]["epochs"] for document in documents if "train" in document), None)


@contextmanager
def _interruption(board: Board, live: Live) -> Iterator[None]:
    """Shows Ctrl-C on the board at once; stopping the jobs takes some seconds after that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def answer(_number: int, _frame: FrameType | None) -> None:
        board.stopping = True
        live.refresh()
        raise KeyboardInterrupt

    former = {number: signal.signal(number, answer) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
