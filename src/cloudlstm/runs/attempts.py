"""Attempts and claims: one attempt at a time works on a run, and each job of it runs once.

Each `submit` of a run opens an *attempt*. Attempts are numbered create-only objects, so two launchers never hold the
same number. The holder renews a heartbeat; while it is alive, other launchers are refused. A job claims its work in the
attempt with a create-only object too: a job that is started twice finds the claim and exits with status 0.

On a cloud, jobs outlive their launcher, and another launcher may continue the attempt of a lost one. The launchers of
an attempt are numbered in the same way.

A process that was stopped or cut off from storage may find later that another attempt has taken over the run. Therefore
every process of a run checks for a later attempt every few seconds, and before it saves a manifest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict
from types import TracebackType
from typing import Self

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectExistsError, ObjectNotFoundError, RunBusyError, StorageError
from cloudlstm.runs import documents, numbered
from cloudlstm.runs.liveness import Heartbeat, Owner, Verdict, Watch, last_beat, watch_all
from cloudlstm.runs.paths import RunPaths

HEARTBEAT_EVERY_S = 5.0
HEARTBEAT_DEAD_AFTER_S = 60.0

_CONCURRENT_WATCHES = 16
"""Runs that are checked at the same time."""

LOOK_S = 1.5 * HEARTBEAT_EVERY_S
"""How long `status` and `list` watch a launcher on another machine for a new heartbeat."""


def latest_attempt(paths: RunPaths) -> int:
    """The number of the run's newest attempt; 0 if there is none."""
    return numbered.newest(paths.attempts)


def latest_launcher(paths: RunPaths, number: int) -> int:
    """The number of the attempt's newest launcher, from 1."""
    launcher = 1
    while storage.exists(paths.attempt(number, launcher + 1)):
        launcher += 1
    return launcher


def read_owner(paths: RunPaths, number: int, launcher: int = 0) -> Owner | None:
    """The process of a launcher of the attempt; None if it cannot be read.

    Args:
        paths: The run.
        number: The attempt.
        launcher: The number of the launcher; 0 for the newest.
    """
    try:
        return documents.read(Owner, paths.attempt(number, launcher or latest_launcher(paths, number)))
    except (ObjectNotFoundError, CorruptObjectError):
        return None


def watch(paths: RunPaths, number: int) -> Watch:
    """A watch of the attempt's newest launcher."""
    launcher = latest_launcher(paths, number)
    owner = read_owner(paths, number, launcher)
    return Watch(owner, paths.heartbeat(number, launcher), HEARTBEAT_DEAD_AFTER_S)


def is_alive(paths: RunPaths, number: int) -> bool:
    """True if the attempt's launcher is alive; on another machine its heartbeat is watched for LOOK_S."""
    return watch(paths, number).wait(LOOK_S) is Verdict.ALIVE


def are_alive(runs: Sequence[tuple[RunPaths, int]]) -> set[str]:
    """The URIs of the runs whose attempt has a live launcher; all are watched at the same time."""
    with ThreadPoolExecutor(_CONCURRENT_WATCHES) as pool:
        watches = list(pool.map(lambda run: watch(*run), runs))
    verdicts = watch_all(watches, LOOK_S)
    return {run.uri for (run, _), verdict in zip(runs, verdicts, strict=True) if verdict is Verdict.ALIVE}


def was_lost(paths: RunPaths, number: int) -> bool:
    """True if the launcher died without a final heartbeat and the attempt was not cancelled.

    The caller knows that the launcher is not alive.
    """
    beat = last_beat(paths.heartbeat(number, latest_launcher(paths, number)))
    return not (beat and beat.ended) and not is_cancelled(paths, number)


def is_cancelled(paths: RunPaths, number: int) -> bool:
    """True if the attempt was cancelled."""
    return storage.exists(paths.cancelled(number))


def cancel(paths: RunPaths, number: int) -> None:
    """Cancels the attempt; its launcher notices within a few seconds."""
    with suppress(ObjectExistsError):
        storage.write_json(paths.cancelled(number), asdict(Owner.me()), if_absent=True)


