"""Complete trainings, each worker in its own process on this machine."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cloudlstm import storage
from cloudlstm.dataset.inputs import restore
from cloudlstm.dataset.reader import SequenceSet
from cloudlstm.errors import UsageError
from cloudlstm.runs.context import RunContext
from cloudlstm.runs.manifest import Manifest, ManifestRow
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.progress import read_progress
from dataset.tables import features_table
from training.runs import (
    SETTINGS,
    STEPS_PER_EPOCH,
    config_of,
    content,
    losses,
    make_default_run,
    make_run,
    manifest_of,
    trained,
    weights,
    workers,
)


def split_of(paths: RunPaths, split: str) -> SequenceSet:
    sequences, config = Manifest.load(paths, "sequences"), config_of(paths)
    assert sequences is not None
    return SequenceSet.stage(sequences.of_kind(split), window_bars=10, horizon_bars=1, cache_dir=config.train.cache_dir)


def without_seed(manifest: Manifest) -> pa.Table:
    """The predictions without what differs: the seed; and without actual returns, whose NaN is equal to nothing."""
    return predictions(manifest).drop(["seed", "actual_return"])


def predictions(manifest: Manifest) -> pa.Table:
    return pq.read_table(io.BytesIO(content(manifest, "predictions")))


def error_of_forecasts(paths: RunPaths) -> float:
    """The validation loss of the written forecasts, which is that of the kept weights."""
    manifest, validation = manifest_of(paths), split_of(paths, "validation")
    every = np.arange(len(validation))
    raw, tickers = validation.windows(every), validation.tickers(every)
    transform = restore(json.loads(content(manifest, "inputs")))
    table = predictions(manifest)
    forecasts = table.filter(pa.compute.equal(table["split"], "validation"))["forecast_return"].to_numpy()
    error = transform.labels(raw, tickers, forecasts.astype(np.float32))
    error -= transform.labels(raw, tickers, validation.targets(every))
    return float((error.astype(np.float64) ** 2).mean())


def history(manifest: Manifest) -> list[dict]:
    return [json.loads(line) for line in content(manifest, "history").splitlines()]


def test_it_learns_and_keeps_the_best_weights(undisturbed: RunPaths) -> None:
    manifest, records = manifest_of(undisturbed), history(manifest_of(undisturbed))
    assert [record["epoch"] for record in records] == list(range(12))
    assert [record["steps"] for record in records] == [*range(0, 300, STEPS_PER_EPOCH), 300]
    found = [record["validation_loss"] for record in records]
    assert min(found) < 0.85 * found[0], "the planted signal explains about a third"
    assert manifest.facts["best_epoch"] == int(np.argmin(found))
    assert manifest.facts["validation_loss"] == min(found)
    assert error_of_forecasts(undisturbed) == pytest.approx(min(found), rel=1e-5)


def test_the_step_lasts_from_its_first_phase_to_its_last(undisturbed: RunPaths) -> None:
    """Forecasting was once booked as the start of TensorFlow, because the step's begin was taken after it."""
    manifest = manifest_of(undisturbed)
    took = {row["phase"]: row["seconds"] for row in manifest.facts["phases"]}
    assert list(took) == ["connect", "cache", "compile", "train", "forecast", "write"]
    assert manifest.seconds == pytest.approx(sum(took.values()), abs=0.01)
    assert took["train"] >= manifest.facts["training_seconds"]
    written = Path(manifest.of_kind("predictions")[0].uri.removeprefix("file://")).stat().st_mtime
    wrote = manifest.began + manifest.seconds - took["write"]
    assert wrote - 0.01 <= written <= manifest.began + manifest.seconds + 0.01


def test_the_untrained_network_is_the_naive_forecast(undisturbed: RunPaths) -> None:
    validation = split_of(undisturbed, "validation")
    every = np.arange(len(validation))
    transform = restore(json.loads(content(manifest_of(undisturbed), "inputs")))
    fitted = transform.labels(validation.windows(every), validation.tickers(every), validation.targets(every))
    assert history(manifest_of(undisturbed))[0]["validation_loss"] == pytest.approx(float((fitted**2).mean()), rel=1e-6)
    (reported,) = read_progress(undisturbed)
    assert reported.facts["naive_loss"] == manifest_of(undisturbed).facts["validation_loss_untrained"]


