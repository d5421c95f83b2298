"""`Run`, `Runs` and `Windows`: what they read, and what they say where something is missing."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import cloudlstm
from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError, UsageError
from cloudlstm.features import FEATURE_NAMES
from cloudlstm.market.bars import QUARANTINE
from cloudlstm.runs import index
from training.runs import KERAS_COPIES


def test_a_run_knows_its_place_state_settings_and_report(run: cloudlstm.Run, root: Path) -> None:
    assert run.uri == f"file://{root}/{run.id}"
    assert run.id.startswith("demo-")
    assert run.state == "done"
    assert (run.config.train.epochs, run.config.dataset.window_bars) == (2, 10)
    assert run.report.run_id == run.id
    assert repr(run) == f"<cloudlstm.Run {run.uri}>"


def test_metrics_have_a_row_for_each_model(run: cloudlstm.Run) -> None:
    metrics = run.metrics
    assert metrics.column_names[0] == "model"
    assert metrics["model"].to_pylist() == ["naive", "drift", "ridge", "lstm", "calibrated"]
    assert metrics.to_pylist()[3]["rmse_price"] == run.report.models[3].rmse_price


def test_a_figure_that_no_model_has_is_a_number_too(run: cloudlstm.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = tuple(row.model_copy(update={"ic": None}) for row in run.report.models)
    monkeypatch.setattr(cloudlstm.Run, "report", run.report.model_copy(update={"models": rows}))
    assert run.metrics["ic"].null_count == len(rows)
    assert run.metrics.schema.field("ic").type == pa.float64()


def test_tables_hold_all_shards(run: cloudlstm.Run) -> None:
    import pandas as pd

    bars, features = run.bars.to_pandas(), run.features.to_pandas()
    assert bars["ticker"].nunique() == 6
    assert not bars.duplicated(["ticker", "date"]).any()
    pd.testing.assert_frame_equal(bars[["ticker", "date", "close"]], features[["ticker", "date", "close"]])
    assert len(run.files("bars")) == 2
    assert run.quarantine.num_rows > 0
    counts = run.predictions.group_by("split").aggregate([([], "count_all")]).to_pylist()
    windows = {split: len(run.windows(split)) for split in ("validation", "test", "forecast")}
    assert {row["split"]: row["count_all"] for row in counts} == windows
    assert run.forecasts["ticker"].to_pylist() == sorted(set(bars["ticker"]))
    assert run.bars is run.bars


def test_windows_are_cut_from_the_features(run: cloudlstm.Run) -> None:
    windows = run.windows("test")
    count = len(windows)
    assert windows.values.shape == windows.inputs.shape == (count, 10, 8)
    assert (windows.values.dtype, windows.inputs.dtype) == (np.float32, np.float32)
    assert windows.features == FEATURE_NAMES
    features = run.features.to_pandas(date_as_object=False).set_index(["ticker", "date"])
    at_origin = features.loc[list(zip(windows.tickers, windows.origin_dates, strict=True))]
    np.testing.assert_array_equal(windows.values[:, -1], at_origin[list(FEATURE_NAMES)].to_numpy(np.float32))
    at_target = features.loc[list(zip(windows.tickers, windows.target_dates, strict=True))]
    returns = np.log(at_target["close"].to_numpy() / at_origin["close"].to_numpy())
    np.testing.assert_allclose(windows.targets, returns, rtol=1e-5)
    assert np.isnan(run.windows("forecast").targets).all()
    assert repr(windows) == f"<cloudlstm.Windows {count} x 10 bars x 8 features>"


@pytest.mark.filterwarnings(KERAS_COPIES)
def test_the_model_forecasts_the_predictions(run: cloudlstm.Run) -> None:
    windows = run.windows("test")
    outputs = run.model().predict(windows.inputs, verbose=0)
    table = run.predictions.to_pandas().query("split == 'test'")
    assert table["ticker"].tolist() == windows.tickers.tolist()
    assert outputs.shape == (len(windows), 1)
    assert table["forecast_return"].std() > 0
    np.testing.assert_allclose(windows.returns(outputs), table["forecast_return"], atol=1e-7)


@pytest.mark.filterwarnings(KERAS_COPIES)
def test_a_dataset_has_the_windows_in_batches(run: cloudlstm.Run) -> None:
    windows = run.windows("validation")
    dataset = windows.dataset(batch_size=100)
    inputs, targets = zip(*dataset.as_numpy_iterator(), strict=True)
    assert [len(batch) for batch in inputs[:-1]] == [100] * (len(inputs) - 1)
    assert int(dataset.cardinality()) == len(inputs)
    np.testing.assert_array_equal(np.concatenate(inputs), windows.inputs)
    np.testing.assert_array_equal(np.concatenate(targets), windows.targets)


def test_a_run_is_found_by_id_part_path_and_uri(
    run: cloudlstm.Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = run.id.removeprefix("demo-")[:6]
    for name in (None, run.id, part, run.uri, f"{root}/{run.id}", root / run.id, f"{run.uri}/"):
        assert cloudlstm.open_run(name, root=str(root)).uri == run.uri
    monkeypatch.setenv("CLOUDLSTM_ROOT", str(root))
    assert cloudlstm.open_run().uri == run.uri


def test_what_does_not_exist_is_named(run: cloudlstm.Run, root: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run demo-0"):
        cloudlstm.open_run(root / "demo-0")
    with pytest.raises(UsageError, match="no run other"):
        cloudlstm.open_run("other", root=str(root))
    with pytest.raises(UsageError, match="no runs in"):
        cloudlstm.open_run(root=str(tmp_path))
    with pytest.raises(UsageError, match=r"no split 'all'.*train, validation, test, forecast"):
        run.windows("all")
    with pytest.raises(UsageError, match=r"no table 'prices'.*bars, quarantine, features"):
        run.files("prices")


def test_a_step_that_has_not_finished_is_named(copied: Callable[[], Path]) -> None:
    folder = copied()
    (folder / "manifests/train.json").unlink()
    (folder / "manifests/evaluate.json").unlink()
    (folder / "report/report.json").unlink()
    run = cloudlstm.open_run(folder)
    assert run.bars.num_rows
    for step, read in {"train": lambda: run.predictions, "evaluate": lambda: run.metrics}.items():
        with pytest.raises(UsageError, match=rf"has not finished the step {step} \(try: .*submit it again\)"):
            read()
    with pytest.raises(UsageError, match="the step train"):
        _ = run.windows("test").inputs
    assert run.state == "stopped"
    assert "stopped" in run._repr_html_()


def test_objects_are_held_to_their_checksums(copied: Callable[[], Path]) -> None:
    folder = copied()
    victim = sorted(folder.glob("data/clean/*/bars-*.parquet"))[-1]
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    with pytest.raises(CorruptObjectError, match=victim.name):
        _ = cloudlstm.open_run(folder).bars


def test_only_what_is_asked_for_is_read(copied: Callable[[], Path]) -> None:
    folder = copied()
    for path in folder.glob("data/*/*/*"):
        if path.is_file():
            path.unlink()
    run = cloudlstm.open_run(folder)
    assert run.metrics.num_rows == 5
    assert run.forecasts.num_rows == 6
    with pytest.raises(ObjectNotFoundError):
        _ = run.bars


def test_a_table_is_read_again_after_its_step_has_run_again(copied: Callable[[], Path]) -> None:
    folder = copied()
    run = cloudlstm.open_run(folder)
    rows = run.bars.num_rows
    manifest = json.loads((folder / "manifests/clean.json").read_text())
    dropped = next(entry for entry in manifest["objects"] if entry["kind"] == "bars")
    manifest["objects"] = [entry for entry in manifest["objects"] if entry is not dropped]
    manifest["objects"] = [entry for entry in manifest["objects"] if entry["kind"] != "quarantine"]
    (folder / "manifests/clean.json").write_text(json.dumps(manifest))
    assert run.bars.num_rows == rows - dropped["rows"]
    assert run.quarantine.schema.equals(QUARANTINE)
    assert run.quarantine.num_rows == 0


def test_a_run_without_forecasts_says_so(copied: Callable[[], Path]) -> None:
    path = copied() / "manifests/evaluate.json"
    document = json.loads(path.read_text())
    document["objects"] = [entry for entry in document["objects"] if not entry["kind"].startswith("forecasts")]
    path.write_text(json.dumps(document))
    with pytest.raises(UsageError, match="has no forecasts"):
        _ = cloudlstm.open_run(path.parents[1]).forecasts


def test_a_damaged_report_is_shown_as_such(copied: Callable[[], Path]) -> None:
    folder = copied()
    (folder / "report/report.json").write_text("{}")
    assert "report.json has 2 bytes" in cloudlstm.open_run(folder)._repr_html_()


def test_a_report_of_another_release_is_named(copied: Callable[[], Path]) -> None:
    folder = copied()
    data = b'{"schema_version": 1}'
    (folder / "report/report.json").write_bytes(data)
    manifest = json.loads((folder / "manifests/evaluate.json").read_text())
    (entry,) = (entry for entry in manifest["objects"] if entry["kind"] == "report_json")
    entry |= {"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "manifests/evaluate.json").write_text(json.dumps(manifest))
    run = cloudlstm.open_run(folder)
    with pytest.raises(CorruptObjectError, match=r"report\.json is not a report that this release can read"):
        _ = run.metrics
    assert "is not a report" in run._repr_html_()


def test_a_run_is_read_from_other_storage(run: cloudlstm.Run, root: Path) -> None:
    for path in (root / run.id).rglob("*"):
        if path.is_file():
            storage.write(f"memory://bucket/{path.relative_to(root)}", path.read_bytes())
    elsewhere = cloudlstm.open_run(f"memory://bucket/{run.id}")
    assert elsewhere.bars.equals(run.bars)
    np.testing.assert_array_equal(elsewhere.windows("test").inputs, run.windows("test").inputs)
    assert elsewhere.state == "done"


def test_runs_are_listed_as_a_table(run: cloudlstm.Run, root: Path, tmp_path: Path) -> None:
    import pandas as pd

    runs = cloudlstm.list_runs(str(root))
    assert [each.uri for each in runs] == [run.uri]
    assert [each.uri for each in runs[:1]] == [run.uri]
    (row,) = runs.to_pandas().to_dict("records")
    lstm = run.report.models[3]
    expected = {"run": run.id, "state": "done", "tickers": 6, "epochs": 2, "units": 8, "window_bars": 10,
                "rmse_price": lstm.rmse_price, "skill": lstm.skill}  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert abs(pd.Timestamp.now("UTC") - row["submitted"]) < pd.Timedelta("1h")
    assert repr(runs) == f"runs in file://{root}: 1\n  {run.id}  done"
    assert f"<td>{run.id}</td>" in runs._repr_html_()
    assert len(cloudlstm.list_runs(str(tmp_path))) == 0


def test_the_newest_run_comes_first(run: cloudlstm.Run, copied: Callable[[], Path]) -> None:
    older = copied()
    root = older.parent
    newer = Path(shutil.copytree(older, root / "newer"))
    latest = max(newer.glob("attempts/[0-9][0-9][0-9][0-9].json"))
    attempt = json.loads(latest.read_text())
    latest.write_text(json.dumps(attempt | {"started": attempt["started"] + 100}))
    for name in (older.name, newer.name):
        index.mark(root.as_uri(), name)
    runs = cloudlstm.list_runs(str(root))
    assert [each.id for each in runs] == [runs[0].id, runs[-1].id] == ["newer", run.id]
    assert [each.id for each in runs[1:]] == [run.id]
    assert runs.to_arrow()["run"].to_pylist() == ["newer", run.id]


def test_html_shows_the_metrics_and_escapes_text(run: cloudlstm.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    page = run._repr_html_()
    lstm = run.report.models[3]
    assert all(text in page for text in (run.id, "done", f"<td>{lstm.rmse_price:,.4f}</td>", "<th>skill</th>"))
    assert page.count("<tr>") == 1 + len(run.report.models) == 6
    row = lstm.model_copy(update={"model": "<b>", "rmse_price": None})
    hostile = run.report.model_copy(update={"headline": "<script>&", "models": (row,)})
    monkeypatch.setattr(cloudlstm.Run, "report", hostile)
    page = run._repr_html_()
    assert "&lt;script&gt;&amp;" in page
    assert "<td>&lt;b&gt;</td><td>–</td>" in page
