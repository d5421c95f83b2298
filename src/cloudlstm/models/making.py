"""Makes a version from a finished run: copies what forecasts need, so that the run may be deleted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudlstm import storage
from cloudlstm.config import RunConfig, parse
from cloudlstm.dataset.inputs import Inputs, restore
from cloudlstm.dataset.reader import SequenceSet, features_of
from cloudlstm.errors import DataError, ObjectNotFoundError, UsageError
from cloudlstm.features import CLOSE, FeatureSet, features_of_run
from cloudlstm.models.documents import Kind, Version
from cloudlstm.models.drift import DriftReference, make_reference
from cloudlstm.models.forecasts import require_features
from cloudlstm.models.paths import ModelPaths
from cloudlstm.models.policy import Estimator
from cloudlstm.models.registry import add_version, recipe_of
from cloudlstm.runs import settings
from cloudlstm.runs.manifest import Manifest, read_object
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.steps import ALL_STEPS
from cloudlstm.runs.weights import RIDGE, seen_until, weights_row
from cloudlstm.training.objects import INPUTS, only

REFERENCE_SESSIONS = 756
"""Sessions of training labels that the drift of inputs is measured against."""
MOST_TICKERS = 100
"""Tickers whose windows serve for drift; they move together, so more would add little."""
_FIGURES = ("rmse_price", "rmse_return", "r2_oos", "directional_accuracy", "dm_p", "cw_p")


def add(
    paths: ModelPaths, number: int, run: RunPaths, *, kind: Kind, recipe: str, parent: int | None, made: str,
    model: Estimator = "lstm",
) -> Version:  # fmt: skip
    """Stores the version that a finished run has trained.

    Args:
        paths: The model.
        number: Number of the version.
        run: The run.
        kind: See Version.
        recipe: See Version.
        parent: See Version.
        made: Date of the newest bars.
        model: Whether the network or the ridge of the run is the version.

    Raises:
        UsageError: The run is not finished, or has no network of its own.
        DataError: Its network was trained with a feature that the recipe of the model does not have.
    """
    config = settings.read(run, 0)
    manifests = require_finished(run)
    training, sequences, evaluation = (manifests[step] for step in ("train", "sequences", "evaluate"))
    row = only(evaluation, RIDGE) if model == "ridge" else weights_row(training, config.train.all_seeds[0])
    weights = read_object(row)
    inputs = read_object(only(training, INPUTS))
    require_features(json.loads(inputs), features_of_run(parse(dict(recipe_of(paths).config))), f"run {run.run_id}")
    seen = seen_until(training)
    version = Version(
        number=number,
        kind=kind,
        recipe=recipe,
        run=run.uri,
        parent=parent,
        made=made,
        seen=seen[1] if seen else str(config.dataset.validation_end),
        window_bars=config.dataset.window_bars,
        horizon_bars=config.dataset.horizon_bars,
        digests={name: each.digest() for name, each in manifests.items() if name != "evaluate"},
        evidence=_evidence(run),
        model=model,
    )
    within_a_day = config.market.interval != "1d"  # then no day looks at drift
    reference = (
        None if within_a_day else _reference(sequences, config, restore(json.loads(inputs), features_of(sequences)))
    )
    document = json.dumps(asdict(reference) if reference else None, sort_keys=True).encode()
    add_version(paths, version, weights, inputs, document)
    return version


def require_finished(run: RunPaths) -> dict[str, Manifest]:
    """The manifests of a finished run, by step.

    Raises:
        UsageError: A step that a version needs is missing.
    """
    found = {step.name: Manifest.load(run, step.name) for step in ALL_STEPS}
    if any(found[name] is None for name in ("train", "sequences", "evaluate")):
        raise UsageError(f"run {run.run_id} is not finished", hint=f"cloudlstm status {run.uri}")
    return {name: each for name, each in found.items() if each}


def _evidence(run: RunPaths) -> dict[str, Any]:
    """Figures of the test split by model, from the run's report; empty if there is no report."""
    try:
        report: Mapping[str, Any] = storage.read_json(run.report("report.json"))
    except ObjectNotFoundError:
        return {}
    rows = report.get("models") or []
    return {
        str(row["model"]): {name: row[name] for name in _FIGURES if isinstance(row.get(name), int | float)}
        for row in rows
        if isinstance(row, dict) and "model" in row
    }


def _reference(sequences: Manifest, config: RunConfig, inputs: Inputs) -> DriftReference | None:
    """What the inputs of later windows are compared with; None if the run has too few dates."""
    train = SequenceSet.of_split(sequences, "train", config)
    everything = np.arange(len(train))
    dates = train.origin_dates(everything)
    tickers = train.tickers(everything)
    names = np.unique(tickers)
    chosen = names[np.unique(np.linspace(0, len(names) - 1, min(MOST_TICKERS, len(names))).astype(int))]
    days = np.unique(dates)
    kept = np.flatnonzero(np.isin(tickers, chosen) & (dates >= days[-min(REFERENCE_SESSIONS, len(days))]))
    parts = [
        inputs.inputs(train.windows(kept[begin : begin + 4096]), tickers[kept[begin : begin + 4096]])[:, -1]
        for begin in range(0, len(kept), 4096)
    ]
    try:
        inputs_of, values = watched(np.concatenate(parts), inputs.chosen)
        return make_reference(inputs_of, values, dates[kept].astype(np.int64))
    except DataError:
        return None


def watched(last_inputs: NDArray[Any], features: FeatureSet) -> tuple[list[str], NDArray[np.float64]]:
    """The inputs whose drift is measured: those of a window's last bar, all but its close, which is always zero.

    Args:
        last_inputs: Of windows, (n, feature).
        features: Those of the inputs.

    Returns:
        Their names, and their values (n, name).
    """
    names = [name for place, name in enumerate(features.names) if place != CLOSE]
    return names, np.delete(last_inputs.astype(np.float64), CLOSE, axis=1)
