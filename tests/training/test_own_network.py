"""The network of the user's code: refused if it cannot be trained as ours, and otherwise trained as ours."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from cloudlstm.config import ModelConfig
from cloudlstm.errors import DataError, UserCodeError
from cloudlstm.runs.environment import OWN_CODE
from cloudlstm.runs.paths import RunPaths
from cloudlstm.training import numpy_network
from cloudlstm.training.draws import Draws
from cloudlstm.training.model import build_model
from cloudlstm.training.own_network import OwnNetwork, require_storable
from training.runs import content, losses, make_default_run, manifest_of, trained, weights, workers
from training.submitted import log_of

BARS, WIDTH = 6, 3

NETWORKS = """
import keras
from keras import layers

@keras.saving.register_keras_serializable("ownnet")
class Doubled(layers.Layer):
    def call(self, inputs):
        return 2.0 * inputs

class Unregistered(layers.Layer):
    def call(self, inputs):
        return 2.0 * inputs

@keras.saving.register_keras_serializable("ownnet")
class Shaken(layers.Layer):
    def call(self, inputs, training=False):
        return keras.random.dropout(inputs, 0.5) if training else inputs

def made(input_shape, *between, **last):
    inputs = keras.Input(input_shape)
    hidden = inputs
    for layer in (*between, layers.Dense(1, **last)):
        hidden = layer(hidden)
    return keras.Model(inputs, hidden)

def gru(input_shape, units, dropout, seed):
    return made(input_shape, layers.GRU(units, dropout=dropout), Doubled(), layers.Dropout(dropout))

def regularized(input_shape, units, dropout, seed):
    l2 = keras.regularizers.L2(0.01)
    return made(input_shape, layers.GRU(units, kernel_regularizer=l2), layers.Dropout(dropout))
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a package of the user's."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "ownnet").mkdir()
    (folder / "ownnet" / "__init__.py").write_text(NETWORKS)
    return folder


