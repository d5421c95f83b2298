"""Computes the network of a Keras model, on a CPU with an LSTM of our own.

A graph for one core spends its time in products of matrices and in passes over their results. For each bar, Keras
multiplies the inputs and the state separately and adds the results and the bias; here one product of both does it, and
a one among the inputs brings the bias. On a GPU the Keras layer is used; it has a kernel for the whole sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cloudlstm.training.draws import Draws
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
        self._dropout = float(model.get_layer("dropout").rate)
        self._unroll = not on_gpu and model.input_shape[1] <= _UNROLL_UP_TO_BARS

    @property
    def gives_zero(self) -> bool:
        """True if the last layer is zero, as in an untrained network: then so is the output for every window."""
        return not any(np.any(variable.numpy()) for variable in self._dense.weights)

    def hidden(self, inputs: Any) -> Any:
        """The LSTM's state after the last bar, (batch, unit), for inputs (batch, window, feature)."""
        return _unrolled(self._lstm, inputs) if self._unroll else self._lstm(inputs, training=True)

    def in_training(self, inputs: Any, draws: Draws) -> Any:
        """The outputs for inputs (batch, window, feature) with dropout, (batch,)."""
        hidden = self.hidden(inputs)
        if self._dropout:
            hidden *= tf.cast(draws.mask(hidden.shape[-1], self._dropout), hidden.dtype)
        return self.output(hidden)

    def penalty(self) -> None:
        """What regularizers add to the loss: the model has none."""
        return None  # noqa: RET501 - AutoGraph wants a body

    def output(self, hidden: Any) -> Any:
        """The outputs for states, (batch,)."""
        return self._dense(hidden)[:, 0]

    def __call__(self, inputs: Any) -> Any:
        """The outputs for inputs (batch, window, feature) without dropout, (batch,)."""
        return self.output(self.hidden(inputs))


def _unrolled(lstm: Any, inputs: Any) -> Any:
    """The state of a Keras LSTM after the last bar, (batch, unit), with one product a bar.

    The inputs have no gradient.
    """
    kernel, recurrent, bias = (tf.cast(variable.value, lstm.compute_dtype) for variable in lstm.weights)
    weights = tf.concat([kernel, bias[tf.newaxis], recurrent], axis=0)
    rows = tf.transpose(tf.cast(inputs, lstm.compute_dtype), (1, 0, 2))
    ones = tf.ones_like(rows[:, :, :1])  # the input of the bias, so that the product adds it
    return _state(tf.unstack(tf.concat([rows, ones], axis=2)), weights, lstm.units)


def _state(bars: Sequence[Any], weights: Any, units: int) -> Any:
    """The state after the last bar, (batch, unit).

    Its gradient is written out. TensorFlow's own one has a sixth more operations, and multiplies by the weights of the
    inputs, too, though inputs need no gradient.

    Args:
        bars: The inputs of each bar with a one at their end, (batch, feature + 1).
        weights: (feature + 1 + unit, 4 unit) with the gates input, forget, candidate, output, as in Keras.
        units: Units of the LSTM.
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def state(weights: Any) -> tuple[Any, Callable[[Any], Any]]:
        hidden = cell = tf.zeros((tf.shape(bars[0])[0], units), weights.dtype)
        steps = []
        for bar in bars:
            joined = tf.concat([bar, hidden], axis=1)
            enter, keep, candidate, leave = tf.split(tf.matmul(joined, weights), 4, axis=1)
            enter, keep, leave = tf.sigmoid(enter), tf.sigmoid(keep), tf.sigmoid(leave)
            candidate, before = tf.tanh(candidate), cell
            cell = keep * cell + enter * candidate
            seen = tf.tanh(cell)
            hidden = leave * seen
            steps.append((joined, enter, keep, candidate, leave, before, seen))

        def gradient(by_hidden: Any) -> Any:
            of_hidden = weights[-units:]
            by_cell, by_weights = None, []
            for place, (joined, enter, keep, candidate, leave, before, seen) in reversed(list(enumerate(steps))):
                through = raw.TanhGrad(y=seen, dy=by_hidden * leave)
                by_cell = through if by_cell is None else by_cell + through
                by_gates = tf.concat(
                    [
                        raw.SigmoidGrad(y=enter, dy=by_cell * candidate),
                        raw.SigmoidGrad(y=keep, dy=by_cell * before),
                        raw.TanhGrad(y=candidate, dy=by_cell * enter),
                        raw.SigmoidGrad(y=leave, dy=by_hidden * seen),
                    ],
                    axis=1,
                )
                by_weights.append(tf.matmul(joined, by_gates, transpose_a=True))
                if place:
                    by_hidden = tf.matmul(by_gates, of_hidden, transpose_b=True)
                    by_cell *= keep
            return tf.add_n(by_weights)

        return hidden, gradient

    raw = tf.raw_ops
    return state(weights)
