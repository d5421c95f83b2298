"""The state of a run and of each of its steps, read from storage."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from cloudlstm import storage
from cloudlstm.cli.json_output import RunState, StepState
from cloudlstm.cli.progress import summary
from cloudlstm.errors import (
    CloudLSTMError,
    CorruptObjectError,
    ObjectNotFoundError,
    StorageError,
    UsageError,
    from_record,
)
from cloudlstm.runs import attempts
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.orphans import has_orphans
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.progress import Progress, read_phase, read_progress
from cloudlstm.runs.steps import ALL_STEPS, JOBS, STEPS, Step

STYLES = {"at work": "cyan", "done": "green", "failed": "red", "cancelled": "yellow"}
"""Colour of the state of a run."""
DONE: Final = "done"
AT_WORK: Final = "at work"
FAILED: Final = "failed"
WAITING: Final = "waiting"
"""States of a step."""
_CLOCK_S = 1.0
"""Some stores keep the time of a write in whole seconds."""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A step of a run.

    Attributes:
        step: The step.
        state: Its state.
        manifest: What it made, if it is done.
        report: Its progress in this attempt, unless it is done.
        phase: What its job does, as its launcher wrote it, before the step reports; empty if nothing is known.
    """

    step: Step
    state: StepState
    manifest: Manifest | None
    report: Progress | None
    phase: str


@dataclass(frozen=True, slots=True)
class RunStatus:
    """The state of a run.

    Attributes:
        paths: The run.
        attempt: The number of its newest attempt.
        state: Its state.
        is_lost: True if its launcher died without a final heartbeat; its jobs on a cloud may still be at work.
        steps: Its steps in order.
        failures: The error of each failed job, by job.
    """

    paths: RunPaths
    attempt: int
    state: RunState
    is_lost: bool
    steps: tuple[StepRecord, ...]
    failures: dict[str, CloudLSTMError]


def read_status(paths: RunPaths) -> RunStatus:
    """The state of a run and of each of its steps. Raises UsageError if there is no such run."""
    number = attempts.latest_attempt(paths)
    if not number:
        raise UsageError(f"no run {paths.run_id} in {paths.root}", hint="cloudlstm runs")
    alive = attempts.is_alive(paths, number)
    done = {step.name: manifest for step in ALL_STEPS if (manifest := Manifest.load(paths, step.name))}
    reports = _reports(paths, number)
    run_state = state(paths, number, alive, all(step.name in done for step in STEPS))
    errors = {} if run_state == "at work" else failures(paths)
    states = step_states(set(done), set(reports), run_state == "at work", set(errors))
    job, phase = read_phase(paths, number)
    steps = []
    for step in ALL_STEPS:
        if step.name not in states:
            continue
        finished = states[step.name] == DONE
        steps.append(
            StepRecord(
                step=step,
                state=states[step.name],
                manifest=done.get(step.name) if finished else None,
                report=None if finished else reports.get(step.name),
                phase=phase if job == step.job and states[step.name] == AT_WORK else "",
            )
        )
    lost = not alive and run_state in ("stopped", "at work") and attempts.was_lost(paths, number)
    return RunStatus(paths, number, run_state, lost, tuple(steps), errors)


def step_states(done: set[str], reporting: set[str], at_work: bool, failed: set[str]) -> dict[str, StepState]:
    """The state of each step by name; without the steps that this run does not have.

    Args:
        done: The steps that have a manifest, maybe from an earlier attempt.
        reporting: The steps that have reported in this attempt, but not their end.
        at_work: Whether jobs are at work.
        failed: The jobs that failed.
    """
    found: dict[str, StepState] = {}
    for step in ALL_STEPS:
        if step not in STEPS and step.name not in done | reporting:
            continue
        if step.name in reporting and at_work:
            found[step.name] = AT_WORK
        elif step.name in reporting and step.job in failed:
            found[step.name] = FAILED
        else:
            found[step.name] = DONE if step.name in done else WAITING
    first = next((step for step in ALL_STEPS if found.get(step.name) == WAITING), None)
    if first and at_work and AT_WORK not in found.values():
        found[first.name] = AT_WORK
    if first and first.job in failed and FAILED not in found.values():
        found[first.name] = FAILED
    return found


def failures(paths: RunPaths) -> dict[str, CloudLSTMError]:
    """The error of each failed job, by job."""
    found = {}
    for job in JOBS:
        with suppress(ObjectNotFoundError):
            try:
                found[job] = from_record(storage.read_json(paths.failure(job)))
            except CorruptObjectError as error:
                found[job] = error
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


def state(paths: RunPaths, number: int, alive: bool, complete: bool) -> RunState:
    """The state of a run: at work, done, cancelled, failed or stopped.

    Args:
        paths: The run.
        number: Its newest attempt; 0 if there is none.
        alive: Whether its launcher is alive. Jobs on a cloud may be at work without it.
        complete: Whether all steps are done.
    """
    if alive:
        return "at work"
    if complete:
        return "done"
    if attempts.is_cancelled(paths, number):
        return "cancelled"
    if number and has_orphans(paths, number):
        return "at work"
    return "failed" if any(storage.exists(paths.failure(job)) for job in JOBS) else "stopped"


def kept_work(paths: RunPaths) -> str:
    """The finished work from which an interrupted run continues, as a sentence."""
    try:
        done = [step.name for step in ALL_STEPS if Manifest.load(paths, step.name)]
        parts = [f"finished and kept: {', '.join(done)}"] if done else []
        if "train" not in done and any(True for _ in storage.list_objects(paths.all_checkpoints)):
            training = next((report for report in summary(read_progress(paths)) if report.step == "train"), None)
            epoch = training.facts.get("epoch") if training else None
            parts.append("training is saved" + (f" in epoch {epoch}" if epoch else ""))
    except StorageError as error:
        return f"finished work is kept, but cannot be listed now: {error.message}"
    return "; ".join(parts) or "no step was finished"