def test_predictions_keep_their_contract(undisturbed: RunPaths) -> None:
    table = predictions(manifest_of(undisturbed))
    assert pa.compute.unique(table["split"]).to_pylist() == ["validation", "test", "forecast"]
    for split in ("validation", "test", "forecast"):
        mine, windows = table.filter(pa.compute.equal(table["split"], split)), split_of(undisturbed, split)
        every = np.arange(len(windows))
        assert mine["ticker"].to_pylist() == windows.tickers(every).tolist()
        assert mine["origin_date"].to_pylist() == windows.origin_dates(every).tolist()
        assert mine["target_date"].to_pylist() == windows.target_dates(every).tolist()
        np.testing.assert_array_equal(mine["last_close"].to_numpy(), windows.last_close(every))
        np.testing.assert_array_equal(mine["actual_return"].to_numpy(), windows.targets(every).astype(float))
        assert np.isfinite(mine["forecast_return"].to_numpy()).all()
        assert (mine["target_date"].null_count == len(mine)) == (split == "forecast")


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
def test_plain_keras_loads_the_network(undisturbed: RunPaths, tmp_path: Path) -> None:
    import keras

    manifest = manifest_of(undisturbed)
    path = tmp_path / "model.keras"
    path.write_bytes(content(manifest, "model"))
    network = keras.saving.load_model(path)
    test = split_of(undisturbed, "test")
    every = np.arange(len(test))
    raw, tickers = test.windows(every), test.tickers(every)
    transform = restore(json.loads(content(manifest, "inputs")))
    outputs = np.asarray(network(transform.inputs(raw, tickers)))[:, 0]
    table = predictions(manifest)
    written = table.filter(pa.compute.equal(table["split"], "test"))["forecast_return"].to_numpy()
    np.testing.assert_allclose(transform.returns(outputs, raw, tickers), written, rtol=1e-4, atol=1e-8)


def test_the_kept_weights_are_always_trained(folder: Path) -> None:
    """Without a signal the naive forecast validates best; it is not reported as the LSTM's."""
    paths = make_run(
        folder, "noise", [features_table(2, 401, seed=5, signal=0.0)],
        SETTINGS | {"train.max_steps": 60, "train.learning_rate": 0.02},
    )  # fmt: skip
    manifest = trained(paths)
    found = [record["validation_loss"] for record in history(manifest)]
    assert min(found) == found[0], "otherwise the next assertion proves nothing"
    assert manifest.facts["best_epoch"] == 1 + int(np.argmin(found[1:]))
    assert error_of_forecasts(paths) == pytest.approx(min(found[1:]), rel=1e-5)


def test_a_worker_that_loses_its_peer_ends_with_a_clear_error_and_can_finish_alone(
    undisturbed: RunPaths, folder: Path
) -> None:
    paths = make_default_run(folder, "lost", **{"train.collective_timeout_s": 5.0})
    with workers(paths, 2, signals={1: "SIGKILL 60"}) as [(survivor, console), _]:
        assert survivor.wait(timeout=300) not in (0, 143)
    assert "worker 0 lost a peer" in console.read_text()
    [*_, newest] = storage.list_objects(paths.uri + "/checkpoints/")
    assert 0 < int(newest.uri.rsplit("step-", 1)[1][:9]) < 84
    np.testing.assert_allclose(losses(trained(paths)), losses(manifest_of(undisturbed)), rtol=1e-5)
    assert "resuming from step" in _log(paths)


