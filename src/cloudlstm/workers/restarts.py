"""The restart policy of a job's workers, the same for every target.

Training is synchronous, so when one worker ends its *generation* ends: all workers are stopped, and all start again as
the next generation from the last checkpoint. The code that watches the workers asks two things: whether the way in
which they ended can be retried, and whether the job has a restart left. The decision depends on exit statuses alone,
not on what could be written to storage.
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
"""Exit status of a worker that ended because it lost a peer (EX_TEMPFAIL)."""

UNEXPECTED = 70
"""Exit status of a worker after an unforeseen error (EX_SOFTWARE); the sudden end of a peer can cause one."""

TERMINATED = 128 + signal.SIGTERM
"""Exit status of a worker that ended on SIGTERM; a training worker has saved its state."""

NO_PEER = -int(signal.SIGALRM)
"""Status of a worker whose peers never connected; see training/waiting.py."""

KNOWN_CAUSES = (1, 2, NO_PEER)
"""Statuses of errors that would happen again: bad data, a full disk, a missing package, a NaN loss, a firewall."""


def is_retryable(statuses: Iterable[int]) -> bool:
    """True if workers that ended with these statuses may succeed after a restart.

    Args:
        statuses: Of the workers that ended by themselves; a negative status is a signal.
    """
    ends = [status for status in statuses if status]
    if any(status in KNOWN_CAUSES for status in ends):
        return False
    if any(status < 0 or status == TERMINATED for status in ends):
        return True
    return bool(ends) and all(status == PEER_LOST for status in ends)


def describe_exits(statuses: Mapping[str, int]) -> str:
    """Describes which workers were lost and how. Workers that only lost a peer are left out.

    Args:
        statuses: By worker, of those that ended.
    """
    causes = {name: status for name, status in statuses.items() if status != PEER_LOST} or statuses
    names = {status: [name for name, other in causes.items() if other == status] for status in causes.values()}
    return ", ".join(describe_exit(" and ".join(each), status) for status, each in names.items())


def describe_exit(workers: str, status: int) -> str:
    """Describes how one or more workers ended."""
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
"""Most restarts in a row without progress in which no worker died."""


class Restarts:
    """Counts the restarts of a job; progress resets the count.

    So a long training survives any number of lost machines, and a job that always fails at the same point is given up.
    A restart in which no worker died is not counted: a worker took a slow peer for lost, and waits longer from then on.
    At most `_UNEXPLAINED` of those in a row are allowed.

    Args:
        paths: The run.
        job: The job.
        allowed: Most restarts in a row without progress.
        state: The `state` of another process's count, to continue it; by default the count starts at 0.
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
        """The count, JSON-ready, for another process to continue."""
        return {"used": self._used, "unexplained": self._unexplained, "furthest": self._furthest}

    def take_restart(self, statuses: Iterable[int]) -> bool:
        """Counts one restart and removes the failure that the workers wrote; False if no restart is left.

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
        with suppress(StorageError):  # a failure carries its generation, so an old one is ignored
            storage.delete(self._paths.failure(self._job), within=self._paths.uri)
        return True

    def _has_progressed(self) -> bool:
        """True if storage has a later checkpoint, or a manifest, that it did not have before."""
        further = False
        with suppress(StorageError):
            for key, value in _durable(self._paths):
                if value > self._furthest.get(key, ""):
                    self._furthest[key] = value
                    further = True
        return further


def _durable(paths: RunPaths) -> Iterable[tuple[str, str]]:
    """The checkpoints and manifests in storage as (key, value); a greater value for a key is progress."""
    for item in storage.list_objects(paths.all_checkpoints):
        folder, _, name = item.uri.rpartition("/")
        yield folder, name.rpartition("-")[0]  # the step without the hash
    for item in storage.list_objects(paths.manifests):
        yield f"{item.uri} {item.etag}", "written"
