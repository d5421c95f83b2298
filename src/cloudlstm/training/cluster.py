"""The workers of a training: who they are, sums over all of them, and what happens when one is lost."""

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
"""What a collective raises when a peer has gone; which one depends on who notices first."""

MEETING_S = 1800.0
"""Limit of a wait in which workers may differ by a download or a compilation."""

_MOST_DOUBLINGS = 6
"""Limits grow with restarts, as a peer was perhaps only slow; beyond this they stay."""

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
        watchdog: Ends waits for peers that last too long.
        steps: How long a call of training steps may last.
        validations: How long a validation may last, each worker's share and the wait for the others' included.
    """

    membership: Membership
    strategy: Any
    devices: tuple[str, ...]
    replicas: int
    local: range
    watchdog: Watchdog
    steps: Limit
    validations: Limit
    _summed: Any = None

    @classmethod
    def start(cls, membership: Membership, timeout_s: float, flush: Callable[[], None] = lambda: None) -> Self:
        """Joins the peers; returns when all are there. To be called before TensorFlow computes anything.

        Args:
            membership: All workers.
            timeout_s: Least limit of a wait for peers in training; after each restart it is doubled.
            flush: Writes what has been logged, before this process is ended.

        Raises:
            PeerLostError: a peer was lost meanwhile.
        """
        here = devices.prepare()
        kinds = tf.distribute.experimental.CommunicationImplementation
        kind = kinds.NCCL if here[0].startswith("GPU") else kinds.RING
        options = tf.distribute.experimental.CommunicationOptions(implementation=kind)
        watchdog = Watchdog(flush)
        try:
            with start_bounded(), devices.used_by_strategy(here):
                strategy = tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
        except tf.errors.OpError as error:  # a port taken since it was found free, a peer that ended meanwhile
            raise _peer_lost(membership, error) from error
        devices.require_used(strategy, here, len(membership.addresses))
        first = membership.index * len(here)
        least_s = timeout_s * 2 ** min(len(membership.restarts), _MOST_DOUBLINGS)
        return cls(
            membership, strategy, here, strategy.num_replicas_in_sync, range(first, first + len(here)),
            watchdog, steps=Limit(least_s), validations=Limit(least_s),
        )  # fmt: skip

    @property
    def on_gpu(self) -> bool:
        return self.devices[0].startswith("GPU")

    def distributed(self, value_of: Callable[[int], Any]) -> Any:
        """One tensor per device of this worker: `value_of(position among this worker's devices)`."""
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.convert_to_tensor(value_of(context.replica_id_in_sync_group % len(self.devices)))
        )

    def sum(self, values: NDArray[np.float64], *, within_s: float = MEETING_S) -> NDArray[np.float64]:
        """The sum of every worker's `values`, bit for bit the same on each; all of them must call it.

        Args:
            values: This worker's.
            within_s: How long to wait for the others.
        """
        nothing = np.zeros_like(values)
        with self.talking(), self.watchdog.bounded("waiting for the other workers", within_s):
            mine = self.distributed(lambda position: values if position == 0 else nothing)
            total = self.strategy.experimental_local_results(self._sum(mine))[0]
            return np.asarray(total.numpy(), np.float64)

    def meet(self, *, within_s: float = MEETING_S) -> None:
        """Waits until every worker has come here."""
        self.sum(np.zeros(1), within_s=within_s)

    def chosen_by_chief(self, number: int) -> int:
        """The chief's number; what the others bring does not count."""
        return int(self.sum(np.array([float(number) if self.membership.chief else 0.0]))[0])

    @contextmanager
    def talking(self) -> Iterator[None]:
        """Turns what TensorFlow raises when a peer is lost into one clear error."""
        try:
            yield
        except _LOST as error:
            if len(self.membership.addresses) == 1:
                raise
            raise _peer_lost(self.membership, error) from error

    def _sum(self, mine: Any) -> Any:
        if self._summed is None:

            def replica(value: Any) -> Any:
                placed = tf.identity(value)  # an argument has no device, and all_reduce asks for one
                return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, placed)

            self._summed = tf.function(lambda value: self.strategy.run(replica, args=(value,)), reduce_retracing=True)
        return self._summed(mine)


def _peer_lost(membership: Membership, error: Exception) -> PeerLostError:
    """What TensorFlow says in many lines, in one."""
    lines = str(error).splitlines()
    says = next((line for line in lines if _SAYS_WHY.search(line)), lines[0] if lines else "")
    return PeerLostError(
        f"worker {membership.index} lost a peer: {type(error).__name__}: {says.strip()[:200]}",
        hint="submit again: training goes on from its last checkpoint",
    )
