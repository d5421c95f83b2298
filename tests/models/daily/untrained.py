"""A model whose networks have random weights: tests of days and of commands need no training for it."""

from __future__ import annotations

import io
import json
import tomllib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from cloudlstm.config import parse
from cloudlstm.dataset.inputs import Relative
from cloudlstm.features import EIGHT, FeatureSet, features_of_run
from cloudlstm.market.store.version import Store
from cloudlstm.models import registry
from cloudlstm.models.documents import Kind, Recipe, Version
from cloudlstm.models.paths import ModelPaths
from cloudlstm.models.policy import Policy
from cloudlstm.runs import numbered
from models.daily.recorded import CONFIG, FIRST_DAY, WINDOW

_UNITS = 4


def make_model(
    root: str,
    name: str,
    bars: Path | str,
    *,
    refresh_after: int = 5,
    warm_every: int | None = None,
    settings: Sequence[str] = (),
    bias: float | None = None,
) -> ModelPaths:
    """A model without a run, on the CSV files of a folder; version 1 is its champion.

    By default no training is ever due. One that is due fails, because a run of the champion does not exist. `settings`
    are added to those of the recorded market; the champion has all features that they make. `bias` is as for
    `add_version`.
    """
    config = parse(tomllib.loads(CONFIG.format(path=f"{bars}/*.csv")), settings)
    paths = ModelPaths.of(root, name)
    policy = Policy(warm_every=warm_every, cold_every=None, refresh_after=refresh_after)
    recipe = Recipe(
        name, f"{root}/untrained-1", config.model_dump(mode="json"), Store.of(root, config).folder, policy
    )  # fmt: skip
    assert numbered.create(paths.recipe, asdict(recipe))
    add_version(paths, 1, "created", features_of_run(config), bias=bias)
    registry.move(paths, 1, FIRST_DAY.isoformat(), "created", ("the model was created from run untrained-1",))
    registry.mark(paths)
    return paths


def add_version(
    paths: ModelPaths,
    number: int,
    kind: Kind = "cold",
    features: FeatureSet = EIGHT,
    drift: bytes = b"null",
    *,
    bias: float | None = None,
) -> Version:
    """Adds a version with random weights, from the seed `number`.

    With a `bias` all its forecasts are near so many standard deviations of a ticker's returns: the further from 0, the
    worse it is.
    """
    version = Version(
        number=number, kind=kind, recipe="", run=f"{paths.root}/untrained-{number}",
        parent=None, made=FIRST_DAY.isoformat(), seen="2020-12-31", window_bars=WINDOW, horizon_bars=1, digests={},
    )  # fmt: skip
    inputs = json.dumps(Relative(1, features).settings()).encode()
    registry.add_version(paths, version, _weights(number, features.width, bias), inputs, drift)
    return version


def _weights(seed: int, inputs: int, bias: float | None) -> bytes:
    """The file of a network with random weights, so small that its forecasts pass the checks."""
    random, file = np.random.default_rng(seed), io.BytesIO()
    shapes = {
        "lstm.lstm_cell.kernel": (inputs, 4 * _UNITS),
        "lstm.lstm_cell.recurrent_kernel": (_UNITS, 4 * _UNITS),
        "lstm.lstm_cell.bias": (4 * _UNITS,),
        "forecast.kernel": (_UNITS, 1),
        "forecast.bias": (1,),
    }
    values = {name: random.normal(0.0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}
    if bias is not None:
        values["forecast.kernel"] *= np.float32(0.1)
        values["forecast.bias"][:] = bias
    np.savez(file, **values)  # type: ignore[arg-type]
    return file.getvalue()
