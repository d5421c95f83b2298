"""Runs one job: reads its environment, claims the work, keeps a journal and stores an error for the launcher.

A platform starts `jobs/<job>.py <run URI>`. The journal writes log and progress to the run folder; a failed job writes
its error there. The exit status is 0 if the work is finished or another process has claimed it. A job ends with the
launcher that started it, and when a later attempt takes over the run.
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
from contextlib import ExitStack, suppress
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from cloudlstm import errors, storage
from cloudlstm.runs import attempts, manifest, numbered, settings
from cloudlstm.runs.context import RunContext
from cloudlstm.runs.environment import ATTEMPT, GENERATION, PARENT_PIPE, WAITS
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.paths import RunPaths
from cloudlstm.workers.deadline import ended_after
from cloudlstm.workers.restarts import PEER_LOST, TERMINATED, UNEXPECTED

if TYPE_CHECKING:
    from cloudlstm.config import RunConfig

_LOG = logging.getLogger(__name__)

_GRACE_S = 20.0
"""Time for a job to end after SIGTERM."""

_PR_SET_PDEATHSIG = 1

Work = Callable[[RunContext], None]


Hours = Callable[["RunConfig"], float | None]


Store = Callable[[errors.JobError], None]
"""Stores an error for the launcher."""


def main(
    job: str,
    work: Work,
    *,
    worker: str = "driver",
    hours: Hours = lambda _: None,
    load: Callable[[], object] = lambda: None,
) -> int:
    """Runs a job for the run whose URI is the only command line argument.

    Args:
        job: The job's name: "prepare" or "train".
        work: Does the work.
        worker: The name of this process.
        hours: Returns how long the work may take; None for no limit.
        load: Imports what the work needs. It is called if this process was started before its turn.

    Returns:
        The exit status.
    """
    if len(sys.argv) != 2:
        print(f"usage: {job}.py RUN_URI", file=sys.stderr)  # noqa: T201
        return 2
    turn = end_with_parent() if os.environ.get(PARENT_PIPE) else None
    if turn and os.environ.get(WAITS):
        with suppress(Exception):  # the work meets the same error, and reports it
            load()
        turn.wait()
    signal.signal(signal.SIGTERM, _on_sigterm)
    paths = RunPaths(storage.absolute(sys.argv[1]).rstrip("/"))
    generation = int(os.environ.get(GENERATION, "0"))
    try:
        attempt = int(os.environ.get(ATTEMPT) or attempts.latest_attempt(paths))

        def configured(journal: Journal, store: Store) -> None:
            config = settings.read(paths, attempt)
            with ended_after(job, hours(config), store):
                work(RunContext(paths, config, attempt, journal))

        return _claimed(job, worker, paths, attempt, generation, configured)
    except errors.CloudLSTMError as error:
        print(f"{job}: {error}", file=sys.stderr)  # noqa: T201
        return 1


def main_alone(job: str, paths: RunPaths, work: Callable[[], None], *, hours: float | None) -> int:
    """Runs a job that goes on when its launcher has ended, and that needs no settings of a run.

    On a target its process continues the attempt of its launcher. A process that was started by hand opens an attempt.
    So the attempt is alive as long as the job is.

    Args:
        job: The job's name.
        paths: The folder of the job's attempts, claims, log and errors.
        work: Does the work.
        hours: How long the work may take; None for no limit.

    Returns:
        The exit status.
    """
    has_parent, given = bool(os.environ.get(PARENT_PIPE)), os.environ.get(ATTEMPT)
    if has_parent:
        end_with_parent()
    logging.getLogger("cloudlstm").addHandler(logging.StreamHandler())  # for who started it, beside the job's log
    signal.signal(signal.SIGTERM, _on_sigterm)
    try:
        with ExitStack() as held:
            attempt = int(given) if given else held.enter_context(attempts.Attempt(paths)).number
            if not given:
                storage.delete(paths.failure(job), within=paths.uri)

            def alone(_journal: Journal, store: Store) -> None:
                if given and not has_parent:
                    held.enter_context(attempts.continued(paths, attempt))
                with ended_after(job, hours, store):
                    work()
                numbered.create(paths.complete(attempt), {})

            return _claimed(job, "driver", paths, attempt, 0, alone)
    except errors.CloudLSTMError as error:
        print(f"{job}: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code


def end_at_once(code: int) -> NoReturn:
    """Ends this process without the end of Python, in which TensorFlow frees its memory for a second.

    Nothing registered with `atexit` runs: what a job writes must be written before.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _claimed(
    job: str, worker: str, paths: RunPaths, attempt: int, generation: int, work: Callable[[Journal, Store], None]
) -> int:
    """Claims the work and does it; returns the exit status, 0 if another process has claimed it."""
    if not attempts.claim(paths, attempt, f"{job}-{worker}-{generation}"):
        print(f"{job}: {worker} of this attempt is already running, nothing to do", file=sys.stderr)  # noqa: T201
        return 0
    _end_when_superseded(paths, attempt)
    with Journal(paths, job, worker) as journal:
        return _run(job, lambda store: work(journal, store), paths, attempt, generation)


