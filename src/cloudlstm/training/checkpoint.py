"""The state of a training and its checkpoints: the chief writes them, all workers read them at the start."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import math
import re
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError, StorageError
from cloudlstm.runs.folder import remove
from cloudlstm.runs.paths import RunPaths

if TYPE_CHECKING:
    from cloudlstm.training.cluster import Cluster

_LOG = logging.getLogger(__name__)
_KEEP = 2
_NAME = re.compile(r"step-\d{9}-(?P<sha256>[0-9a-f]{16})\.npz")

Arrays = list[NDArray[Any]]


@dataclass
class State:
    """Everything that a resumed training needs to end with the same network, bit for bit.

    Attributes:
        weights: The network's variables, in its own order.
        slots: The optimizer's variables, with its step counter.
        step: Steps done; the epoch and the position in it follow from this.
        losses: Training loss of every step, over its global batch.
        history: One record per epoch; epoch 0 is the untrained network.
        best: Weights of the trained epoch with the lowest validation loss; the initial weights before that.
        best_epoch: That epoch.
        best_loss: Its validation loss.
        waited: Epochs since the best one.
        seconds: Training time of all attempts.
    """

    weights: Arrays
    slots: Arrays
    step: int = 0
    losses: list[float] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    best: Arrays = field(default_factory=list)
    best_epoch: int = 0
    best_loss: float = math.inf
    waited: int = 0
    seconds: float = 0.0

    def to_bytes(self) -> bytes:
        """The state as an .npz file."""
        small = {"step": self.step, "history": self.history, "best_epoch": self.best_epoch,
                 "best_loss": self.best_loss, "waited": self.waited, "seconds": self.seconds}  # fmt: skip
        arrays = {"small": np.frombuffer(json.dumps(small).encode(), np.uint8), "losses": np.array(self.losses)}
        for name in ("weights", "slots", "best"):
            arrays |= {f"{name}.{index}": array for index, array in enumerate(getattr(self, name))}
        file = io.BytesIO()
        np.savez(file, **arrays)  # type: ignore[arg-type]
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> Self:
        """Reads what `to_bytes` wrote. The caller has verified the checksum.

        Raises:
            CorruptObjectError: `data`, called `name` in the message, is not a checkpoint of this release.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                small = json.loads(file["small"].tobytes())
                arrays: dict[str, Any] = {
                    key: [file[f"{key}.{index}"] for index in range(sum(n.startswith(f"{key}.") for n in file.files))]
                    for key in ("weights", "slots", "best")
                }
                return cls(**arrays, losses=file["losses"].tolist(), **small)
        except Exception as error:  # zipfile and NumPy raise many types for other bytes
            raise CorruptObjectError(f"{name} is not a readable checkpoint: {error}") from error


class Checkpoints:
    """The checkpoints of one training.

    Use as a context manager: the exit waits for a write in progress.

    Args:
        paths: The run.
        fingerprint: The training's fingerprint; other checkpoints are ignored.
        every_s: Seconds between checkpoints inside an epoch.
        writes: True on the worker that writes them, the chief.
    """

    def __init__(self, paths: RunPaths, fingerprint: str, every_s: float, *, writes: bool) -> None:
        self._paths, self._fingerprint, self._every_s, self._writes = paths, fingerprint, every_s, writes
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._write_in_progress: Future[None] | None = None
        self._written = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True)

    @property
    def due(self) -> bool:
        """True if this worker should write a checkpoint now."""
        return self._writes and time.monotonic() - self._written >= self._every_s

    def save(self, state: State) -> None:
        """Writes a checkpoint in the background; the caller must not change the state afterwards.

        A failed write is logged and does not stop the training.
        """
        if not self._writes:
            return
        if self._write_in_progress is not None:
            self._write_in_progress.result()
        self._written = time.monotonic()
        self._write_in_progress = self._pool.submit(self._write, state)

    def restore(self, cluster: Cluster) -> State | None:
        """The state in the newest valid checkpoint, of the same step on every worker; None if there is none.

        Raises:
            CorruptObjectError: this worker cannot read the checkpoint that the chief found.
        """
        found = self._newest(self._paths.checkpoints(self._fingerprint)) if cluster.membership.chief else None
        step = cluster.broadcast_from_chief(found.step if found else -1)
        if step < 0:
            return None
        # All valid checkpoints of one step hold the same network, which depends on the seed and the step only.
        prefix = self._paths.checkpoints_of_step(self._fingerprint, step)
        if (state := found or self._newest(prefix)) is None:
            raise CorruptObjectError(f"no checkpoint of step {step} can be read at {prefix}", hint="submit again")
        return state

    def discard(self) -> None:
        """Removes all checkpoints, after the training has finished."""
        remove(self._paths, self._paths.checkpoints(self._fingerprint), _is_checkpoint)

    def _newest(self, prefix: str) -> State | None:
        """The state in the newest valid checkpoint whose URI begins with `prefix`; corrupt ones are skipped."""
        for uri in reversed(_checkpoints(prefix)):
            try:
                return _read(uri)
            except (CorruptObjectError, ObjectNotFoundError) as error:
                _LOG.warning("checkpoint skipped: %s", error)
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
    """The URIs of the checkpoints that begin with `prefix`, in order of steps; other files are ignored."""
    return [found.uri for found in storage.list_objects(prefix) if _is_checkpoint(found.uri)]


def _is_checkpoint(uri: str) -> bool:
    return _NAME.fullmatch(uri.rsplit("/", 1)[1]) is not None


def _read(uri: str) -> State:
    """The state in a checkpoint; CorruptObjectError if its bytes do not have the hash in its name."""
    matched = _NAME.fullmatch(uri.rsplit("/", 1)[1])
    data = storage.read(uri)
    if not matched or not hashlib.sha256(data).hexdigest().startswith(matched["sha256"]):
        raise CorruptObjectError(f"{uri} does not have the checksum in its name")
    return State.from_bytes(data, uri)
