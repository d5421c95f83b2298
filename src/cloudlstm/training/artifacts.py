"""The files of a finished training that TensorFlow writes, and how another training reads its weights."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudlstm.config import RunConfig
from cloudlstm.errors import DataError
from cloudlstm.training import model as models
from cloudlstm.training.checkpoint import Arrays
from cloudlstm.training.runtime import tf


def weights_file(model: Any, config: RunConfig) -> bytes:
    """The network's weights by name, as an .npz file."""
    file = io.BytesIO()
    np.savez(file, **dict(zip(_names(model, config), (each.numpy() for each in model.weights), strict=True)))
    return file.getvalue()


def keras_file(model: Any, config: RunConfig) -> bytes:
    """The network as a .keras file for `keras.saving.load_model`; not unrolled, so that a GPU can use cuDNN."""
    copy = models.build_model(model.input_shape[1:], config.model, seed=config.train.all_seeds[0])
    copy.set_weights(model.get_weights())
    with tempfile.TemporaryDirectory(prefix="cloudlstm-") as folder:
        path = Path(folder) / "model.keras"
        copy.save(path)
        return path.read_bytes()


def events_file(history: Iterable[Mapping[str, Any]]) -> bytes:
    """The history as a TensorBoard event file."""
    kind = tf.compat.v1.SummaryMetadata(plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"))
    with tempfile.TemporaryDirectory(prefix="cloudlstm-") as folder:
        writer = tf.summary.create_file_writer(folder)
        with writer.as_default():
            for record in history:
                for name in ("train_loss", "validation_loss", "learning_rate", "windows_per_s"):
                    if record[name] is not None:
                        value = tf.constant(record[name], tf.float32)
                        tf.summary.write(f"epoch/{name}", value, step=record["epoch"], metadata=kind)
        writer.close()
        return next(Path(folder).glob("events.*")).read_bytes()


def _names(model: Any, config: RunConfig) -> list[str]:
    """The names of the weights in a file, in the order of the model.

    Those of a user's model are numbers: Keras makes up the names of its layers, and counts them over all models of a
    process.
    """
    if config.model.build:
        return [f"{place:04d}" for place in range(len(model.weights))]
    return [variable.path.replace("/", ".") for variable in model.weights]


def weights_of_file(data: bytes, name: str, model: Any, config: RunConfig) -> Arrays:
    """The weights in a file that `weights_file` wrote, in the order of the variables of `model`.

    Args:
        data: The file.
        name: Its name in messages.
        model: The network that gets them.
        config: The run's configuration.

    Raises:
        DataError: names or shapes differ.
    """
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        found: dict[str, NDArray[Any]] = {name: file[name] for name in file.files}
    names = _names(model, config)
    for key, variable in zip(names, model.weights, strict=True):
        if key not in found or found[key].shape != tuple(variable.shape):
            has = f"{found[key].shape}" if key in found else "nothing"
            raise DataError(
                f"{name} does not fit this network: {key} is {tuple(variable.shape)} here and {has} there",
                hint="set model.units as in the run that trained it",
            )
    if config.model.build and len(found) != len(names):
        raise DataError(
            f"{name} has {len(found)} weights, and the network of {config.model.build} has {len(names)}",
            hint="model.build and model.units as in the run that trained it",
        )
    return [found[key] for key in names]
