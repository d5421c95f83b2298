"""The network of the user's code: `model.build = "package.module:build"`.

`build(input_shape, units, dropout, seed)` returns a keras.Model from (batch, window, input) to (batch, 1). It is
checked before the training: training must be able to store, resume and divide what it returns.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from cloudlstm.config import ModelConfig
from cloudlstm.errors import UserCodeError
from cloudlstm.runs import user_code
from cloudlstm.training.draws import Draws
from cloudlstm.training.runtime import keras, tf

_SIGNATURE = "def build(input_shape, units, dropout, seed): ... return keras.Model(inputs, outputs)"


def build(shape: tuple[int, int], config: ModelConfig, *, seed: int, precision: str) -> Any:
    """The model of the user's function, checked.

    Args:
        shape: Bars in a window, and inputs of a bar.
        config: Names the function, and has `units` and `dropout`, which it receives.
        seed: It receives this, too. Keras' own random numbers begin with it, so initializers without a seed draw the
            same weights in every process.
        precision: Of the training.

    Raises:
        UserCodeError: the function is not there, failed, or its model cannot be trained.
    """
    assert config.build is not None
    name = config.build
    if precision != "float32":
        raise UserCodeError(f"the model of {name} is trained in float32", hint="train.precision=float32")
    function = user_code.load_object(name)
    if not callable(function):
        raise UserCodeError(f"model.build: {name} is a {type(function).__name__}, no function", hint=_SIGNATURE)
    keras.utils.set_random_seed(seed)
    try:
        model = function(shape, config.units, config.dropout, seed)
    except Exception as error:
        raise user_code.failure(f"{name}{shape} failed", error, name) from error
    _require_trainable(model, shape, name)
    return model


def require_storable(model: Any, name: str) -> None:
    """Raises UserCodeError if a model cannot be stored and read again; found before a training rather than after."""
    try:
        with tempfile.TemporaryDirectory(prefix="cloudlstm-") as folder:
            path = Path(folder) / "model.keras"
            model.save(path)
            keras.saving.load_model(path, compile=False)
    except Exception as error:
        raise UserCodeError(
            f"the model of {name} cannot be stored and read again: {_one_line(error)}",
            hint="decorate own layers with @keras.saving.register_keras_serializable(), and give them get_config; "
            "no Lambda layer",
        ) from error


class OwnNetwork:
    """A model of the user's as functions of tensors, as `network.Network` is for the model of record.

    Args:
        model: From `build`.

    Attributes:
        gives_zero: False: its outputs have to be computed.
    """

    gives_zero = False

    def __init__(self, model: Any) -> None:
        self.model = model
        self._seeds = _seed_states(model)

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]  # as Keras calls models
    def __call__(self, inputs: Any) -> Any:
        """The outputs for inputs (batch, window, input) without dropout, (batch,)."""
        with keras.StatelessScope():
            return self.model(inputs, training=False)[:, 0]

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def in_training(self, inputs: Any, draws: Draws) -> Any:
        """The outputs for inputs (batch, window, input) with dropout, (batch,); no variable of the model changes."""
        seeds = draws.seeds(max(len(self._seeds), 1))
        state = [(variable, tf.cast(seeds[place], variable.dtype)) for place, variable in enumerate(self._seeds)]
        with keras.StatelessScope(state_mapping=state), draws.for_layers():
            return self.model(inputs, training=True)[:, 0]

    def penalty(self) -> Any:
        """What the regularizers of the model's weights add to the loss; None without any."""
        losses = self.model.losses
        return tf.add_n([tf.cast(loss, tf.float32) for loss in losses]) if losses else None


def _seed_states(model: Any) -> list[Any]:
    """The states of the model's generators of random numbers, in the order of its layers."""
    weights = {id(variable) for variable in model.weights}
    found = {id(each): each for each in model.non_trainable_variables if id(each) not in weights}
    return [each for each in found.values() if tuple(each.shape) == (2,)]


def _require_trainable(model: Any, shape: tuple[int, int], name: str) -> None:
    """Raises UserCodeError if the loop cannot train a model as it trains ours."""
    what = f"the model of {name}"
    if not isinstance(model, keras.Model) or not hasattr(model, "input_shape"):
        raise UserCodeError(
            f"{name} returned a {type(model).__name__}, not a model of its inputs and outputs", hint=_SIGNATURE
        )
    if model.input_shape != (None, *shape) or model.output_shape != (None, 1):
        raise UserCodeError(
            f"{what} maps {model.input_shape} to {model.output_shape}, not {(None, *shape)} to (None, 1)",
            hint="keras.Input(input_shape), and keras.layers.Dense(1) as the last layer",
        )
    kinds = {keras.backend.standardize_dtype(each.dtype) for each in (*model.inputs, *model.outputs, *model.weights)}
    if kinds - {"float32"}:
        raise UserCodeError(f"{what} has {', '.join(sorted(kinds))}", hint="float32 inputs, weights and outputs")
    if not model.trainable_weights:
        raise UserCodeError(f"{what} has no weights to train", hint="a layer with weights, such as keras.layers.LSTM")
    changed, losses = _changes(model, shape, name)
    if changed:
        raise UserCodeError(
            f"{what} changes {changed} while it trains; such a state would depend on how batches are divided among "
            "workers, and a resumed training would not have it",
            hint="LayerNormalization instead of BatchNormalization; random layers with a SeedGenerator of their own",
        )
    if losses:
        raise UserCodeError(
            f"{what} adds losses of its outputs (add_loss, activity_regularizer), which depend on how batches are "
            "divided among workers",
            hint="kernel_regularizer, which depends on weights only",
        )


def _changes(model: Any, shape: tuple[int, int], name: str) -> tuple[str, bool]:
    """Calls a model as in training: which state it changes besides its seeds, and whether it adds losses.

    Nothing of the model is changed by this.
    """
    seeds = _seed_states(model)
    mapping = [(seed, tf.zeros((2,), seed.dtype)) for seed in seeds]
    known = {id(each): each.path for each in model.variables}
    try:
        with keras.StatelessScope(state_mapping=mapping, collect_losses=True) as scope:
            model(np.zeros((2, *shape), np.float32), training=True)
    except Exception as error:
        raise user_code.failure(f"the model of {name} cannot be computed", error, name) from error
    changed = scope.state_mapping.keys() - {id(seed) for seed in seeds}
    return ", ".join(sorted(known.get(each, "a state outside of its layers") for each in changed)), bool(scope.losses)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
