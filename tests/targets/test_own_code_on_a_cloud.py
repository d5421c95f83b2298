"""Features and a network of the user's own code on an emulated cloud: by the same command as on this machine."""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from cloudlstm import storage
from cloudlstm.runs import user_code
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths
from pipeline.cli_runner import cloudlstm, report
from targets.fake_clouds import LONG_S, Target, on_one_cloud

EXAMPLES = Path(__file__).parents[2] / "examples"
RUN = "own-code"


@on_one_cloud
def test_a_users_feature_and_gru_are_trained_on_a_cloud(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(EXAMPLES / "own.toml", tmp_path)
    shutil.copytree(EXAMPLES / "own", tmp_path / "own", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "beside.py").touch()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(each for each in sys.path if each))
    words = ("market.start=2020-01-01", "market.synthetic.tickers=4", "dataset.window_bars=10", "model.units=8",
             "train.epochs=1", f"--run={RUN}")  # fmt: skip
    done = cloudlstm("submit", f"--target={target.place}", "--config=own.toml", *words, cwd=tmp_path, timeout_s=LONG_S)
    assert done.returncode == 0, done.stderr + done.stdout

    run = RunPaths(f"{target.bucket}/runs/{RUN}")
    features, training = Manifest.load(run, "features"), Manifest.load(run, "train")
    assert features is not None
    assert training is not None
    monkeypatch.chdir(tmp_path)
    here = user_code.identity(["own.networks:gru"])
    assert features.facts["own_code"] == training.facts["own_code"] == here, "the machines ran other code"
    assert training.facts["workers"] == 2
    assert {row["model"] for row in report(run.uri)["models"]} >= {"naive", "lstm"}
    [archive] = [each.uri for each in storage.list_objects(f"{target.bucket}/code/") if each.uri.endswith("/own.zip")]
    with zipfile.ZipFile(BytesIO(storage.read(archive))) as opened:
        assert {name.partition("/")[0] for name in opened.namelist()} == {"own"}, "a package travels that is not named"
