"""`cloudlstm status`: the state of a run and of each step."""

from __future__ import annotations

from contextlib import suppress

from rich.text import Text

from cloudlstm import storage
from cloudlstm.cli.progress import figures, summary
from cloudlstm.cli.tables import Column, console, fitted, print_line
from cloudlstm.errors import ObjectNotFoundError, StorageError, UsageError
from cloudlstm.runs import attempts, settings
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.orphans import has_orphans
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.progress import Progress, read_phase, read_progress
from cloudlstm.runs.steps import JOBS, STEPS
from cloudlstm.text.numbers import seconds

STYLES = {"at work": "cyan", "done": "green", "failed": "red", "cancelled": "yellow"}
"""Colour of the state of a run."""
DONE, AT_WORK, FAILED, WAITING = "done", "at work", "failed", "waiting"
"""States of a step."""
_CLOCK_S = 1.0
"""Some stores keep the time of a write in whole seconds."""


def show_status(paths: RunPaths) -> int:
    """Prints the state of a run and of each of its steps."""
    out = console()
    number = attempts.latest_attempt(paths)
    if not number:
        raise UsageError(f"no run {paths.run_id} in {paths.root}", hint="cloudlstm runs")
    alive = attempts.is_alive(paths, number)
    done = {step.name: Manifest.load(paths, step.name) for step in STEPS}
    failures = {} if alive else _failures(paths)
    run_state = state(paths, number, alive, all(done.values()))
    out.print(f"run {paths.uri.removeprefix('file://')}", soft_wrap=True)
    out.print(Text.assemble(f"attempt {number}, ", (run_state, STYLES.get(run_state, ""))))
    at_work = alive or has_orphans(paths, number)
    reports = _reports(paths, number)
    states = step_states({name for name, manifest in done.items() if manifest}, set(reports), at_work, set(failures))
    epochs = settings.document(paths, number).get("train", {}).get("epochs")
    rows = []
    for step in STEPS:
        found, report = states[step.name], reports.get(step.name)
        text = _finished(done[step.name]) if found == DONE else _unfinished(report, epochs, at_work=found == AT_WORK)
        if found == AT_WORK and report is None:
            job, phase = read_phase(paths, number)
            text = phase if job == step.job and phase else "starting"
        rows.append([step.name, found, text])
    strong = [index for index, row in enumerate(rows) if row[1] in (AT_WORK, FAILED)]
    out.print(fitted([Column("step", 9, text=True), Column("state", 8, text=True), Column("figures", 7, text=True)],
                     rows, max(out.width, 200), strong=strong))  # fmt: skip
    for job, record in failures.items():
        out.print(f"{job} failed: {record['message']}", style="red", soft_wrap=True)
        if record.get("hint"):
            out.print(f"try: {record['hint']}", soft_wrap=True)
    if run_state.startswith(("failed", "cancelled", "stopped")):
        if run_state == "stopped" and attempts.was_lost(paths, number):
            print_line(
                out,
                "its launcher was lost. Its jobs on a cloud may still run: a submit continues them, "
                "`cancel` or `down` with the target stops them",
            )
        print_line(out, "submit it again with the same words: finished steps are skipped")
    return 0


def step_states(done: set[str], reporting: set[str], at_work: bool, failed: set[str]) -> dict[str, str]:
    """The state of each step by name.

    Args:
        done: The steps that have a manifest, maybe from an earlier attempt.
        reporting: The steps that have reported in this attempt, but not their end.
        at_work: Whether jobs are at work.
        failed: The jobs that failed.
    """
    found = {}
    for step in STEPS:
        if step.name in reporting and at_work:
            found[step.name] = AT_WORK
        elif step.name in reporting and step.job in failed:
            found[step.name] = FAILED
        else:
            found[step.name] = DONE if step.name in done else WAITING
    first = next((step for step in STEPS if found[step.name] == WAITING), None)
    if first and at_work and AT_WORK not in found.values():
        found[first.name] = AT_WORK
    if first and first.job in failed and FAILED not in found.values():
        found[first.name] = FAILED
    return found


def _failures(paths: RunPaths) -> dict[str, dict[str, str]]:
    """The error record of each failed job, by job."""
    found = {}
    for job in JOBS:
        with suppress(ObjectNotFoundError):
            found[job] = storage.read_json(paths.failure(job))
    return found


def _reports(paths: RunPaths, number: int) -> dict[str, Progress]:
    """The progress of unfinished steps in this attempt, by step."""
    try:
        opened = storage.stat(paths.attempt(number)).modified
    except ObjectNotFoundError:  # the run is being deleted
        return {}
    fresh = {item.uri for item in storage.list_objects(paths.progresses) if item.modified >= opened - _CLOCK_S}
    reports = [each for each in read_progress(paths) if paths.progress(each.step, each.worker) in fresh]
    return {report.step: report for report in summary(reports) if not report.finished}


def _unfinished(report: Progress | None, epochs: int | None, *, at_work: bool) -> str:
    """The share that is done, and the figures while the step is at work."""
    if report is None:
        return ""
    share = f"{report.done / report.total:.0%}" if report.total else ""
    if not at_work:
        return f"ended at {share}" if share else ""
    return " · ".join(part for part in (share, figures(report, epochs)) if part)


def _finished(manifest: Manifest | None) -> str:
    """Rows, objects and time of a finished step."""
    if manifest is None:
        return ""
    rows = manifest.facts.get("rows")
    made = f"{rows:,} rows, " if isinstance(rows, int) else ""
    return f"{made}{len(manifest.objects)} objects in {seconds(manifest.seconds)}"


def state(paths: RunPaths, number: int, alive: bool, complete: bool) -> str:
    """The state of a run: at work, done, cancelled, failed or stopped."""
    if alive:
        return "at work"
    if complete:
        return "done"
    if attempts.is_cancelled(paths, number):
        return "cancelled"
    failed = any(storage.exists(paths.failure(job)) for job in JOBS)
    return "failed" if failed else "stopped"


def kept_work(paths: RunPaths) -> str:
    """The finished work from which an interrupted run continues, as a sentence."""
    try:
        done = [step.name for step in STEPS if Manifest.load(paths, step.name)]
        parts = [f"finished and kept: {', '.join(done)}"] if done else []
        if "train" not in done and any(True for _ in storage.list_objects(paths.all_checkpoints)):
            training = next((report for report in summary(read_progress(paths)) if report.step == "train"), None)
            epoch = training.facts.get("epoch") if training else None
            parts.append("training is saved" + (f" in epoch {epoch}" if epoch else ""))
    except StorageError as error:
        return f"finished work is kept, but cannot be listed now: {error.message}"
    return "; ".join(parts) or "no step was finished"
