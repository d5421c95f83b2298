"""Who is working on a run: one attempt at a time, one claim for each piece of work in it.

Each `submit` of a run is an *attempt*. Attempts are numbered objects written with create-only-if-absent, so two
launchers can never hold the same number; the holder renews a heartbeat, and a launcher that finds a live heartbeat
is refused. A job claims its work in the attempt the same way: a job that was started twice finds the claim taken and
ends well without doing anything.

Where jobs outlive their launcher, as on a cloud, another launcher may go on with the attempt of one that was lost. The
launchers of an attempt are numbered in the same way.

A launcher or a job that was out of touch for too long (stopped, swapped out, cut off) may find, when it is back, that
a later attempt has taken the run over. Everybody at work therefore looks for that attempt every few seconds, and a
manifest is saved only by whom the run still belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
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


_AT_ONCE = 16
"""Runs that are looked at at the same time."""

LOOK_S = 1.5 * HEARTBEAT_EVERY_S
"""How long those who only look at a run watch a launcher of which nothing else is known."""


def latest_attempt(paths: RunPaths) -> int:
    """The number of the run's newest attempt, 0 when there was none."""
    return numbered.newest(paths.attempts)


def latest_launcher(paths: RunPaths, number: int) -> int:
    """Which launcher of the attempt is the newest, from 1."""
    launcher = 1
    while storage.exists(paths.attempt(number, launcher + 1)):
        launcher += 1
    return launcher


def read_owner(paths: RunPaths, number: int, launcher: int = 0) -> Owner | None:
    """Who opened the attempt, or went on with it, if that can be read; 0 asks for its newest launcher."""
    try:
        return documents.read(Owner, paths.attempt(number, launcher or latest_launcher(paths, number)))
    except (ObjectNotFoundError, CorruptObjectError):
        return None


def watch(paths: RunPaths, number: int) -> Watch:
    """A watch over the attempt's newest launcher."""
    launcher = latest_launcher(paths, number)
    owner = read_owner(paths, number, launcher)
    return Watch(owner, paths.heartbeat(number, launcher), HEARTBEAT_DEAD_AFTER_S)


def is_alive(paths: RunPaths, number: int) -> bool:
    """Whether the attempt's launcher is at work; on another machine it has LOOK_S to give a sign of life."""
    return watch(paths, number).wait(LOOK_S) is Verdict.ALIVE


def are_alive(runs: Sequence[tuple[RunPaths, int]]) -> set[str]:
    """The URIs of those runs whose attempt's launcher is at work; all are watched at the same time."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        watches = list(pool.map(lambda run: watch(*run), runs))
    verdicts = watch_all(watches, LOOK_S)
    return {run.uri for (run, _), verdict in zip(runs, verdicts, strict=True) if verdict is Verdict.ALIVE}


def was_lost(paths: RunPaths, number: int) -> bool:
    """Whether the launcher of an attempt that is not alive left no last heartbeat, and nobody cancelled the attempt."""
    beat = last_beat(paths.heartbeat(number, latest_launcher(paths, number)))
    return not (beat and beat.ended) and not is_cancelled(paths, number)


def is_cancelled(paths: RunPaths, number: int) -> bool:
    """Whether somebody asked for the end of this attempt."""
    return storage.exists(paths.cancelled(number))


def cancel(paths: RunPaths, number: int) -> None:
    """Asks the attempt to end; its launcher sees it within a few seconds."""
    with suppress(ObjectExistsError):
        storage.write_json(paths.cancelled(number), asdict(Owner.me()), if_absent=True)


class Attempt:
    """Holds a run for this process: opened on entry, heartbeat kept, marked as ended on exit.

    Args:
        paths: The run.
        at_work: Whether jobs of an attempt whose launcher was lost are still at work: then this launcher goes on with
            that attempt instead of opening one.
        notice: Told, for people, that the launcher of another machine is being watched, which may take a minute.

    Attributes:
        number: Of the attempt.
        launcher: Which of its launchers this is, from 1.

    Raises:
        RunBusyError: when another launcher holds the run.
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
        self.require_held()  # a third launcher may have opened an attempt while this one was looking around
        self._heartbeat = Heartbeat(self._paths.heartbeat(self.number, self.launcher), HEARTBEAT_EVERY_S)
        self._heartbeat.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._heartbeat:
            self._heartbeat.end()

    def _wait_until_free(self) -> tuple[int, int]:
        """The newest attempt and its newest launcher, which is not at work; refuses the run if it is.

        A watch may take a minute. Whoever has taken the run meanwhile is watched in turn.
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
        """Whether the launcher of an attempt is alive, watched for as long as it takes to know."""
        watched = watch(self._paths, number)
        if (verdict := watched.look()) is Verdict.UNDECIDED:
            holder = _holder(self._paths, number)
            self._notice(
                f"looking for up to {HEARTBEAT_DEAD_AFTER_S:.0f} s whether {holder} is still at work on this run"
            )
            verdict = watched.wait(2 * HEARTBEAT_DEAD_AFTER_S)
        return verdict in (Verdict.ALIVE, Verdict.UNDECIDED)

    def cancelled(self) -> bool:
        """Whether somebody asked this attempt to end."""
        with suppress(StorageError):
            return is_cancelled(self._paths, self.number)
        return False

    def require_held(self) -> None:
        """Raises RunBusyError when a later attempt has the run; not while storage is silent, which tells nothing."""
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
