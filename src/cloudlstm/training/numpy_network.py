"""Computes a trained network with NumPy, so that a few forecasts need no TensorFlow."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudlstm.dataset.ahead import ahead
from cloudlstm.dataset.inputs import Inputs
from cloudlstm.dataset.window_set import WindowSet
from cloudlstm.errors import DataError

_BATCH_WINDOWS = 256
"""The arrays of one bar fit into a core's cache."""


@dataclass(frozen=True, slots=True)
class Network:
    """The network: LSTM, Dense(1).

    Attributes:
        kernel: Weights of the bar and of the state, (feature + unit, 4 x unit); the gates are input, forget,
            candidate, output.
        bias: Of the gates.
        dense: Weights of the output, (unit,).
        offset: Bias of the output.
    """

    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]
    dense: NDArray[np.float32]
    offset: np.float32

    @classmethod
    def read(cls, weights: bytes) -> Network:
        """Reads the file of weights that a training wrote.

        Raises:
            DataError: they are of a network of the user's code.
        """
        with np.load(io.BytesIO(weights), allow_pickle=False) as file:
            if "lstm.lstm_cell.kernel" not in file.files:
                raise DataError(
                    "these weights are not those of cloudlstm's LSTM, so NumPy cannot compute their network",
                    hint="cloudlstm predict computes a network of model.build with TensorFlow",
                )
            cell = [file[f"lstm.lstm_cell.{name}"] for name in ("kernel", "recurrent_kernel")]
            bias, dense, offset = file["lstm.lstm_cell.bias"], file["forecast.kernel"], file["forecast.bias"]
        return cls(np.concatenate(cell), bias, dense[:, 0], offset[0])

    @property
    def parameters(self) -> int:
        """The number of weights."""
        return self.kernel.size + self.bias.size + self.dense.size + 1

    def __call__(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """The outputs, (window,), for inputs (window, bar, feature)."""
        windows, bars, features = inputs.shape
        units = len(self.dense)
        joined = np.zeros((windows, features + units), np.float32)  # the bar and the state
        state, cell = joined[:, features:], np.zeros((windows, units), np.float32)
        gates = np.empty((windows, 4 * units), np.float32)
        enter, keep, candidate, leave = np.split(gates, 4, axis=1)
        for bar in range(bars):
            joined[:, :features] = inputs[:, bar]
            np.matmul(joined, self.kernel, out=gates)
            gates += self.bias
            for gate in (enter, keep, leave):
                _sigmoid(gate)
            np.tanh(candidate, out=candidate)
            cell *= keep
            cell += enter * candidate
            np.multiply(leave, np.tanh(cell), out=state)
        outputs: NDArray[np.float32] = state @ self.dense + self.offset
        return outputs


def _sigmoid(values: NDArray[np.float32]) -> None:
    """Replaces values by their sigmoid, as a tanh, which NumPy computes faster and without overflow."""
    values *= 0.5
    np.tanh(values, out=values)
    values += 1.0
    values *= 0.5


def outputs(network: Network, windows: WindowSet, transform: Inputs) -> NDArray[np.float32]:
    """The network's outputs for all windows of a split, in order, computed on all cores."""

    def compute(begin: int) -> NDArray[np.float32]:
        batch = np.arange(begin, min(begin + _BATCH_WINDOWS, len(windows)))
        return network(transform.inputs(windows.windows(batch), windows.tickers(batch)))

    parts = list(ahead(compute, range(0, len(windows), _BATCH_WINDOWS)))
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def loss(outputs: NDArray[np.float32], windows: WindowSet, transform: Inputs) -> float:
    """Mean squared error of the outputs for all windows of a split; 0.0 if there are none."""
    everything = np.arange(len(windows))
    raw, tickers = windows.windows(everything), windows.tickers(everything)
    error = outputs.astype(np.float64) - transform.labels(raw, tickers, windows.targets(everything))
    return float(error @ error) / max(len(windows), 1)
