"""The order of samples and their split among workers, from (seed, epoch) alone.

The global batch of a step is the same however many replicas share it: replica r of R takes rows [r * b, (r + 1) * b)
of the batch, b = ceil(batch / R). Rows that do not exist, in an epoch's last batch or because R does not divide the
batch, stand for window 0 and weigh nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Order:
    """The order of `windows` training windows in global batches of `batch_windows`."""

    windows: int
    batch_windows: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        return max(-(-self.windows // self.batch_windows), 1)

    def permutation(self, epoch: int) -> NDArray[np.int64]:
        """All windows in the order of epoch number `epoch` (from 0)."""
        return np.random.default_rng([self.seed, epoch]).permutation(self.windows)


def rows_per_replica(batch_windows: int, replicas: int) -> int:
    """Rows of the global batch that each replica takes."""
    return -(-batch_windows // replicas)


def rows_of(
    batch: NDArray[np.int64], batch_windows: int, replicas: int, replica: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Windows and weights, (b,) each, that one replica takes of a step's global batch.

    Weights add up to 1 over all replicas, so that sums over replicas are means over the batch.
    """
    size = rows_per_replica(batch_windows, replicas)
    mine = batch[replica * size : (replica + 1) * size]
    indices = np.zeros(size, np.int64)
    weights = np.zeros(size, np.float32)
    indices[: len(mine)] = mine
    weights[: len(mine)] = 1.0 / len(batch)
    return indices, weights
