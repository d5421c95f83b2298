"""Forecasts of a version, by NumPy."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cloudlstm import storage
from cloudlstm.dataset.inputs import Inputs, restore
from cloudlstm.errors import DataError
from cloudlstm.evaluation.ridge import RidgePath
from cloudlstm.features import EIGHT, FeatureSet
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
    def of(cls, paths: ModelPaths, version: Version, features: FeatureSet = EIGHT) -> Self:
        """Reads the weights and the settings of the inputs of a version.

        Args:
            paths: The model.
            version: The version.
            features: Features of the windows.

        Raises:
            DataError: The windows lack a feature with which the version was trained.
        """
        weights = storage.read(paths.version(version.number, "weights.npz"))
        outputs = _ridge(RidgePath.from_npz(weights)) if version.model == "ridge" else Network.read(weights)
        return cls(outputs, _inputs(paths, version, features))

    def returns(self, windows: Windows) -> NDArray[np.float64]:
        """Forecast log-returns, (n,)."""
        found = [np.zeros(0)]
        for begin in range(0, len(windows), _BATCH_WINDOWS):
            values = windows.values[begin : begin + _BATCH_WINDOWS]
            tickers = windows.tickers[begin : begin + _BATCH_WINDOWS]
            outputs = self.outputs(self.inputs.inputs(values, tickers))
            found.append(self.inputs.returns(outputs, values, tickers))
        return np.concatenate(found)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the inputs of a bar."""
        return self.inputs.chosen.names

    def last_inputs(self, windows: Windows) -> NDArray[np.float64]:
        """The network's inputs for the last bar of each window, (n, feature)."""
        found = [self.inputs.inputs(windows.values[:0], windows.tickers[:0])[:, -1]]
        for begin in range(0, len(windows), _BATCH_WINDOWS):
            part = slice(begin, begin + _BATCH_WINDOWS)
            found.append(self.inputs.inputs(windows.values[part], windows.tickers[part])[:, -1])
        return np.concatenate(found).astype(np.float64)


def _inputs(paths: ModelPaths, version: Version, features: FeatureSet) -> Inputs:
    settings = json.loads(storage.read(paths.version(version.number, "inputs.json")))
    require_features(settings, features, f"version {version.number} of {paths.name}")
    return restore(settings, features)


def require_features(settings: Mapping[str, Any], features: FeatureSet, who: str) -> None:
    """Raises DataError if inputs need a feature that windows do not have.

    Args:
        settings: Of the inputs.
        features: Features of the windows.
        who: Whose inputs, for the message.
    """
    if lacking := [name for name in settings.get("features", EIGHT.names) if name not in features.names]:
        raise DataError(
            f"{who} was trained with {', '.join(lacking)}, which the recipe of the model does not have",
            hint="a model of its own: cloudlstm models create NAME --run=RUN",
        )


def _ridge(path: RidgePath) -> Callable[[NDArray[np.float32]], NDArray[np.floating]]:
    """The outputs, (window,), of a ridge for inputs (window, bar, feature)."""
    return lambda inputs: path.predict(inputs.reshape(len(inputs), -1))[:, 0]
