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

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Self

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectExistsError, ObjectNotFoundError, RunBusyError, StorageError
from cloudlstm.heartbeat import Heartbeat, last_beat
from cloudlstm.layout import RunLayout
from cloudlstm.steps import ATTEMPT

HEARTBEAT_EVERY_S = 5.0
HEARTBEAT_DEAD_AFTER_S = 60.0


@dataclass(frozen=True, slots=True)
class Owner:
    """The launcher process of an attempt."""

    host: str
    pid: int
    started: float

    @classmethod
    def me(cls) -> Owner:
        return cls(socket.gethostname(), os.getpid(), time.time())

    def surely_dead(self) -> bool:
        """True only where it can be known: the process was on this machine and is gone."""
        if self.host != socket.gethostname():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return _is_another(self.pid, self.started)


def _is_another(pid: int, moment: float) -> bool:
    """Whether what has the number `pid` now is not the process that had it at `moment` (Linux; else False).

    It is a process that began later, or only a dead one's entry that its parent has not collected yet.
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat, open("/proc/uptime") as uptime:  # noqa: PTH123
            state, *fields = stat.read().rsplit(")", 1)[1].split()
            booted = time.time() - float(uptime.read().split()[0])
            began = booted + int(fields[18]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return False
    return state in ("Z", "X") or began > moment + 2.0


def latest_attempt(layout: RunLayout) -> int:
    """The number of the run's newest attempt, 0 when there was none."""
    newest = 0
    for item in storage.list_objects(layout.attempts):
        number = item.uri.rsplit("/", 1)[1].split(".", 1)[0]
        newest = max(newest, int(number))
    return newest


def latest_launcher(layout: RunLayout, number: int) -> int:
    """Which launcher of the attempt is the newest, from 1."""
    launcher = 1
    while storage.exists(layout.attempt(number, launcher + 1)):
        launcher += 1
    return launcher


def read_owner(layout: RunLayout, number: int, launcher: int = 0) -> Owner | None:
    """Who opened the attempt, or went on with it, if that can be read; 0 asks for its newest launcher."""
    try:
        return Owner(**storage.read_json(layout.attempt(number, launcher or latest_launcher(layout, number))))
    except (ObjectNotFoundError, CorruptObjectError, TypeError):
        return None


def is_alive(layout: RunLayout, number: int) -> bool:
    """Whether the attempt's launcher is still at work, as far as can be told from here."""
    launcher = latest_launcher(layout, number)
    owner = read_owner(layout, number, launcher)
    if owner is not None and owner.surely_dead():
        return False
    if beat := last_beat(layout.heartbeat(number, launcher)):
        return not beat.ended and beat.age_s < HEARTBEAT_DEAD_AFTER_S
    return owner is not None and time.time() - owner.started < HEARTBEAT_DEAD_AFTER_S


def was_lost(layout: RunLayout, number: int) -> bool:
    """Whether the launcher of an attempt that is not alive went without having ended it, and nobody wants its end."""
    beat = last_beat(layout.heartbeat(number, latest_launcher(layout, number)))
    return not (beat and beat.ended) and not is_cancelled(layout, number)


def is_cancelled(layout: RunLayout, number: int) -> bool:
    """Whether somebody asked for the end of this attempt."""
    return storage.exists(layout.cancelled(number))


def cancel(layout: RunLayout, number: int) -> None:
    """Asks the attempt to end; its launcher sees it within a few seconds."""
    with suppress(ObjectExistsError):
        storage.write_json(layout.cancelled(number), asdict(Owner.me()), if_absent=True)


class Attempt:
    """Holds a run for this process: opened on entry, heartbeat kept, marked as ended on exit.

    Args:
        layout: The run.
        at_work: Whether jobs of an attempt whose launcher was lost are still at work: then this launcher goes on with
            that attempt instead of opening one.

    Attributes:
        number: Of the attempt.
        launcher: Which of its launchers this is, from 1.

    Raises:
        RunBusyError: when another launcher holds the run.
    """

    def __init__(self, layout: RunLayout, at_work: Callable[[int], bool] = lambda _: False) -> None:
        self._layout, self._at_work = layout, at_work
        self.number, self.launcher = 0, 1
        self._heartbeat: Heartbeat | None = None

    def __enter__(self) -> Self:
        newest = latest_attempt(self._layout)
        if newest and is_alive(self._layout, newest):
            self._refuse(newest)
        if newest and was_lost(self._layout, newest) and self._at_work(newest):
            self.number, self.launcher = newest, latest_launcher(self._layout, newest) + 1
        else:
            self.number = newest + 1
        try:
            storage.write_json(self._layout.attempt(self.number, self.launcher), asdict(Owner.me()), if_absent=True)
        except ObjectExistsError:
            self._refuse(self.number)
        self.require_held()  # a third launcher may have opened an attempt while this one was looking around
        self._heartbeat = Heartbeat(self._layout.heartbeat(self.number, self.launcher), HEARTBEAT_EVERY_S)
        self._heartbeat.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._heartbeat:
            self._heartbeat.end()

    def cancelled(self) -> bool:
        """Whether somebody asked this attempt to end."""
        with suppress(StorageError):
            return is_cancelled(self._layout, self.number)
        return False

    def require_held(self) -> None:
        """Raises RunBusyError when a later attempt has the run; not while storage is silent, which tells nothing."""
        with suppress(StorageError):
            _require_latest(self._layout, self.number)
            if storage.exists(self._layout.attempt(self.number, self.launcher + 1)):
                raise _taken_over(self._layout, self.number)

    def _refuse(self, number: int) -> None:
        run = self._layout.uri
        raise RunBusyError(
            f"run {self._layout.run_id} is being worked on by {_holder(self._layout, number)}",
            hint=f"watch it with `cloudlstm status {run}` or end it with `cloudlstm cancel {run}`",
        )


def joined(layout: RunLayout) -> int:
    """The attempt that this process works for: the one it was told, or the newest if it was started by hand."""
    told = os.environ.get(ATTEMPT)
    return int(told) if told else latest_attempt(layout)


def claim(layout: RunLayout, work: str) -> bool:
    """Claims `work` in the attempt that this process works for; False when it has been claimed already.

    Raises:
        RunBusyError: a later attempt has the run.
    """
    try:
        storage.write_json(layout.claim(joined(layout), work), asdict(Owner.me()), if_absent=True)
    except ObjectExistsError:
        return False
    require_current(layout)
    return True


def require_current(layout: RunLayout) -> None:
    """Raises RunBusyError when this process works for an attempt that a later one has succeeded."""
    if number := os.environ.get(ATTEMPT):
        _require_latest(layout, int(number))


def _require_latest(layout: RunLayout, number: int) -> None:
    if storage.exists(layout.attempt(number + 1)):
        raise _taken_over(layout, number + 1)


def _taken_over(layout: RunLayout, attempt: int) -> RunBusyError:
    return RunBusyError(
        f"run {layout.run_id} was taken over by {_holder(layout, attempt)} while this process was out of touch",
        hint=f"watch it with `cloudlstm status {layout.uri}`",
    )


def _holder(layout: RunLayout, number: int) -> str:
    owner = read_owner(layout, number)
    return f"process {owner.pid} on {owner.host}" if owner else "another launcher"
