"""The lease of a trainer group: one run at a time has its machines.

Leases are numbered objects written with create-only-if-absent; the holder renews the newest. A launcher that is gone
cannot give its lease back: then it is over when it was not renewed for a while and its machines are not at work either,
as a training goes on without its launcher.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from cloudlstm import storage
from cloudlstm.attempts import Owner
from cloudlstm.errors import ObjectExistsError, RunBusyError, StorageError
from cloudlstm.heartbeat import Beat, Heartbeat, last_beat
from cloudlstm.layout import join

RENEW_EVERY_S = 10.0
EXPIRES_AFTER_S = 120.0

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
        self.token = ""
        self._number = 0

    def take(self) -> Holder | None:
        """Takes the lease; the holder if somebody else has it.

        A lease of the same run is taken over at once: whoever holds the run's attempt has the right to.
        """
        holder = newest(self._base)
        if holder and holder.run != self._run and not self._is_over(holder):
            return holder
        number, token = (holder.number if holder else 0) + 1, secrets.token_hex(8)
        record = {"token": token, "run": self._run, "owner": asdict(Owner.me())}
        try:
            storage.write_json(_uri(self._base, number), record, if_absent=True)
        except ObjectExistsError:
            return newest(self._base)
        latest = newest(self._base)
        if latest and latest.token != token:  # the number that we saw as the newest was an old one
            return latest
        self.token, self._number = token, number
        self._heartbeat = Heartbeat(_uri(self._base, number, "beat"), RENEW_EVERY_S)
        self._heartbeat.start()
        self._forget()
        return None

    def require_held(self) -> None:
        """Raises RunBusyError when somebody else has taken the group; not while storage is silent."""
        with suppress(StorageError):
            holder = newest(self._base)
            if holder and holder.number > self._number:
                raise RunBusyError(
                    f"the trainer group was taken over by {holder} while this process was out of touch",
                    hint="submit again: training goes on from its last checkpoint",
                )

    def leave(self) -> None:
        """Renews it no longer, and leaves it as it is."""
        if self._heartbeat:
            self._heartbeat.leave()

    def release(self) -> None:
        """Gives the lease back, if it is still ours."""
        if self._heartbeat:
            self._heartbeat.end()

    def _is_over(self, holder: Holder) -> bool:
        beat = last_beat(_uri(self._base, holder.number, "beat")) or Beat(holder.owner.started, ended=False)
        if beat.ended:
            return True
        gone = holder.owner.surely_dead() or beat.age_s > EXPIRES_AFTER_S
        return gone and not self._at_work(holder)

    def _forget(self) -> None:
        with suppress(StorageError):
            for item in list(storage.list_objects(f"{self._base}/leases/")):
                if _number(item.uri) <= self._number - _KEPT:
                    storage.delete(item.uri)


def newest(base: str) -> Holder | None:
    """The newest lease of a group, held or over; None when there was none."""
    numbers = [_number(item.uri) for item in storage.list_objects(f"{base}/leases/")]
    if not numbers:
        return None
    number = max(numbers)
    record: dict[str, Any] = storage.read_json(_uri(base, number))
    return Holder(number, str(record["token"]), str(record["run"]), Owner(**record["owner"]))


def _uri(base: str, number: int, kind: str = "") -> str:
    return join(base, "leases", f"{number:06d}{'.' + kind if kind else ''}.json")


def _number(uri: str) -> int:
    return int(uri.rsplit("/", 1)[1].split(".", 1)[0])
