"""A market with a planted column: the ablation finds it, the correlations show it, and the network relies on it."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cloudlstm import storage
from cloudlstm.errors import DataError
from cloudlstm.evaluation.ablation import read_ablation
from cloudlstm.evaluation.exogenous_rows import AblationRow
from cloudlstm.evaluation.members import read_folds
from cloudlstm.features import EIGHT, FEATURES, Feature, FeatureSet
from cloudlstm.report import html
from cloudlstm.report.evaluate import run as evaluate
from cloudlstm.report.exogenous_models import Exogenous
from cloudlstm.report.models import Report
from cloudlstm.runs.context import RunContext
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.manifest import Manifest, read_object
from cloudlstm.runs.paths import RunPaths
from dataset.tables import features_table
from report.pages import Page
from training.runs import config_of, make_run, manifest_of, trained

BARS, TICKERS, R2 = 560, 30, 0.03
DATES = np.busday_offset("2021-01-04", np.arange(BARS)).astype("datetime64[D]")

COLUMNS = FeatureSet(
    (
        *FEATURES,
        Feature("macro_noise", "score", "score", group="macro"),
        Feature("news_planted", "score", "score", group="news"),
        Feature("news_echo", "score", "score", group="news"),
    )
)
SETTINGS = {
    "train.epochs": 8,
    "train.learning_rate": 5e-3,
    "train.batch_windows": 256,
    "train.seeds": 2,
    "train.warmup_steps": 5,
    "model.units": 6,
    "dataset.train_end": str(DATES[320]),
    "dataset.validation_end": str(DATES[400]),
    "evaluation.ic_min_tickers": 5,
    "exogenous.macro.source": "synthetic",
    "exogenous.macro.series": ["SYNTHETIC"],
    "exogenous.news.source": "synthetic",
}


def market() -> pa.Table:
    """Random walks with noise, with a score that knows 3 % of the next return, and with an echo of the day's return."""
    table, rng = features_table(tickers=TICKERS, bars=BARS, seed=8), np.random.default_rng(9)
    close = table["close"].to_numpy().reshape(TICKERS, BARS)
    returns = np.diff(np.log(close), axis=1)
    z = (returns - returns.mean()) / returns.std()
    following, today = (np.pad(z, ((0, 0), pad)) for pad in ((0, 1), (1, 0)))
    planted = np.sqrt(R2) * following + np.sqrt(1 - R2) * rng.standard_normal((TICKERS, BARS))
    planted[:, ::11] = np.nan  # no headline
    echo = 0.5 * today + 0.5 * rng.standard_normal(today.shape)
    noise = np.tile(rng.standard_normal(BARS), TICKERS)
    for name, values in (("macro_noise", noise), ("news_planted", planted), ("news_echo", echo)):
        table = table.append_column(name, pa.array(values.ravel()))
    return table


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> RunPaths:
    paths = make_run(tmp_path_factory.mktemp("planted"), "run", [market()], SETTINGS, COLUMNS)
    trained(paths)
    facts = {
        "rows": 900,
        "refused": {"no_time": 3},
        "scorer": "vader 3.3.2",
        "missing": ["DGS10"],
        "notes": ["A note."],
    }
    Manifest("exogenous", "made", (), 1.0, facts).save(paths)
    with Journal(paths, "train", "worker-0") as journal:
        evaluate(RunContext(paths, config_of(paths), 0, journal))
    return paths


@pytest.fixture(scope="module")
def report(paths: RunPaths) -> Report:
    return Report.model_validate(storage.read_json(paths.report("report.json")))


@pytest.fixture(scope="module")
def found(report: Report) -> Exogenous:
    assert report.exogenous is not None
    return report.exogenous


def by_group(found: Exogenous) -> dict[str, AblationRow]:
    return {row.inputs: row for row in found.ablation}


def test_the_ablation_finds_the_planted_column_and_not_the_noise(found: Exogenous) -> None:
    rows = by_group(found)
    assert list(rows) == ["none", "macro", "news", "both"]
    assert [row.features for row in rows.values()] == [8, 9, 10, 11]
    assert [row.inputs for row in rows.values() if row.own] == ["both"] == [found.inputs]
    for group in ("news", "both"):
        test = rows[group].against_none
        assert test is not None
        assert R2 / 3 < -(test.difference or 0.0) < 2 * R2
        assert (test.p or 1.0) < 0.01
        assert (test.cw_p or 1.0) < 0.01
        assert (rows[group].mean_r2_oos or 0.0) > R2 / 3
    noise = rows["macro"].against_none
    assert noise is not None
    assert abs(noise.difference or 0.0) < R2 / 4
    assert (noise.difference or 0.0) > -0.002


