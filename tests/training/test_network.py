"""The LSTM of one product a bar: its state and its gradient are those of the Keras layer."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from cloudlstm.config import ModelConfig
from cloudlstm.features import FEATURE_NAMES
from cloudlstm.training.model import build_model
from cloudlstm.training.network import Network

BARS, ROWS, UNITS = 7, 5, 6


def gradients(network: Network, inputs: tf.Tensor) -> tuple[np.ndarray, list[np.ndarray]]:
    """The states after the last bar, and the gradient of a sum of their squares by the LSTM's weights."""
    lstm = network.model.get_layer("lstm")

    @tf.function
    def computed() -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            hidden = network.hidden(inputs)
            loss = tf.reduce_sum(tf.cast(hidden, tf.float32) ** 2)
        return hidden, tape.gradient(loss, [variable.value for variable in lstm.trainable_variables])

    hidden, found = computed()
    return hidden.numpy(), [each.numpy() for each in found]


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("mixed_float16", 2e-2)])
def test_state_and_gradient_are_those_of_keras(precision: str, tolerance: float) -> None:
    model = build_model((BARS, len(FEATURE_NAMES)), ModelConfig(units=UNITS), seed=1, precision=precision)
    draw = np.random.default_rng(2)
    lstm = model.get_layer("lstm")
    lstm.set_weights([draw.normal(0.0, 0.5, weight.shape).astype(np.float32) for weight in lstm.get_weights()])
    inputs = tf.constant(draw.normal(size=(ROWS, BARS, 8)).astype(np.float32))
    (state, mine), (wanted, theirs) = (
        gradients(Network(model, on_gpu=on_gpu), inputs) for on_gpu in (False, True)
    )  # on a GPU the Keras layer computes it
    np.testing.assert_allclose(state, wanted, rtol=tolerance, atol=tolerance)
    for one, other in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * np.abs(other).max())
