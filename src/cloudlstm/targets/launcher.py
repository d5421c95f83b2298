"""Carries out the plan of a submit: opens an attempt, then starts each job and watches it until it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace

from cloudlstm import errors, storage
from cloudlstm.costs.usage import Meter
from cloudlstm.runs import folder, index, journal, receipt, settings
from cloudlstm.runs.attempts import Attempt
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.progress import PhaseWriter, Progress, read_progress
from cloudlstm.runs.steps import JOBS, STEPS
from cloudlstm.targets import JobState, Plan, Request, Restart, RunningJob, Target
from cloudlstm.targets.base import fill_placeholders
from cloudlstm.text.numbers import counted

Watch = Callable[[list[Progress]], None]
"""Receives the progress of all steps about twice a second."""

POLL_S = 0.5
"""Pause between two looks at a job."""


def carry_out(
    plan: Plan, target: Target, watch: Watch, *, poll_s: float = POLL_S, inputs: str | None = None
) -> RunPaths:
    """Carries out a submit's plan; returns when every job is done.

    A run that is interrupted (Ctrl-C, a failed job, a killed launcher) can be submitted again: finished steps are
    skipped and training continues from its last checkpoint.

    Args:
        plan: The plan.
        target: Where the jobs run.
        watch: Receives the progress.
        poll_s: Pause between two polls of a job.
        inputs: A hash of everything that the results depend on, for the receipt; None for no receipt.

    Raises:
        UsageError: the run's folder holds other files, or a run with other settings.
        CloudLSTMError: the error of the failed job, or the reason why it could not start.
    """
    paths = RunPaths(plan.run)
    require_own(plan)
    with Attempt(
        paths, lambda number: _has_running_job(plan, target, number), lambda message: watch(_phase(message))
    ) as attempt:
        if attempt.launcher == 1:  # a later launcher finds running jobs
            with suppress(errors.StorageError):  # leftovers of a killed attempt only use space
                storage.sweep(paths.uri + "/")
            for job in JOBS:
                storage.delete(paths.failure(job), within=paths.uri)
        jobs = [filled(request, attempt.number) for request in plan.requests if request["action"] == "job"]
        with target.standby(jobs) if _starts_anew(jobs, paths) else nullcontext():
            for request in plan.requests:
                if request["action"] == "settings":
                    settings.create(paths, attempt.number, request["document"])
                elif request["action"] == "mark":
                    index.mark(paths.root, paths.run_id)
                elif request["job"] == "train" and storage.exists(paths.complete(attempt.number)) and target.root:
                    watch(_skipped(request["job"]))  # idle machines cost money
                else:
                    _run_job(request, target, paths, attempt, watch, poll_s)
        if inputs:
            receipt.save(paths, attempt.number, inputs)
    return paths


def is_unchanged(plan: Plan, inputs: str) -> bool:
    """True if the last submit of this run has finished every step with these inputs."""
    return receipt.fits(RunPaths(plan.run), inputs)


def skip(plan: Plan, watch: Watch) -> RunPaths:
    """Carries out a plan that changes nothing: the run becomes the last one of its root, and no process starts."""
    paths = RunPaths(plan.run)
    index.mark(paths.root, paths.run_id)
    watch([progress for job in JOBS for progress in _skipped(job)])
    return paths


def require_own(plan: Plan) -> None:
    """Raises UsageError if the plan would write into files that belong to another run or program; writes nothing."""
    paths = RunPaths(plan.run)
    for request in plan.requests:
        if request["action"] == "settings":
            folder.require_own(paths, request["document"])
        elif request["action"] == "mark":
            index.require_free(paths.root, paths.run_id)


def _starts_anew(jobs: Sequence[Request], paths: RunPaths) -> bool:
    """True if a later job will have work to do; after a finished submit, its steps may all be skipped."""
    return len(jobs) > 1 and not storage.exists(paths.manifest(STEPS[-1].name))


def _has_running_job(plan: Plan, target: Target, attempt: int) -> bool:
    """True if a job of this plan is running for an attempt whose launcher died."""
    paths = RunPaths(plan.run)
    for request in plan.requests:
        if request["action"] == "settings":
            try:
                if settings.document(paths, attempt) != request["document"]:
                    return False
            except errors.CorruptObjectError:
                return False
    jobs = [request for request in plan.requests if request["action"] == "job"]
    return any(target.at_work(filled(request, attempt)) for request in jobs)


def _run_job(request: Request, target: Target, paths: RunPaths, attempt: Attempt, watch: Watch, poll_s: float) -> None:
    """Starts one job and watches it until it ends; cancels it if this process is interrupted."""
    name = request["job"]
    view = ProgressView(paths, name, time.time())
    phase_writer = PhaseWriter(paths, attempt.number, name)
    meter = Meter(paths, attempt.number, name, request.get("rate"))
    attempt.require_held()
    job = target.start(filled(request, attempt.number))
    try:
        while (state := job.state()) is JobState.RUNNING:
            if attempt.cancelled():
                raise errors.JobError(
                    f"run {paths.run_id} was cancelled", hint="submit again to go on where it stopped"
                )
            attempt.require_held()
            watch(view.progress(job.restarts, job.phase))
            phase_writer.write(job.phase)
            meter.record(job.working_since)
            job.wait(poll_s)
        attempt.require_held()
        watch(view.progress(job.restarts, job.phase))
        if state is not JobState.DONE:
            raise failure(name, job, paths)
    except errors.RunBusyError:
        job.abandon()
        raise
    finally:
        job.cancel()
        meter.record(job.working_since, at_once=True)


def _phase(message: str) -> list[Progress]:
    """Progress that shows a message before the first job has started."""
    now = time.time()
    return [Progress(STEPS[0].name, "", 0, 0, "", now, now, facts={"phase": message})]


def _skipped(job: str) -> list[Progress]:
    now = time.time()
    steps = [step.name for step in STEPS if step.job == job]
    return [Progress(step, "launcher", 1, 1, "", now, now, finished=True, facts={"skipped": True}) for step in steps]


def filled(request: Request, attempt: int) -> Request:
    """Returns the request with the attempt number filled in."""
    known: Request = fill_placeholders(request, {"attempt": str(attempt)}.get)
    return known


class ProgressView:
    """Progress view of a running job; logs restarts.

    Args:
        paths: The run.
        job: The job's name.
        began: When the job started. Existing progress reports belong to an earlier attempt.
    """

    def __init__(self, paths: RunPaths, job: str, began: float) -> None:
        self._paths, self._job, self._began = paths, job, began
        self._steps = [step.name for step in STEPS if step.job == job]
        self._counted: dict[tuple[str, str], Progress] = {}
        self._logged = 0
        # Reports carry the times of other machines' clocks, so they are compared only with each other.
        self._earlier = _times(self._reports())
        self._before_restart: dict[tuple[str, str], float] = {}
        self._finished = _finished_steps(paths) if job == JOBS[0] else ""

    def progress(self, restarts: Sequence[Restart], phase: str = "") -> list[Progress]:
        """Returns the progress of the job's steps. During a restart the counts from before it stay.

        Until a step reports progress, the job's first step shows `phase`, and how many steps were finished before.
        """
        for number, restart in enumerate(restarts[self._logged :], self._logged + 1):
            self._log(restart, number)
        reports = [each for each in self._reports() if self._earlier.get(_who(each)) != each.updated]
        if len(restarts) > self._logged:
            self._logged, self._before_restart = len(restarts), _times(reports)
        for place, report in enumerate(reports):
            who = _who(report)
            if report.total:
                self._counted[who] = report
            elif known := self._counted.get(who):
                report = replace(report, done=known.done, total=known.total, resumed=known.done)
            if self._before_restart.get(who) == report.updated and not report.finished:
                report = replace(report, resumed=report.done, facts={"phase": f"{restarts[-1].cause}; starting again"})
            reports[place] = report
        phase = " · ".join(part for part in (self._finished, phase) if part)
        if phase and not any(report.step in self._steps for report in reports):
            facts = {"phase": phase}
            reports.append(Progress(self._steps[0], "", 0, 0, "", self._began, time.time(), facts=facts))
        return reports

    def _reports(self) -> list[Progress]:
        try:
            return read_progress(self._paths)
        except errors.StorageError:
            return []  # progress is only shown; the job's state decides

    def _log(self, restart: Restart, generation: int) -> None:
        message = f"{restart.cause}; all workers start again as generation {generation}"
        journal.write_warning(
            self._paths, self._job, "launcher", message, restart.details.splitlines(), when=restart.time
        )


def _finished_steps(paths: RunPaths) -> str:
    """How many steps an earlier submit has finished, in words; empty if none. The job checks whether they still fit."""
    try:
        names = {item.uri for item in storage.list_objects(paths.manifests)}
    except errors.StorageError:
        return ""
    number = sum(paths.manifest(step.name) in names for step in STEPS)
    if not number:
        return ""
    part = f"{number} of {len(STEPS)} steps {'is' if number == 1 else 'are'}"
    steps = "all steps are" if number == len(STEPS) else part
    return f"{steps} finished, looking for changes"


def _who(report: Progress) -> tuple[str, str]:
    return report.step, report.worker


def _times(reports: Sequence[Progress]) -> dict[tuple[str, str], float]:
    return {_who(report): report.updated for report in reports}


def failure(name: str, job: RunningJob, paths: RunPaths) -> errors.CloudLSTMError:
    """Returns the error of a failed job: the one that it stored, else one made from its platform's log."""
    details = job.explain()
    job.cancel()
    with suppress(errors.StorageError):
        storage.write(paths.log(name, "console", int(time.time())), details.encode(errors="backslashreplace"))
    try:
        record = storage.read_json(paths.failure(name))
        error = errors.from_record(record)
        if record.get("generation", 0) == len(job.restarts) and not isinstance(error, errors.PeerLostError):
            return error
    except errors.StorageError:
        if found := errors.from_mark(details):  # the job printed it because it could not store it
            return found
    lines = details.strip().splitlines() or ["it left no output"]
    end = f", its last line was: {lines[-1].strip()[:200]}" if len(lines) > 1 else ""
    often = (
        f" (after {counted(len(job.restarts), 'restart')}, the last of which got no further)" if job.restarts else ""
    )
    failed = errors.JobError(f"job {name} failed: {lines[0]}{end}{often}", hint=f"cloudlstm logs {paths.uri}")
    with suppress(errors.StorageError):  # for `status`: the job could not store why it ended
        storage.write_json(paths.failure(name), errors.to_record(failed) | {"generation": len(job.restarts)})
    return failed
