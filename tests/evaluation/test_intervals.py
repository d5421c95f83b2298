import math

import numpy as np
import pytest

from cloudlstm.evaluation import intervals

WINDOW = 50


def quantile(score, origin, level):
    score = np.asarray(score, float)
    return intervals.fit(score, np.zeros(len(score)), np.ones(len(score)), np.asarray(origin), (level,)).quantiles[0]


def test_one_label_a_date_gives_the_usual_rank():
    score = np.random.default_rng(0).permutation(np.arange(1.0, 31.0))
    for level in (0.1, 0.5, 0.8, 0.9, 0.95):
        assert quantile(score, np.arange(30), level) == math.ceil(level * 31)


def test_every_date_weighs_the_same_by_hand():
    # Date 0: scores 1 2 3 4 of weight 1/4; date 1: score 2.5; date 2: score 3.5; one more date is infinite.
    score, origin = [1.0, 2.0, 3.0, 4.0, 2.5, 3.5], [0, 0, 0, 0, 1, 2]
    # Weights up to each score: 0.25, 0.5, 1.5 (2.5), 1.75 (3), 2.75 (3.5), 3 (4).
    for level, known in ((0.125, 2.0), (0.25, 2.5), (0.375, 2.5), (0.4, 3.0), (0.5, 3.5), (0.75, 4.0), (0.8, None)):
        assert quantile(score, origin, level) == known


def test_scores_are_in_units_of_the_scale():
    scale = np.array([1.0, 2.0, 4.0])
    fitted = intervals.fit(np.array([1.5, -1.0, 3.0]), np.full(3, 1.0), scale, np.arange(3), (0.75,))
    assert fitted.quantiles == (1.0,)  # scores 0.5, 1, 0.5
    low, high = fitted.bounds(np.array([0.1, 0.2]), np.array([0.5, 3.0]), 0.75)
    assert (low.tolist(), high.tolist()) == ([-0.4, -2.8], [0.6, 3.2])


def test_with_few_dates_there_is_no_finite_interval():
    rng = np.random.default_rng(1)
    actual, origin = rng.normal(0.0, 1.0, 180), np.repeat(np.arange(18), 10)
    fitted = intervals.fit(actual, np.zeros(180), np.ones(180), origin, (0.95,))  # 19 dates are needed
    assert (fitted.quantiles, fitted.dates, fitted.labels) == ((None,), 18, 180)
    low, high = fitted.bounds(np.zeros(2), np.ones(2), 0.95)
    assert np.isneginf(low).all()
    assert np.isposinf(high).all()
    (found,) = intervals.coverage(fitted, actual, np.zeros(180), np.ones(180), origin, 1)
    assert (found.verdict, found.share, found.width) == ("untested", None, None)


def test_few_dates_whose_tickers_move_together_are_covered_as_stated():
    # 19 dates of 20 tickers with a market factor: the level holds on average for a new date.
    rng = np.random.default_rng(2)
    dates, tickers, runs, level = 19, 20, 1500, 0.9
    origin, ones = np.repeat(np.arange(dates), tickers), np.ones(dates * tickers)
    inside, by_label = [], []
    for _ in range(runs):
        past = (rng.normal(0.0, 1.0, (dates, 1)) + rng.normal(0.0, 0.5, (dates, tickers))).ravel()
        new = np.abs(rng.normal() + rng.normal(0.0, 0.5, tickers))
        fitted = intervals.fit(past, np.zeros_like(past), ones, origin, (level,))
        inside.append((new <= fitted.quantiles[0]).mean())
        rank = math.ceil(level * (len(past) + 1))
        by_label.append((new <= np.sort(np.abs(past))[rank - 1]).mean())
    error = np.std(inside) / math.sqrt(runs)
    assert np.mean(inside) > level - 2 * error
    assert np.mean(inside) < level + 1 / (dates + 1)
    assert np.mean(by_label) < level - 3 * error  # with every label as an independent observation


