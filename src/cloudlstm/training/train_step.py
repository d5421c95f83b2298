"""Computes training steps, several in one call, and forward passes.

Training is synchronous: each replica takes its rows of the global batch, and one all-reduce sums the gradients and the
loss of all replicas, packed into one vector. A row's weight is 1 / (rows of the global batch), so the sums are means
over the batch. Dropout masks are drawn for the global batch from (seed, step), and each replica takes its rows. So any
number of workers trains the same network up to rounding.
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudlstm.config import RunConfig
from cloudlstm.dataset.inputs import Inputs
from cloudlstm.dataset.reader import Indices, SequenceSet
from cloudlstm.features import FEATURE_NAMES
from cloudlstm.training.cluster import Cluster
from cloudlstm.training.runtime import tf
from cloudlstm.training.sampling import Call, rows_per_replica

_FORWARD_WINDOWS = 1024
"""Windows of one forward pass on one device."""


class TrainFunction:
    """The training function: trains the steps of one call.

    Args:
        cluster: The workers.
        model: From `model.build_model`, made in the strategy's scope.
        optimizer: From `model.build_optimizer`, made in the strategy's scope.
        config: The run's configuration.
    """

    def __init__(self, cluster: Cluster, model: Any, optimizer: Any, config: RunConfig) -> None:
        self._cluster, self._optimizer = cluster, optimizer
        self._lstm, self._dense = model.get_layer("lstm"), model.get_layer("forecast")
        self._variables = [variable.value for variable in model.trainable_variables]
        self._batch, self._size = (
            config.train.batch_windows,
            rows_per_replica(config.train.batch_windows, cluster.replicas),
        )
        self._seed, self._dropout, self._units = config.train.seed, config.model.dropout, config.model.units
        self._scaled = hasattr(optimizer, "scale_loss") and config.train.precision == "mixed_float16"
        self._replica = cluster.per_device(np.array(cluster.local_replicas, np.int32).__getitem__)
        self._call = tf.function(self._steps, reduce_retracing=True)

    def __call__(self, call: Call, first_step: int, *, stop_requested: bool) -> tuple[NDArray[np.float32], bool]:
        """Trains the steps of a call.

        Args:
            call: Its data.
            first_step: The number of its first step in the whole training.
            stop_requested: True if this worker received SIGTERM.

        Returns:
            The loss of each step over its global batch, (steps,), and whether any worker must stop.
        """
        feed = self._feed(call, stop_requested=stop_requested)
        limit = self._cluster.step_limit
        with self._cluster.peer_errors(), self._cluster.watchdog.measured("training a few steps", limit):
            losses, stops = self._call(*feed, tf.constant(first_step), tf.constant(call.steps))
            return losses.numpy()[: call.steps], bool(stops.numpy() > 0)

    def compile(self, call: Call) -> None:
        """Compiles the function by calling it with zero steps."""
        self._call(*self._feed(call, stop_requested=False), tf.constant(0), tf.constant(0))

    def _feed(self, call: Call, *, stop_requested: bool) -> list[Any]:
        """The function's arguments as one tensor per device of this worker."""
        parts = (call.inputs, call.labels, call.weights)
        stops = np.zeros(len(self._cluster.devices), np.float32)
        stops[0] = stop_requested
        return [*(self._cluster.per_device(part.__getitem__) for part in (*parts, stops)), self._replica]

    def _steps(self, inputs: Any, labels: Any, weights: Any, stop: Any, replica: Any, first: Any, steps: Any) -> Any:
        losses = tf.TensorArray(tf.float32, size=steps, element_shape=())
        stops = tf.constant(0.0)
        for position in tf.range(steps):
            summed = self._cluster.strategy.run(
                self._step, args=(inputs, labels, weights, stop, replica, position, first + position)
            )
            loss, stops = self._cluster.strategy.experimental_local_results(summed)[0]
            losses = losses.write(position, loss)
        return losses.stack(), stops

    def _step(
        self, inputs: Any, labels: Any, weights: Any, stop: Any, replica: Any, position: Any, step: Any
    ) -> tuple[Any, Any]:
        """One step on one replica."""
        with tf.GradientTape() as tape:
            hidden = self._lstm(inputs[position], training=True)
            if self._dropout:
                hidden *= tf.cast(self._mask(step, replica), hidden.dtype)
            error = self._dense(hidden)[:, 0] - labels[position]
            loss = tf.reduce_sum(weights[position] * error * error)
            scaled = self._optimizer.scale_loss(loss) if self._scaled else loss
        gradients = tape.gradient(scaled, self._variables)
        flat = [tf.reshape(gradient, [-1]) for gradient in gradients]
        packed = tf.concat([*flat, [loss, stop]], axis=0)
        packed = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, packed)
        sizes = [math.prod(variable.shape) for variable in self._variables]
        *parts, totals = tf.split(packed, [*sizes, 2])
        summed = [tf.reshape(part, v.shape) for part, v in zip(parts, self._variables, strict=True)]
        self._optimizer.apply(summed, self._variables)
        return totals[0], totals[1]

    def _mask(self, step: Any, replica: Any) -> Any:
        """The replica's rows of the global dropout mask, (row, unit): 0 or 1 / (1 - rate)."""
        seed = tf.stack([tf.constant(self._seed, tf.int32), step])
        # Not "auto", which differs by device.
        drawn = tf.random.stateless_uniform((self._batch, self._units), seed, alg="philox")
        mask = tf.cast(drawn >= self._dropout, tf.float32) / (1.0 - self._dropout)
        mask = tf.pad(mask, [[0, self._size * self._cluster.replicas - self._batch], [0, 0]])
        return tf.reshape(mask, (self._cluster.replicas, self._size, self._units))[replica]


