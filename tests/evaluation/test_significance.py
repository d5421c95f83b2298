import math

import numpy as np
import pytest

from cloudlstm.evaluation.significance import daily_means, diebold_mariano, long_run_variance, mean_test


def as_in_the_paper(d, h):
    """Harvey, Leybourne and Newbold (1997), equations 3 to 9, written as sums."""
    from scipy import stats

    n = len(d)
    mean = sum(d) / n

    def gamma(k):
        return sum((d[t] - mean) * (d[t - k] - mean) for t in range(k, n)) / n

    variance = (gamma(0) + 2 * sum(gamma(k) for k in range(1, h))) / n
    statistic = mean / math.sqrt(variance) * math.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    return statistic, 2 * stats.t.sf(abs(statistic), n - 1)


@pytest.mark.parametrize("horizon", [1, 2, 5])
def test_agrees_with_the_paper(horizon):
    noise = np.random.default_rng(horizon).normal(0.1, 1.0, 80)
    series = np.convolve(noise, np.ones(horizon), mode="valid")  # overlapping, like errors h bars ahead
    statistic, p = as_in_the_paper(series.tolist(), horizon)
    found = mean_test(series, horizon)
    assert found.statistic == pytest.approx(statistic)
    assert found.p == pytest.approx(p)


def test_for_one_bar_ahead_it_is_students_t_test():
    from scipy import stats

    series = np.random.default_rng(1).normal(0.05, 1.0, 60)
    found = mean_test(series, 1)
    known = stats.ttest_1samp(series, 0.0)
    assert (found.statistic, found.p) == pytest.approx((known.statistic, known.pvalue))
    interval = known.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_by_hand():
    # Mean 2, deviations -1 0 1: variance of the mean 2/3 / 3, correction (3 + 1 - 2) / 3.
    found = mean_test(np.array([1.0, 2.0, 3.0]), 1)
    assert found.statistic == pytest.approx(2 / math.sqrt(2 / 9) * math.sqrt(2 / 3))


def test_losses_are_averaged_over_the_tickers_of_a_date():
    date = np.array([5, 3, 5, 3, 4])
    model, reference = np.array([1.0, 2.0, 3.0, 4.0, 9.0]), np.array([2.0, 1.0, 2.0, 1.0, 1.0])
    assert daily_means(model - reference, date).tolist() == [2.0, 8.0, 0.0]
    found = diebold_mariano(model, reference, date, horizon=1)
    assert found.dates == 3
    assert found.statistic == pytest.approx(mean_test(np.array([2.0, 8.0, 0.0]), 1).statistic)
    assert found.difference == pytest.approx((10 / 3) / ((1 + 1 + 2) / 3))


def test_below_zero_the_model_is_better():
    rng = np.random.default_rng(2)
    reference = rng.chisquare(1, 400)
    date = np.repeat(np.arange(100), 4)
    found = diebold_mariano(0.5 * reference, reference, date, horizon=1)
    assert found.difference == pytest.approx(-0.5)
    assert found.statistic < 0
    assert found.p < 1e-6
    assert found.low < found.difference < found.high < 0


def test_identical_forecasts_have_p_one():
    loss = np.random.default_rng(0).chisquare(1, 50)
    found = diebold_mariano(loss, loss.copy(), np.arange(50), horizon=1)
    assert (found.difference, found.statistic, found.p) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize("series", [np.full(30, 0.1), np.full(30, 1e-12), np.array([1.0, 2.0]), np.zeros(0)])
def test_a_series_without_variance_or_length_has_no_p(series):
    found = mean_test(series, 1)
    assert found.statistic is None
    assert found.p is None


def test_a_negative_variance_falls_back_to_bartlett():
    series = np.tile([1.0, -1.0], 20) + 0.01
    deviation = series - series.mean()
    gamma = [deviation @ deviation / 40, deviation[1:] @ deviation[:-1] / 40]
    assert gamma[0] + 2 * gamma[1] < 0
    assert long_run_variance(series, 2) == pytest.approx(gamma[0] + 2 * 0.5 * gamma[1])
    assert mean_test(series, 2).p is not None


def test_rejects_five_percent_under_the_null_although_tickers_move_together():
    # Two equally good forecasts: independent errors with the same variance, and a daily shock shared by all tickers.
    rng = np.random.default_rng(11)
    runs, dates, tickers = 1000, 100, 10
    date = np.repeat(np.arange(dates), tickers)
    rejected = rejected_by_label = 0
    for _ in range(runs):
        day = rng.normal(0.0, 1.0, (2, dates, 1)) + rng.normal(0.0, 0.5, (2, dates, tickers))
        losses = day.reshape(2, -1) ** 2
        rejected += diebold_mariano(losses[0], losses[1], date, horizon=1).p < 0.05
        rejected_by_label += mean_test(losses[0] - losses[1], 1).p < 0.05
    # Three standard deviations of a binomial with 1,000 trials: 0.05 +- 0.021.
    assert 0.029 <= rejected / runs <= 0.071
    assert rejected_by_label / runs > 0.3  # with every label as an independent observation
