"""Is one forecast better than another, or only luckier? The Diebold-Mariano test, with days as the unit of evidence.

Choices, and why:

- Tickers move together, so the labels of one date are not independent pieces of evidence. The loss difference is
  averaged over the tickers of each date first; the test then sees one number a date.
- Its variance is the long-run variance with horizon - 1 lags: forecasts h bars ahead overlap on h - 1 bars. The kernel
  is rectangular as in the papers; where that comes out negative (possible for h > 1), Bartlett's takes its place.
- The statistic is scaled, and compared with Student's t of n - 1 degrees of freedom, as Harvey, Leybourne and Newbold
  propose. For one bar ahead this is exactly the one-sample t-test of the mean daily loss difference.
- Squared return errors are the loss that counts: a dollar of error means something else for every price level, so the
  price loss is mostly the loss of the expensive tickers. The report shows both.

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
    """The test that a series of daily numbers has mean zero.

    Attributes:
        n: Numbers in the series.
        mean: Their mean.
        low: Lower end of the mean's 95 % interval; None where the variance is degenerate, like all that follow.
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

    A series of nothing but zeros has p = 1; one that is constant otherwise, or shorter than 2 horizons + 1, has none.
    """
    from scipy import special  # Student's t alone: scipy.stats takes a second to import

    n = len(series)
    if n < 2 * horizon + 1:
        return MeanTest(n, float(series.mean()) if n else 0.0, None, None, None, None)
    mean = float(series.mean())
    if not series.any():
        return MeanTest(n, 0.0, 0.0, 0.0, 0.0, 1.0)
    variance = long_run_variance(series, horizon)
    # Below this the spread is rounding: what is left when equal numbers are subtracted from their computed mean.
    if variance <= (1e-12 * float(np.abs(series).max())) ** 2:
        return MeanTest(n, mean, None, None, None, None)
    correction = (n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n
    error = math.sqrt(variance / n / correction)
    reach = float(special.stdtrit(n - 1, 0.975)) * error
    statistic = mean / error
    return MeanTest(n, mean, mean - reach, mean + reach, statistic, float(2.0 * special.stdtr(n - 1, -abs(statistic))))


def daily_means(values: FloatArray, date: IntArray) -> FloatArray:
    """The mean of `values` on each date, in the order of the dates."""
    _, code = np.unique(date, return_inverse=True)
    means: FloatArray = np.bincount(code, values) / np.bincount(code)
    return means


@dataclass(frozen=True, slots=True)
class Comparison:
    """One Diebold-Mariano test of a model against a reference.

    Attributes:
        dates: Dates that gave evidence.
        difference: Mean daily loss of the model minus that of the reference, as a share of the reference's: below zero
            the model is better.
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

    `model` and `reference` hold one loss a label (n,), `date` the label's origin date in any integer form (n,).
    """
    test = mean_test(daily_means(model - reference, date), horizon)
    scale = float(daily_means(reference, date).mean()) if len(date) else 0.0
    if scale <= 0.0:
        return Comparison(test.n, None, None, None, test.statistic, test.p)

    def share(value: float | None) -> float | None:
        return None if value is None else value / scale

    return Comparison(test.n, test.mean / scale, share(test.low), share(test.high), test.statistic, test.p)
