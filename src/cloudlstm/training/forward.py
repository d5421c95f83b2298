"""Computes the network's outputs for all windows of a split: each worker those of its share, on all its devices."""

from __future__ import annotations

import time
from collections.abc import Callable, Sized

import numpy as np
from numpy.typing import NDArray

from cloudlstm.dataset.ahead import ahead
from cloudlstm.dataset.inputs import Inputs
from cloudlstm.dataset.window_set import WindowSet
from cloudlstm.training.cluster import Cluster
from cloudlstm.training.network import Network
from cloudlstm.training.own_network import OwnNetwork
from cloudlstm.training.runtime import tf

_WINDOWS_ON_GPU, _WINDOWS_ON_CPU = 1024, 256
"""Windows of one forward pass on one device; more do not fit into a core's cache."""

Fill = Callable[[NDArray[np.int64], NDArray[np.float32]], None]
"""Writes the inputs of some windows, given by their numbers (batch,), to an array (batch, window, input)."""

_LABELS_AT_ONCE = 16_384
_SENT_AT_ONCE = 1_000_000


class Forward:
    """Forward passes in batches of fixed size; threads make the inputs of the next ones.

    An output depends on its window alone, bit for bit: not on the number of workers, and not on the rest of its batch.

    Args:
        cluster: The workers.
        network: The network.
    """

    def __init__(self, cluster: Cluster, network: Network | OwnNetwork) -> None:
        self._cluster, self._network = cluster, network
        self._took_s = 0.0  # for the last outputs
        self._size = _WINDOWS_ON_GPU if cluster.on_gpu else _WINDOWS_ON_CPU
        self._run = tf.function(lambda inputs: cluster.strategy.run(network, args=(inputs,)), reduce_retracing=True)

    def outputs(self, windows: WindowSet, transform: Inputs) -> NDArray[np.float32]:
        """The outputs for this worker's share of a split, in order; `gather` joins those of all workers.

        Args:
            windows: The split.
            transform: Makes the network's inputs.
        """

        def fill(batch: NDArray[np.int64], out: NDArray[np.float32]) -> None:
            transform.inputs(windows.windows(batch), windows.tickers(batch), out=out)

        return self.outputs_of(windows, (windows.window_bars, transform.width), fill)

    def outputs_of(self, windows: Sized, shape: tuple[int, int], fill: Fill) -> NDArray[np.float32]:
        """As `outputs`, of inputs that the caller makes.

        Args:
            windows: As many windows; only their number counts.
            shape: Bars of a window, and inputs of a bar.
            fill: Writes the inputs of some windows.
        """
        share, size = self._share(windows), self._size * len(self._cluster.devices)
        began = time.monotonic()
        out = np.zeros(len(share), np.float32)
        if self._network.gives_zero:
            return out
        batches = [np.arange(at, min(at + size, share.stop)) for at in range(share.start, share.stop, size)]
        done = 0
        for batch, inputs in zip(batches, ahead(lambda batch: self._inputs(shape, fill, batch), batches), strict=True):
            results = self._run(self._cluster.per_device(inputs.__getitem__))
            local = self._cluster.strategy.experimental_local_results(results)
            out[done : done + len(batch)] = np.concatenate([result.numpy() for result in local])[: len(batch)]
            done += len(batch)
        self._took_s = time.monotonic() - began
        return out

    def _share(self, windows: Sized) -> range:
        """The windows whose outputs this worker computes."""
        workers, index = len(self._cluster.membership.addresses), self._cluster.membership.index
        return range(len(windows) * index // workers, len(windows) * (index + 1) // workers)

    def _inputs(self, shape: tuple[int, int], fill: Fill, batch: NDArray[np.int64]) -> NDArray[np.float32]:
        """The inputs of a batch, padded with zeros, (device, row, window, feature)."""
        made = np.zeros((len(self._cluster.devices) * self._size, *shape), np.float32)
        fill(batch, made[: len(batch)])
        return made.reshape(-1, self._size, *shape)

    def loss(self, windows: WindowSet, transform: Inputs, outputs: NDArray[np.float32]) -> float:
        """Mean squared error over all windows of a split, the same number on every worker.

        Args:
            windows: The split.
            transform: Makes the labels.
            outputs: From `outputs`.
        """
        total, share = 0.0, self._share(windows)
        for done in range(0, len(share), _LABELS_AT_ONCE):
            part = np.array(share[done : done + _LABELS_AT_ONCE])
            raw, tickers = windows.windows(part), windows.tickers(part)
            labels = transform.labels(raw, tickers, windows.targets(part))
            error = outputs[done : done + len(part)].astype(np.float64) - labels
            total += float(error @ error)
        return float(self._sum(np.array([total]))[0]) / max(len(windows), 1)

    def gather(self, windows: Sized, outputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """The outputs for all windows of a split, on every worker.

        Args:
            windows: The split.
            outputs: From `outputs` or `outputs_of`.
        """
        share = self._share(windows)
        own = np.zeros(len(windows))
        own[share.start : share.stop] = outputs
        parts = [self._sum(own[at : at + _SENT_AT_ONCE]) for at in range(0, len(own), _SENT_AT_ONCE)]
        return np.concatenate(parts) if parts else own

    def _sum(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum over all workers; the limit of the wait follows the time that the outputs take."""
        limit, began = self._cluster.forward_limit, time.monotonic()
        total = self._cluster.sum(values, within_s=limit.seconds)
        limit.record(self._took_s + time.monotonic() - began)
        return total
