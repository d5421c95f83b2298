"""Networks that a run can train instead of the LSTM of cloudlstm.

The last layer begins with zeros, so that the untrained network is the naive forecast.
"""

from __future__ import annotations

import keras


def gru(input_shape: tuple[int, int], units: int, dropout: float, seed: int) -> keras.Model:
    """A GRU instead of the LSTM: three gates instead of four."""
    inputs = keras.Input(input_shape)
    hidden = keras.layers.GRU(units, kernel_initializer=keras.initializers.GlorotUniform(seed))(inputs)
    hidden = keras.layers.Dropout(dropout)(hidden)
    return keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="zeros")(hidden))


def two_layer_lstm(input_shape: tuple[int, int], units: int, dropout: float, seed: int) -> keras.Model:
    """Two LSTMs, the second of which reads the states of the first, with dropout after each."""
    inputs = hidden = keras.Input(input_shape)
    for layer in range(2):
        initializer = keras.initializers.GlorotUniform(seed + layer)
        hidden = keras.layers.LSTM(units, return_sequences=layer == 0, kernel_initializer=initializer)(hidden)
        hidden = keras.layers.Dropout(dropout)(hidden)
    return keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="zeros")(hidden))