def _run(job: str, work: Callable[[Store], None], paths: RunPaths, attempt: int, generation: int) -> int:
    """Runs `work`, stores its error and returns the exit status."""
    try:
        work(lambda error: _store_error(paths, job, error, generation))
    except errors.CloudLSTMError as error:
        if isinstance(error, errors.CorruptObjectError | errors.ObjectNotFoundError):
            _invalidate(paths, attempt, error)
        _LOG.error("%s", error)
        _store_error(paths, job, error, generation)
        return PEER_LOST if isinstance(error, errors.PeerLostError) else error.exit_code
    except Exception as error:
        _LOG.exception("%s failed", job)
        disk_full = _disk_full_error(error)
        _store_error(paths, job, disk_full or error, generation)
        return disk_full.exit_code if disk_full else UNEXPECTED
    return 0


def _disk_full_error(error: Exception) -> errors.StorageFullError | None:
    """Our error for an OSError that a library raised because a disk is full."""
    if not isinstance(error, OSError) or error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return None
    return errors.StorageFullError(
        f"no space is left in {error.filename or tempfile.gettempdir()}",
        hint="free some, or set TMPDIR to a folder on a larger disk",
    )


def _invalidate(paths: RunPaths, attempt: int, error: errors.StorageError) -> None:
    """Invalidates the step that owns the corrupt object, so that the next submit runs it again."""
    try:
        attempts.ensure_not_superseded(paths, attempt)
        steps = manifest.invalidate_corrupt(paths, error)
    except errors.CloudLSTMError as second:
        _LOG.warning("the corrupt step could not be invalidated: %s", second)
        return
    if steps:
        error.hint = f"submit again: {' and '.join(steps)} will run again"


def _store_error(paths: RunPaths, job: str, error: BaseException, generation: int) -> None:
    """Stores the error for the launcher. The first worker to fail knows the cause; later errors do not replace it."""
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
        # The launcher reads it from the end of the job's output.
        print(f"{job}: the error could not be stored: {second}\n{errors.to_mark(error)}", file=sys.stderr)  # noqa: T201


def _on_sigterm(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(TERMINATED)


def is_on_target() -> bool:
    """True if this job runs on a target; a job on this machine is a child of its launcher."""
    return not os.environ.get(PARENT_PIPE)


def end_with_parent() -> threading.Event:
    """Kills this process when its launcher dies, so that two launchers never work on a run at the same time.

    Returns:
        Is set when the launcher writes to the standard input: it is this process's turn.
    """
    turn = threading.Event()

    def watch() -> None:
        while os.read(0, 4096):
            turn.set()
        os.killpg(os.getpgid(0), signal.SIGKILL)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
    with suppress(OSError, AttributeError):  # Linux also kills a stopped process, which cannot watch
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    return turn


def _end_when_superseded(paths: RunPaths, attempt: int) -> None:
    """Exits when the attempt is superseded, or cancelled by a launcher on another machine.

    A cluster does not always end a job together with the process that submitted it.
    """
    remote_launcher = is_on_target()

    def watch() -> None:
        while True:
            time.sleep(attempts.HEARTBEAT_EVERY_S)
            try:
                attempts.ensure_not_superseded(paths, attempt)
                if not (remote_launcher and attempts.is_cancelled(paths, attempt)):
                    continue
                _LOG.error("the run was cancelled")
            except errors.RunBusyError as error:
                _LOG.error("%s", error)
            except errors.StorageError:
                continue
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(_GRACE_S)
            os._exit(1)

    threading.Thread(target=watch, name="superseded-watch", daemon=True).start()
