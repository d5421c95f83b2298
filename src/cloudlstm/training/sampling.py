"""The order of training windows, and the batches that feed the training step.

The order of samples and their split among workers, from (seed, epoch) alone.

The global batch of a step is the same however many replicas share it: replica r of R takes rows [r * b, (r + 1) * b)
of the batch, b = ceil(batch / R). Rows that do not exist, in an epoch's last batch or because R does not divide the
batch, stand for window 0 and weigh nothing.

What a call of the training function is fed, made by a thread while the call before it computes.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cloudlstm.dataset.inputs import Inputs
from cloudlstm.dataset.reader import SequenceSet
from cloudlstm.features import FEATURE_NAMES


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


Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Call:
    """The steps of one call, for the devices of this worker.

    Attributes:
        steps: How many of the places are in use.
        windows: Windows in these steps' global batches.
        inputs: (device, place, row, window, feature).
        labels: (device, place, row).
        weights: (device, place, row); 0 where a row is padding.
    """

    steps: int
    windows: int
    inputs: NDArray[np.float32]
    labels: NDArray[np.float32]
    weights: NDArray[np.float32]


def calls(
    train: SequenceSet, transform: Inputs, order: Order, *, replicas: int, local: range, places: int, steps: range
) -> Iterator[Call]:
    """The calls that carry out `steps` (of the whole training), none across the end of an epoch.

    Args:
        train: The windows.
        transform: What the network sees of them.
        order: Which window comes when.
        replicas: Devices of all workers.
        local: The global numbers of this worker's devices.
        places: Steps in a call at most.
        steps: From the first step not yet done to the last.
    """
    size = rows_per_replica(order.batch_windows, replicas)
    shape = (len(local), places, size)
    at = steps.start
    epoch, permutation = -1, np.zeros(0, np.int64)
    while at < steps.stop:
        if at // order.steps_per_epoch != epoch:
            epoch = at // order.steps_per_epoch
            permutation = order.permutation(epoch)
        end = min(at + places, (epoch + 1) * order.steps_per_epoch, steps.stop)
        inputs = np.zeros((*shape, train.window_bars, len(FEATURE_NAMES)), np.float32)
        labels, weights = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        total = 0
        for place, step in enumerate(range(at, end)):
            first = (step - epoch * order.steps_per_epoch) * order.batch_windows
            batch = permutation[first : first + order.batch_windows]
            total += len(batch)
            for device, replica in enumerate(local):
                indices, weights[device, place] = rows_of(batch, order.batch_windows, replicas, replica)
                raw, tickers = train.windows(indices), train.tickers(indices)
                inputs[device, place] = transform.inputs(raw, tickers)
                labels[device, place] = transform.labels(raw, tickers, train.targets(indices))
        yield Call(end - at, total, inputs, labels, weights)
        at = end


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, each made by a thread while the one before it is in use."""
    nothing = object()
    with ThreadPoolExecutor(1, thread_name_prefix="feed") as pool:
        coming = pool.submit(next, items, nothing)
        while (item := coming.result()) is not nothing:
            coming = pool.submit(next, items, nothing)
            yield item  # type: ignore[misc]
