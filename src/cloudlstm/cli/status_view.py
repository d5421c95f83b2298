"""`cloudlstm status`: prints the state of a run, once, or again and again with --watch."""

from __future__ import annotations

import time

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cloudlstm.cli.json_output import Failure, Status, StepStatus, json_values, print_document
from cloudlstm.cli.progress import figures
from cloudlstm.cli.status import AT_WORK, FAILED, STYLES, RunStatus, StepRecord, read_status
from cloudlstm.cli.tables import Column, console, fitted
from cloudlstm.errors import UsageError
from cloudlstm.runs import settings
from cloudlstm.runs.paths import RunPaths
from cloudlstm.text.numbers import counted, seconds

_WATCH_EVERY_S = 2.0
_LOST = (
    "its launcher was lost. Its jobs on a cloud {may} run: a submit continues them, "
    "`cancel` or `down` with the target stops them"
)
_COLUMNS = (Column("step", 9, text=True), Column("state", 8, text=True), Column("figures", 7, text=True))


def show_status(paths: RunPaths, *, watch: bool = False, as_json: bool = False) -> int:
    """Prints the state of a run and of each of its steps.

    Args:
        paths: The run.
        watch: Whether to print it anew every two seconds until the run has ended.
        as_json: Whether to print a JSON document.
    """
    if as_json and watch:
        raise UsageError("status prints one JSON document, and --watch prints many", hint="leave --watch out")
    out = console()
    if watch and not out.is_terminal:
        raise UsageError("status --watch needs a terminal", hint="cloudlstm logs --follow")
    status = read_status(paths)
    if as_json:
        print_document(document(status))
    elif watch:
        _watch(status, out)
    else:
        for part in _view(status, out.width):
            out.print(part, soft_wrap=isinstance(part, Text))
    return 0


def document(status: RunStatus) -> Status:
    """The status as JSON."""
    return Status(
        run=status.paths.run_id,
        uri=status.paths.uri,
        attempt=status.attempt,
        state=status.state,
        launcher_lost=status.is_lost,
        steps=tuple(map(_step_document, status.steps)),
        failures=tuple(
            Failure(job=job, kind=type(error).__name__, message=error.message, hint=error.hint)
            for job, error in status.failures.items()
        ),
    )


def _step_document(record: StepRecord) -> StepStatus:
    manifest, report = record.manifest, record.report
    rows = manifest.facts.get("rows") if manifest else None
    return StepStatus(
        name=record.step.name,
        job=record.step.job,
        state=record.state,
        seconds=manifest.seconds if manifest else None,
        rows=rows if isinstance(rows, int) else None,
        objects=len(manifest.objects) if manifest else None,
        phase=str(report.facts["phase"]) if report and report.facts.get("phase") else record.phase or None,
        done=report.done if report else None,
        total=report.total or None if report else None,
        unit=report.unit if report else None,
        rate=report.rate or None if report else None,
        seconds_left=report.seconds_left if report else None,
        figures=json_values(report.facts) if report else {},
    )


def _watch(status: RunStatus, out: Console) -> None:
    """Shows the status until the run has ended. Ctrl-C ends the view, not the run."""
    with Live(Group(*_view(status, out.width)), console=out, auto_refresh=False) as live:
        while any(record.state == AT_WORK for record in status.steps):
            time.sleep(_WATCH_EVERY_S)
            status = read_status(status.paths)
            live.update(Group(*_view(status, out.width)), refresh=True)


def _view(status: RunStatus, width: int) -> list[Text | Table]:
    """The parts of the output; each Text is one line."""
    epochs = settings.document(status.paths, status.attempt).get("train", {}).get("epochs")
    rows = [[record.step.name, record.state, _figures(record, epochs)] for record in status.steps]
    strong = [index for index, record in enumerate(status.steps) if record.state in (AT_WORK, FAILED)]
    table, _ = fitted(_COLUMNS, rows, max(width, 200), strong=strong)  # the console cuts the figures
    place = status.paths.uri.removeprefix("file://")
    parts: list[Text | Table] = [
        Text(f"run {place}"),
        Text.assemble(f"attempt {status.attempt}, ", (status.state, STYLES.get(status.state, ""))),
        table,
    ]
    for job, error in status.failures.items():
        parts.append(Text(f"{job} failed: {error.message}", style="red"))
        parts += [Text(f"try: {error.hint}")] if error.hint else []
    if status.is_lost:
        parts.append(Text(_LOST.format(may="still" if status.state == AT_WORK else "may still")))
    if status.state == "failed":
        parts.append(Text("then submit it again: steps that are finished for the same settings are skipped"))
    elif status.state in ("cancelled", "stopped"):
        parts.append(Text("submit it again with the same words: finished steps are skipped"))
    return parts


def _figures(record: StepRecord, epochs: int | None) -> str:
    """What a step has made, or how far it is."""
    manifest, report = record.manifest, record.report
    if manifest:
        rows = manifest.facts.get("rows")
        made = f"{counted(rows, 'row')}, " if isinstance(rows, int) else ""
        return f"{made}{counted(len(manifest.objects), 'object')} in {seconds(manifest.seconds)}"
    if report is None:
        return record.phase or "starting" if record.state == AT_WORK else ""
    share = f"{report.done / report.total:.0%}" if report.total else ""
    if record.state != AT_WORK:
        return f"ended at {share}" if share else ""
    return " · ".join(part for part in (share, figures(report, epochs)) if part)
