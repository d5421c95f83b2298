"""The step "train" of a run that only forecasts few windows: NumPy computes the network, without TensorFlow.

Importing TensorFlow and compiling the network takes several times as long as these forecasts. NumPy's agree with
TensorFlow's to about 1e-6 (tests/training/test_forecast_only.py). For many windows TensorFlow is faster.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from cloudlstm import __version__
from cloudlstm.config import RunConfig
from cloudlstm.dataset.inputs import Inputs, restore
from cloudlstm.dataset.reader import SequenceSet, features_of
from cloudlstm.dataset.splits import SPLITS
from cloudlstm.runs import settings
from cloudlstm.runs.context import StepRun
from cloudlstm.runs.manifest import Manifest, ManifestRow, read_object, total_rows
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.weights import WEIGHTS, source, weights_row
from cloudlstm.training import numpy_network
from cloudlstm.training.members import Member
from cloudlstm.training.numpy_network import Network
from cloudlstm.training.objects import INPUTS, history_file, losses_file, only, read_input_settings
from cloudlstm.training.predict import predictions_file
from cloudlstm.training.results import NetworkFacts, Result, Results

_LOG = logging.getLogger(__name__)

_MOST_WINDOWS = 20_000
"""About as many as NumPy computes on one core in the time in which TensorFlow starts."""

_MODEL = "model"


def start_of(config: RunConfig, sequences: Manifest) -> Manifest | None:
    """The training from which NumPy computes the forecasts of this run; None if TensorFlow has to.

    That is so if the run trains, if it has many windows, if its network is of the user's code, or if its network
    differs from the one that was trained.
    """
    if config.model.build or config.train.epochs or config.train.precision != "float32" or not config.train.weights:
        return None
    forecast = [row for row in sequences.objects if row.kind in SPLITS and row.kind != "train"]
    trained = settings.document(RunPaths(config.train.weights), 0)
    same = trained.get("model") == config.model.model_dump(mode="json")
    bars = trained.get("dataset", {}).get("window_bars")
    seeds = config.train.all_seeds
    if total_rows(forecast) * len(seeds) > _MOST_WINDOWS or not same or bars != config.dataset.window_bars:
        return None
    start = source(config)
    # The Keras file of that run is copied, so it has to be that of the first seed.
    return start if start and weights_row(start, seeds[0]).kind == WEIGHTS else None


def run(step: StepRun, start: Manifest, sequences: Manifest) -> None:
    """Writes the objects of the step and its manifest.

    Args:
        step: The step of the run.
        start: The manifest of the training that has the weights.
        sequences: The manifest of the step "sequences".
    """
    began, config = time.time(), step.context.config
    transform = restore(read_input_settings(start, config), features_of(sequences))
    splits = {split: SequenceSet.of_split(sequences, split, config) for split in SPLITS}
    members = [Member(seed, 0) for seed in config.train.all_seeds]
    step.report(0, 0, "windows", phase="forecasting")
    results = Results(step.data, members)
    found = [_forecast(results, member, start, splits, transform, config) for member in members]
    objects = [row for result in found for row in result.objects]
    seconds = time.time() - began
    facts = _facts(config, found)
    step.finish(objects, facts, seconds=seconds, began=began)
    step.prune()
    step.report(0, 0, "windows", finished=True, seconds=seconds, epoch=0, loss=None,
                validation_loss=facts["validation_loss_untrained"])  # fmt: skip


def _forecast(
    results: Results,
    member: Member,
    start: Manifest,
    splits: Mapping[str, SequenceSet],
    transform: Inputs,
    config: RunConfig,
) -> Result:
    """Computes the forecasts of one network and writes its objects."""
    began = time.time()
    weights = read_object(weights_row(start, member.seed))
    network = Network.read(weights)
    forecasts = {split: windows for split, windows in splits.items() if split != "train"}
    outputs = {split: numpy_network.outputs(network, windows, transform) for split, windows in forecasts.items()}
    loss = numpy_network.loss(outputs["validation"], splits["validation"], transform)
    _LOG.info("epoch 0: step 0, train loss -, validation loss %.6f, NumPy", loss)

    def write(name: str, data: bytes, kind: str, rows: int) -> ManifestRow:
        return results.write(member, name, data, kind, rows)

    seen = sum(map(len, forecasts.values()))
    objects = [
        write("weights.npz", weights, WEIGHTS, network.parameters),
        write("inputs.json", json.dumps(transform.settings()).encode(), INPUTS, 1),
        write("predictions.parquet", predictions_file(member, forecasts, outputs, transform), "predictions", seen),
        write("history.jsonl", history_file([_record(config, loss)]), "history", 1),
        write("losses.npy", losses_file(()), "losses", 0),
    ]
    if member == results.record:
        objects.append(write("model.keras", read_object(only(start, _MODEL)), _MODEL, network.parameters))
    facts = NetworkFacts(
        seed=member.seed,
        fold=0,
        epochs=0,
        best_epoch=0,
        steps=0,
        windows={split: len(windows) for split, windows in splits.items()},
        windows_seen=0,
        parameters=network.parameters,
        train_loss=None,
        validation_loss=loss if len(splits["validation"]) else None,
        validation_loss_untrained=loss,
        training_seconds=0.0,
        seconds=round(time.time() - began, 3),
        peak_memory_mib=None,
        inputs=config.exogenous.own_inputs,
    )
    return Result(tuple(objects), facts)


def _record(config: RunConfig, loss: float) -> dict[str, Any]:
    """The only line of the history: the network before any training in this run."""
    return {
        "epoch": 0,
        "steps": 0,
        "train_loss": None,
        "validation_loss": loss,
        "learning_rate": config.train.learning_rate,
        "seconds": 0.0,
        "windows_per_s": 0.0,
    }


def _facts(config: RunConfig, found: Sequence[Result]) -> dict[str, Any]:
    """Facts for the manifest, as those of a training."""
    return {
        **asdict(found[0].facts),
        "windows_per_s": None,
        "members": [asdict(result.facts) for result in found],
        "folds": [],
        "phases": [],
        "workers": 1,
        "restarts": [],
        "replicas": 1,
        "devices": ["CPU:0"],
        "worker_processes": [{"address": "localhost", "pid": os.getpid()}],
        "inputs": config.train.inputs,
        "precision": config.train.precision,
        "own_code": [],
        "versions": {"cloudlstm": __version__, "numpy": np.__version__, "python": platform.python_version()},
    }
