"""Checkpoints in the run folder: written by the chief while training goes on, read by all workers at a start."""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError, StorageError
from cloudlstm.layout import RunLayout
from cloudlstm.runs.removal import remove
from cloudlstm.training.state import State

if TYPE_CHECKING:
    from cloudlstm.training.cluster import Cluster

_LOG = logging.getLogger(__name__)
_KEEP = 2


class Checkpoints:
    """The checkpoints of one training.

    Use as a context manager: on the way out, the write that is under way is finished.

    Args:
        layout: The run.
        fingerprint: Of the training: another one's checkpoints are never looked at.
        every_s: Seconds between checkpoints inside an epoch.
        writes: Whether this worker writes them (the chief does).
    """

    def __init__(self, layout: RunLayout, fingerprint: str, every_s: float, *, writes: bool) -> None:
        self._layout, self._fingerprint, self._every_s, self._writes = layout, fingerprint, every_s, writes
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
        """The newest checkpoint that can be read, the same on every worker; None when there is none."""
        found = self._newest() if cluster.membership.chief else None
        step = cluster.chosen_by_chief(found.step if found else -1)
        if step < 0:
            return None
        return found or self._read(self._layout.checkpoint(self._fingerprint, step))

    def discard(self) -> None:
        """Removes all checkpoints: the training is done."""
        remove(self._layout, self._layout.checkpoints(self._fingerprint))

    def _newest(self) -> State | None:
        for uri in reversed(self._uris()):
            try:
                return self._read(uri)
            except (CorruptObjectError, ObjectNotFoundError) as error:
                _LOG.warning("passing over a checkpoint: %s", error)
        return None

    def _read(self, uri: str) -> State:
        return State.from_bytes(storage.read(uri), uri)

    def _write(self, state: State) -> None:
        uri = self._layout.checkpoint(self._fingerprint, state.step)
        try:
            storage.write(uri, state.to_bytes())
            old = set(self._uris()[:-_KEEP])
            remove(self._layout, self._layout.checkpoints(self._fingerprint), old.__contains__)
        except StorageError as error:
            _LOG.warning("checkpoint at step %d not written: %s", state.step, error)

    def _uris(self) -> list[str]:
        """In order of steps."""
        return [found.uri for found in storage.list_objects(self._layout.checkpoints(self._fingerprint))]
