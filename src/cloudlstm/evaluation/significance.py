"""The Diebold-Mariano test of two forecasts, with one observation per date.

Choices, and why:

- Tickers move together, so the labels of one date are not independent observations. The loss difference is averaged
  over the tickers of each date first; the test sees one number per date.
- The variance is the long-run variance with horizon - 1 lags: forecasts h bars ahead overlap on h - 1 bars. The kernel
  is rectangular as in the papers; if that gives a negative variance (possible for h > 1), the Bartlett kernel is used.
- The statistic is scaled, and compared with Student's t of n - 1 degrees of freedom, as Harvey, Leybourne and Newbold
  propose. For one bar ahead this is exactly the one-sample t-test of the mean daily loss difference.
- The main loss is the squared return error. The price loss depends on price levels, so it is mostly the loss of
  the expensive tickers. The report shows both.

Diebold, Mariano: Comparing predictive accuracy. Journal of Business & Economic Statistics 13(3), 1995.
Harvey, Leybourne, Newbold: Testing the equality of prediction mean squared errors. International Journal of
Forecasting 13(2), 1997.
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


def long_run_variance(series: FloatArray, horizon: int) -> float:
    """Variance of sqrt(n) times the series' mean, with horizon - 1 lags (Diebold and Mariano 1995, section 1.1)."""
    n = len(series)
    deviation = series - series.mean()
    lags = min(horizon, n)
    covariances = np.array([deviation[lag:] @ deviation[: n - lag] / n for lag in range(lags)])
    rectangular = covariances[0] + 2.0 * covariances[1:].sum()
    if rectangular > 0.0:
        return float(rectangular)
    weights = 1.0 - np.arange(1, lags) / lags
    return float(covariances[0] + 2.0 * (weights @ covariances[1:]))


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
    correction = (n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n
    error = math.sqrt(variance / n / correction)
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
    test = mean_test(daily_means(model - reference, date), horizon)
    scale = float(daily_means(reference, date).mean()) if len(date) else 0.0
    if scale <= 0.0:
        return Comparison(test.n, None, None, None, test.statistic, test.p)

    def share(value: float | None) -> float | None:
        return None if value is None else value / scale

    return Comparison(test.n, test.mean / scale, share(test.low), share(test.high), test.statistic, test.p)
