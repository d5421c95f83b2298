"""Carries out the plan of a submit: opens an attempt, starts job after job, watches each to its end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress

from cloudlstm import errors, storage
from cloudlstm.attempts import Attempt
from cloudlstm.journal import Progress, read_progress
from cloudlstm.layout import RunLayout
from cloudlstm.steps import JOBS
from cloudlstm.targets import JobState, Plan, Request, RunningJob, Target

Watch = Callable[[list[Progress]], None]
"""Shown the progress of all steps, about twice a second."""

_POLL_S = 0.5


def carry_out(plan: Plan, target: Target, watch: Watch) -> RunLayout:
    """Does what a submit's plan says; returns when every job is done.

    A run that is interrupted (Ctrl-C, a failed job, a killed launcher) can be submitted again: finished steps are
    skipped and training goes on from its last checkpoint.

    Raises:
        CloudLSTMError: the error of the job that failed, or what stood in its way.
    """
    layout = RunLayout(plan.run)
    with Attempt(layout) as attempt:
        with suppress(errors.StorageError):  # what a killed attempt left half written takes up room and does no harm
            storage.sweep(layout.uri + "/")
        for job in JOBS:
            storage.delete(layout.failure(job))
        for request in plan.requests:
            if request["action"] == "write":
                storage.write_json(request["uri"], request["document"])
            else:
                _run_job(request, target, layout, attempt, watch)
    return layout


def _run_job(request: Request, target: Target, layout: RunLayout, attempt: Attempt, watch: Watch) -> None:
    """Starts one job and watches it until it has ended; ends it when this process is interrupted."""
    name = request["job"]
    began = time.time()
    attempt.require_held()
    job = target.start(_filled(request, attempt.number))
    try:
        while (state := job.state()) is JobState.RUNNING:
            if attempt.cancelled():
                raise errors.JobError(
                    f"run {layout.run_id} was cancelled", hint="submit again to go on where it stopped"
                )
            attempt.require_held()
            watch(_recent(layout, began))
            time.sleep(_POLL_S)
        attempt.require_held()
        watch(_recent(layout, began))
        if state is not JobState.DONE:
            raise _failure(name, job, layout)
    finally:
        job.cancel()


def _filled(request: Request, attempt: int) -> Request:
    """The request with the number of the attempt where its plan left that open."""
    text = json.dumps(dict(request)).replace("${attempt}", str(attempt))
    filled: Request = json.loads(text)
    return filled


def _recent(layout: RunLayout, began: float) -> list[Progress]:
    """Progress of this job only: reports of an earlier attempt are old news."""
    try:
        return [report for report in read_progress(layout) if report.updated >= began]
    except errors.StorageError:
        return []  # progress is a comfort; the job's own state decides


def _failure(name: str, job: RunningJob, layout: RunLayout) -> errors.CloudLSTMError:
    """The error of a failed job: what it wrote down, else what its platform knows."""
    told = job.explain()
    job.cancel()
    with suppress(errors.StorageError):
        storage.write(layout.log(name, "console", int(time.time())), told.encode(errors="backslashreplace"))
    try:
        return errors.from_record(storage.read_json(layout.failure(name)))
    except errors.StorageError:
        if found := errors.from_mark(told):  # the job could not store it either
            return found
        lines = told.strip().splitlines() or ["it left no output"]
        end = f", its last line was: {lines[-1][:200]}" if len(lines) > 1 else ""
        return errors.JobError(f"job {name} failed: {lines[0]}{end}", hint=f"cloudlstm logs --run={layout.run_id}")
