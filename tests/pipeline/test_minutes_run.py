"""A run on bars within a day, from the synthetic market to the report, the files and the notebook."""

from __future__ import annotations

import csv
import datetime as dt
import json
from pathlib import Path

import numpy as np
import pytest

import cloudlstm
from cloudlstm.errors import UsageError
from cloudlstm.features import FEATURE_NAMES
from cloudlstm.market.bars import from_parquet
from cloudlstm.models import creating
from cloudlstm.models.day import run_day
from cloudlstm.models.paths import ModelPaths
from cloudlstm.models.policy import Policy
from cloudlstm.runs.manifest import Manifest, read_object
from cloudlstm.runs.paths import RunPaths
from cloudlstm.stream.forecasting import RunModel
from pipeline.cli_runner import one_run, submit

CONFIG = """
name = "minutes"
[market]
source = "synthetic"
interval = "5m"
start = 2024-11-04
end = 2024-12-06
tickers_per_shard = 4
[market.synthetic]
tickers = 11
[exogenous]
inputs = "none"
ablation = false
[exogenous.macro]
source = "synthetic"
series = ["SYNTHETIC"]
[dataset]
train_end = 2024-11-20
validation_end = 2024-11-27
window_bars = 10
[model]
units = 4
[train]
epochs = 1
max_steps = 6
[evaluation]
ic_min_tickers = 10
[prepare]
engine = "local"
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("minutes")
    (folder / "minutes.toml").write_text(CONFIG)
    done = submit(folder / "minutes.toml", f"file://{folder}/runs")
    assert done.returncode == 0, done.stderr
    assert "next-bar forecasts" in done.stdout
    return one_run(f"file://{folder}/runs")


def place(run: str, name: str) -> Path:
    return Path(run.removeprefix("file://")) / "report" / name


def test_the_report_counts_sessions_and_names_bars(run: str) -> None:
    report = json.loads(place(run, "report.json").read_text())
    ends = {split["split"]: (split["first_date"], split["last_date"]) for split in report["splits"]}
    # A window has 10 bars, and its features look back over 20 more: the first label of a session is at its 31st bar.
    assert ends["train"] == ("2024-11-04T17:00Z", "2024-11-20T20:55Z")
    assert ends["validation"] == ("2024-11-21T17:00Z", "2024-11-27T20:55Z")
    assert ends["test"] == ("2024-11-29T17:00Z", "2024-12-06T20:55Z")
    assert "over 6 sessions" in report["headline"]
    assert {row["dates"] for row in report["dm"]} == {6}
    assert report["series"]["errors"]["period"] == "session"
    assert report["evidence"]["portfolio"]["sessions"] == 6
    assert report["series"]["paths"][0]["dates"][-1] == "2024-12-06T20:55Z"
    assert "forecast across a close" in {row["name"] for row in report["caveats"]}
    page = place(run, "report.html").read_text()
    assert "bars of 5m" in page
    assert "for the bar that starts at" in page
    assert "each session weighs the same" in page


def test_the_next_forecast_is_for_the_next_bar(run: str) -> None:
    rows = list(csv.DictReader(place(run, "forecasts.csv").read_text().splitlines()))
    assert len(rows) == 11
    assert {(row["origin_date"], row["target_date"]) for row in rows} == {("2024-12-06T20:55Z", "2024-12-09T14:30Z")}


def test_a_notebook_gets_moments(run: str) -> None:
    windows = cloudlstm.open_run(run).windows("test")
    origins, targets = windows.origin_dates, windows.target_dates
    assert origins.dtype == np.dtype("datetime64[m]")
    assert (targets - origins == np.timedelta64(5, "m")).all()
    assert (origins.astype("datetime64[D]") == targets.astype("datetime64[D]")).all(), "no label crosses a close"


def test_the_manifest_tells_the_interval(run: str) -> None:
    found = Manifest.load(RunPaths(run), "sequences")
    assert found is not None
    assert found.facts["interval"] == "5m"


def test_a_macro_series_changes_when_it_becomes_known(run: str) -> None:
    """A value of SYNTHETIC is published one hour before a session opens; so each session sees another one, all day."""
    features = Manifest.load(RunPaths(run), "features")
    assert features is not None
    row = features.of_kind("features")[0]
    table = from_parquet(read_object(row), uri=row.uri)
    day = table["date"].to_numpy().astype("datetime64[D]")
    first = table["ticker"].cast("string").to_numpy(zero_copy_only=False) == "SYN000001"
    value, age = (table[f"macro_synthetic{ending}"].to_numpy()[first] for ending in ("", "_age_days"))
    days = np.unique(day[first])
    assert np.isnan(value[day[first] == days[0]]).all(), "nothing was published before the market began"
    of_days = [np.unique(value[day[first] == each]) for each in days[1:]]
    assert {len(each) for each in of_days} == {1}
    assert len(np.unique(np.concatenate(of_days))) == len(days) - 1
    later = age[day[first] == days[1]]
    np.testing.assert_allclose(np.diff(later) * 1440, 5.0, atol=1e-6)
    assert later[0] * 1440 == pytest.approx(60 + 5 - 15), "one hour, one bar, minus the embargo"


def test_a_stream_takes_a_network_without_macro_series(run: str) -> None:
    """The run has such columns, and its network takes none of them."""
    assert RunModel(RunPaths(run)).open("run").forecaster.names == FEATURE_NAMES


def test_a_model_within_a_day_has_no_days(run: str) -> None:
    paths = RunPaths(run)
    model = ModelPaths.of(paths.root, "lives")
    creating.create(model, paths, Policy())
    with pytest.raises(UsageError, match="model lives has bars of 5m, and a day of a model has daily bars") as caught:
        run_day(model, dt.datetime.now(dt.UTC))
    assert "cloudlstm stream" in caught.value.hint
