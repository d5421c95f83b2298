import csv
import datetime as dt
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from cloudlstm import storage
from cloudlstm.config import parse
from cloudlstm.dataset import sequences
from cloudlstm.dataset.inputs import Relative
from cloudlstm.dataset.reader import SequenceSet
from cloudlstm.dataset.splits import SPLITS
from cloudlstm.errors import DataError
from cloudlstm.features import CLOSE, VOLUME
from cloudlstm.report import evaluate, timeline
from cloudlstm.runs.attempts import Attempt, latest_attempt
from cloudlstm.runs.context import RunContext
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.manifest import Manifest, read_object, write_object
from cloudlstm.runs.paths import RunPaths
from dataset.tables import features_table
from evaluation.samples import HISTORY
from report.pages import Page

SETTINGS = {
    "market": {"source": "synthetic"},
    "dataset": {"train_end": "2021-12-31", "validation_end": "2022-03-31", "window_bars": 10},
    "evaluation": {"ic_min_tickers": 3},
}


class Run:
    """A run folder with all steps but evaluate; the network forecasts 0.001 for every label."""

    def __init__(self, folder, *words):
        self.paths = RunPaths(f"file://{folder}/run")
        self.config = parse(SETTINGS, [f'train.cache_dir="{folder}/cache"', *words])
        self.journal = Journal(self.paths, "train", "worker-0")
        built = sequences.build(features_table(4, 420, signal=0.3), self.config.dataset)
        rows = [
            write_object(self.paths.data("sequences", "made", split), shard.data, kind=split, rows=shard.windows)
            for split, shard in built.items()
        ]
        windows = {split: shard.windows for split, shard in built.items()}
        self.sequences = Manifest("sequences", "made", tuple(rows), 1.0, {"windows": windows})
        self.sequences.save(self.paths)
        self.train(0.001)

    def windows(self, split):
        dataset = self.config.dataset
        return SequenceSet.stage(
            self.sequences.of_kind(split), window_bars=dataset.window_bars, horizon_bars=dataset.horizon_bars,
            cache_dir=self.config.train.cache_dir,
        )  # fmt: skip

    def train(self, forecast):
        lines = "".join(json.dumps(row) + "\n" for row in HISTORY).encode()
        uri = self.paths.data("train", "made", "")
        objects = (
            write_object(uri + "/predictions.parquet", self.predictions(forecast), kind="predictions", rows=1),
            write_object(uri + "/history.jsonl", lines, kind="history", rows=len(HISTORY)),
        )
        Manifest("train", f"made{forecast}", objects, 3.0, {"best_epoch": 1}).save(self.paths)

    def train_seeds(self, forecasts, **columns):
        """Networks of several seeds; `columns` replaces columns of the last one."""
        objects = []
        for seed, forecast in forecasts.items():
            data = self.predictions(forecast, **(columns if seed == max(forecasts) else {}))
            uri = self.paths.data("train", "made", f"seed-{seed}-fold-000/predictions.parquet")
            kind = "predictions" if seed == min(forecasts) else "member_predictions"
            objects.append(write_object(uri, data, kind=kind, rows=1, extra={"seed": seed, "fold": 0}))
        Manifest("train", "seeds", tuple(objects), 3.0, {"best_epoch": 1}).save(self.paths)

    def predictions(self, forecast, **columns):
        tables = []
        for split in SPLITS[1:]:
            windows = self.windows(split)
            every = np.arange(len(windows))
            tables.append(
                pa.table(
                    {
                        "ticker": windows.tickers(every),
                        "origin_date": pa.array(windows.origin_dates(every), pa.date32()),
                        "target_date": pa.array(windows.target_dates(every), pa.date32()),
                        "split": [split] * len(every),
                        "last_close": windows.last_close(every),
                        "actual_return": windows.targets(every).astype(np.float64),
                        "forecast_return": np.full(len(every), forecast),
                    }
                )
            )
        table = pa.concat_tables(tables)
        for name, change in columns.items():
            table = table.set_column(table.column_names.index(name), name, change(table[name]))
        file = io.BytesIO()
        pq.write_table(table, file)
        return file.getvalue()

    def evaluate(self, *words):
        config = parse(self.config.model_dump(mode="json"), words)
        return evaluate.run(RunContext(self.paths, config, latest_attempt(self.paths), self.journal))

    def report(self):
        return storage.read_json(self.paths.report("report.json"))


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def test_writes_all_objects_and_names_them_in_the_manifest(run):
    manifest = run.evaluate()
    kinds = ["report_json", "report_html", "ridge", "forecasts_csv", "forecasts_parquet"]
    assert [row.kind for row in manifest.objects] == kinds
    for row in manifest.objects:
        read_object(row)  # sizes and checksums are those of the manifest
    assert manifest.objects[0].uri == run.paths.report("report.json")
    assert Manifest.load(run.paths, "evaluate") == manifest