class Attempt:
    """Holds a run for this launcher: the entry opens an attempt and starts its heartbeat, the exit ends it.

    Args:
        paths: The run.
        at_work: Receives the number of a lost attempt and returns True if jobs of it still run; then this launcher
            continues that attempt instead of opening another one.
        notice: Receives a message before a watch of up to a minute.

    Attributes:
        number: The number of the attempt.
        launcher: The number of this launcher in the attempt, from 1.

    Raises:
        RunBusyError: another launcher holds the run.
    """

    def __init__(
        self,
        paths: RunPaths,
        at_work: Callable[[int], bool] = lambda _: False,
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._paths, self._at_work, self._notice = paths, at_work, notice
        self.number, self.launcher = 0, 1
        self._heartbeat: Heartbeat | None = None

    def __enter__(self) -> Self:
        newest, launcher = self._wait_until_free()
        if newest and was_lost(self._paths, newest) and self._at_work(newest):
            self.number, self.launcher = newest, launcher + 1
        else:
            self.number = newest + 1
        if not numbered.create(self._paths.attempt(self.number, self.launcher), asdict(Owner.me())):
            self._refuse(self.number)
        self.require_held()  # a third launcher may have opened an attempt meanwhile
        self._heartbeat = Heartbeat(self._paths.heartbeat(self.number, self.launcher), HEARTBEAT_EVERY_S)
        self._heartbeat.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._heartbeat:
            self._heartbeat.end()

    def _wait_until_free(self) -> tuple[int, int]:
        """The newest attempt and its newest launcher, which is not alive; RunBusyError if it is.

        A watch may take a minute. If another launcher takes the run meanwhile, that one is watched next.
        """
        while True:
            newest = latest_attempt(self._paths)
            if not newest:
                return 0, 0
            launcher = latest_launcher(self._paths, newest)
            if self._is_held(newest):
                self._refuse(newest)
            if (latest_attempt(self._paths), latest_launcher(self._paths, newest)) == (newest, launcher):
                return newest, launcher

    def _is_held(self, number: int) -> bool:
        """True if the launcher of an attempt is alive or cannot be judged; watches it until that is known."""
        watched = watch(self._paths, number)
        if (verdict := watched.look()) is Verdict.UNDECIDED:
            holder = _holder(self._paths, number)
            self._notice(f"checking for up to {HEARTBEAT_DEAD_AFTER_S:.0f} s whether {holder} still works on this run")
            verdict = watched.wait(2 * HEARTBEAT_DEAD_AFTER_S)
        return verdict in (Verdict.ALIVE, Verdict.UNDECIDED)

    def cancelled(self) -> bool:
        """True if this attempt was cancelled; False while storage does not answer."""
        with suppress(StorageError):
            return is_cancelled(self._paths, self.number)
        return False

    def require_held(self) -> None:
        """Raises RunBusyError if a later launcher has taken over the run; returns while storage does not answer."""
        with suppress(StorageError):
            ensure_not_superseded(self._paths, self.number)
            if storage.exists(self._paths.attempt(self.number, self.launcher + 1)):
                raise _taken_over(self._paths, self.number)

    def _refuse(self, number: int) -> None:
        run = self._paths.uri
        raise RunBusyError(
            f"run {self._paths.run_id} is being worked on by {_holder(self._paths, number)}",
            hint=f"watch it with `cloudlstm status {run}` or end it with `cloudlstm cancel {run}`",
        )


@contextmanager
def continued(paths: RunPaths, number: int) -> Iterator[None]:
    """Continues an attempt in the process of its job, so that its launcher may end: this process is its next launcher.

    Args:
        paths: The folder of the attempt.
        number: The attempt.
    """
    launcher = latest_launcher(paths, number) + 1
    while not numbered.create(paths.attempt(number, launcher), asdict(Owner.me())):
        launcher += 1
    heartbeat = Heartbeat(paths.heartbeat(number, launcher), HEARTBEAT_EVERY_S)
    heartbeat.start()
    try:
        yield
    finally:
        heartbeat.end()


def claim(paths: RunPaths, number: int, work: str) -> bool:
    """Claims `work` in an attempt for this process; False if it is claimed already.

    Args:
        paths: The run.
        number: The attempt.
        work: Which job and worker, such as "train-worker-0-0".

    Raises:
        RunBusyError: a later attempt has taken over the run.
    """
    if not numbered.create(paths.claim(number, work), asdict(Owner.me())):
        return False
    ensure_not_superseded(paths, number)
    return True


def ensure_not_superseded(paths: RunPaths, number: int) -> None:
    """Raises RunBusyError if an attempt later than `number` has taken over the run."""
    if storage.exists(paths.attempt(number + 1)):
        raise _taken_over(paths, number + 1)


def _taken_over(paths: RunPaths, attempt: int) -> RunBusyError:
    return RunBusyError(
        f"run {paths.run_id} was taken over by {_holder(paths, attempt)} while this process was out of touch",
        hint=f"watch it with `cloudlstm status {paths.uri}`",
    )


def _holder(paths: RunPaths, number: int) -> str:
    owner = read_owner(paths, number)
    return f"process {owner.pid} on {owner.host}" if owner else "another launcher"
