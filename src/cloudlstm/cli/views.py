"""What `status` prints."""

from __future__ import annotations

from rich.text import Text

from cloudlstm import attempts, storage
from cloudlstm.cli.figures import duration, figures, summary
from cloudlstm.cli.tables import Column, console, fitted, say
from cloudlstm.errors import StorageError, UsageError
from cloudlstm.journal import Progress, read_progress
from cloudlstm.layout import RunLayout
from cloudlstm.manifest import Manifest
from cloudlstm.steps import JOBS, STEPS

STYLES = {"at work": "cyan", "done": "green", "failed": "red", "cancelled": "yellow"}
"""Colour by the first words of a run's state."""


def show_status(layout: RunLayout) -> int:
    """The state of the run and of each of its steps."""
    out = console()
    number = attempts.latest_attempt(layout)
    if not number:
        raise UsageError(f"no run {layout.run_id} in {layout.uri.rsplit('/', 1)[0]}", hint="cloudlstm runs")
    alive = attempts.is_alive(layout, number)
    done = {step.name: Manifest.load(layout, step.name) for step in STEPS}
    reports = {report.step: report for report in summary(read_progress(layout))}
    epochs = storage.read_json(layout.config)["train"]["epochs"]
    out.print(f"run {layout.uri.removeprefix('file://')}", soft_wrap=True)
    told = state(layout, number, alive, all(done.values()))
    out.print(Text.assemble(f"attempt {number}, ", (told, STYLES.get(told, ""))))
    rows = [[step.name, *_step(done[step.name], reports.get(step.name), alive, epochs)] for step in STEPS]
    strong = [index for index, row in enumerate(rows) if row[1] == "running"]
    out.print(fitted([Column("step", 9, text=True), Column("state", 8, text=True), Column("figures", 7, text=True)],
                     rows, max(out.width, 200), strong=strong))  # fmt: skip
    for job in JOBS:
        if storage.exists(layout.failure(job)) and not alive:
            record = storage.read_json(layout.failure(job))
            out.print(f"{job} failed: {record['message']}", style="red", soft_wrap=True)
            if record.get("hint"):
                out.print(f"try: {record['hint']}", soft_wrap=True)
    if told.startswith(("failed", "cancelled", "stopped")):
        if told == "stopped" and attempts.was_lost(layout, number):
            say(
                out,
                "its launcher was lost. What it had started on a cloud may be at work still: a submit goes on with it, "
                "`cancel` or `down` with the target ends it",
            )
        say(out, "submit it again with the same words: what is done is skipped")
    return 0


def _step(manifest: Manifest | None, report: Progress | None, alive: bool, epochs: int) -> list[str]:
    if alive and report is not None and not report.finished:
        share = f"{report.done / report.total:.0%} · " if report.total else ""
        return ["running", share + figures(report, epochs)]
    if manifest:
        rows = manifest.facts.get("rows")
        made = f"{rows:,} rows, " if isinstance(rows, int) else ""
        return ["done", f"{made}{len(manifest.objects)} objects in {duration(manifest.seconds)}"]
    return ["to do", ""]


def state(layout: RunLayout, number: int, alive: bool, complete: bool) -> str:
    """The state of a run in a word or two: at work, done, cancelled, failed or stopped."""
    if alive:
        return "at work"
    if complete:
        return "done"
    if attempts.is_cancelled(layout, number):
        return "cancelled"
    failed = any(storage.exists(layout.failure(job)) for job in JOBS)
    return "failed" if failed else "stopped"


def kept(layout: RunLayout) -> str:
    """What an interrupted run has to go on from, for people."""
    try:
        done = [step.name for step in STEPS if Manifest.load(layout, step.name)]
        parts = [f"done and kept: {', '.join(done)}"] if done else []
        if "train" not in done and any(True for _ in storage.list_objects(layout.all_checkpoints)):
            training = next((report for report in summary(read_progress(layout)) if report.step == "train"), None)
            epoch = training.facts.get("epoch") if training else None
            parts.append("training is saved" + (f" in epoch {epoch}" if epoch else ""))
    except StorageError as error:
        return f"what is done is kept, though it cannot be listed now: {error.message}"
    return "; ".join(parts) or "no step was done yet"