def test_the_files_that_the_page_links_to_lie_beside_it(run, tmp_path):
    run.evaluate()
    beside = tmp_path / "run" / "report"
    page = (beside / "report.html").read_text(encoding="utf-8")
    linked = {name for name in Page(page).references if not name.startswith(("#", "data:"))}
    assert linked == {"report.json", "forecasts.csv", "forecasts.parquet"}
    assert all((beside / name).is_file() for name in linked)


def test_scores_the_network_and_the_baselines_on_the_same_labels(run):
    run.evaluate()
    report = run.report()
    test = run.windows("test")
    every = np.arange(len(test))
    actual = test.targets(every).astype(float)
    rows = {row["model"]: row for row in report["models"]}
    assert {row["labels"] for row in rows.values()} == {len(test)}
    assert rows["lstm"]["rmse_return"] == pytest.approx(np.sqrt(np.mean((0.001 - actual) ** 2)))
    assert rows["naive"]["rmse_return"] == pytest.approx(np.sqrt(np.mean(actual**2)))
    # Each return repeats 0.3 of the one before, so the true R² of ridge is 9 %.
    assert rows["ridge"]["r2_oos"] > 0.03
    assert report["training"]["history"][1]["train_loss"] == HISTORY[1]["train_loss"]
    validation = run.windows("validation")
    every = np.arange(len(validation))
    labels = Relative(1).labels(validation.windows(every), validation.tickers(every), validation.targets(every))
    assert report["training"]["naive_validation_loss"] == pytest.approx(np.mean(labels.astype(float) ** 2))


