"""The order of the training windows, and the arrays that each call of the training function receives.

The order depends on (seed, epoch) only, and the global batch of a step is the same for any number of replicas: replica
r of R takes rows [r * b, (r + 1) * b) of the batch, with b = ceil(batch / R). Where a replica has too few rows, in the
last batch of an epoch or because R does not divide the batch, padding rows repeat window 0 with weight 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudlstm.dataset.ahead import ahead
from cloudlstm.dataset.inputs import Inputs
from cloudlstm.dataset.window_set import WindowSet


@dataclass(frozen=True, slots=True)
class Order:
    """The order of the training windows.

    Attributes:
        windows: Training windows in all.
        batch_windows: Windows in a global batch.
        seed: Seed of the permutations.
    """

    windows: int
    batch_windows: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Global batches in an epoch, at least 1."""
        return max(-(-self.windows // self.batch_windows), 1)

    def total_steps(self, epochs: int, most: int | None) -> int:
        """Steps of a training of so many epochs that does not stop early, and of `most` steps at most."""
        steps = epochs * self.steps_per_epoch
        return min(steps, most or steps)

    def windows_seen(self, step: int) -> int:
        """Training windows seen after `step` steps."""
        epochs, rest = divmod(step, self.steps_per_epoch)
        return epochs * self.windows + min(rest * self.batch_windows, self.windows)

    def permutation(self, epoch: int) -> NDArray[np.int64]:
        """The indices of all windows in the order of an epoch (from 0), (windows,)."""
        return np.random.default_rng([self.seed, epoch]).permutation(self.windows)


def rows_per_replica(batch_windows: int, replicas: int) -> int:
    """Rows of the global batch for each replica, padding included."""
    return -(-batch_windows // replicas)


def rows_of(
    batch: NDArray[np.int64], batch_windows: int, replicas: int, replica: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The rows of one replica in one step: window indices and weights, (b,) each.

    The weights of all replicas add up to 1, so a sum over replicas is a mean over the batch.

    Args:
        batch: Window indices of the step's global batch.
        batch_windows: Windows in a full global batch.
        replicas: Replicas of all workers.
        replica: The global number of this replica.
    """
    size = rows_per_replica(batch_windows, replicas)
    mine = batch[replica * size : (replica + 1) * size]
    indices = np.zeros(size, np.int64)
    weights = np.zeros(size, np.float32)
    indices[: len(mine)] = mine
    weights[: len(mine)] = 1.0 / len(batch)
    return indices, weights


@dataclass(frozen=True, slots=True)
class Call:
    """The data of one call of the training function, for the devices of this worker.

    The second axis has room for `max_steps` steps.

    Attributes:
        steps: Steps in this call.
        windows: Windows in the global batches of these steps.
        inputs: (device, step, row, window, feature).
        labels: (device, step, row).
        weights: (device, step, row); 0 for padding.
    """

    steps: int
    windows: int
    inputs: NDArray[np.float32]
    labels: NDArray[np.float32]
    weights: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Feed:
    """Makes the data of calls.

    Attributes:
        train: The training windows.
        transform: Makes the network's inputs and labels.
        order: The order of the windows.
        replicas: Devices of all workers.
        local_replicas: The global numbers of this worker's devices.
        max_steps: Most steps in a call.
    """

    train: WindowSet
    transform: Inputs
    order: Order
    replicas: int
    local_replicas: range
    max_steps: int

    def calls(self, steps: range) -> Iterator[Call]:
        """The data of `steps`, counted from 0, call by call; no call crosses the end of an epoch."""
        return ahead(self._call, self._batches(steps))

    def _batches(self, steps: range) -> Iterator[list[NDArray[np.int64]]]:
        """The window indices of each global batch, call by call."""
        order, at = self.order, steps.start
        epoch, permutation = -1, np.zeros(0, np.int64)
        while at < steps.stop:
            if at // order.steps_per_epoch != epoch:
                epoch = at // order.steps_per_epoch
                permutation = order.permutation(epoch)
            end = min(at + self.max_steps, (epoch + 1) * order.steps_per_epoch, steps.stop)
            firsts = (np.arange(at, end) - epoch * order.steps_per_epoch) * order.batch_windows
            yield [permutation[first : first + order.batch_windows] for first in firsts]
            at = end

    def _call(self, batches: list[NDArray[np.int64]]) -> Call:
        """The data of one call for the global batches of its steps."""
        train, size = self.train, rows_per_replica(self.order.batch_windows, self.replicas)
        shape = (len(self.local_replicas), self.max_steps, size)
        inputs = np.zeros((*shape, train.window_bars, self.transform.width), np.float32)
        labels, weights = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        for device, replica in enumerate(self.local_replicas):
            found = [rows_of(batch, self.order.batch_windows, self.replicas, replica) for batch in batches]
            indices = np.concatenate([rows for rows, _ in found])
            raw, tickers = train.windows(indices), train.tickers(indices)
            used = slice(len(batches))
            self.transform.inputs(raw, tickers, out=inputs[device, used].reshape(*raw.shape[:2], self.transform.width))
            labels[device, used] = self.transform.labels(raw, tickers, train.targets(indices)).reshape(-1, size)
            weights[device, used] = [weight for _, weight in found]
        return Call(len(batches), sum(map(len, batches)), inputs, labels, weights)
