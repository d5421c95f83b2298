"""Tests of two forecasts, with one observation per date: Diebold-Mariano and Clark-West.

Which hypothesis each tests, of a model against a reference:

- Diebold-Mariano, two-sided: the two forecasts, as they were made, have the same expected loss. It holds for any two
  forecasts whose models were fitted once, before the test split (Giacomini and White 2006). If the model contains the
  reference, as drift contains a forecast of zero, it rejects too seldom for the model itself: parameters that are zero
  in truth are estimated, and their noise makes the model's loss larger.
- Clark-West, one-sided: the reference is the true model, against: the larger model forecasts better once that noise
  is left out. The loss of the larger model is lowered by the squared distance of the two forecasts. It is for
  a reference that is nested in the model. It does not say that the forecasts as they were made are better.

Choices, and why:

- Tickers move together, so the labels of one date are not independent observations. The loss difference is averaged
  over the tickers of each date first; the tests see one number per date, and every date weighs the same.
- The variance is the long-run variance with horizon - 1 lags: forecasts h bars ahead overlap on h - 1 bars. The kernel
  is rectangular as in the papers; if that gives a negative variance (possible for h > 1), the Bartlett kernel is used.
- The statistic is scaled, and compared with Student's t of n - 1 degrees of freedom, as Harvey, Leybourne and Newbold
  propose. For one bar ahead this is exactly the one-sample t-test of the mean daily loss difference.
- The interval of the relative difference is Fieller's: all shares s for which the test does not reject that the
  model's loss is (1 + s) times the reference's. So the reference's loss is not taken as known, and the interval
  contains zero exactly if p is 0.05 or more.
- The main loss is the squared return error. The price loss depends on price levels, so it is mostly the loss of
  the expensive tickers. The report shows both.

Diebold, Mariano: Comparing predictive accuracy. Journal of Business & Economic Statistics 13(3), 1995.
Harvey, Leybourne, Newbold: Testing the equality of prediction mean squared errors. International Journal of
Forecasting 13(2), 1997.
Giacomini, White: Tests of conditional predictive ability. Econometrica 74(6), 2006.
Clark, West: Approximately normal tests for equal predictive accuracy in nested models. Journal of Econometrics 138(1),
2007.
Fieller: Some problems in interval estimation. Journal of the Royal Statistical Society B 16(2), 1954.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class MeanTest:
    """Result of testing that a series of daily numbers has mean zero.

    Attributes:
        n: Length of the series.
        mean: Their mean.
        low: Lower end of the mean's 95 % interval; None, as all below, if the variance is zero or n too small.
        high: Upper end.
        statistic: The mean over its standard error.
        p: Two-sided p-value.
    """

    n: int
    mean: float
    low: float | None
    high: float | None
    statistic: float | None
    p: float | None


def _autocovariances(x: FloatArray, y: FloatArray, lags: int) -> FloatArray:
    """Covariances of x with y at lags 0 to lags - 1, the mean of both directions (lags,)."""
    n = len(x)
    dx, dy = x - x.mean(), y - y.mean()
    both = [(dx[lag:] @ dy[: n - lag] + dy[lag:] @ dx[: n - lag]) / (2 * n) for lag in range(lags)]
    return np.array(both)


def _lag_weights(series: FloatArray, horizon: int) -> FloatArray:
    """Weights of the autocovariances in the long-run variance (lags,): rectangular, else Bartlett's."""
    lags = min(horizon, len(series))
    weights: FloatArray = np.r_[1.0, np.full(lags - 1, 2.0)]
    if float(weights @ _autocovariances(series, series, lags)) <= 0.0:
        weights *= 1.0 - np.arange(lags) / lags
    return weights


def long_run_variance(series: FloatArray, horizon: int) -> float:
    """Variance of sqrt(n) times the series' mean, with horizon - 1 lags (Diebold and Mariano 1995, section 1.1)."""
    weights = _lag_weights(series, horizon)
    return float(weights @ _autocovariances(series, series, len(weights)))


