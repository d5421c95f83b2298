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
from collections.abc import Mapping
from typing import Any

import numpy as np

from cloudlstm import __version__
from cloudlstm.config import RunConfig
from cloudlstm.dataset.inputs import restore
from cloudlstm.dataset.reader import SequenceSet
from cloudlstm.dataset.splits import SPLITS
from cloudlstm.runs import settings
from cloudlstm.runs.context import StepRun
from cloudlstm.runs.manifest import Manifest, ManifestRow, read_object, total_rows, write_object
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.weights import source
from cloudlstm.training import numpy_network
from cloudlstm.training.numpy_network import Network
from cloudlstm.training.objects import INPUTS, WEIGHTS, history_file, losses_file, only, read_input_settings
from cloudlstm.training.predict import predictions_file

_LOG = logging.getLogger(__name__)

_MOST_WINDOWS = 20_000
"""About as many as NumPy computes on one core in the time in which TensorFlow starts."""

_MODEL = "model"


def start_of(config: RunConfig, sequences: Manifest) -> Manifest | None:
    """The training from which NumPy computes the forecasts of this run; None if TensorFlow has to.

    That is so if the run trains, if it has many windows, or if its network differs from the one that was trained.
    """
    if config.train.epochs or config.train.precision != "float32" or not config.train.weights:
        return None
    forecast = [row for row in sequences.objects if row.kind in SPLITS and row.kind != "train"]
    trained = settings.document(RunPaths(config.train.weights), 0)
    same = trained.get("model") == config.model.model_dump(mode="json")
    bars = trained.get("dataset", {}).get("window_bars")
    if total_rows(forecast) > _MOST_WINDOWS or not same or bars != config.dataset.window_bars:
        return None
    return source(config)


def run(step: StepRun, start: Manifest, sequences: Manifest) -> None:
    """Writes the objects of the step and its manifest.

    Args:
        step: The step of the run.
        start: The manifest of the training that has the weights.
        sequences: The manifest of the step "sequences".
    """
    began, config = time.time(), step.context.config
    transform = restore(read_input_settings(start, config))
    splits = {split: _stage(sequences, split, config) for split in SPLITS}
    forecasts = {split: windows for split, windows in splits.items() if split != "train"}
    step.report(0, 0, "windows", phase="forecasting")
    weights = read_object(only(start, WEIGHTS))
    network = Network.read(weights)
    outputs = {split: numpy_network.outputs(network, windows, transform) for split, windows in forecasts.items()}
    loss = numpy_network.loss(outputs["validation"], splits["validation"], transform)
    history = [_record(config, loss)]
    _LOG.info("epoch 0: step 0, train loss -, validation loss %.6f, NumPy", loss)
    seen = sum(map(len, forecasts.values()))

    def write(name: str, data: bytes, kind: str, rows: int) -> ManifestRow:
        return write_object(step.data.uri(name), data, kind=kind, rows=rows)

    objects = (
        write("weights.npz", weights, WEIGHTS, network.parameters),
        write("inputs.json", json.dumps(transform.settings()).encode(), INPUTS, 1),
        write("model.keras", read_object(only(start, _MODEL)), _MODEL, network.parameters),
        write("predictions.parquet", predictions_file(forecasts, outputs, transform), "predictions", seen),
        write("history.jsonl", history_file(history), "history", 1),
        write("losses.npy", losses_file(()), "losses", 0),
    )
    seconds = time.time() - began
    facts = _facts(config, splits, network, history[0])
    step.finish(objects, facts, seconds=seconds, began=began)
    step.prune()
    step.report(0, 0, "windows", finished=True, seconds=seconds, epoch=0, loss=None, validation_loss=loss)


def _stage(sequences: Manifest, split: str, config: RunConfig) -> SequenceSet:
    return SequenceSet.stage(
        sequences.of_kind(split),
        window_bars=config.dataset.window_bars,
        horizon_bars=config.dataset.horizon_bars,
        cache_dir=config.train.cache_dir,
    )


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


def _facts(
    config: RunConfig, splits: Mapping[str, SequenceSet], network: Network, record: Mapping[str, Any]
) -> dict[str, Any]:
    """Facts for the manifest, as those of a training."""
    return {
        "epochs": 0,
        "best_epoch": 0,
        "steps": 0,
        "windows": {split: len(windows) for split, windows in splits.items()},
        "parameters": network.parameters,
        "train_loss": None,
        "validation_loss": record["validation_loss"] if len(splits["validation"]) else None,
        "validation_loss_untrained": record["validation_loss"],
        "training_seconds": 0.0,
        "windows_per_s": None,
        "phases": [],
        "workers": 1,
        "restarts": [],
        "replicas": 1,
        "devices": ["CPU:0"],
        "worker_processes": [{"address": "localhost", "pid": os.getpid()}],
        "inputs": config.train.inputs,
        "precision": config.train.precision,
        "seed": config.train.seed,
        "versions": {"cloudlstm": __version__, "numpy": np.__version__, "python": platform.python_version()},
    }
