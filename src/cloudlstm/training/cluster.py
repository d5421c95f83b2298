"""The workers of a training: connection, collective operations, and the error for a lost peer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cloudlstm.errors import PeerLostError
from cloudlstm.training import devices
from cloudlstm.training.membership import Membership
from cloudlstm.training.runtime import tf
from cloudlstm.training.waiting import Limit, Watchdog, start_bounded

_LOST = (tf.errors.UnavailableError, tf.errors.DeadlineExceededError, tf.errors.AbortedError, tf.errors.CancelledError,
         tf.errors.InternalError)  # fmt: skip
"""What a collective raises after a peer was lost; it depends on which part of TensorFlow notices first."""

BARRIER_S = 1800.0
"""Limit of a wait during which a worker may still download, compile or write the results."""

_MOST_DOUBLINGS = 6
"""Limits double with each restart, because a lost peer may only have been slow; at most this often."""

_REASON = re.compile("(?i)abort|deadline|unavailable|connection|socket|unhealthy")
"""Finds the line with the reason among the lines about the graph."""


@dataclass
class Cluster:
    """The connected workers under one MultiWorkerMirroredStrategy, also for a single worker.

    Attributes:
        membership: The addresses of all workers and the index of this one.
        strategy: TensorFlow's strategy.
        devices: The devices of this worker, such as "GPU:0" or "CPU:0".
        replicas: Devices of all workers.
        local_replicas: The global numbers of this worker's devices.
        watchdog: Limits waits for peers.
        step_limit: Time limit of a call of training steps.
        forward_limit: Time limit of a wait for the outputs of the other workers.
    """

    membership: Membership
    strategy: Any
    devices: tuple[str, ...]
    replicas: int
    local_replicas: range
    watchdog: Watchdog
    step_limit: Limit
    forward_limit: Limit
    _summing: Any = None

    @classmethod
    def start(cls, membership: Membership, timeout_s: float, flush: Callable[[], None] = lambda: None) -> Self:
        """Connects to the peers and returns when all are connected. Call it before TensorFlow computes anything.

        Args:
            membership: All workers.
            timeout_s: Least limit of a wait for peers during training; each restart doubles it.
            flush: Writes the log; called before the process is killed.

        Raises:
            PeerLostError: a peer was lost.
        """
        here = devices.configure()
        kinds = tf.distribute.experimental.CommunicationImplementation
        kind = kinds.NCCL if here[0].startswith("GPU") else kinds.RING
        options = tf.distribute.experimental.CommunicationOptions(implementation=kind)
        watchdog = Watchdog(flush)
        try:
            with start_bounded(), devices.strategy_uses(here):
                strategy = tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
        except tf.errors.OpError as error:  # the port was taken, or a peer ended
            raise _peer_lost(membership, error) from error
        devices.require_used(strategy, here, len(membership.addresses))
        first = membership.index * len(here)
        least_s = timeout_s * 2 ** min(len(membership.restarts), _MOST_DOUBLINGS)
        return cls(
            membership, strategy, here, strategy.num_replicas_in_sync, range(first, first + len(here)),
            watchdog, step_limit=Limit(least_s), forward_limit=Limit(least_s),
        )  # fmt: skip

    @property
    def on_gpu(self) -> bool:
        """True if this worker computes on GPUs."""
        return self.devices[0].startswith("GPU")

    def per_device(self, value_of: Callable[[int], Any]) -> Any:
        """One tensor per device of this worker; `value_of` receives the device's position on this worker."""
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.convert_to_tensor(value_of(context.replica_id_in_sync_group % len(self.devices)))
        )

    def sum(self, values: NDArray[np.float64], *, within_s: float = BARRIER_S) -> NDArray[np.float64]:
        """The sum of all workers' `values`, bit-identical on each; every worker must call it.

        Args:
            values: The values of this worker.
            within_s: How long to wait for the others.
        """
        zeros = np.zeros_like(values)
        with self.peer_errors(), self.watchdog.bounded("waiting for the other workers", within_s):
            mine = self.per_device(lambda position: values if position == 0 else zeros)
            total = self.strategy.experimental_local_results(self._sum(mine))[0]
            return np.asarray(total.numpy(), np.float64)

    def barrier(self, *, within_s: float = BARRIER_S) -> None:
        """Waits until every worker has called it."""
        self.sum(np.zeros(1), within_s=within_s)

    def broadcast_from_chief(self, number: int) -> int:
        """The chief's number, on every worker."""
        return int(self.sum(np.array([float(number) if self.membership.chief else 0.0]))[0])

    @contextmanager
    def peer_errors(self) -> Iterator[None]:
        """Raises PeerLostError instead of the errors that TensorFlow raises after a peer was lost."""
        try:
            yield
        except _LOST as error:
            if len(self.membership.addresses) == 1:
                raise
            raise _peer_lost(self.membership, error) from error

    def _sum(self, mine: Any) -> Any:
        if self._summing is None:

            def replica(value: Any) -> Any:
                placed = tf.identity(value)  # all_reduce needs a tensor with a device, which an argument has not
                return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, placed)

            self._summing = tf.function(lambda value: self.strategy.run(replica, args=(value,)), reduce_retracing=True)
        return self._summing(mine)


def _peer_lost(membership: Membership, error: Exception) -> PeerLostError:
    """PeerLostError with the one line of TensorFlow's message that names the reason."""
    lines = str(error).splitlines()
    reason = next((line for line in lines if _REASON.search(line)), lines[0] if lines else "")
    return PeerLostError(
        f"worker {membership.index} lost a peer, so all workers must start again: "
        f"{type(error).__name__}: {reason.strip()[:200]}"
    )
