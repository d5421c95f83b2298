"""The frame around every job: one argument, a journal, a claim, and an error that reaches the launcher.

A platform starts `jobs/<job>.py <run URI>`. Whatever happens inside is told through the run folder: log and progress
by the journal, an error by a failure object. The exit status is 0 when the work is done or somebody else has it. A job
ends with the launcher that started it, and when a later attempt has taken over the run.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from cloudlstm import errors, storage
from cloudlstm.runs import attempts, manifest, settings
from cloudlstm.runs.context import RunContext
from cloudlstm.runs.environment import ATTEMPT, GENERATION, PARENT_PIPE
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.paths import RunPaths
from cloudlstm.workers.restarts import PEER_LOST, TERMINATED, UNEXPECTED

_LOG = logging.getLogger(__name__)

_GRACE_S = 20.0
"""What a job gets to end in order when it must."""

_PR_SET_PDEATHSIG = 1

Work = Callable[[RunContext], None]


def main(job: str, work: Work, *, worker: str = "driver") -> int:
    """Carries out `work` for the run whose URI is the only command line argument; returns the exit status."""
    if len(sys.argv) != 2:
        print(f"usage: {job}.py RUN_URI", file=sys.stderr)  # noqa: T201
        return 2
    if os.environ.get(PARENT_PIPE):
        _end_with_parent()
    signal.signal(signal.SIGTERM, _terminated)
    paths = RunPaths(storage.absolute(sys.argv[1]).rstrip("/"))
    generation = int(os.environ.get(GENERATION, "0"))
    try:
        attempt = int(os.environ.get(ATTEMPT) or attempts.latest_attempt(paths))
        if not attempts.claim(paths, attempt, f"{job}-{worker}-{generation}"):
            print(f"{job}: {worker} of this attempt is already at work, nothing to do", file=sys.stderr)  # noqa: T201
            return 0
        _end_when_superseded(paths, attempt)
        with Journal(paths, job, worker) as journal:
            return _guarded(job, work, paths, attempt, journal, generation)
    except errors.CloudLSTMError as error:
        print(f"{job}: {error}", file=sys.stderr)  # noqa: T201
        return 1


def _guarded(job: str, work: Work, paths: RunPaths, attempt: int, journal: Journal, generation: int) -> int:
    try:
        work(RunContext(paths, settings.read(paths, attempt), attempt, journal))
    except errors.CloudLSTMError as error:
        if isinstance(error, errors.CorruptObjectError | errors.ObjectNotFoundError):
            _invalidate(paths, attempt, error)
        _LOG.error("%s", error)
        _record(paths, job, error, generation)
        return PEER_LOST if isinstance(error, errors.PeerLostError) else error.exit_code
    except Exception as error:
        _LOG.exception("%s failed", job)
        full = _full_disk(error)
        _record(paths, job, full or error, generation)
        return full.exit_code if full else UNEXPECTED
    return 0


def _full_disk(error: Exception) -> errors.StorageFullError | None:
    """What a library meets that writes a temporary file: it knows nothing of our errors."""
    if not isinstance(error, OSError) or error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return None
    return errors.StorageFullError(
        f"no space is left in {error.filename or tempfile.gettempdir()}",
        hint="free some, or set TMPDIR to a folder on a larger disk",
    )


def _invalidate(paths: RunPaths, attempt: int, error: errors.StorageError) -> None:
    """Sees to it that the next submit makes the object anew which this error is about."""
    try:
        attempts.ensure_not_superseded(paths, attempt)
        steps = manifest.invalidate_corrupt(paths, error)
    except errors.CloudLSTMError as second:
        _LOG.warning("what is damaged could not be looked at: %s", second)
        return
    if steps:
        error.hint = f"submit again: {' and '.join(steps)} will be made anew"


def _record(paths: RunPaths, job: str, error: BaseException, generation: int) -> None:
    """Leaves the error for the launcher: the first worker to fail knows the cause, later ones only the consequence."""
    record = errors.to_record(error) | {"generation": generation}
    try:
        try:
            storage.write_json(paths.failure(job), record, if_absent=True)
        except errors.ObjectExistsError:
            found = storage.read_json(paths.failure(job))
            known = found if isinstance(found, dict) else {}
            consequence = known.get("kind") == errors.PeerLostError.__name__ != record["kind"]
            if consequence or known.get("generation", 0) < generation:
                storage.write_json(paths.failure(job), record)
    except errors.StorageError as second:
        # The launcher finds it at the end of what the job has printed.
        print(f"{job}: the error could not be stored: {second}\n{errors.to_mark(error)}", file=sys.stderr)  # noqa: T201


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(TERMINATED)


def _end_with_parent() -> None:
    """A launcher that dies takes its jobs with it: a run must never have two that believe they are alone."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os.killpg(os.getpgid(0), signal.SIGKILL)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
    with suppress(OSError, AttributeError):  # Linux also ends processes that are stopped and so cannot watch
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end_when_superseded(paths: RunPaths, attempt: int) -> None:
    """Ends this process when a later attempt has the run; one that was stopped for a while may not know.

    One whose launcher is elsewhere is also not to outlive the wish for its end: ending what has submitted it to a
    cluster does not end it everywhere.
    """
    alone = not os.environ.get(PARENT_PIPE)

    def watch() -> None:
        while True:
            time.sleep(attempts.HEARTBEAT_EVERY_S)
            try:
                attempts.ensure_not_superseded(paths, attempt)
                if not (alone and attempts.is_cancelled(paths, attempt)):
                    continue
                _LOG.error("the run was cancelled")
            except errors.RunBusyError as error:
                _LOG.error("%s", error)
            except errors.StorageError:
                continue
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(_GRACE_S)
            os._exit(1)

    threading.Thread(target=watch, name="succession-watch", daemon=True).start()
