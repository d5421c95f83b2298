"""Builds the network and its optimizer."""

from __future__ import annotations

import math
from typing import Any

from cloudlstm.config import ModelConfig, TrainConfig
from cloudlstm.training import own_network
from cloudlstm.training.runtime import keras, tf


def build_model(shape: tuple[int, int], config: ModelConfig, *, seed: int, precision: str = "float32") -> Any:
    """A keras.Model from (batch, window, input) to (batch, 1); inputs and outputs are float32.

    Args:
        shape: Bars in a window, and inputs of a bar.
        config: The sizes of the layers, or a function of the user's that makes the model.
        seed: Seed of the initial weights.
        precision: Keras dtype policy of the LSTM and the dropout; the weights stay float32.

    Raises:
        UserCodeError: `config` names a function of the user's, whose model cannot be trained.
    """
    if config.build:
        return own_network.build(shape, config, seed=seed, precision=precision)
    inputs = keras.Input(shape, name="window")
    hidden = keras.layers.LSTM(
        config.units,
        kernel_initializer=keras.initializers.GlorotUniform(seed=2 * seed),
        recurrent_initializer=keras.initializers.Orthogonal(seed=2 * seed + 1),
        dtype=precision,
        name="lstm",
    )(inputs)
    hidden = keras.layers.Dropout(config.dropout, dtype=precision, name="dropout")(hidden)
    output = keras.layers.Dense(1, kernel_initializer="zeros", dtype="float32", name="forecast")(hidden)
    return keras.Model(inputs, output, name="cloudlstm")


class Schedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Linear warm-up over `warmup_steps`, then constant or cosine decay to zero at the last step.

    The number of steps is a variable, so that trainings of different lengths share one compiled function.

    Args:
        config: Peak, warm-up and form.
        total_steps: Steps of the training.
    """

    def __init__(self, config: TrainConfig, total_steps: int) -> None:
        self._config = config
        self._warmup, self._decay_steps = (tf.Variable(0.0, trainable=False) for _ in range(2))
        self.set_total_steps(total_steps)

    def set_total_steps(self, total_steps: int) -> None:
        """Sets the number of steps, before a training begins."""
        warmup = min(self._config.warmup_steps, total_steps // 2)
        self._warmup.assign(float(warmup))
        self._decay_steps.assign(float(max(total_steps - warmup, 1)))

    def __call__(self, step: Any) -> Any:
        step = tf.cast(step, tf.float32)
        rate = tf.constant(self._config.learning_rate, tf.float32)
        if self._config.schedule == "cosine":
            fraction = tf.clip_by_value((step - self._warmup) / self._decay_steps, 0.0, 1.0)
            rate *= 0.5 * (1.0 + tf.cos(math.pi * fraction))
        return rate * tf.minimum((step + 1.0) / tf.maximum(self._warmup, 1.0), 1.0)


class _ReducedAdam(keras.optimizers.Adam):  # type: ignore[misc]
    """Adam for gradients that are already summed over all replicas."""

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> Any:
        return grads_and_vars


def build_optimizer(config: TrainConfig, schedule: Schedule, variables: Any) -> Any:
    """Adam with a learning-rate schedule, built for `variables`.

    With mixed_float16 the loss is scaled against underflow, and every replica skips a step whose summed gradients are
    not finite.
    """
    optimizer = _ReducedAdam(schedule)
    if config.precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(variables)
    return optimizer
