"""Whether the workers of a job start again when one of them has ended: one policy for every target.

Training is synchronous, so the end of one worker is the end of its *generation*: all are ended, and all start again as
the next generation, from the last checkpoint. Whoever watches the workers asks here: first whether the way they ended
may go better another time, then whether the job has another restart left. A worker says by its exit status how it
ended, so that the decision does not depend on what could be stored.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from cloudlstm import storage
from cloudlstm.errors import StorageError
from cloudlstm.runs.paths import RunPaths

PEER_LOST = 75
"""Exit status of a worker that ended because a peer had gone (EX_TEMPFAIL)."""

UNEXPECTED = 70
"""Exit status of a worker that met an error nobody foresaw (EX_SOFTWARE); a peer's sudden end may look like that."""

TERMINATED = 128 + signal.SIGTERM
"""Exit status of a worker that ended because it, or a peer, was asked to; in training it has saved its state."""

NO_PEER = -int(signal.SIGALRM)
"""How a worker ends that waited for its peers in vain before all had met; see training/waiting.py."""

KNOWN_CAUSES = (1, 2, NO_PEER)
"""How workers end whose error would come again: bad data, a full disk, a missing package, a loss of NaN, a firewall."""


def worth_another(statuses: Iterable[int]) -> bool:
    """Whether workers that ended with these statuses may get further if all start again.

    Args:
        statuses: Of the workers that ended by themselves; a negative one is the signal that ended it.
    """
    ends = [status for status in statuses if status]
    if any(status in KNOWN_CAUSES for status in ends):
        return False
    if any(status < 0 or status == TERMINATED for status in ends):
        return True
    return bool(ends) and all(status == PEER_LOST for status in ends)


def cause_of(statuses: Mapping[str, int]) -> str:
    """Who was lost and how, for people; what others only suffered from is not named beside it.

    Args:
        statuses: By worker, of those that ended.
    """
    causes = {name: status for name, status in statuses.items() if status != PEER_LOST} or statuses
    names = {status: [name for name, other in causes.items() if other == status] for status in causes.values()}
    return ", ".join(told(" and ".join(each), status) for status, each in names.items())


def told(workers: str, status: int) -> str:
    """How one or more workers ended, for people."""
    if status == -signal.SIGSTOP:
        return f"{workers} stopped (SIGSTOP)"
    if status == NO_PEER:
        return f"{workers} could not reach the other workers (is there a firewall, or a proxy in grpc_proxy?)"
    if status < 0:
        return f"{workers} killed by signal {-status} ({signal.Signals(-status).name})"
    if status == TERMINATED:
        return f"{workers} ended on SIGTERM"
    return f"{workers} lost a peer" if status == PEER_LOST else f"{workers} ended with status {status}"


_UNEXPLAINED = 10
"""Restarts in a row without progress in which no worker died."""


class Restarts:
    """How often a job may start again: a number that is refilled whenever the job has got further.

    So a long training survives any number of lost machines, and one that dies in the same place every time is given up.
    A restart in which nobody died does not count: a worker took a slow peer for lost, and waits longer from then on.
    Only `_UNEXPLAINED` of those in a row are too many.

    Args:
        paths: The run.
        job: The job.
        allowed: Restarts in a row that may get no further than the one before.
        state: Where another process has left off; by default the job begins now.
    """

    def __init__(self, paths: RunPaths, job: str, allowed: int, state: Mapping[str, Any] | None = None) -> None:
        self._paths, self._job, self._allowed = paths, job, allowed
        self._used = int(state["used"]) if state else 0
        self._unexplained = int(state.get("unexplained", 0)) if state else 0
        self._furthest: dict[str, str] = dict(state["furthest"]) if state else {}
        if state is None:
            self._has_progressed()

    @property
    def state(self) -> dict[str, Any]:
        """For another process to go on with, as a JSON object."""
        return {"used": self._used, "unexplained": self._unexplained, "furthest": self._furthest}

    def another(self, statuses: Iterable[int]) -> bool:
        """Whether the job may start again; if so, what its workers left as their failure is removed.

        Args:
            statuses: Of the workers that ended by themselves.
        """
        died = any(status not in (0, PEER_LOST) for status in statuses)
        if self._has_progressed():
            self._used = self._unexplained = 0
        elif died:
            self._used += 1
        else:
            self._unexplained += 1
        if not self._allowed or self._used > self._allowed or self._unexplained > _UNEXPLAINED:
            return False
        with suppress(StorageError):  # a record carries its generation, so an old one is not believed either
            storage.delete(self._paths.failure(self._job), within=self._paths.uri)
        return True

    def _has_progressed(self) -> bool:
        """Whether more has been made durable than ever before: a later checkpoint, or the manifest of a step."""
        further = False
        with suppress(StorageError):
            for key, value in _durable(self._paths):
                if value > self._furthest.get(key, ""):
                    self._furthest[key] = value
                    further = True
        return further


def _durable(paths: RunPaths) -> Iterable[tuple[str, str]]:
    """What outlives the workers, as (key, value): of equal keys the greater value is further."""
    for item in storage.list_objects(paths.all_checkpoints):
        folder, _, name = item.uri.rpartition("/")
        yield folder, name.rpartition("-")[0]  # the step without the hash: equal steps are equally far
    for item in storage.list_objects(paths.manifests):
        yield f"{item.uri} {item.etag}", "written"
