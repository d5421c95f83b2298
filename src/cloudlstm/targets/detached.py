"""Starts a job that goes on without its launcher: opens an attempt, submits, and leaves once the job works.

Until then the launcher holds the attempt; the job's process continues it (`workers.job.main_alone`). So the attempt is
alive as long as something works on it, whoever that is.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from cloudlstm import errors, storage
from cloudlstm.runs import attempts
from cloudlstm.runs.attempts import Attempt
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.progress import PhaseWriter
from cloudlstm.targets.base import JobState, Request, RunningJob, Target
from cloudlstm.targets.launcher import POLL_S, failure, filled

Tell = Callable[[str], None]


def carry_out(
    request: Request, target: Target, before: Callable[[], None], phase: Tell, *, stays: bool, poll_s: float = POLL_S
) -> int:
    """Starts the job of a request.

    Args:
        request: The job, with a placeholder for the number of the attempt.
        target: Where it runs.
        before: Writes what the job reads; called when the attempt is held.
        phase: Receives what the job waits for, or an empty text, at each look.
        stays: Whether to wait for the end of the job, and to cancel it if this process is interrupted. Otherwise this
            returns once the job's process works.
        poll_s: Pause between two looks at the job.

    Returns:
        The number of the attempt.

    Raises:
        RunBusyError: Something works on it already.
        CloudLSTMError: The error of the failed job, or the reason why it could not start.
    """
    paths, name = RunPaths(request["run"]), request["job"]
    with Attempt(paths, lambda number: target.at_work(filled(request, number)), phase) as attempt:
        if attempt.launcher == 1:
            storage.delete(paths.failure(name), within=paths.uri)
        before()
        attempt.require_held()
        writer = PhaseWriter(paths, attempt.number, name)
        job = target.start(filled(request, attempt.number))

        def tell(text: str) -> None:
            writer.write(text)
            phase(text)

        try:
            state = _watched(job, attempt, paths, tell, stays, poll_s)
            if state is JobState.RUNNING:
                job.abandon()
            elif state is not JobState.DONE:
                raise failure(name, job, paths)
        except errors.RunBusyError:
            job.abandon()
            raise
        finally:
            job.cancel()
    return attempt.number


def _watched(job: RunningJob, attempt: Attempt, paths: RunPaths, tell: Tell, stays: bool, poll_s: float) -> JobState:
    """Watches a job until it ends, or unless `stays` until its process works; returns its state then."""
    while (state := job.state()) is JobState.RUNNING:
        if attempt.cancelled():
            raise errors.JobError(f"the job of {paths.run_id} was cancelled", hint="the same command continues it")
        with suppress(errors.StorageError):
            attempts.ensure_not_superseded(paths, attempt.number)
            if not stays and attempts.latest_launcher(paths, attempt.number) > attempt.launcher:
                return JobState.RUNNING
        tell(job.phase)
        job.wait(poll_s)
    return state