def test_the_ensemble_is_the_mean_of_all_seeds_and_the_calibrated_forecast_its_share(run):
    run.train_seeds({1: 0.001, 2: 0.003, 7: -0.001})
    run.evaluate()
    report = run.report()
    test = run.windows("test")
    every = np.arange(len(test))
    actual = test.targets(every).astype(float)
    rows = {row["model"]: row for row in report["models"]}
    assert rows["lstm"]["rmse_return"] == pytest.approx(np.sqrt(np.mean((0.001 - actual) ** 2)))
    assert rows["ensemble"]["rmse_return"] == pytest.approx(np.sqrt(np.mean((0.001 - actual) ** 2)))
    evidence = report["evidence"]
    assert [row["seed"] for row in evidence["seeds"]] == [1, 2, 7]
    for row, forecast in zip(evidence["seeds"], (0.001, 0.003, -0.001), strict=True):
        assert row["rmse_return"] == pytest.approx(np.sqrt(np.mean((forecast - actual) ** 2)))
    # The distance of 0.001, 0.003 and -0.001 from their mean.
    assert evidence["ambiguity"]["distance"] == pytest.approx((0.0 + 0.002**2 + 0.002**2) / 3)
    # A slope on forecasts that are all the same: the mean of validation's returns over that forecast, as every date has
    # all tickers.
    validation = run.windows("validation")
    returns = validation.targets(np.arange(len(validation))).astype(float)
    slope = evidence["folds"][0]["slope"]
    assert slope["slope"] == pytest.approx(returns.mean() / 0.001)
    assert rows["calibrated"]["rmse_return"] == pytest.approx(
        np.sqrt(np.mean((0.001 * slope["supported"] - actual) ** 2))
    )
    forecasts = report["forecasts"]["rows"]
    table = pq.read_table(io.BytesIO(storage.read(run.paths.report("forecasts.parquet")))).to_pylist()
    for row, stored in zip(forecasts, table, strict=True):
        close = stored["last_close"]
        assert row["ensemble_price"] == pytest.approx(stored["ensemble_price"]) == pytest.approx(close * np.exp(0.001))
        assert stored["calibrated_price"] == pytest.approx(close * np.exp(0.001 * slope["supported"]))
        ends = [(each["low"], each["high"]) for each in row["intervals"]]
        assert ends == [
            pytest.approx((stored[f"low_{level}_price"], stored[f"high_{level}_price"]), abs=1e-6)
            for level in (50, 80, 95)
        ]
        lows, highs = zip(*ends, strict=True)
        assert sorted(lows, reverse=True) == list(lows) < [stored["calibrated_price"]] * 3
        assert sorted(highs) == list(highs)


def test_networks_that_forecast_other_labels_are_rejected(run):
    run.train_seeds({1: 0.001, 2: 0.003}, ticker=lambda names: pc.binary_join_element_wise("X", names, ""))
    with pytest.raises(DataError, match="forecasts other labels in validation than the first network of its fold"):
        run.evaluate()


def test_dates_of_splits_are_those_of_their_labels_and_not_of_the_settings(run):
    run.evaluate()
    for row in run.report()["splits"]:
        windows = run.windows(row["split"])
        dates = windows.target_dates(np.arange(len(windows)))
        assert (row["first_date"], row["last_date"]) == (str(dates.min()), str(dates.max()))
        assert row["last_date"] < str(run.config.market.end)
    assert run.report()["data"]["first_date"] is None  # no manifest of cleaning


def test_next_session_forecasts_agree_between_files_and_skip_the_weekend(run):
    run.evaluate()
    table = pq.read_table(io.BytesIO(storage.read(run.paths.report("forecasts.parquet"))))
    origin = table["origin_date"][0].as_py()
    assert origin == dt.date(2022, 8, 12)  # a Friday
    assert set(table["target_date"].to_pylist()) == {dt.date(2022, 8, 15)}
    assert table["ticker"].to_pylist() == ["T000", "T001", "T002", "T003"]
    close = table["last_close"].to_numpy()
    np.testing.assert_allclose(table["lstm_price"], close * np.exp(0.001))
    assert table["naive_price"].to_pylist() == close.tolist()
    single = run.windows("forecast").last_close(np.arange(4))
    np.testing.assert_allclose(close, single, rtol=1e-7)
    assert max(len(f"{price!r}") for price in close.tolist()) <= 9  # without the extra digits of a float32
    lines = list(csv.DictReader(io.StringIO(storage.read(run.paths.report("forecasts.csv")).decode())))
    assert [line["target_date"] for line in lines] == ["2022-08-15"] * 4
    for name in table.column_names[3:]:
        assert [float(line[name]) for line in lines] == table[name].to_pylist(), name
    rmse = {row["ticker"]: row["rmse_return"] for row in run.report()["per_ticker"] if row["model"] == "lstm"}
    assert table["lstm_test_rmse_return"].to_pylist() == [rmse[name] for name in table["ticker"].to_pylist()]