def garch(rng, dates, tickers, *, later=1.0):
    """Returns with volatility clusters and heavy tails (dates, tickers); in the second half `later` times as large."""
    shock = rng.standard_t(6, dates) / math.sqrt(1.5)
    variance, sigma = 1.0, np.empty(dates)
    for t in range(dates):
        sigma[t] = math.sqrt(variance)
        variance = 0.05 + 0.88 * variance + 0.07 * variance * shock[t] ** 2
    own = rng.standard_t(5, (dates, tickers)) / math.sqrt(5 / 3)
    returns = 0.01 * sigma[:, None] * (0.6 * shock[:, None] + 0.8 * own)
    returns[dates // 2 :] *= later
    return returns


def halves(returns, scale):
    """Arguments (actual, forecast, scale, origin) of the first and the second half of the dates."""
    dates, tickers = returns.shape
    half = dates // 2
    forecast = np.zeros(half * tickers)
    origin = np.repeat(np.arange(half), tickers)
    return [(returns[part].ravel(), forecast, scale[part].ravel(), origin) for part in (slice(half), slice(half, None))]


def test_covers_what_it_states_in_a_stationary_market():
    rng = np.random.default_rng(3)
    returns = rng.normal(0.0, 0.01, (3000, 1)) + rng.standard_t(4, (3000, 20)) * 0.01
    past, new = halves(returns, np.full_like(returns, 0.02))
    for found in intervals.coverage(intervals.fit(*past), *new, 1):
        assert found.share == pytest.approx(found.level, abs=0.02)
        assert found.low < found.share < found.high
        assert (found.dates, found.labels) == (1500, 30_000)


@pytest.mark.parametrize("seed", [4, 5])
def test_covers_what_it_states_with_volatility_clusters_that_the_scale_sees(seed):
    returns = garch(np.random.default_rng(seed), 2400 + WINDOW, 20)
    sums = np.cumsum(np.r_[np.zeros((1, 20)), returns**2], axis=0)
    scale = np.sqrt((sums[WINDOW:-1] - sums[: -WINDOW - 1]) / WINDOW)  # of the bars before the label
    past, new = halves(returns[WINDOW:], scale)
    fitted = intervals.fit(*past)
    for found, half_width in zip(intervals.coverage(fitted, *new, 1), fitted.quantiles, strict=True):
        assert found.share == pytest.approx(found.level, abs=0.02)
        assert found.width == pytest.approx(2 * half_width * new[2].mean())


@pytest.mark.parametrize(("later", "verdict"), [(2.0, "too narrow"), (0.5, "too wide")])
def test_a_market_that_moves_more_or_less_than_the_scale_sees_is_found(later, verdict):
    returns = garch(np.random.default_rng(6), 800, 20, later=later)
    past, new = halves(returns, np.full_like(returns, 0.01))
    for horizon in (1, 5):
        assert [found.verdict for found in intervals.coverage(intervals.fit(*past), *new, horizon)] == [verdict] * 3


def test_the_share_gives_every_date_the_same_weight():
    fitted = intervals.ConformalFit(levels=(0.6,), quantiles=(1.0,), dates=100, labels=100)
    actual = np.r_[np.zeros(30), np.tile([0.0, 2.0], 5), 2.0]  # 30 inside on date 0; half inside on five; one outside
    origin = np.r_[np.zeros(30, int), np.repeat(np.arange(1, 6), 2), 6]
    (found,) = intervals.coverage(fitted, actual, np.zeros(41), np.ones(41), origin, 1)
    assert found.share == pytest.approx((1 + 5 * 0.5 + 0) / 7)
    assert found.verdict == "as stated"


def test_all_or_none_inside_has_the_exact_interval_of_a_binomial():
    fitted = intervals.ConformalFit(levels=(0.8, 0.99), quantiles=(1.0, 1.0), dates=100, labels=100)
    none, ones, origin = np.zeros(60), np.ones(60), np.arange(60)
    wide, close = intervals.coverage(fitted, none, none, ones, origin, 1)
    assert (wide.share, wide.high, wide.verdict) == (1.0, 1.0, "too wide")
    assert wide.low == pytest.approx(0.025 ** (1 / 60))
    assert close.verdict == "as stated"  # 60 of 60 do not contradict 0.99
    outside, _ = intervals.coverage(fitted, none + 2.0, none, ones, origin, 1)
    assert (outside.share, outside.low, outside.verdict) == (0.0, 0.0, "too narrow")
    few, _ = intervals.coverage(fitted, none[:2], none[:2], ones[:2], origin[:2], 1)
    assert (few.share, few.low, few.verdict) == (1.0, None, "untested")