class Forward:
    """Forward passes over windows of a split, in batches of fixed size on all devices of this worker.

    Args:
        cluster: The workers.
        model: The network.
        transform: Makes the network's inputs and labels.
    """

    def __init__(self, cluster: Cluster, model: Any, transform: Inputs) -> None:
        self._cluster, self._transform = cluster, transform

        def replica(inputs: Any) -> Any:
            return model(inputs, training=False)[:, 0]

        self._run = tf.function(lambda inputs: cluster.strategy.run(replica, args=(inputs,)), reduce_retracing=True)

    def outputs(self, windows: SequenceSet, indices: Indices) -> NDArray[np.float32]:
        """The network's outputs for the windows `indices`, (batch,)."""
        cluster = self._cluster
        size = _FORWARD_WINDOWS * len(cluster.devices)
        out = np.empty(len(indices), np.float32)
        for begin in range(0, len(indices), size):
            part = indices[begin : begin + size]
            inputs = np.zeros((size, windows.window_bars, len(FEATURE_NAMES)), np.float32)
            inputs[: len(part)] = self._transform.inputs(windows.windows(part), windows.tickers(part))
            per_device = inputs.reshape(len(cluster.devices), _FORWARD_WINDOWS, windows.window_bars, len(FEATURE_NAMES))
            results = self._run(cluster.per_device(per_device.__getitem__))
            local = [result.numpy() for result in cluster.strategy.experimental_local_results(results)]
            out[begin : begin + len(part)] = np.concatenate(local)[: len(part)]
        return out

    def loss(self, windows: SequenceSet) -> float:
        """Mean squared error over all windows of a split; each worker computes a part, all return the same number."""
        workers, index = len(self._cluster.membership.addresses), self._cluster.membership.index
        borders = np.linspace(0, len(windows), workers + 1).astype(np.int64)
        total, began = 0.0, time.monotonic()
        for begin in range(int(borders[index]), int(borders[index + 1]), 16 * _FORWARD_WINDOWS):
            indices = np.arange(begin, min(begin + 16 * _FORWARD_WINDOWS, int(borders[index + 1])))
            raw, tickers = windows.windows(indices), windows.tickers(indices)
            labels = self._transform.labels(raw, tickers, windows.targets(indices))
            error = self.outputs(windows, indices).astype(np.float64) - labels
            total += float(error @ error)
        limit = self._cluster.validation_limit
        summed = self._cluster.sum(np.array([total]), within_s=limit.seconds)
        limit.record(time.monotonic() - began)
        return float(summed[0]) / max(len(windows), 1)