@pytest.fixture(autouse=True)
def found(package: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Launcher and jobs look for packages in that folder."""
    monkeypatch.setenv(OWN_CODE, str(package))
    yield
    for name in [each for each in sys.modules if each.partition(".")[0] == "ownnet"]:
        del sys.modules[name]


def built(name: str, *, seed: int = 1, units: int = 4, dropout: float = 0.5, precision: str = "float32") -> keras.Model:
    config = ModelConfig(build=name, units=units, dropout=dropout)
    return build_model((BARS, WIDTH), config, seed=seed, precision=precision)


def refusal(package: Path, body: str) -> str:
    """What is said of a function with this body, when it builds its model or when that is stored."""
    (package / "ownnet" / "refused.py").write_text(
        f"import keras\nfrom keras import layers\nfrom ownnet import Shaken, Unregistered, made\n"
        f"def build(shape, units, dropout, seed):\n    {body}\n"
    )
    with pytest.raises(UserCodeError) as caught:
        require_storable(built("ownnet.refused:build"), "ownnet.refused:build")
    return str(caught.value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return None", "returned a NoneType, not a model"),
        ("return keras.layers.Dense(1)", "returned a Dense, not a model"),
        ("return 1 / 0", "failed: ZeroDivisionError: division by zero (ownnet/refused.py, line 5)"),
        ("return made((shape[0], 8), layers.LSTM(2))", "maps (None, 6, 8) to (None, 1), not (None, 6, 3) to (None, 1)"),
        ("return made(shape)", "maps (None, 6, 3) to (None, 6, 1), not"),
        ("return made(shape, layers.LSTM(2), dtype='float16')", "has float16, float32 (try: float32 inputs"),
        ("x = keras.Input(shape); return keras.Model(x, layers.Flatten()(x)[:, :1])", "has no weights to train"),
        ("return made(shape, layers.BatchNormalization(), layers.LSTM(2))", "moving_mean, "),
        ("return made(shape, layers.LSTM(2), Shaken())", "changes a state outside of its layers while it trains"),
        ("return made(shape, layers.LSTM(2, activity_regularizer='l2'))", "adds losses of its outputs"),
        ("return made(shape, layers.LSTM(2), Unregistered())", "cannot be stored and read again"),
        ("return made(shape, layers.LSTM(2), layers.Lambda(lambda x: x))", "cannot be stored and read again"),
    ],
)
def test_a_model_that_cannot_be_trained_as_ours_is_refused(package: Path, body: str, message: str) -> None:
    said = refusal(package, body)
    assert "ownnet.refused:build" in said
    assert message in said


def test_batch_normalization_is_refused_with_the_reason(package: Path) -> None:
    said = refusal(package, "return made(shape, layers.BatchNormalization(), layers.LSTM(2))")
    assert "depend on how batches are divided" in said
    assert "LayerNormalization instead of BatchNormalization" in said


def test_a_frozen_layer_may_have_weights_that_do_not_change(package: Path) -> None:
    (package / "ownnet" / "refused.py").write_text(
        "from keras import layers\nfrom ownnet import made\ndef build(shape, units, dropout, seed):\n"
        "    return made(shape, layers.Dense(5, trainable=False), layers.LSTM(2))\n"
    )
    model = built("ownnet.refused:build")
    assert (len(model.weights), len(model.trainable_weights)) == (7, 5)


def test_another_precision_is_refused() -> None:
    with pytest.raises(UserCodeError, match="is trained in float32"):
        built("ownnet:gru", precision="mixed_float16")


def test_a_name_that_is_no_function_is_refused(package: Path) -> None:
    (package / "ownnet" / "refused.py").write_text("build = 7")
    with pytest.raises(UserCodeError, match=r"ownnet\.refused:build is a int, no function"):
        built("ownnet.refused:build")


def test_first_weights_follow_from_the_seed() -> None:
    """Also those of initializers without a seed."""
    first, again, other = (built("ownnet:gru", seed=seed).get_weights() for seed in (1, 1, 2))
    for mine, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(mine, same)
    assert any((mine != theirs).any() for mine, theirs in zip(first, other, strict=True))


@pytest.mark.parametrize(
    "layers",
    [
        "layers.Flatten(), layers.Dropout(dropout)",
        "layers.SpatialDropout1D(dropout), layers.LSTM(3)",
        "layers.GRU(3, dropout=dropout, recurrent_dropout=dropout)",
        "layers.LSTM(3, return_sequences=True), layers.Dropout(dropout, noise_shape=(None, 1, 3)), layers.Flatten()",
    ],
)
@pytest.mark.parametrize("replicas", [2, 3])
def test_dropout_does_not_depend_on_the_number_of_replicas(package: Path, layers: str, replicas: int) -> None:
    (package / "ownnet" / "refused.py").write_text(
        "from keras import layers\nfrom ownnet import made\ndef build(shape, units, dropout, seed):\n"
        f"    return made(shape, {layers})\n"
    )
    network, batch = OwnNetwork(built("ownnet.refused:build")), 7
    inputs = np.random.default_rng(0).normal(size=(batch, BARS, WIDTH)).astype(np.float32)

    def outputs(step: int, replicas: int, replica: int) -> np.ndarray:
        rows = -(-batch // replicas)
        padded = np.zeros((rows * replicas, BARS, WIDTH), np.float32)
        padded[:batch] = inputs
        draws = Draws(tf.constant(5), tf.constant(step), tf.constant(replica), batch, rows, replicas)
        found: np.ndarray = network.in_training(
            tf.constant(padded[replica * rows : (replica + 1) * rows]), draws
        ).numpy()
        return found

    whole = outputs(3, 1, 0)
    parts = np.concatenate([outputs(3, replicas, replica) for replica in range(replicas)])[:batch]
    np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(outputs(3, 1, 0), whole)
    assert not np.allclose(outputs(4, 1, 0), whole), "every step has masks of its own"
    assert not np.allclose(network(tf.constant(inputs)).numpy(), whole), "without training there is no dropout"


def test_regularizers_of_weights_are_a_penalty() -> None:
    model = built("ownnet:regularized")
    kernel = next(each for each in model.weights if each.name == "kernel")
    penalty = OwnNetwork(model).penalty()
    assert float(penalty) == pytest.approx(0.01 * float(np.sum(kernel.numpy() ** 2)))
    assert OwnNetwork(built("ownnet:gru")).penalty() is None


GRU = {"model.build": "ownnet:gru", "train.max_steps": 60, "train.epochs": 3}


@pytest.fixture(scope="module")
def undisturbed_gru(folder: Path, package: Path) -> RunPaths:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(OWN_CODE, str(package))
        paths: RunPaths = make_default_run(folder, "gru", **GRU)
        trained(paths)
    return paths


def test_a_killed_and_resumed_training_makes_the_same_network(undisturbed_gru: RunPaths, folder: Path) -> None:
    paths = make_default_run(folder, "killed-gru", **GRU)
    with workers(paths, signals={0: "SIGKILL 40"}) as [(process, console)]:
        assert process.wait(timeout=300) == -signal.SIGKILL, console.read_text()
    found, known = trained(paths), manifest_of(undisturbed_gru)
    assert [line for line in log_of(paths, "train/worker-0") if "resuming from step" in line]
    assert found.fingerprint == known.fingerprint
    assert content(found, "weights") == content(known, "weights")
    np.testing.assert_array_equal(losses(found), losses(known))


@pytest.mark.parametrize(("count", "devices"), [(1, 1), (2, 1)])
def test_any_number_of_replicas_trains_the_same_network(
    undisturbed_gru: RunPaths, folder: Path, count: int, devices: int
) -> None:
    found = trained(make_default_run(folder, f"gru-{count}x{devices}", **GRU), count, devices=devices)
    known = manifest_of(undisturbed_gru)
    np.testing.assert_allclose(losses(found), losses(known), rtol=1e-4)
    for name, values in weights(known).items():
        np.testing.assert_allclose(weights(found)[name], values, rtol=1e-3, atol=1e-4)
    assert found.facts["own_code"] == known.facts["own_code"]
    assert found.facts["own_code"][0][0] == "ownnet"


def test_weights_of_another_network_are_refused(undisturbed_gru: RunPaths, undisturbed: RunPaths) -> None:
    with pytest.raises(DataError, match="are not those of cloudlstm's LSTM"):
        numpy_network.Network.read(content(manifest_of(undisturbed_gru), "weights"))
    assert numpy_network.Network.read(content(manifest_of(undisturbed), "weights")).parameters