def test_levels_stop_early_in_half_precision(folder: Path) -> None:
    paths = make_default_run(
        folder, "levels",
        **{"train.inputs": "levels", "train.precision": "mixed_float16", "train.patience_epochs": 2,
           "train.max_steps": 10_000, "train.epochs": 200, "train.learning_rate": 0.02, "train.batch_windows": 128},
    )  # fmt: skip
    # Where the CPU has no float16, oneDNN says so once.
    manifest = trained(paths, printing="oneDNN supports DT_HALF only on platforms with AVX-512")
    found = [record["validation_loss"] for record in history(manifest)]
    assert len(found) < 201
    assert len(found) - 1 == manifest.facts["best_epoch"] + 2 == int(np.argmin(found)) + 2
    assert error_of_forecasts(paths) == pytest.approx(min(found), rel=1e-3), "the best weights, not the last"
    assert found[-1] > 1.01 * min(found), "otherwise the next assertion proves nothing"
    assert min(found) < 0.5 * found[0], "an untrained network forecasts the mean price"
    assert json.loads(content(manifest, "inputs"))["statistics"].keys() == {"", "T000", "T001"}


@pytest.mark.parametrize(("precision", "count"), [("float32", 2), ("mixed_bfloat16", 1)])
def test_weights_of_another_run_only_predict(undisturbed: RunPaths, folder: Path, precision: str, count: int) -> None:
    paths = make_default_run(
        folder, f"predicts-{precision.replace('_', '-')}",
        **{"train.weights": undisturbed.uri, "train.epochs": 0, "train.seed": 9, "train.precision": precision},
    )  # fmt: skip
    manifest = trained(paths, count, devices=1)
    assert manifest.facts["steps"] == 0
    for name, values in weights(manifest_of(undisturbed)).items():
        np.testing.assert_array_equal(weights(manifest)[name], values)
    if precision == "float32":
        same = without_seed(manifest).equals(without_seed(manifest_of(undisturbed)))
        assert same, "two workers, each with its share, forecast as one with all its devices"
    mine, theirs = (predictions(one)["forecast_return"].to_numpy() for one in (manifest, manifest_of(undisturbed)))
    assert np.corrcoef(mine, theirs)[0, 1] > 0.999, "bfloat16 keeps two to three digits"


class RecordingJournal:
    """Replaces a journal and keeps the progress."""

    def __init__(self) -> None:
        self.reports: list[tuple[object, ...]] = []

    def report(self, *progress: object, **facts: object) -> None:
        self.reports.append((*progress, facts))


def test_a_finished_training_is_not_done_twice(undisturbed: RunPaths) -> None:
    from cloudlstm.training import step

    before, journal = manifest_of(undisturbed), RecordingJournal()
    assert step.run(RunContext(undisturbed, config_of(undisturbed), 0, journal))
    assert manifest_of(undisturbed) == before
    assert journal.reports == [("train", 1, 1, "windows", {"finished": True, "seconds": None, "skipped": True})]


def test_what_changes_the_fingerprint(undisturbed: RunPaths) -> None:
    from cloudlstm.training.step import train_fingerprint

    config, sequences = config_of(undisturbed), Manifest.load(undisturbed, "sequences")
    assert sequences is not None
    known = train_fingerprint(config, sequences)

    def changed(section: str, **settings: object) -> str:
        part = getattr(config, section).model_copy(update=settings)
        return train_fingerprint(config.model_copy(update={section: part}), sequences)

    assert known == changed("train", workers=7, cache_dir="/x", checkpoint_every_s=3.0, steps_per_call=1)
    others = [
        changed("train", seed=2),
        changed("train", weights=undisturbed.uri),
        changed("model", units=13),
        changed("dataset", window_bars=11),
        train_fingerprint(config, Manifest("sequences", "f", (ManifestRow("u", "train", 1, 1, "s"),), 0.0)),
    ]
    assert len({known, *others}) == 6


def test_weights_without_a_run_are_rejected(undisturbed: RunPaths) -> None:
    from cloudlstm.training import step

    config = config_of(undisturbed)
    config = config.model_copy(update={"train": config.train.model_copy(update={"weights": "memory://none/here"})})
    with pytest.raises(UsageError, match="memory://none/here"):
        step.run(RunContext(undisturbed, config, 0, RecordingJournal()))


def _log(paths: RunPaths) -> str:
    return b"".join(storage.read(found.uri) for found in storage.list_objects(paths.logs)).decode()