def test_the_target_is_horizon_sessions_ahead(tmp_path):
    run = Run(tmp_path, "dataset.horizon_bars=15")
    run.evaluate()
    table = pq.read_table(io.BytesIO(storage.read(run.paths.report("forecasts.parquet"))))
    # Fifteen weekdays after Friday 12 August 2022 is 2 September; Labor Day is only on the 5th.
    assert set(table["target_date"].to_pylist()) == {dt.date(2022, 9, 2)}


def test_a_second_time_with_the_same_inputs_does_nothing(run):
    first = run.evaluate()
    etag = storage.stat(run.paths.report("report.json")).etag
    assert run.evaluate() == first
    assert storage.stat(run.paths.report("report.json")).etag == etag


def test_other_forecasts_or_other_settings_make_a_new_report(run):
    first = run.evaluate()
    other = run.evaluate("evaluation.ridge_alphas=[1000.0]")
    assert other.fingerprint != first.fingerprint
    run.train(0.002)
    assert run.evaluate().fingerprint not in (first.fingerprint, other.fingerprint)
    assert run.report()["forecasts"]["rows"][0]["lstm_return"] == 0.002


def test_the_same_inputs_give_the_same_report(run):
    timed = ("created", "steps", "timeline")
    reports = []
    for _ in range(2):
        run.evaluate()
        reports.append({key: value for key, value in run.report().items() if key not in timed})
        storage.delete(run.paths.manifest("evaluate"))
    assert json.dumps(reports[0]) == json.dumps(reports[1])


def test_the_report_has_the_start_of_its_attempt_and_the_ticker_with_the_largest_turnover(run):
    with Attempt(run.paths):
        manifest = run.evaluate()
    steps = {row["step"]: row for row in run.report()["steps"]}
    assert manifest.began > 0.0
    assert steps["evaluate"]["began"] == timeline.iso_time(manifest.began)
    assert steps["evaluate"]["rows"] == sum(len(run.windows(split)) for split in ("train", *SPLITS[1:]))
    test = run.windows("test")
    bars = test.windows(np.arange(len(test)))[:, :, [CLOSE, VOLUME]].astype(float)
    names, dates = test.tickers(np.arange(len(test))), test.origin_dates(np.arange(len(test)))
    last = dates == dates.max()
    turnover = dict(zip(names[last], bars[last].prod(axis=2).mean(axis=1), strict=True))
    (largest,) = [path for path in run.report()["series"]["paths"] if "largest turnover" in path["role"]]
    assert largest["ticker"] == max(turnover, key=turnover.get)


def test_with_levels_ridge_is_fitted_on_levels(run):
    run.evaluate("evaluation.ridge_alphas=[1.0]")
    relative = run.report()["baselines"]["ridge_validation"]
    run.evaluate("evaluation.ridge_alphas=[1.0]", "train.inputs=levels")
    assert run.report()["baselines"]["ridge_validation"] != relative


@pytest.mark.parametrize("step", ["sequences", "train"])
def test_a_missing_step_is_named(run, step):
    storage.delete(run.paths.manifest(step))
    with pytest.raises(DataError, match=f"the step {step} has not finished"):
        run.evaluate()


def test_forecasts_that_are_not_finite_are_rejected(run):
    run.train(float("nan"))
    # The validation split is read first: the calibrated forecast and the intervals are fitted on it.
    with pytest.raises(DataError, match="LSTM forecasts of the validation split are not finite"):
        run.evaluate()


def test_predictions_of_another_run_are_rejected(run):
    row = Manifest.load(run.paths, "train").of_kind("predictions")[0]
    table = pq.read_table(io.BytesIO(storage.read(row.uri)))
    moved = table.set_column(0, "ticker", pc.binary_join_element_wise("X", table["ticker"], ""))
    file = io.BytesIO()
    pq.write_table(moved, file)
    objects = (write_object(row.uri, file.getvalue(), kind="predictions", rows=1),)
    Manifest("train", "other", objects, 1.0).save(run.paths)
    with pytest.raises(DataError, match="have no window in the sequences"):
        run.evaluate()
