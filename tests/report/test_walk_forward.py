"""A market whose effect ends: the report shows it in the folds that have it, and not in those after."""

from __future__ import annotations

import numpy as np
import pytest

from cloudlstm import storage
from cloudlstm.report.evaluate import run as evaluate
from cloudlstm.report.models import Report
from cloudlstm.runs.context import RunContext
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.paths import RunPaths
from dataset.tables import features_table
from training.runs import config_of, make_run, trained

DATES = np.busday_offset("2021-01-04", np.arange(640)).astype("datetime64[D]")
ENDS = 520
"""The session after which returns do not repeat any more."""

SETTINGS = {
    "train.epochs": 6,
    "train.learning_rate": 5e-3,
    "train.batch_windows": 128,
    "train.seeds": 2,
    "train.warmup_steps": 5,
    "model.units": 8,
    "evaluation.walk.mode": "expanding",
    "evaluation.walk.step_bars": 60,
    "dataset.train_end": str(DATES[299]),
    "dataset.validation_end": str(DATES[399]),
    "evaluation.ic_min_tickers": 5,
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    signal = np.where(np.arange(640) < ENDS, 0.4, 0.0)
    tables = [features_table(tickers=12, bars=640, seed=5, signal=signal)]
    paths = make_run(tmp_path_factory.mktemp("walk"), "ends", tables, SETTINGS)
    trained(paths)
    with Journal(paths, "train", "worker-0") as journal:
        evaluate(RunContext(paths, config_of(paths), 0, journal))
    return Report.model_validate(storage.read_json(RunPaths(paths.uri).report("report.json")))


def scores(report: Report, model: str) -> list[tuple[float, float]]:
    """R² and Diebold-Mariano p of a model in each fold."""
    rows = [row for fold in report.evidence.folds for row in fold.scores if row.model == model]
    return [(row.r2_oos or 0.0, row.dm_p or 1.0) for row in rows]


@pytest.mark.parametrize("model", ["ridge", "ensemble"])
def test_the_effect_is_seen_in_the_folds_that_have_it(report: Report, model: str) -> None:
    found = scores(report, model)
    assert len(found) == 4
    for r2, p in found[:2]:
        assert 0.08 < r2 < 0.24, "a repeated 0.4 explains 0.16 of a return's variance"
        assert p < 0.01
    for r2, _ in found[2:]:
        assert r2 < 0.0, "what was learnt before is wrong now"


def test_validation_takes_a_fold_that_no_longer_has_the_effect_for_calibration(report: Report) -> None:
    """The last fold validates partly on sessions without the effect: less of the forecast is supported there."""
    slopes = [fold.slope.supported for fold in report.evidence.folds]
    assert min(slopes[:2]) > 0.8
    assert slopes[3] < slopes[0]
    calibrated, ensemble = scores(report, "calibrated"), scores(report, "ensemble")
    assert calibrated[3][0] > ensemble[3][0]


def test_the_headline_counts_the_folds(report: Report) -> None:
    assert "In 2 of 4 folds the ensemble's squared error is smaller than naive's." in report.headline
    over = {row.model: row for row in report.evidence.over_folds}
    assert over["ensemble"].better == 2
    by_model = {str(row.model): row for row in report.models}
    for model, row in over.items():
        assert row.pooled.difference == pytest.approx(-(by_model[model].r2_oos or 0.0))
        assert row.pooled.p == by_model[model].dm_p


def test_the_ensemble_errs_at_most_as_its_members_on_average(report: Report) -> None:
    parts = report.evidence.ambiguity
    assert parts is not None
    assert parts.ensemble_mse <= parts.member_mse
    assert parts.member_mse == pytest.approx(parts.ensemble_mse + parts.distance)
    rmse = {str(row.model): row.rmse_return for row in report.models}
    assert rmse["ensemble"] == pytest.approx(parts.ensemble_mse**0.5)
    assert np.mean([(row.rmse_return or 0.0) ** 2 for row in report.evidence.seeds]) == pytest.approx(parts.member_mse)


def test_intervals_hold_what_they_state_in_a_market_of_constant_volatility(report: Report) -> None:
    assert [row.level for row in report.evidence.coverage] == [0.5, 0.8, 0.95]
    for row in report.evidence.coverage:
        assert row.share == pytest.approx(row.level, abs=0.02)
        assert row.verdict == "as stated"
