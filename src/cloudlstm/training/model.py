"""The network of record: LSTM, Dropout, Dense(1), in standard Keras layers.

The output layer begins at zero. With `relative` inputs the untrained network is therefore the naive forecast itself
("tomorrow = today"), so training starts from it, and the record of epoch 0 is the naive loss.
"""

from __future__ import annotations

from typing import Any

from cloudlstm.config import ModelConfig
from cloudlstm.dataset.splits import FEATURES
from cloudlstm.training.runtime import keras


def build(window_bars: int, config: ModelConfig, *, seed: int, precision: str = "float32", unroll: bool = False) -> Any:
    """A keras.Model from (batch, window, feature) to (batch, 1), float32 at both ends.

    Args:
        window_bars: Bars in a window.
        config: The sizes.
        seed: Decides the initial weights.
        precision: Of the LSTM; mixed precisions keep float32 weights.
        unroll: One graph node per bar instead of a loop: faster on a CPU, but a GPU then loses its cuDNN kernel.
    """
    inputs = keras.Input((window_bars, len(FEATURES)), name="window")
    hidden = keras.layers.LSTM(
        config.units,
        kernel_initializer=keras.initializers.GlorotUniform(seed=2 * seed),
        recurrent_initializer=keras.initializers.Orthogonal(seed=2 * seed + 1),
        unroll=unroll,
        dtype=precision,
        name="lstm",
    )(inputs)
    hidden = keras.layers.Dropout(config.dropout, dtype=precision, name="dropout")(hidden)
    output = keras.layers.Dense(1, kernel_initializer="zeros", dtype="float32", name="forecast")(hidden)
    return keras.Model(inputs, output, name="cloudlstm")
