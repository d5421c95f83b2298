import numpy as np
import pytest

from cloudlstm.evaluation.folds import fold_scores, mean_member_test
from cloudlstm.evaluation.metrics import date_weights
from cloudlstm.evaluation.significance import diebold_mariano, mean_test
from evaluation.samples import make_forecasts

NAMES = ("2023", "2024 H1", "2024 H2")


def folds_of(test):
    """Folds of 50, 20 and 20 dates; the last ten dates are in none."""
    _, date = np.unique(test.origin, return_inverse=True)
    return np.where(date >= 90, -1, np.searchsorted([49, 69], date))


@pytest.mark.parametrize("horizon", [1, 3])
def test_folds_and_their_pooled_test(horizon):
    test = make_forecasts(8, 100, seed=3, skill=0.8)
    codes = folds_of(test)
    test.models["lstm"][codes == 1] = 0.05  # the second fold is much worse than naive
    found = fold_scores(test, "lstm", codes, NAMES, horizon, 4)
    assert [(fold.group, fold.dates, fold.labels) for fold in found.folds] == [
        ("2023", 50, 400), ("2024 H1", 20, 160), ("2024 H2", 20, 160),
    ]  # fmt: skip
    assert all(first.last < second.first for first, second in zip(found.folds, found.folds[1:], strict=False))
    assert [fold.rmse_ratio < 1.0 for fold in found.folds] == [True, False, True]
    assert found.better == 2
    kept = codes >= 0
    loss, naive = ((test.models[name] - test.actual)[kept] ** 2 for name in ("lstm", "naive"))
    known = diebold_mariano(loss, naive, test.origin[kept], horizon=horizon)
    pooled = found.pooled
    assert (pooled.dates, pooled.p, pooled.difference, pooled.low) == (90, known.p, known.difference, known.low)
    # Every date weighs the same: the pooled ratio is that of sums over dates.
    weight = date_weights(test.origin)[kept]
    assert pooled.difference == pytest.approx((weight @ loss) / (weight @ naive) - 1)


def test_more_folds_are_more_evidence():
    test = make_forecasts(6, 90, seed=5, skill=0.5)
    _, date = np.unique(test.origin, return_inverse=True)
    found = fold_scores(test, "lstm", date // 30, ("a", "b", "c"), 1, 4)
    assert found.better == 3
    assert found.pooled.p < min(fold.dm_p for fold in found.folds)


def test_a_date_in_two_folds_is_one_date():
    test = make_forecasts(2, 40, seed=1, skill=0.5)
    codes = test.ticker  # each fold has one of the two tickers, on the same dates
    found = fold_scores(test, "lstm", codes, ("a", "b"), 1, 2)
    assert found.pooled.dates == 40
    assert [fold.dates for fold in found.folds] == [40, 40]


def test_without_folds_there_is_no_test():
    test = make_forecasts(2, 20)
    found = fold_scores(test, "lstm", np.full(len(test), -1), (), 1, 2)
    assert (found.folds, found.better, found.pooled.dates, found.pooled.p) == ((), 0, 0, None)


def test_the_mean_member_by_hand():
    # Loss differences of two members: date 0: -3 and -4, date 1: 5 and 0, date 2: -3 and -3.
    actual = np.array([2.0, 2.0, 2.0])
    members = np.array([[1.0, 5.0, 1.0], [2.0, 4.0, 3.0]])
    found = mean_member_test(actual, members, np.arange(3), 1)
    assert found.difference == pytest.approx((-3.5 + 2.5 - 3.0) / 3 / 4)
    known = mean_test(np.array([-3.5, 2.5, -3.0]), 1)
    assert (found.dates, found.statistic, found.p) == (3, pytest.approx(known.statistic), pytest.approx(known.p))


def test_one_member_is_the_plain_test_and_copies_of_it_are_no_evidence():
    test = make_forecasts(5, 60, skill=0.6)
    lstm = test.models["lstm"]
    known = diebold_mariano((lstm - test.actual) ** 2, test.actual**2, test.origin, horizon=2)
    for copies in (1, 5):
        found = mean_member_test(test.actual, np.tile(lstm, (copies, 1)), test.origin, 2)
        assert (found.p, found.difference) == (pytest.approx(known.p), pytest.approx(known.difference))


def test_members_that_share_their_dates_reject_five_percent():
    # Members equally good as naive: the truth m, and forecasts 2m + noise with a loss of the same mean as naive's.
    rng = np.random.default_rng(6)
    dates, tickers, runs, members = 80, 5, 600, 4
    origin = np.repeat(np.arange(dates), tickers)
    rejected = 0
    for _ in range(runs):
        mean = np.repeat(rng.normal(0.0, 1.0, dates), tickers)
        noise = rng.normal(0.0, 0.3, (members, len(mean)))
        actual = mean + rng.normal(0.0, 1.0, len(mean))
        # E(actual - k m)^2 + 0.09 = E actual^2 for k = 1 + sqrt(1 - 0.09).
        forecasts = (1.0 + np.sqrt(1.0 - 0.09)) * mean + noise
        rejected += mean_member_test(actual, forecasts, origin, 1).p < 0.05
    assert 0.023 <= rejected / runs <= 0.077  # three standard deviations of a binomial
