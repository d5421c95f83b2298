"""A run with features and a network of the user's own code: the example, by the command that users type."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import cloudlstm as api
from cloudlstm.market import bars
from cloudlstm.runs import user_code
from cloudlstm.runs.manifest import Manifest, read_object
from cloudlstm.runs.paths import RunPaths
from pipeline.cli_runner import cloudlstm, error_line, one_run, report

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = ("market.start=2020-01-01", "market.synthetic.tickers=4", "dataset.window_bars=10", "model.units=8",
         "train.epochs=1", "prepare.engine=local")  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the example: the file of settings, and the package beside it. Commands run in another folder."""
    folder = tmp_path_factory.mktemp("mine")
    shutil.copy(EXAMPLES / "own.toml", folder)
    shutil.copytree(EXAMPLES / "own", folder / "own", ignore=shutil.ignore_patterns("__pycache__"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(each for each in sys.path if each))
        yield folder
    for name in [each for each in sys.modules if each.partition(".")[0] == "own"]:
        del sys.modules[name]


def root(folder: Path) -> str:
    return f"file://{folder}/runs"


@pytest.fixture(scope="module")
def run(folder: Path) -> RunPaths:
    """The finished run."""
    done = cloudlstm("submit", f"--config={folder}/own.toml", f"--root={root(folder)}", *SMALL)
    assert done.returncode == 0, done.stderr
    return RunPaths(one_run(root(folder)))


def manifest_of(run: RunPaths, step: str) -> Manifest:
    manifest = Manifest.load(run, step)
    assert manifest is not None
    return manifest


def test_the_feature_table_has_the_users_columns(run: RunPaths) -> None:
    row = manifest_of(run, "features").objects[0]
    table = bars.from_parquet(read_object(row), uri=row.uri)
    assert table.column_names[-3:] == ["daily_return", "momentum_10", "daily_range"]
    close, momentum = table["close"].to_numpy(), table["momentum_10"].to_numpy()
    assert momentum[10] == close[10] / close[0] - 1
    assert np.isnan(momentum[:10]).all()
    high, low, reach = (table[name].to_numpy() for name in ("high", "low", "daily_range"))
    np.testing.assert_array_equal(reach, np.log(high / low))


def test_the_run_says_which_code_made_it(run: RunPaths, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    known = user_code.identity(["own.features:MOMENTUM"])
    assert [manifest_of(run, step).facts["own_code"] for step in ("features", "train")] == [known, known]
    for name in ("inputs", "weights"):
        assert manifest_of(run, "train").of_kind(name)
    assert {row["model"] for row in report(run.uri)["models"]} >= {"naive", "ridge", "lstm"}


def test_a_repeated_submit_has_nothing_to_do_and_an_edit_makes_only_what_depends_on_it(
    run: RunPaths, folder: Path
) -> None:
    words = ("submit", f"--config={folder}/own.toml", f"--root={root(folder)}", *SMALL)
    before = {step: manifest_of(run, step) for step in ("clean", "features", "train")}
    assert cloudlstm(*words).returncode == 0
    assert {step: manifest_of(run, step) for step in before} == before
    with (folder / "own" / "networks.py").open("a") as file:
        file.write("# edited\n")
    done = cloudlstm(*words)
    assert done.returncode == 0, done.stderr
    after = {step: manifest_of(run, step) for step in before}
    assert after["clean"] == before["clean"]
    assert after["train"].fingerprint != before["train"].fingerprint
    assert after["train"].facts["own_code"] != before["train"].facts["own_code"]


def test_a_notebook_gets_the_network_and_predict_forecasts_with_it(
    run: RunPaths, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    opened = api.open_run(run.uri)
    windows = opened.windows("test")
    outputs = np.asarray(opened.model()(windows.inputs[:5]))
    assert (windows.inputs.shape[1:], outputs.shape) == ((10, 10), (5, 1))
    done = cloudlstm("predict", f"--run={run.run_id}", f"--root={root(folder)}", cwd=folder)
    assert done.returncode == 0, done.stderr
    [predicted] = [each for each in api.list_runs(root(folder)) if "predict" in each.id]
    last, again = (
        {row["ticker"]: row["forecast_return"] for row in each.predictions.to_pylist() if row["split"] == "forecast"}
        for each in (opened, predicted)
    )
    assert len(last) == 4
    assert again == pytest.approx(last, rel=1e-5, abs=1e-8)
    elsewhere = cloudlstm("predict", f"--run={run.run_id}", f"--root={root(folder)}", cwd=folder.parent)
    assert "no package own in " in error_line(elsewhere)


def test_a_feature_that_looks_ahead_is_refused_before_anything_starts(folder: Path, run: RunPaths) -> None:
    path = folder / "own" / "features.py"
    text = path.read_text()
    path.write_text(text.replace("out[BARS:] = close[BARS:] / close[:-BARS] - 1", "out[:-1] = close[1:] / close[:-1]"))
    try:
        done = cloudlstm("submit", f"--config={folder}/own.toml", f"--root={folder}/refused", *SMALL)
    finally:
        path.write_text(text)
    assert done.returncode == 2
    line = error_line(done)
    assert "the feature momentum_10 (own.features:MOMENTUM) looks ahead: in a trial its value at bar " in line
    assert "changes with a bar 1 later" in line
    assert not (folder / "refused").exists()


def test_a_dry_run_runs_none_of_the_users_code(folder: Path) -> None:
    path = folder / "own" / "features.py"
    text = path.read_text()
    path.write_text(f"raise RuntimeError('run')\n{text}")
    try:
        words = (f"--config={folder}/own.toml", f"--root={folder}/dry", *SMALL, "--dry-run")
        done = cloudlstm("submit", *words)
        wrong = cloudlstm("submit", *words, "model.build=own.networks:gro")
    finally:
        path.write_text(text)
    assert done.returncode == 0, done.stderr
    assert f'"packages": [\n        "{folder}/own"\n      ]' in done.stdout
    assert "the module own.networks has no gro (try: gru)" in error_line(wrong)


def test_a_model_that_lives_from_day_to_day_refuses_such_a_run(run: RunPaths, folder: Path) -> None:
    done = cloudlstm("models", "create", "mine", f"--run={run.run_id}", f"--root={root(folder)}")
    assert done.returncode == 2
    assert "does not know the network of model.build=own.networks:gru" in error_line(done)
