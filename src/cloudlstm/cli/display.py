"""Progress for people: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.table import Column
from rich.text import Text

from cloudlstm.journal import Progress
from cloudlstm.steps import STEPS

if TYPE_CHECKING:
    from cloudlstm.launch import Watch
    from cloudlstm.targets import Plan

_PLAIN_EVERY_S = 5.0
_SHORT = {"validation_loss": "best val"}
"""Facts whose names are too long for a line that one glance takes in."""


@contextmanager
def progress_display(plan: Plan) -> Iterator[Watch]:
    """Shows a run's progress for as long as the context lasts; gives the function that is fed with it."""
    console = Console(stderr=True)
    console.print(f"run {plan.run}", highlight=False, soft_wrap=True)
    if console.is_terminal:
        with _bars(console) as bars:
            yield _BarsWatch(bars)
    else:
        yield _PlainWatch()


def summary(reports: list[Progress]) -> list[Progress]:
    """One report a step, in the order of the steps. Every worker tells of the step as a whole: the one ahead counts."""
    merged = []
    for step in STEPS:
        parts = [report for report in reports if report.step == step.name]
        if parts:
            merged.append(
                Progress(
                    step.name,
                    "all",
                    done=max(part.done for part in parts),
                    total=max(part.total for part in parts),
                    unit=parts[0].unit,
                    started=min(part.started for part in parts),
                    updated=max(part.updated for part in parts),
                    finished=all(part.finished for part in parts),
                    facts=parts[0].facts,
                    resumed=max(part.resumed for part in parts),
                )
            )
    return merged


def amount(number: float) -> str:
    """A count in few characters: 950, 12.3 k, 3.77 M."""
    for limit, divisor, suffix in ((1e3, 1.0, ""), (1e6, 1e3, " k"), (1e9, 1e6, " M")):
        if number < limit:
            scaled = number / divisor
            digits = 0 if not suffix else max(0, 2 - len(str(int(scaled))) + 1)
            return f"{scaled:.{digits}f}{suffix}"
    return f"{number / 1e9:.2f} G"


def duration(seconds: float) -> str:
    """Seconds as 0:07, 12:34 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def figures(report: Progress) -> str:
    """Rate, time left and the step's own figures."""
    if report.facts.get("skipped"):
        return "unchanged, skipped"
    parts = [f"{amount(report.rate)} {report.unit}/s"] if report.rate else []
    left = report.seconds_left
    if report.finished:
        parts.append(f"took {duration(report.updated - report.started)}")
    elif left is not None:
        parts.append(f"{duration(left)} left")
    parts += [f"{_SHORT.get(name, name)} {_figure(value)}" for name, value in report.facts.items() if value is not None]
    return " · ".join(parts)


def _figure(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


class _Mark(SpinnerColumn):
    """A spinner for what runs, a tick for what is done, nothing for what has not begun."""

    def render(self, task: Task) -> RenderableType:
        if task.finished:
            return Text("✓", style="green")
        return super().render(task) if task.started else Text(" ")


class _Figures(ProgressColumn):
    """The text to the right of a bar."""

    def render(self, task: Task) -> Text:
        return Text(task.fields.get("figures", ""), style="dim" if task.finished else "")


def _bars(console: Console) -> Bars:
    return Bars(
        _Mark(),
        TextColumn("{task.description:<9}"),
        BarColumn(bar_width=16),
        TextColumn("{task.percentage:>3.0f}%"),
        _Figures(table_column=Column(no_wrap=True, overflow="ellipsis")),
        console=console,
        refresh_per_second=8,
    )


class _BarsWatch:
    """Feeds the bars; steps that are still to come are shown empty, so that one glance tells what is left."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {step.name: bars.add_task(step.name, total=1, start=False) for step in STEPS}

    def __call__(self, reports: list[Progress]) -> None:
        for report in summary(reports):
            task = self._tasks[report.step]
            total = report.total or None
            done = report.done
            if report.finished:
                done = total = total or max(done, 1)
            self._bars.start_task(task)
            self._bars.update(task, total=total, completed=done, figures=figures(report))


class _PlainWatch:
    """A line when a step begins, every few seconds, and when it ends: right for a log file."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self._ended: set[str] = set()

    def __call__(self, reports: list[Progress]) -> None:
        for report in summary(reports):
            due = time.monotonic() - self._last.get(report.step, -1e9) >= _PLAIN_EVERY_S
            if report.step in self._ended or not (due or report.finished):
                continue
            self._last[report.step] = time.monotonic()
            if report.finished:
                self._ended.add(report.step)
            share = f"{report.done / report.total:4.0%}" if report.total else "    "
            sys.stderr.write(f"{report.step:<10}{share if not report.finished else 'done'}  {figures(report)}\n")
            sys.stderr.flush()
