"""Forecasts of a version, by NumPy."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cloudlstm import storage
from cloudlstm.dataset.inputs import Inputs, restore
from cloudlstm.evaluation.ridge import RidgePath
from cloudlstm.features import EIGHT
from cloudlstm.models.documents import Version
from cloudlstm.models.paths import ModelPaths
from cloudlstm.models.tail import Windows
from cloudlstm.training.numpy_network import Network

_BATCH_WINDOWS = 1024


@dataclass(frozen=True, slots=True)
class Forecaster:
    """The network or the ridge of a version, and its inputs."""

    outputs: Callable[[NDArray[np.float32]], NDArray[np.floating]]
    inputs: Inputs

    @classmethod
    def of(cls, paths: ModelPaths, version: Version) -> Self:
        """Reads the weights and the settings of the inputs of a version."""
        weights = storage.read(paths.version(version.number, "weights.npz"))
        outputs = _ridge(RidgePath.from_npz(weights)) if version.model == "ridge" else Network.read(weights)
        return cls(outputs, _inputs(paths, version))

    def returns(self, windows: Windows) -> NDArray[np.float64]:
        """Forecast log-returns, (n,)."""
        found = [np.zeros(0)]
        for begin in range(0, len(windows), _BATCH_WINDOWS):
            values = windows.values[begin : begin + _BATCH_WINDOWS]
            tickers = windows.tickers[begin : begin + _BATCH_WINDOWS]
            outputs = self.outputs(self.inputs.inputs(values, tickers))
            found.append(self.inputs.returns(outputs, values, tickers))
        return np.concatenate(found)

    def last_inputs(self, windows: Windows) -> NDArray[np.float64]:
        """The network's inputs for the last bar of each window, (n, feature)."""
        found = [self.inputs.inputs(windows.values[:0], windows.tickers[:0])[:, -1]]
        for begin in range(0, len(windows), _BATCH_WINDOWS):
            part = slice(begin, begin + _BATCH_WINDOWS)
            found.append(self.inputs.inputs(windows.values[part], windows.tickers[part])[:, -1])
        return np.concatenate(found).astype(np.float64)


def _inputs(paths: ModelPaths, version: Version) -> Inputs:
    return restore(json.loads(storage.read(paths.version(version.number, "inputs.json"))), EIGHT)


def _ridge(path: RidgePath) -> Callable[[NDArray[np.float32]], NDArray[np.floating]]:
    """The outputs, (window,), of a ridge for inputs (window, bar, feature)."""
    return lambda inputs: path.predict(inputs.reshape(len(inputs), -1))[:, 0]