def test_the_numbers_of_the_table_are_those_of_the_stored_forecasts(paths: RunPaths, found: Exogenous) -> None:
    """Every date has every ticker, so means over labels are means over dates."""
    tables: dict[str, list[pa.Table]] = {}
    for stored in manifest_of(paths).objects:
        if stored.kind in ("predictions", "member_predictions", "ablation_predictions"):
            table = pq.read_table(io.BytesIO(read_object(stored)))
            group = str(stored.extra["ablation"]) or "both"
            tables.setdefault(group, []).append(table.filter(pa.compute.equal(table["split"], "test")))
    assert {group: len(parts) for group, parts in tables.items()} == dict.fromkeys(by_group(found), 2)
    actual = tables["none"][0]["actual_return"].to_numpy()
    squared = {}
    for group, row in by_group(found).items():
        forecasts = [part["forecast_return"].to_numpy() for part in tables[group]]
        rmse = [float(np.sqrt(np.mean((forecast - actual) ** 2))) for forecast in forecasts]
        assert row.rmse_return.mean == pytest.approx(np.mean(rmse))
        assert (row.rmse_return.min, row.rmse_return.max) == (pytest.approx(min(rmse)), pytest.approx(max(rmse)))
        assert row.r2_oos is not None
        assert row.r2_oos.mean == pytest.approx(np.mean([1 - each**2 / np.mean(actual**2) for each in rmse]))
        squared[group] = np.mean((np.mean(forecasts, axis=0) - actual) ** 2)
        assert row.mean_r2_oos == pytest.approx(1 - squared[group] / np.mean(actual**2))
        if row.against_none:
            assert row.against_none.difference == pytest.approx(squared[group] / squared["none"] - 1)
    assert by_group(found)["none"].against_none is None


def test_the_correlations_tell_an_echo_of_the_day_from_what_knows_the_next_return(found: Exogenous) -> None:
    rows = {row.feature: row for row in found.correlations}
    assert list(rows) == ["macro_noise", "news_planted", "news_echo"]
    echo, planted, noise = rows["news_echo"], rows["news_planted"], rows["macro_noise"]
    assert (echo.same_day or 0.0) > 0.5
    assert abs(echo.next_return or 1.0) < 0.05
    assert (planted.next_return or 0.0) == pytest.approx(np.sqrt(R2), abs=0.06)
    assert (planted.next_return_p or 1.0) < 0.001
    assert abs(planted.same_day or 1.0) < 0.05
    assert (noise.same_day_p or 0.0) > 0.01
    assert (noise.next_return_p or 0.0) > 0.01
    assert noise.missing == 0
    assert planted.missing > 0
    assert planted.labels + planted.missing == noise.labels


def test_the_network_relies_on_the_planted_column_most(found: Exogenous) -> None:
    measured = found.importance
    assert measured is not None
    assert [row.feature for row in measured.features] == list(COLUMNS.names)
    increases = {row.feature: row.increase or 0.0 for row in measured.features}
    assert max(increases, key=lambda name: increases[name]) == "news_planted"
    assert increases["news_planted"] > R2 / 3
    assert abs(increases["macro_noise"]) < R2 / 6
    assert measured.windows <= measured.of
    for row in measured.features:
        assert (row.low or 0.0) <= (row.increase or 0.0) <= (row.high or 0.0)


def test_each_network_says_its_inputs(report: Report) -> None:
    members = [(row.inputs, row.ablation, row.seed) for row in report.evidence.members]
    groups = (("both", False), ("none", True), ("macro", True), ("news", True))
    assert members == [(group, ablation, seed) for group, ablation in groups for seed in (1, 2)]


def test_the_page_shows_the_groups_the_sources_and_what_is_missing(report: Report) -> None:
    page = html.render(report)
    text = " ".join(" ".join(Page(page).text).split())
    assert 'id="features"' in page
    assert "headlines scored by vader 3.3.2" in text
    assert "3 (no time)" in text
    assert "A note." in text
    assert "The run has 2 networks, and 6 more for the" in text
    assert "DGS10" in next(row.text for row in report.caveats if row.name == "missing sources")


def test_a_run_without_further_features_has_none_of_this(report: Report) -> None:
    page = html.render(report.model_copy(update={"exogenous": None}))
    assert 'id="features"' not in page


def test_the_importance_is_of_the_network_that_stands_for_the_run(paths: RunPaths) -> None:
    train = manifest_of(paths)
    [row] = train.of_kind("importance")
    assert row.extra == {"seed": 1, "fold": 0, "ablation": ""}
    document = json.loads(read_object(row))
    assert len(document["features"]) == COLUMNS.width > EIGHT.width
    assert all(len(each["increases"]) == document["repeats"] for each in document["features"])


@pytest.mark.parametrize("change", ["labels", "seeds"])
def test_networks_of_another_run_are_refused(paths: RunPaths, change: str) -> None:
    train = manifest_of(paths)
    forecasts = read_folds(train)[0]["test"]
    assert list(read_ablation(train, forecasts, "both")) == ["none", "macro", "news", "both"]
    if change == "labels":
        forecasts.actual[7] += 1e-3
    else:
        forecasts.members[3] = forecasts.members[1]
    with pytest.raises(DataError, match="inputs 'none' forecast other labels or seeds than those with 'both'"):
        read_ablation(train, forecasts, "both")
