"""The lease of a trainer group: one run at a time has its machines.

Leases are numbered create-only objects; the holder of the newest one renews it with a heartbeat. A launcher that died
cannot release its lease. Its lease expires when no heartbeat was seen for a while and its machines do not work:
training continues without its launcher.
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
"""Number of old leases that are kept for inspection."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Holder of a lease.

    Attributes:
        number: Number of the lease, from 1.
        token: Random id of the lease.
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
        run: URI of the run that needs the group.
        at_work: Returns whether the machines of a holder whose launcher died still work.
    """

    def __init__(self, base: str, run: str, at_work: Callable[[Holder], bool]) -> None:
        self._base, self._run, self._at_work = base, run, at_work
        self._heartbeat: Heartbeat | None = None
        self._watched: tuple[int, Watch] | None = None
        self.token = ""
        self._number = 0

    def take(self) -> Holder | None:
        """Takes the lease and returns None; returns the holder if another run has it, or may have it (see `is_known`).

        A lease of the same run is taken over at once, because this process holds the run's attempt.
        """
        holder = newest(self._base)
        if holder and holder.run != self._run and not self._is_over(holder):
            return holder
        number, token = (holder.number if holder else 0) + 1, secrets.token_hex(8)
        record = {"token": token, "run": self._run, "owner": asdict(Owner.me())}
        if not numbered.create(_uri(self._base, number), record):
            return newest(self._base)
        latest = newest(self._base)
        if latest and latest.token != token:  # the listing was outdated
            return latest
        self.token, self._number = token, number
        self._heartbeat = Heartbeat(_uri(self._base, number, "beat"), RENEW_EVERY_S)
        self._heartbeat.start()
        self._remove_old()
        return None

    def is_known(self, holder: Holder) -> bool:
        """True if the holder that `take` returned is known to be alive; otherwise keep calling `take` to find out."""
        return self._watch(holder).look() is not Verdict.UNDECIDED

    def require_held(self) -> None:
        """Raises RunBusyError if another launcher has taken the lease; never while storage is unavailable."""
        with suppress(StorageError):
            holder = newest(self._base)
            if holder and holder.number > self._number:
                raise RunBusyError(
                    f"the trainer group was taken over by {holder} while this process could not reach the bucket",
                    hint="submit again: training continues from its last checkpoint",
                )

    def abandon(self) -> None:
        """Stops the heartbeat without releasing the lease."""
        if self._heartbeat:
            self._heartbeat.abandon()

    def release(self) -> None:
        """Releases the lease, if this process still holds it."""
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
    """Content of a lease object."""

    token: str
    run: str
    owner: Owner


def newest(base: str) -> Holder | None:
    """Returns the holder of a group's newest lease, which may have ended; None if the group never had a lease."""
    number = numbered.newest(_folder(base), digits=_DIGITS)
    if not number:
        return None
    try:
        record = documents.read(_Record, _uri(base, number))
    except CorruptObjectError:  # only the heartbeat shows whether its holder is alive
        record = _Record("", "unknown", Owner("another machine", 0, 0.0))
    return Holder(number, record.token, record.run, record.owner)


def _folder(base: str) -> str:
    return f"{base}/leases/"


def _uri(base: str, number: int, kind: str = "") -> str:
    return join(base, "leases", f"{number:0{_DIGITS}d}{'.' + kind if kind else ''}.json")