def _correction(n: int, horizon: int) -> float:
    """Small-sample factor of the squared statistic (Harvey, Leybourne and Newbold 1997, equation 9)."""
    return (n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n


def mean_test(series: FloatArray, horizon: int) -> MeanTest:
    """Tests that the mean of a daily series is zero (Harvey, Leybourne and Newbold 1997, equation 9).

    A series of zeros has p = 1. Any other constant series, or one shorter than 2 x horizon + 1, has no p-value.
    """
    from scipy import special  # not scipy.stats, whose import takes a second

    n = len(series)
    if n < 2 * horizon + 1:
        return MeanTest(n, float(series.mean()) if n else 0.0, None, None, None, None)
    mean = float(series.mean())
    if not series.any():
        return MeanTest(n, 0.0, 0.0, 0.0, 0.0, 1.0)
    variance = long_run_variance(series, horizon)
    # A variance below this is a rounding error: all numbers are equal.
    if variance <= (1e-12 * float(np.abs(series).max())) ** 2:
        return MeanTest(n, mean, None, None, None, None)
    error = math.sqrt(variance / n / _correction(n, horizon))
    half_width = float(special.stdtrit(n - 1, 0.975)) * error
    statistic = mean / error
    return MeanTest(
        n, mean, mean - half_width, mean + half_width, statistic, float(2.0 * special.stdtr(n - 1, -abs(statistic)))
    )


def daily_means(values: FloatArray, date: IntArray) -> FloatArray:
    """Mean of `values` on each date, in the order of the dates (dates,)."""
    _, code = np.unique(date, return_inverse=True)
    means: FloatArray = np.bincount(code, values) / np.bincount(code)
    return means


@dataclass(frozen=True, slots=True)
class Comparison:
    """One Diebold-Mariano test of a model against a reference.

    Attributes:
        dates: Number of dates.
        difference: Mean daily loss of the model minus that of the reference, divided by the reference's. The model is
            better if it is below zero. None if the reference's loss is zero.
        low: Lower end of its 95 % interval.
        high: Upper end.
        statistic: Harvey-Leybourne-Newbold statistic; its sign is that of the difference.
        p: Two-sided p-value against Student's t; None where it cannot be computed.
    """

    dates: int
    difference: float | None
    low: float | None
    high: float | None
    statistic: float | None
    p: float | None


def diebold_mariano(model: FloatArray, reference: FloatArray, date: IntArray, *, horizon: int) -> Comparison:
    """Compares two forecasts by their losses on the same labels.

    Args:
        model: Loss of the model on each label (n,).
        reference: Loss of the reference on each label (n,).
        date: Origin date of each label, in any integer form (n,).
        horizon: Bars ahead.
    """
    difference, scale = daily_means(model - reference, date), daily_means(reference, date)
    test = mean_test(difference, horizon)
    if not len(date) or scale.mean() <= 0.0:
        return Comparison(test.n, None, None, None, test.statistic, test.p)
    share = test.mean / float(scale.mean())
    low, high = (None, None) if test.low is None else ratio_interval(difference, scale, horizon)
    return Comparison(test.n, share, low, high, test.statistic, test.p)


def ratio_interval(numerator: FloatArray, denominator: FloatArray, horizon: int) -> tuple[float | None, float | None]:
    """Fieller's 95 % interval of the ratio of two means; None, None if it has no ends.

    It holds each ratio r for which the test does not reject that numerator - r x denominator has mean zero.

    Args:
        numerator: One number per date (dates,).
        denominator: Likewise (dates,).
        horizon: Bars ahead; the variances use horizon - 1 lags.
    """
    from scipy import special

    n = len(numerator)
    weights = _lag_weights(numerator, horizon)
    pairs = ((numerator, numerator), (numerator, denominator), (denominator, denominator))
    factor = float(special.stdtrit(n - 1, 0.975)) ** 2 / n / _correction(n, horizon)
    # The ratios between the roots of constant - 2 x half x r + square x r^2.
    constant, half, square = (
        float(x.mean() * y.mean() - factor * (weights @ _autocovariances(x, y, len(weights)))) for x, y in pairs
    )
    discriminant = half**2 - square * constant
    if square <= 0.0 or discriminant < -1e-12 * half**2:
        return None, None
    root = math.sqrt(max(discriminant, 0.0))
    return (half - root) / square, (half + root) / square


@dataclass(frozen=True, slots=True)
class NestedComparison:
    """One Clark-West test of a model against a reference that is nested in it.

    Attributes:
        statistic: Above zero, the model forecasts better once the noise of its estimated parameters is left out.
        p: One-sided p-value against Student's t; None, as the statistic, where it cannot be computed.
    """

    statistic: float | None
    p: float | None


def clark_west(
    actual: FloatArray, model: FloatArray, reference: FloatArray, date: IntArray, *, horizon: int
) -> NestedComparison:
    """Tests a model against a reference that is nested in it (Clark and West 2007, equation 3.1).

    Args:
        actual: Realised value of each label (n,).
        model: Forecast of the larger model (n,).
        reference: Forecast of the nested model (n,).
        date: Origin date of each label, in any integer form (n,).
        horizon: Bars ahead.
    """
    from scipy import special

    adjusted = (actual - reference) ** 2 - ((actual - model) ** 2 - (reference - model) ** 2)
    daily = daily_means(adjusted, date)
    test = mean_test(daily, horizon)
    if test.statistic is None or not daily.any():
        return NestedComparison(None, None)
    return NestedComparison(test.statistic, float(special.stdtr(test.n - 1, -test.statistic)))
