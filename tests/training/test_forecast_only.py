"""A run that only forecasts computes the trained network with NumPy; the forecasts are those of TensorFlow."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from cloudlstm.errors import UsageError
from cloudlstm.runs.context import RunContext
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths
from cloudlstm.training import forecast_only, step
from training.runs import config_of, content, make_default_run, manifest_of

FORECASTS = {"train.epochs": 0}


def forecasts(manifest: Manifest) -> dict[str, np.ndarray]:
    """The columns of the forecasts."""
    table = pq.read_table(io.BytesIO(content(manifest, "predictions")))
    return {name: table.column(name).to_numpy() for name in table.column_names}


def settings_with(undisturbed: RunPaths, **changes: object) -> dict[str, object]:
    return {**FORECASTS, "train.weights": undisturbed.uri, **changes}


def test_the_forecasts_are_those_of_tensorflow(undisturbed: RunPaths, folder: Path) -> None:
    paths = make_default_run(folder, "numpy", **settings_with(undisturbed))
    with Journal(paths, "train", "worker-0") as journal:
        assert step.run(RunContext(paths, config_of(paths), 0, journal))
    assert "tensorflow" not in manifest_of(paths).facts["versions"]
    trained, made = manifest_of(undisturbed), manifest_of(paths)
    there, here = forecasts(trained), forecasts(made)
    np.testing.assert_allclose(here.pop("forecast_return"), there.pop("forecast_return"), rtol=1e-4, atol=1e-6)
    for name, values in there.items():
        np.testing.assert_array_equal(here[name], values, err_msg=name)
    for kind in ("weights", "inputs", "model"):
        assert content(made, kind) == content(trained, kind)
    (record,) = (json.loads(line) for line in content(made, "history").splitlines())
    known = [json.loads(line) for line in content(trained, "history").splitlines()]
    assert record.keys() == known[0].keys()
    assert record["validation_loss"] == pytest.approx(min(each["validation_loss"] for each in known[1:]), rel=1e-5)
    assert made.facts.keys() == trained.facts.keys()


@pytest.mark.parametrize(
    "changes",
    [{"train.epochs": 1}, {"dataset.window_bars": 11}, {"model.units": 13}, {"train.precision": "mixed_bfloat16"}],
)
def test_other_networks_and_trainings_need_tensorflow(
    undisturbed: RunPaths, folder: Path, changes: dict[str, object]
) -> None:
    paths = make_default_run(folder, f"other-{next(iter(changes))}", **settings_with(undisturbed, **changes))
    assert forecast_only.start_of(config_of(paths), sequences_of(paths)) is None


def sequences_of(paths: RunPaths) -> Manifest:
    found = Manifest.load(paths, "sequences")
    assert found
    return found


def test_many_windows_are_left_to_tensorflow(
    undisturbed: RunPaths, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = make_default_run(folder, "many", **settings_with(undisturbed))
    assert forecast_only.start_of(config_of(paths), sequences_of(paths))
    monkeypatch.setattr(forecast_only, "_MOST_WINDOWS", 100)
    assert forecast_only.start_of(config_of(paths), sequences_of(paths)) is None


def test_settings_that_do_not_fit_the_weights_are_told(undisturbed: RunPaths, folder: Path) -> None:
    paths = make_default_run(folder, "levels", **settings_with(undisturbed, **{"train.inputs": "levels"}))
    with Journal(paths, "train", "worker-0") as journal, pytest.raises(UsageError, match=r"train.inputs=relative"):
        step.run(RunContext(paths, config_of(paths), 0, journal))


def test_the_module_imports_no_tensorflow() -> None:
    code = "import sys, cloudlstm.training.step; print('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
