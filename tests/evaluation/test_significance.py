import math

import numpy as np
import pytest

from cloudlstm.evaluation.significance import (
    clark_west,
    daily_means,
    diebold_mariano,
    long_run_variance,
    mean_test,
)


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
    found = diebold_mariano(rng.uniform(0.3, 0.7, 400) * reference, reference, date, horizon=1)
    assert found.difference == pytest.approx(-0.5, abs=0.05)
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


@pytest.mark.parametrize("horizon", [1, 3])
def test_the_interval_holds_the_ratios_that_the_test_does_not_reject(horizon):
    rng = np.random.default_rng(8)
    noise = rng.normal(0.0, 1.0, (2, 122))
    series = np.array([np.convolve(each, np.ones(horizon), mode="valid") for each in noise])
    reference = series[0] ** 2
    model = 0.9 * reference + 0.1 * series[1] ** 2
    found = diebold_mariano(model, reference, np.arange(len(model)), horizon=horizon)
    assert found.low < found.difference < found.high
    for end, inside in ((found.low, 1e-6), (found.high, -1e-6)):
        at = [mean_test(model - (1.0 + end + step) * reference, horizon).p for step in (-inside, inside)]
        assert at[0] < 0.05 < at[1]


def test_a_ratio_whose_denominator_may_be_zero_has_no_interval():
    reference = np.array([0.0, 0.0, 0.0, 0.0, 9.0])
    found = diebold_mariano(np.arange(5.0), reference, np.arange(5), horizon=1)
    assert found.p is not None
    assert (found.low, found.high) == (None, None)


def test_clark_west_by_hand():
    # A reference of zero: the adjusted difference is 2 x actual x forecast: 4, 2, 6 on three dates; mean 4.
    actual, model = np.array([1.0, 1.0, 3.0]), np.array([2.0, 1.0, 1.0])
    found = clark_west(actual, model, np.zeros(3), np.arange(3), horizon=1)
    assert found.statistic == pytest.approx(4 / math.sqrt(4 / 3))  # sample variance 4
    from scipy import stats

    assert found.p == pytest.approx(stats.t.sf(4 / math.sqrt(4 / 3), 2))


def test_clark_west_adds_the_squared_distance_of_the_forecasts_and_averages_by_date():
    rng = np.random.default_rng(3)
    date = np.repeat(np.arange(30), 3)
    actual, model, reference = rng.normal(0.0, 1.0, (3, 90))
    by_label = (actual - reference) ** 2 - (actual - model) ** 2 + (reference - model) ** 2
    known = mean_test(daily_means(by_label, date), 2)
    found = clark_west(actual, model, reference, date, horizon=2)
    assert found.statistic == pytest.approx(known.statistic)
    assert found.p == pytest.approx(known.p / 2 if known.statistic > 0 else 1 - known.p / 2)


def test_clark_west_of_equal_forecasts_has_no_p():
    actual = np.random.default_rng(0).normal(0.0, 1.0, 50)
    found = clark_west(actual, np.zeros(50), np.zeros(50), np.arange(50), horizon=1)
    assert (found.statistic, found.p) == (None, None)


def test_clark_west_rejects_five_percent_under_the_null_where_diebold_mariano_rejects_less():
    # The truth is a return of zero. The model is a regression fitted once, so a forecast of zero is nested in it.
    rng = np.random.default_rng(21)
    runs, train, dates, inputs = 2000, 100, 120, 4
    nested = equal = 0
    for _ in range(runs):
        x, y = rng.normal(0.0, 1.0, (train + dates, inputs)), rng.normal(0.0, 1.0, train + dates)
        forecast = x[train:] @ np.linalg.lstsq(x[:train], y[:train])[0]
        actual, date = y[train:], np.arange(dates)
        nested += clark_west(actual, forecast, np.zeros(dates), date, horizon=1).p < 0.05
        found = diebold_mariano((actual - forecast) ** 2, actual**2, date, horizon=1)
        equal += found.p < 0.10 and found.statistic < 0.0  # one-sided at 5 %
    # Three standard deviations of a binomial with 2,000 trials: 0.05 +- 0.015.
    assert 0.035 <= nested / runs <= 0.065
    assert equal / runs < 0.02
