"""Carries out the plan of a submit: opens an attempt, starts job after job, watches each to its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from cloudlstm import errors, storage
from cloudlstm.runs import folder, index, journal, settings
from cloudlstm.runs.attempts import Attempt
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.progress import PhaseWriter, Progress, read_progress
from cloudlstm.runs.steps import JOBS, STEPS
from cloudlstm.targets import JobState, Plan, Request, Restart, RunningJob, Target
from cloudlstm.targets.base import fill_placeholders

Watch = Callable[[list[Progress]], None]
"""Shown the progress of all steps, about twice a second."""

POLL_S = 0.5
"""Pause between two looks at a job."""


def carry_out(plan: Plan, target: Target, watch: Watch, *, poll_s: float = POLL_S) -> RunPaths:
    """Does what a submit's plan says; returns when every job is done.

    A run that is interrupted (Ctrl-C, a failed job, a killed launcher) can be submitted again: finished steps are
    skipped and training goes on from its last checkpoint.

    Raises:
        UsageError: the run's folder is somebody's own, or that of a run with other settings.
        CloudLSTMError: the error of the job that failed, or what stood in its way.
    """
    paths = RunPaths(plan.run)
    require_own(plan)
    with Attempt(
        paths, lambda number: _has_running_job(plan, target, number), lambda said: watch(_phase(said))
    ) as attempt:
        if attempt.launcher == 1:  # else jobs are at work
            with suppress(errors.StorageError):  # what a killed attempt left half written takes up room, no harm
                storage.sweep(paths.uri + "/")
            for job in JOBS:
                storage.delete(paths.failure(job), within=paths.uri)
        for request in plan.requests:
            if request["action"] == "settings":
                settings.create(paths, attempt.number, request["document"])
            elif request["action"] == "mark":
                index.mark(paths.root, paths.run_id)
            elif request["job"] == "train" and storage.exists(paths.complete(attempt.number)) and target.root:
                watch(_skipped(request["job"]))  # machines that have nothing to do cost as much as others
            else:
                _run_job(request, target, paths, attempt, watch, poll_s)
    return paths


def require_own(plan: Plan) -> None:
    """Raises UsageError where a plan would write into what belongs to somebody else; writes nothing."""
    paths = RunPaths(plan.run)
    for request in plan.requests:
        if request["action"] == "settings":
            folder.require_own(paths, request["document"])
        elif request["action"] == "mark":
            index.require_free(paths.root, paths.run_id)


def _has_running_job(plan: Plan, target: Target, attempt: int) -> bool:
    """Whether a job of this very plan is at work for an attempt whose launcher was lost."""
    paths = RunPaths(plan.run)
    for request in plan.requests:
        if request["action"] == "settings":
            try:
                if settings.document(paths, attempt) != request["document"]:
                    return False
            except errors.CorruptObjectError:
                return False
    jobs = [request for request in plan.requests if request["action"] == "job"]
    return any(target.at_work(_filled(request, attempt)) for request in jobs)


def _run_job(request: Request, target: Target, paths: RunPaths, attempt: Attempt, watch: Watch, poll_s: float) -> None:
    """Starts one job and watches it until it has ended; ends it when this process is interrupted."""
    name = request["job"]
    told = ProgressView(paths, name, time.time())
    phase_writer = PhaseWriter(paths, attempt.number, name)
    attempt.require_held()
    job = target.start(_filled(request, attempt.number))
    try:
        while (state := job.state()) is JobState.RUNNING:
            if attempt.cancelled():
                raise errors.JobError(
                    f"run {paths.run_id} was cancelled", hint="submit again to go on where it stopped"
                )
            attempt.require_held()
            watch(told.progress(job.restarts, job.phase))
            phase_writer.write(job.phase)
            time.sleep(poll_s)
        attempt.require_held()
        watch(told.progress(job.restarts, job.phase))
        if state is not JobState.DONE:
            raise _failure(name, job, paths)
    except errors.RunBusyError:
        job.abandon()
        raise
    finally:
        job.cancel()


def _phase(said: str) -> list[Progress]:
    """A line to show before any job has begun."""
    now = time.time()
    return [Progress(STEPS[0].name, "", 0, 0, "", now, now, facts={"phase": said})]


def _skipped(job: str) -> list[Progress]:
    now = time.time()
    steps = [step.name for step in STEPS if step.job == job]
    return [Progress(step, "launcher", 1, 1, "", now, now, finished=True, facts={"skipped": True}) for step in steps]


def _filled(request: Request, attempt: int) -> Request:
    """The request with the number of the attempt where its plan left that open."""
    known: Request = fill_placeholders(request, {"attempt": str(attempt)}.get)
    return known


class ProgressView:
    """What is shown of a job while it runs, and logged of its restarts.

    Args:
        paths: The run.
        job: The job's name.
        began: When the job began. What was reported until now is of an earlier attempt.
    """

    def __init__(self, paths: RunPaths, job: str, began: float) -> None:
        self._paths, self._job, self._began = paths, job, began
        self._steps = [step.name for step in STEPS if step.job == job]
        self._counted: dict[tuple[str, str], Progress] = {}
        self._logged = 0
        # Reports have the times of other machines, whose clocks may differ: they are only compared with each other.
        self._earlier = _times(self._reports())
        self._before_restart: dict[tuple[str, str], float] = {}

    def progress(self, restarts: Sequence[Restart], phase: str = "") -> list[Progress]:
        """The progress of the job's steps. While workers start again, what they had counted stands.

        `phase` is told as that of the job's first step until there is something else to tell.
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
        if phase and not any(report.step in self._steps for report in reports):
            facts = {"phase": phase}
            reports.append(Progress(self._steps[0], "", 0, 0, "", self._began, time.time(), facts=facts))
        return reports

    def _reports(self) -> list[Progress]:
        try:
            return read_progress(self._paths)
        except errors.StorageError:
            return []  # progress is a comfort; the job's own state decides

    def _log(self, restart: Restart, generation: int) -> None:
        said = f"{restart.cause}; all workers start again as generation {generation}"
        journal.write_warning(self._paths, self._job, "launcher", said, restart.told.splitlines(), when=restart.time)


def _who(report: Progress) -> tuple[str, str]:
    return report.step, report.worker


def _times(reports: Sequence[Progress]) -> dict[tuple[str, str], float]:
    return {_who(report): report.updated for report in reports}


def _failure(name: str, job: RunningJob, paths: RunPaths) -> errors.CloudLSTMError:
    """The error of a failed job: what it wrote down, else what its platform knows."""
    told = job.explain()
    job.cancel()
    with suppress(errors.StorageError):
        storage.write(paths.log(name, "console", int(time.time())), told.encode(errors="backslashreplace"))
    try:
        record = storage.read_json(paths.failure(name))
        error = errors.from_record(record)
        if record.get("generation", 0) == len(job.restarts) and not isinstance(error, errors.PeerLostError):
            return error
    except errors.StorageError:
        if found := errors.from_mark(told):  # the job could not store it either
            return found
    lines = told.strip().splitlines() or ["it left no output"]
    end = f", its last line was: {lines[-1].strip()[:200]}" if len(lines) > 1 else ""
    often = f" (after {len(job.restarts)} restarts, the last of which got no further)" if job.restarts else ""
    return errors.JobError(f"job {name} failed: {lines[0]}{end}{often}", hint=f"cloudlstm logs --run={paths.run_id}")
