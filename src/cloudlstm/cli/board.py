"""Progress for people: a live board on a terminal, plain lines elsewhere."""

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
from cloudlstm.cli.progress import amount, duration, facts, figures, pace, summary
from cloudlstm.cli.tables import line
from cloudlstm.runs.journal import Progress
from cloudlstm.runs.steps import STEPS

if TYPE_CHECKING:
    from cloudlstm.targets import Plan
    from cloudlstm.targets.launcher import Watch

_PLAIN_EVERY_S = 5.0
_PLAIN_ALIKE_EVERY_S = 60.0
"""A line that says nothing new is a sign of life, which a log file needs less often."""
_MOST_BAR = 40
_STARTING = {"prepare": "starting Spark", "train": "starting the workers"}
"""What happens before the first report of a job."""
_STOPPING = "stopping… what is done is kept and training saves its state; Ctrl-C again ends it at once"


@contextmanager
def progress_display(plan: Plan) -> Iterator[Watch]:
    """Shows a run's progress for as long as the context lasts; gives the function that is fed with it."""
    console = tables.console(stderr=True)
    epochs = _epochs(plan)
    if not console.is_terminal:
        terminal.tell(f"run {plan.run}\n")
        yield _PlainWatch(epochs)
        return
    board = Board(plan.run, epochs)
    with Live(board, console=console, refresh_per_second=8) as live, _interruption(board, live):
        try:
            yield board
        finally:
            board.ended = time.monotonic()


class Board:
    """All steps at one glance: what is done in a line each, what runs with a bar and its figures, what is to come.

    Args:
        run: URI of the run.
        epochs: How many epochs training may take.
    """

    def __init__(self, run: str, epochs: int | None) -> None:
        self._run, self._epochs = run, epochs
        self._began = time.monotonic()
        self._reports: dict[str, Progress] = {}
        self._spinner = Spinner("dots", style="cyan")
        self.ended = 0.0
        self.stopping = False

    def __call__(self, reports: list[Progress]) -> None:
        self._reports |= {report.step: report for report in summary(reports)}  # each job tells of its own steps only

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
        for step in STEPS:
            report = self._reports.get(step.name)
            if report and report.finished:
                yield self._done(report)
            elif waiting or (self.ended and not report):
                yield line(f"· {step.name}", "dim")
            else:
                yield self._running(step.name, report or self._unheard(step.name, step.job), options.max_width)
                waiting = True
        yield self._foot()

    def _done(self, report: Progress) -> Text:
        if report.facts.get("skipped"):
            told = "unchanged, skipped"
        else:
            parts = [duration(report.updated - report.started)]
            parts += [f"{amount(report.rate)} {report.unit}/s"] if report.rate else []
            parts.append(facts(report, self._epochs) or f"{amount(report.done)} {report.unit}")
            told = " · ".join(parts)
        text = Text.assemble(("✓ ", "green"), f"{report.step:<10} ", (told, "dim"))
        text.no_wrap, text.overflow = True, "ellipsis"
        return text

    def _running(self, name: str, report: Progress, width: int) -> Group:
        """The running step: its bar, rate and time left, and below them its own figures."""
        row = Table.grid(padding=(0, 1))
        mark: Any = Text("■", style="yellow") if self.ended else self._spinner
        told = pace(report)
        cells: list[Any] = [mark, Text(f"{name:<10}", style="bold")]
        for column in (1, 10):
            row.add_column(width=column, no_wrap=True)
        if report.total and not report.facts.get("phase"):
            share = min(report.done / report.total, 1.0)
            room = width - 20 - len(told)
            if room >= 6:
                bar = ProgressBar(total=1.0, completed=share, width=min(room, _MOST_BAR))
                row.add_column(width=min(room, _MOST_BAR))
                cells.append(bar)
            row.add_column(width=4, no_wrap=True)
            cells.append(Text(f"{share:4.0%}", style="bold cyan"))
        row.add_column(no_wrap=True, overflow="ellipsis")
        row.add_row(*cells, line(told))
        own = [facts(report, self._epochs)]
        if report.worker.endswith("workers"):
            own.append(report.worker)
        below = " · ".join(part for part in own if part)
        return Group(row, line(f"{'':<13}{below}")) if below else Group(row)

    def _unheard(self, name: str, job: str) -> Progress:
        """A step of which nothing has been reported yet."""
        first = next(step.name for step in STEPS if step.job == job)
        doing = _STARTING[job] if name == first else "starting"
        return Progress(name, "", 0, 0, "", 0.0, 0.0, facts={"phase": doing})

    def _foot(self) -> Text:
        if self.stopping:
            return line(f"stopped after {duration(self.elapsed_s)}" if self.ended else _STOPPING, "yellow")
        if self.ended:
            return line(f"{duration(self.elapsed_s)} in all", "dim")
        return line(f"{duration(self.elapsed_s)} elapsed · Ctrl-C stops it, and submitting again goes on", "dim")


class _PlainWatch:
    """A line when a step begins, every few seconds, and when it ends: right for a log file."""

    def __init__(self, epochs: int | None) -> None:
        self._epochs = epochs
        self._last: dict[str, tuple[float, str]] = {}
        self._ended: set[str] = set()

    def __call__(self, reports: list[Progress]) -> None:
        for report in summary(reports):
            now, told = time.monotonic(), figures(report, self._epochs)
            before, said = self._last.get(report.step, (-1e9, ""))
            due = now - before >= (_PLAIN_ALIKE_EVERY_S if told == said else _PLAIN_EVERY_S)
            if report.step in self._ended or not (due or report.finished):
                continue
            self._last[report.step] = now, told
            if report.finished:
                self._ended.add(report.step)
            share = f"{report.done / report.total:4.0%}" if report.total else "    "
            terminal.tell(f"{report.step:<10}{share if not report.finished else 'done'}  {told}\n")


def _epochs(plan: Plan) -> int | None:
    """The epochs of the configuration that a plan writes."""
    documents = (request["document"] for request in plan.requests if "document" in request)
    return next((document["train"]["epochs"] for document in documents if "train" in document), None)


@contextmanager
def _interruption(board: Board, live: Live) -> Iterator[None]:
    """While it lasts, Ctrl-C is answered on the board at once; ending the jobs takes some seconds after that."""
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
