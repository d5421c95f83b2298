"""Computes the network of a Keras model, on a CPU with an LSTM of our own.

A graph for one core spends its time in products of matrices and in passes over their results. For each bar, Keras
multiplies the inputs and the state separately and adds the results and the bias; here one product of both does it, and
TensorFlow adds the bias in the same pass. This takes a fifth off a forward pass and a twentieth off a training step
(benchmarks/training.py). On a GPU the Keras layer is used, because it has a kernel for the whole sequence.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cloudlstm.training.runtime import tf

_UNROLL_UP_TO_BARS = 128
"""An unrolled LSTM takes 30 ms per bar to compile."""


class Network:
    """The layers of a model as functions of tensors.

    Args:
        model: From `model.build_model`.
        on_gpu: True if it is computed on GPUs.
    """

    def __init__(self, model: Any, *, on_gpu: bool) -> None:
        self.model = model
        self._lstm, self._dense = model.get_layer("lstm"), model.get_layer("forecast")
        self._unroll = not on_gpu and model.input_shape[1] <= _UNROLL_UP_TO_BARS

    @property
    def gives_zero(self) -> bool:
        """True if the last layer is zero, as in an untrained network: then so is the output for every window."""
        return not any(np.any(variable.numpy()) for variable in self._dense.weights)

    def hidden(self, inputs: Any) -> Any:
        """The LSTM's state after the last bar, (batch, unit), for inputs (batch, window, feature)."""
        return _unrolled(self._lstm, inputs) if self._unroll else self._lstm(inputs, training=True)

    def output(self, hidden: Any) -> Any:
        """The outputs for states, (batch,)."""
        return self._dense(hidden)[:, 0]

    def __call__(self, inputs: Any) -> Any:
        """The outputs for inputs (batch, window, feature) without dropout, (batch,)."""
        return self.output(self.hidden(inputs))


def _unrolled(lstm: Any, inputs: Any) -> Any:
    """The state of a Keras LSTM after the last bar, (batch, unit), with one product a bar."""
    kernel, recurrent, bias = (tf.cast(variable.value, lstm.compute_dtype) for variable in lstm.weights)
    weights = tf.concat([kernel, recurrent], axis=0)
    bars = tf.unstack(tf.transpose(tf.cast(inputs, lstm.compute_dtype), (1, 0, 2)))
    hidden = cell = tf.zeros((tf.shape(inputs)[0], lstm.units), lstm.compute_dtype)
    for bar in bars:
        gates = tf.nn.bias_add(tf.matmul(tf.concat([bar, hidden], axis=1), weights), bias)
        enter, keep, candidate, leave = tf.split(gates, 4, axis=1)
        cell = tf.sigmoid(keep) * cell + tf.sigmoid(enter) * tf.tanh(candidate)
        hidden = tf.sigmoid(leave) * tf.tanh(cell)
    return hidden
