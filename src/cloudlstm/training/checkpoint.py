"""Checkpoints in the run folder: written by the chief while training goes on, read by all workers at a start."""

from __future__ import annotations

import hashlib
import logging
import re
import time
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError, StorageError
from cloudlstm.runs.folder import remove
from cloudlstm.runs.paths import RunPaths
from cloudlstm.training.state import State

if TYPE_CHECKING:
    from cloudlstm.training.cluster import Cluster

_LOG = logging.getLogger(__name__)
_KEEP = 2
_NAME = re.compile(r"step-\d{9}-(?P<sha256>[0-9a-f]{16})\.npz")


class Checkpoints:
    """The checkpoints of one training.

    Use as a context manager: on the way out, the write that is under way is finished.

    Args:
        paths: The run.
        fingerprint: Of the training: another one's checkpoints are never looked at.
        every_s: Seconds between checkpoints inside an epoch.
        writes: Whether this worker writes them (the chief does).
    """

    def __init__(self, paths: RunPaths, fingerprint: str, every_s: float, *, writes: bool) -> None:
        self._paths, self._fingerprint, self._every_s, self._writes = paths, fingerprint, every_s, writes
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._under_way: Future[None] | None = None
        self._written = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True)

    @property
    def due(self) -> bool:
        """Whether it is time for another one here."""
        return self._writes and time.monotonic() - self._written >= self._every_s

    def save(self, state: State) -> None:
        """Writes a checkpoint in the background; the state given must not change any more.

        A write that fails is told in the log and does not end the training.
        """
        if not self._writes:
            return
        if self._under_way is not None:
            self._under_way.result()
        self._written = time.monotonic()
        self._under_way = self._pool.submit(self._write, state)

    def restore(self, cluster: Cluster) -> State | None:
        """The newest sound checkpoint, of the same step on every worker; None when there is none.

        Raises:
            CorruptObjectError: the chief found one and this worker cannot read it.
        """
        found = self._newest(self._paths.checkpoints(self._fingerprint)) if cluster.membership.chief else None
        step = cluster.chosen_by_chief(found.step if found else -1)
        if step < 0:
            return None
        # Two sound checkpoints of one step hold the same network: it depends on the seed and the step alone.
        prefix = self._paths.checkpoints_of_step(self._fingerprint, step)
        if (state := found or self._newest(prefix)) is None:
            raise CorruptObjectError(f"no checkpoint of step {step} can be read at {prefix}", hint="submit again")
        return state

    def discard(self) -> None:
        """Removes all checkpoints: the training is done."""
        remove(self._paths, self._paths.checkpoints(self._fingerprint), _is_checkpoint)

    def _newest(self, prefix: str) -> State | None:
        """The newest sound checkpoint whose name begins with `prefix`; a damaged one is passed over."""
        for uri in reversed(_checkpoints(prefix)):
            try:
                return _read(uri)
            except (CorruptObjectError, ObjectNotFoundError) as error:
                _LOG.warning("passing over a checkpoint: %s", error)
        return None

    def _write(self, state: State) -> None:
        data = state.to_bytes()
        uri = self._paths.checkpoint(self._fingerprint, state.step, hashlib.sha256(data).hexdigest())
        try:
            storage.write(uri, data)
            old = set(_checkpoints(self._paths.checkpoints(self._fingerprint))[:-_KEEP])
            remove(self._paths, self._paths.checkpoints(self._fingerprint), old.__contains__)
        except StorageError as error:
            _LOG.warning("checkpoint at step %d not written: %s", state.step, error)


def _checkpoints(prefix: str) -> list[str]:
    """The checkpoints whose URI begins with `prefix`, in order of steps; other files are not ours."""
    return [found.uri for found in storage.list_objects(prefix) if _is_checkpoint(found.uri)]


def _is_checkpoint(uri: str) -> bool:
    return _NAME.fullmatch(uri.rsplit("/", 1)[1]) is not None


def _read(uri: str) -> State:
    """The state in a checkpoint whose bytes have the hash of its name; CorruptObjectError for all others."""
    named = _NAME.fullmatch(uri.rsplit("/", 1)[1])
    data = storage.read(uri)
    if not named or not hashlib.sha256(data).hexdigest().startswith(named["sha256"]):
        raise CorruptObjectError(f"{uri} does not have the checksum of its name")
    return State.from_bytes(data, uri)
