import numpy as np
import pytest

from cloudlstm.evaluation.metrics import date_weights
from cloudlstm.evaluation.scoring import compare_models, score_models
from cloudlstm.evaluation.spread import ambiguity, member_spread
from evaluation.samples import make_forecasts


def test_spread_by_hand():
    members = [
        {"model": "lstm", "skill": 0.1, "dm_p": None, "labels": 5, "flag": True},
        {"model": "lstm", "skill": 0.3, "dm_p": 0.04, "labels": 5, "ic": float("nan")},
        {"model": "lstm", "skill": -0.1, "dm_p": None, "labels": 5, "ic": 0.02},
    ]
    found = member_spread(members)
    assert list(found) == ["skill", "labels", "dm_p", "ic"]
    skill = found["skill"]
    assert (skill.members, skill.min, skill.max) == (3, -0.1, 0.3)
    assert (skill.mean, skill.sd) == (pytest.approx(0.1), pytest.approx(0.2))
    assert (found["labels"].sd, found["labels"].mean) == (0.0, 5.0)
    assert (found["dm_p"].members, found["dm_p"].mean, found["dm_p"].sd) == (1, 0.04, None)
    assert member_spread([]) == {}


def test_every_figure_of_a_model_has_a_spread():
    rows = []
    for seed in range(3):
        test = make_forecasts(skill=0.5)
        test.models["lstm"] = test.models["lstm"] + np.random.default_rng(seed).normal(0.0, 1e-3, len(test))
        scores = score_models(test, compare_models(test, 1), horizon=1, ic_min_tickers=4)
        rows.append(next(row for row in scores if row.model == "lstm"))
    found = member_spread([row.model_dump() for row in rows])
    assert set(found) == set(type(rows[0]).model_fields) - {"model"}
    for name in ("rmse_return", "skill", "ic", "dm_p", "cw_p"):
        values = [getattr(row, name) for row in rows]
        assert (found[name].min, found[name].max) == (min(values), max(values))
        assert found[name].sd == pytest.approx(np.std(values) * (3 / 2) ** 0.5)
        assert found[name].sd > 0.0


@pytest.mark.parametrize("members", [1, 2, 7])
def test_the_members_error_is_that_of_the_ensemble_plus_their_distance(members):
    rng = np.random.default_rng(members)
    origin = rng.integers(0, 40, 500)
    actual = rng.normal(0.0, 0.02, 500)
    forecasts = 0.3 * actual + rng.normal(0.0, 0.01, (members, 500)) + rng.normal(0.0, 0.005, (members, 1))
    found = ambiguity(actual, forecasts, origin)
    assert found.member_mse == pytest.approx(found.ensemble_mse + found.distance)
    assert found.ensemble_mse <= found.member_mse
    weight = date_weights(origin)
    errors = [np.average((each - actual) ** 2, weights=weight) for each in forecasts]
    assert found.member_mse == pytest.approx(np.mean(errors))
    assert found.ensemble_mse <= max(errors)
    assert (found.members, found.distance > 0.0) == (members, members > 1)


def test_every_date_weighs_the_same():
    # Date 0: one label on which the members agree; date 1: three labels with errors 1 and -1.
    actual, origin = np.zeros(4), np.array([0, 1, 1, 1])
    found = ambiguity(actual, np.array([[2.0, 1.0, 1.0, 1.0], [2.0, -1.0, -1.0, -1.0]]), origin)
    assert (found.member_mse, found.ensemble_mse, found.distance) == pytest.approx((2.5, 2.0, 0.5))


def test_independent_members_gain_what_their_number_says():
    # Noise of variance 1 in each of five members: the ensemble keeps 1/5 of it.
    rng = np.random.default_rng(9)
    found = ambiguity(np.zeros(20_000), rng.normal(0.0, 1.0, (5, 20_000)), np.arange(20_000))
    assert found.ensemble_mse == pytest.approx(0.2, rel=0.05)
    assert found.distance == pytest.approx(0.8, rel=0.05)
