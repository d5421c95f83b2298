"""Computes training steps, several in one call.

Training is synchronous: each replica takes its rows of the global batch, and one all-reduce sums the gradients and the
loss of all replicas, packed into one vector. A row's weight is 1 / (rows of the global batch), so the sums are means
over the batch. Dropout masks are drawn for the global batch from (seed, step), and each replica takes its rows
(draws.py). So any number of workers trains the same network up to rounding.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudlstm.config import RunConfig
from cloudlstm.training.cluster import Cluster
from cloudlstm.training.draws import Draws
from cloudlstm.training.network import Network
from cloudlstm.training.own_network import OwnNetwork
from cloudlstm.training.runtime import tf
from cloudlstm.training.sampling import Call, rows_per_replica


class TrainFunction:
    """The training function: trains the steps of one call.

    Args:
        cluster: The workers.
        network: Of a model made in the strategy's scope.
        optimizer: From `model.build_optimizer`, made in the strategy's scope.
        config: The run's configuration.
    """

    def __init__(self, cluster: Cluster, network: Network | OwnNetwork, optimizer: Any, config: RunConfig) -> None:
        self._cluster, self._network, self._optimizer = cluster, network, optimizer
        self._variables = [variable.value for variable in network.model.trainable_variables]
        self._batch, self._size = (
            config.train.batch_windows,
            rows_per_replica(config.train.batch_windows, cluster.replicas),
        )
        self._scaled = hasattr(optimizer, "scale_loss") and config.train.precision == "mixed_float16"
        self._replica = cluster.per_device(np.array(cluster.local_replicas, np.int32).__getitem__)
        self._call = tf.function(self._steps, reduce_retracing=True)

    def __call__(
        self, call: Call, first_step: int, seed: int, *, stop_requested: bool
    ) -> tuple[NDArray[np.float32], bool]:
        """Trains the steps of a call.

        Args:
            call: Its data.
            first_step: The number of its first step in the whole training.
            seed: Of the dropout masks.
            stop_requested: True if this worker received SIGTERM.

        Returns:
            The loss of each step over its global batch, (steps,), and whether any worker must stop.
        """
        feed = self._feed(call, stop_requested=stop_requested)
        limit = self._cluster.step_limit
        with self._cluster.peer_errors(), self._cluster.watchdog.measured("training a few steps", limit):
            losses, stops = self._call(*feed, tf.constant(seed), tf.constant(first_step), tf.constant(call.steps))
            return losses.numpy()[: call.steps], bool(stops.numpy() > 0)

    def compile(self, call: Call) -> None:
        """Compiles the function by calling it with zero steps."""
        self._call(*self._feed(call, stop_requested=False), tf.constant(0), tf.constant(0), tf.constant(0))

    def _feed(self, call: Call, *, stop_requested: bool) -> list[Any]:
        """The function's arguments as one tensor per device of this worker."""
        parts = (call.inputs, call.labels, call.weights)
        stops = np.zeros(len(self._cluster.devices), np.float32)
        stops[0] = stop_requested
        return [*(self._cluster.per_device(part.__getitem__) for part in (*parts, stops)), self._replica]

    def _steps(
        self, inputs: Any, labels: Any, weights: Any, stop: Any, replica: Any, seed: Any, first: Any, steps: Any
    ) -> Any:
        losses = tf.TensorArray(tf.float32, size=steps, element_shape=())
        stops = tf.constant(0.0)
        for position in tf.range(steps):
            summed = self._cluster.strategy.run(
                self._step, args=(inputs, labels, weights, stop, replica, position, seed, first + position)
            )
            loss, stops = self._cluster.strategy.experimental_local_results(summed)[0]
            losses = losses.write(position, loss)
        return losses.stack(), stops

    def _step(
        self, inputs: Any, labels: Any, weights: Any, stop: Any, replica: Any, position: Any, seed: Any, step: Any
    ) -> tuple[Any, Any]:
        """One step on one replica."""
        draws = Draws(seed, step, replica, self._batch, self._size, self._cluster.replicas)
        with tf.GradientTape() as tape:
            error = self._network.in_training(inputs[position], draws) - labels[position]
            loss = objective = tf.reduce_sum(weights[position] * error * error)
            penalty = self._network.penalty()
            if penalty is not None:
                objective += penalty / self._cluster.replicas  # the sum over all replicas has it once
            scaled = self._optimizer.scale_loss(objective) if self._scaled else objective
        gradients = tape.gradient(scaled, self._variables)
        flat = [tf.reshape(gradient, [-1]) for gradient in gradients]
        packed = tf.concat([*flat, [loss, stop]], axis=0)
        packed = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, packed)
        sizes = [math.prod(variable.shape) for variable in self._variables]
        *parts, totals = tf.split(packed, [*sizes, 2])
        summed = [tf.reshape(part, v.shape) for part, v in zip(parts, self._variables, strict=True)]
        self._optimizer.apply(summed, self._variables)
        return totals[0], totals[1]
