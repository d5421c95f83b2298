"""What the reading verbs print."""

from __future__ import annotations

import datetime as dt
import sys
import time
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from cloudlstm import attempts, storage
from cloudlstm.cli.display import duration, figures, summary
from cloudlstm.cli.plans import run_ids
from cloudlstm.errors import ObjectNotFoundError, UsageError
from cloudlstm.journal import read_logs, read_progress
from cloudlstm.layout import RunLayout
from cloudlstm.manifest import Manifest
from cloudlstm.steps import JOBS, STEPS

_FOLLOW_EVERY_S = 1.0
_SHOWN = 20
_STALE_DAYS = 5
"""Longer than any exchange rests over holidays and a weekend."""


def _console() -> Console:
    # A pipe gets whole lines however narrow the terminal is that it was started from.
    return Console(width=None if sys.stdout.isatty() else 140, highlight=False)


def show_forecasts(layout: RunLayout) -> int:
    """The forecasts beyond the last bar, the largest moves first, and where all of them lie."""
    report = storage.read_json(layout.report("report.json"))
    found, end = report["forecasts"], storage.read_json(layout.config)["market"]["end"]
    console = _console()
    title = f"{layout.run_id}: from the close of {found['origin_date']} for {found['target_date']}"
    console.print(title, soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("ticker", "close", "lstm", "move", "ridge", "usual miss"):
        table.add_column(column, justify="left" if column == "ticker" else "right")
    rows = sorted(found["rows"], key=lambda row: -abs(row["lstm_return"]))
    for row in rows[:_SHOWN]:
        move = row["lstm_price"] / row["last_close"] - 1.0
        prices = [_cell(row[name], ",.2f") for name in ("last_close", "lstm_price")]
        rest = [_cell(row[name], ",.2f") for name in ("ridge_price", "usual_miss_price")]
        table.add_row(row["ticker"], *prices, f"{move:+.2%}", *rest)
    console.print(table)
    if len(rows) > _SHOWN:
        console.print(f"the {_SHOWN} largest moves of {len(rows)} tickers")
    gap = dt.date.fromisoformat(end) - dt.date.fromisoformat(found["origin_date"])
    if gap.days > _STALE_DAYS:
        console.print(f"note: the bars end on {found['origin_date']}, although market.end is {end}", style="yellow")
    for name in ("forecasts.csv", "report.html"):
        console.print(f"{name:<14} {layout.report(name).removeprefix('file://')}", soft_wrap=True)
    return 0


def show_report(layout: RunLayout) -> int:
    """The table of results and where the report lies."""
    try:
        report = storage.read_json(layout.report("report.json"))
    except ObjectNotFoundError:
        raise UsageError(f"run {layout.run_id} has no report yet", hint=f"cloudlstm status {layout.run_id}") from None
    console = _console()
    console.print(_results(report, _ahead(layout)))
    if report.get("headline"):
        console.print(report["headline"])
    console.print(f"report  {layout.report('report.html').removeprefix('file://')}", soft_wrap=True)
    return 0


def _results(report: dict[str, Any], ahead: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=f"{report['run_id']}: test split, {ahead}", title_justify="left")
    table.add_column("model")
    columns = {
        "rmse_price": ("RMSE $", ".4f"),
        "skill": ("skill", "+.4f"),
        "rmse_return": ("RMSE return", ".6f"),
        "r2_oos": ("R² o.o.s.", "+.4f"),
        "directional_accuracy": ("direction", ".3f"),
        "dm_p": ("DM p, return", ".3f"),
    }
    for title, _ in columns.values():
        table.add_column(title, justify="right")
    for row in report["models"]:
        cells = [_cell(row.get(key), form) for key, (_, form) in columns.items()]
        if (row.get("dm_p") or 1.0) < 0.0005:
            cells[-1] = "<0.001"
        table.add_row(row["model"], *cells, style="bold" if row["model"] == "lstm" else "")
    return table


def _ahead(layout: RunLayout) -> str:
    bars = storage.read_json(layout.config)["dataset"]["horizon_bars"]
    return "next-session forecasts" if bars == 1 else f"forecasts {bars} sessions ahead"


def show_status(layout: RunLayout) -> int:
    """The state of the run and of each of its steps."""
    console = _console()
    number = attempts.latest_attempt(layout)
    if not number:
        raise UsageError(f"no run {layout.run_id} in {layout.uri.rsplit('/', 1)[0]}", hint="cloudlstm runs")
    alive = attempts.is_alive(layout, number)
    done = {step.name: Manifest.load(layout, step.name) for step in STEPS}
    reports = {report.step: report for report in summary(read_progress(layout))}
    console.print(f"run {layout.uri}", soft_wrap=True)
    console.print(f"attempt {number}, {_state(layout, number, alive, all(done.values()))}")
    table = Table(box=box.SIMPLE_HEAD)
    for title in ("step", "state", "figures"):
        table.add_column(title)
    for step in STEPS:
        manifest, report = done[step.name], reports.get(step.name)
        running = alive and report is not None and not report.finished
        if running and report:
            table.add_row(step.name, "running", figures(report))
        elif manifest:
            table.add_row(step.name, "done", f"{len(manifest.objects)} objects in {duration(manifest.seconds)}")
        else:
            table.add_row(step.name, "to do", "")
    console.print(table)
    for job in JOBS:
        if storage.exists(layout.failure(job)) and not alive:
            record = storage.read_json(layout.failure(job))
            console.print(f"{job} failed: {record['message']}", style="red", soft_wrap=True)
    return 0


def _state(layout: RunLayout, number: int, alive: bool, complete: bool) -> str:
    if alive:
        return "at work"
    if complete:
        return "done"
    if attempts.is_cancelled(layout, number):
        return "cancelled"
    failed = any(storage.exists(layout.failure(job)) for job in JOBS)
    return "failed" if failed else "stopped: submit again to go on"


def show_logs(layout: RunLayout, *, follow: bool) -> int:
    """Log lines of all jobs, in the order of their time; with `follow` until the launcher has ended."""
    seen: set[str] = set()
    while True:
        last = not follow or not attempts.is_alive(layout, attempts.latest_attempt(layout))
        # Stable sort by the time stamp that each line begins with; a traceback's lines stay behind their first.
        for source, line in sorted(_stamped(read_logs(layout, seen)), key=lambda entry: entry[0]):
            sys.stdout.write(f"{source[1]:<16} {line}\n")
        sys.stdout.flush()
        if last:
            return 0
        time.sleep(_FOLLOW_EVERY_S)


def _stamped(lines: Any) -> Any:
    """((stamp, source), line) where a line without a stamp takes that of the line before it."""
    stamp = ""
    for source, line in lines:
        first = line.split(" ", 1)[0]
        if len(first) >= 19 and first[4:5] == "-" and first[10:11] == "T":
            stamp = first
        yield (stamp, source), line


def cancel_run(layout: RunLayout) -> int:
    """Asks the run's launcher to end its jobs."""
    number = attempts.latest_attempt(layout)
    if not number or not attempts.is_alive(layout, number):
        sys.stdout.write(f"run {layout.run_id} is not being worked on, nothing to cancel\n")
        return 0
    attempts.cancel(layout, number)
    sys.stdout.write(f"asked attempt {number} of {layout.run_id} to end\n")
    return 0


def show_runs(root: str) -> int:
    """All runs below a root, the newest first."""
    found = []
    for run_id in run_ids(root):
        layout = RunLayout.of(root, run_id)
        number = attempts.latest_attempt(layout)
        owner = attempts.read_owner(layout, number)
        found.append((owner.started if owner else 0.0, layout, number))
    if not found:
        sys.stdout.write(f"no runs in {root}\n")
        return 0
    table = Table(box=box.SIMPLE_HEAD)
    for title in ("run", "submitted", "state", "tickers", "RMSE $ lstm", "RMSE $ naive", "skill"):
        numeric = "$" in title or title in ("skill", "tickers")
        table.add_column(title, justify="right" if numeric else "left", no_wrap=title in ("run", "submitted"))
    for started, layout, number in sorted(found, key=lambda entry: -entry[0]):
        table.add_row(
            layout.run_id, time.strftime("%Y-%m-%d %H:%M", time.localtime(started)), *_outcome(layout, number)
        )
    _console().print(table)
    return 0


def _outcome(layout: RunLayout, number: int) -> list[str]:
    alive = bool(number) and attempts.is_alive(layout, number)
    try:
        report = storage.read_json(layout.report("report.json"))
    except ObjectNotFoundError:
        return [_state(layout, number, alive, complete=False), "", "", "", ""]
    rows = {row["model"]: row for row in report["models"]}
    lstm, naive = rows["lstm"], rows["naive"]
    tickers = str(len(report["universe"])) if isinstance(report.get("universe"), list) else ""
    figures = [
        _cell(lstm["rmse_price"], ".4f"),
        _cell(naive["rmse_price"], ".4f"),
        _cell(lstm["skill"], "+.4f"),
    ]
    return [_state(layout, number, alive, complete=True), tickers, *figures]


def _cell(value: float | None, form: str) -> str:
    """A figure, or a dash for one that the data does not define."""
    return "–" if value is None else format(value, form)
