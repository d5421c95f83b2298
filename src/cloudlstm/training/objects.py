"""The files of a finished training that need no TensorFlow."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from cloudlstm.config import RunConfig
from cloudlstm.errors import DataError, UsageError
from cloudlstm.runs.manifest import Manifest, ManifestRow, read_object

INPUTS = "inputs"
"""Kind of the settings of the inputs."""
IMPORTANCE = "importance"
"""Kind of the permutation importance."""


def history_file(history: Iterable[Mapping[str, Any]]) -> bytes:
    """The history as JSON lines, one per epoch."""
    return "".join(json.dumps(record, sort_keys=True) + "\n" for record in history).encode()


def losses_file(losses: Iterable[float]) -> bytes:
    """The training loss of every step as an .npy file."""
    file = io.BytesIO()
    np.save(file, np.array(list(losses), np.float64))
    return file.getvalue()


def read_input_settings(manifest: Manifest, config: RunConfig) -> dict[str, Any]:
    """The settings of the inputs of a finished training.

    Raises:
        UsageError: they differ from this run's configuration.
    """
    settings: dict[str, Any] = json.loads(read_object(only(manifest, INPUTS)))
    if settings["inputs"] != config.train.inputs:
        raise UsageError(
            f"train.weights: trained with train.inputs={settings['inputs']}, not {config.train.inputs}",
            hint=f"train.inputs={settings['inputs']}",
        )
    if settings.get("horizon_bars", config.dataset.horizon_bars) != config.dataset.horizon_bars:
        raise UsageError(
            f"train.weights: trained for {settings['horizon_bars']} bars ahead, not {config.dataset.horizon_bars}",
            hint=f"dataset.horizon_bars={settings['horizon_bars']}",
        )
    return settings


def only(manifest: Manifest, kind: str) -> ManifestRow:
    """The only object of a kind; raises DataError if there is none, or more than one."""
    rows = manifest.of_kind(kind)
    if len(rows) != 1:
        raise DataError(f"the training's manifest has {len(rows)} objects of kind {kind!r}, expected one")
    return rows[0]
