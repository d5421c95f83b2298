"""Who this worker is, and how it speaks with its peers."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cloudlstm.errors import PeerLostError
from cloudlstm.steps import CORES
from cloudlstm.training.membership import Membership
from cloudlstm.training.runtime import tf

_PATIENCE_S = 1800.0
"""How long workers wait for one another where they may differ by a download or a compilation.

A peer that is lost meanwhile is noticed after 10 s all the same: TensorFlow's coordination service hears every process'
heartbeat, which comes from threads of its own, however busy Python is.
"""

_LOST = (tf.errors.UnavailableError, tf.errors.DeadlineExceededError, tf.errors.AbortedError, tf.errors.CancelledError,
         tf.errors.InternalError)  # fmt: skip
"""What a collective raises when a peer has gone; which one depends on who notices first."""

_SAYS_WHY = re.compile("(?i)abort|deadline|unavailable|connection|socket|unhealthy")
"""Tells the line that names the reason from the lines about the graph."""


@dataclass
class Cluster:
    """The workers as one: a MultiWorkerMirroredStrategy for every number of them, one included.

    Attributes:
        membership: All workers, and which this is.
        strategy: TensorFlow's.
        devices: What computes here, "GPU:0" or "CPU:0" and so on.
        replicas: Devices of all workers together.
        local: The global numbers of this worker's devices.
    """

    membership: Membership
    strategy: Any
    devices: tuple[str, ...]
    replicas: int
    local: range
    _sums: dict[float, Any] = field(default_factory=dict)

    @classmethod
    def start(cls, membership: Membership, timeout_s: float) -> Self:
        """Joins the peers; returns when all are there. To be called before TensorFlow computes anything."""
        threads = len(_keep_to_cores())
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        gpus = tf.config.list_physical_devices("GPU")
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, enable=True)
        kinds = tf.distribute.experimental.CommunicationImplementation
        options = tf.distribute.experimental.CommunicationOptions(
            timeout_seconds=timeout_s, implementation=kinds.NCCL if gpus else kinds.RING
        )
        try:
            strategy = tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
        except tf.errors.OpError as error:  # a port taken since it was found free, a peer that ended meanwhile
            raise _peer_lost(membership, error) from error
        devices = tuple(f"GPU:{index}" for index in range(len(gpus))) or ("CPU:0",)
        replicas = strategy.num_replicas_in_sync
        first = membership.index * len(devices)
        return cls(membership, strategy, devices, replicas, range(first, first + len(devices)))

    @property
    def on_gpu(self) -> bool:
        return self.devices[0].startswith("GPU")

    def distributed(self, value_of: Callable[[int], Any]) -> Any:
        """One tensor per device of this worker: `value_of(position among this worker's devices)`."""
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.convert_to_tensor(value_of(context.replica_id_in_sync_group % len(self.devices)))
        )

    def sum(self, values: NDArray[np.float64], *, patient: bool = False) -> NDArray[np.float64]:
        """The sum of every worker's `values`, bit for bit the same on each; all of them must call it.

        With `patient` the peers may be late, as while one of them downloads or compiles.
        """
        timeout_s = _PATIENCE_S if patient else 0.0
        if timeout_s not in self._sums:
            self._sums[timeout_s] = self._sum_function(timeout_s)
        nothing = np.zeros_like(values)
        with self.talking():
            mine = self.distributed(lambda position: values if position == 0 else nothing)
            total = self.strategy.experimental_local_results(self._sums[timeout_s](mine))[0]
            return np.asarray(total.numpy(), np.float64)

    def meet(self) -> None:
        """Waits until every worker has come here."""
        self.sum(np.zeros(1), patient=True)

    def chosen_by_chief(self, number: int) -> int:
        """The chief's number; what the others bring does not count."""
        return int(self.sum(np.array([float(number) if self.membership.chief else 0.0]), patient=True)[0])

    @contextmanager
    def talking(self) -> Iterator[None]:
        """Turns what TensorFlow raises when a peer is lost into one clear error."""
        try:
            yield
        except _LOST as error:
            if len(self.membership.addresses) == 1:
                raise
            raise _peer_lost(self.membership, error) from error

    def _sum_function(self, timeout_s: float) -> Any:
        options = tf.distribute.experimental.CommunicationOptions(timeout_seconds=timeout_s) if timeout_s else None

        def replica(value: Any) -> Any:
            placed = tf.identity(value)  # an argument has no device, and all_reduce asks for one
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, placed, options)

        def summed(value: Any) -> Any:
            return self.strategy.run(replica, args=(value,))

        return tf.function(summed, reduce_retracing=True)


def _peer_lost(membership: Membership, error: Exception) -> PeerLostError:
    """What TensorFlow says in many lines, in one."""
    lines = str(error).splitlines()
    says = next((line for line in lines if _SAYS_WHY.search(line)), lines[0] if lines else "")
    return PeerLostError(
        f"worker {membership.index} lost a peer: {type(error).__name__}: {says.strip()[:200]}",
        hint="submit again: training goes on from its last checkpoint",
    )


def _keep_to_cores() -> set[int]:
    """Binds this process to the cores that its launcher chose for it; returns the cores it may use."""
    wanted = os.environ.get(CORES)
    if not hasattr(os, "sched_setaffinity"):
        return set(range(os.cpu_count() or 1))
    if wanted:
        os.sched_setaffinity(0, {int(core) for core in wanted.split(",")})
    return os.sched_getaffinity(0)
