"""A feature is declared in one place: a copy of the package with one more line in the table has it everywhere."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pytest

from cloudlstm import storage
from cloudlstm.dataset import example, tfrecord
from cloudlstm.features import FEATURE_NAMES
from cloudlstm.market import bars
from cloudlstm.runs.manifest import Manifest, read_object
from cloudlstm.runs.paths import RunPaths
from pipeline.cli_runner import SMALL, one_run, report, submit, write_config

ROOT = Path(__file__).parents[2]

LAST_LINE = '    Feature("daily_return", "return", "fraction", 2, "close", simple_return),\n'
NINTH_LINE = '    Feature("ma5", "price", "currency per share", 5, "close", partial(moving_average, n_bars=5)),\n'
NAMES = [*FEATURE_NAMES, "ma5"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunPaths:
    """A finished run of the package with nine features."""
    folder = tmp_path_factory.mktemp("ninth")
    for name in ("src", "jobs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    table = folder / "src/cloudlstm/features/table.py"
    text = table.read_text()
    assert text.count(LAST_LINE) == 1
    table.write_text(text.replace(LAST_LINE, LAST_LINE + NINTH_LINE))
    root = f"file://{folder}/runs"
    words = ("train.epochs=1", "prepare.engine=local")
    done = submit(write_config(folder, SMALL), root, *words, env={"PYTHONPATH": str(folder / "src")})
    assert done.returncode == 0, done.stderr
    return RunPaths(one_run(root))


def manifest_of(run: RunPaths, step: str) -> Manifest:
    manifest = Manifest.load(run, step)
    assert manifest is not None
    return manifest


def test_the_feature_table_has_the_column(run: RunPaths) -> None:
    row = manifest_of(run, "features").objects[0]
    table = bars.from_parquet(read_object(row), uri=row.uri)
    assert table.column_names[-9:] == NAMES
    close, average = table["close"].to_numpy(), table["ma5"].to_numpy()
    assert average[4] == pytest.approx(close[:5].mean())
    assert np.isnan(average[:4]).all()


def test_the_tfrecord_has_the_column(run: RunPaths) -> None:
    row = manifest_of(run, "sequences").of_kind("train")[0]
    for record in tfrecord.records(read_object(row), row.uri):
        decoded = example.decode(record, row.uri)
        values = np.asarray(decoded["values"]).reshape(len(decoded["dates"]), 9)
        close, average = values[:, NAMES.index("close")], values[:, 8]
        np.testing.assert_allclose(average[4:], np.convolve(close, np.full(5, 0.2), "valid"), rtol=1e-5)


def test_the_network_takes_nine_features(run: RunPaths) -> None:
    train = manifest_of(run, "train")
    with np.load(io.BytesIO(read_object(train.of_kind("weights")[0]))) as weights:
        (kernel,) = [weights[name] for name in weights.files if name.endswith("lstm_cell.kernel")]
    assert kernel.shape == (9, 4 * 8)
    assert storage.read_json(train.of_kind("inputs")[0].uri)["features"] == NAMES


def test_the_report_is_written(run: RunPaths) -> None:
    assert {row["model"] for row in report(run.uri)["models"]} == {"naive", "drift", "ridge", "lstm", "calibrated"}
