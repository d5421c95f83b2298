"""The lease of a trainer group: one run at a time has its machines.

Leases are numbered objects written with create-only-if-absent; the holder renews the newest. A launcher that is gone
cannot give its lease back: then it is over when it was not seen to be renewed for a while and its machines are not at
work either, as a training goes on without its launcher.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, RunBusyError, StorageError
from cloudlstm.runs import documents, numbered
from cloudlstm.runs.liveness import Heartbeat, Owner, Verdict, Watch
from cloudlstm.runs.paths import join

RENEW_EVERY_S = 10.0
EXPIRES_AFTER_S = 120.0

_DIGITS = 6
_KEPT = 8
"""Leases whose objects stay, for people who look."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a group.

    Attributes:
        number: Of the lease, from 1.
        token: Names the lease.
        run: URI of the run.
        owner: The launcher.
    """

    number: int
    token: str
    run: str
    owner: Owner

    def __str__(self) -> str:
        return f"run {self.run.rsplit('/', 1)[1]} (process {self.owner.pid} on {self.owner.host})"


class Lease:
    """A group's lease, held by this process from `take` to `release`.

    Args:
        base: URI of the group's objects, without a slash at the end.
        run: URI of the run that needs it.
        at_work: Whether the machines of a holder whose launcher is gone are still at work.
    """

    def __init__(self, base: str, run: str, at_work: Callable[[Holder], bool]) -> None:
        self._base, self._run, self._at_work = base, run, at_work
        self._heartbeat: Heartbeat | None = None
        self._watched: tuple[int, Watch] | None = None
        self.token = ""
        self._number = 0

    def take(self) -> Holder | None:
        """Takes the lease; the holder if somebody else has it, or may have it: see `is_known`.

        A lease of the same run is taken over at once: whoever holds the run's attempt has the right to.
        """
        holder = newest(self._base)
        if holder and holder.run != self._run and not self._is_over(holder):
            return holder
        number, token = (holder.number if holder else 0) + 1, secrets.token_hex(8)
        record = {"token": token, "run": self._run, "owner": asdict(Owner.me())}
        if not numbered.create(_uri(self._base, number), record):
            return newest(self._base)
        latest = newest(self._base)
        if latest and latest.token != token:  # the number that we saw as the newest was an old one
            return latest
        self.token, self._number = token, number
        self._heartbeat = Heartbeat(_uri(self._base, number, "beat"), RENEW_EVERY_S)
        self._heartbeat.start()
        self._remove_old()
        return None

    def is_known(self, holder: Holder) -> bool:
        """Whether the holder that `take` gave is known to be at work; else `take` finds it out when called on."""
        return self._watch(holder).look() is not Verdict.UNDECIDED

    def require_held(self) -> None:
        """Raises RunBusyError when somebody else has taken the group; not while storage is silent."""
        with suppress(StorageError):
            holder = newest(self._base)
            if holder and holder.number > self._number:
                raise RunBusyError(
                    f"the trainer group was taken over by {holder} while this process was out of touch",
                    hint="submit again: training goes on from its last checkpoint",
                )

    def abandon(self) -> None:
        """Renews it no longer, and leaves it as it is."""
        if self._heartbeat:
            self._heartbeat.abandon()

    def release(self) -> None:
        """Gives the lease back, if it is still ours."""
        if self._heartbeat:
            self._heartbeat.end()

    def _is_over(self, holder: Holder) -> bool:
        verdict = self._watch(holder).look()
        return verdict is Verdict.ENDED or (verdict is Verdict.DEAD and not self._at_work(holder))

    def _watch(self, holder: Holder) -> Watch:
        if self._watched is None or self._watched[0] != holder.number:
            watch = Watch(holder.owner, _uri(self._base, holder.number, "beat"), EXPIRES_AFTER_S)
            self._watched = holder.number, watch
        return self._watched[1]

    def _remove_old(self) -> None:
        with suppress(StorageError):
            for number in numbered.numbers(_folder(self._base), digits=_DIGITS):
                if number <= self._number - _KEPT:
                    storage.delete(_uri(self._base, number, "beat"))
                    storage.delete(_uri(self._base, number))


@dataclass(frozen=True, slots=True)
class _Record:
    """What a lease's object says."""

    token: str
    run: str
    owner: Owner


def newest(base: str) -> Holder | None:
    """The newest lease of a group, held or over; None when there was none."""
    number = numbered.newest(_folder(base), digits=_DIGITS)
    if not number:
        return None
    try:
        record = documents.read(_Record, _uri(base, number))
    except CorruptObjectError:  # then only its heartbeat tells whether its holder is alive
        record = _Record("", "unknown", Owner("another machine", 0, 0.0))
    return Holder(number, record.token, record.run, record.owner)


def _folder(base: str) -> str:
    return f"{base}/leases/"


def _uri(base: str, number: int, kind: str = "") -> str:
    return join(base, "leases", f"{number:0{_DIGITS}d}{'.' + kind if kind else ''}.json")
