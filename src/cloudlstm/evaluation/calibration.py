"""The size of forecasts: by which factor the labels of a split support them.

A forecast may have the right order and the wrong size. If returns are regressed on forecasts through the origin, the
slope is the factor with which the squared error would have been smallest: 1 if the size is right, 1/2 if forecasts are
twice too large, 0 if they say nothing. A slope is estimated on the validation split and applied to the test split.

Choices, and why:

- Every date weighs the same, as in every mean of errors. The standard error comes from one number per date, with
  horizon - 1 lags: tickers move together, so labels of one date are not independent observations.
- The standard error is that of the delta method. The slope is a ratio of two means over dates, b = mean(xy) / mean(xx);
  to first order it varies as the mean of b + (xy - b xx) / mean(xx), whose test is `significance.mean_test`.
- The supported slope is b x max(0, 1 - 1/t^2), not below 0 and not above 1. For an estimate b of a true slope B with
  variance v, the factor B^2 / (B^2 + v) has the least expected squared error; 1 - 1/t^2 estimates it, as b^2 - v
  estimates B^2. This is the positive-part shrinkage of James and Stein: at |t| <= 1 nothing is left, so noise is not
  traded on, and a clear slope stays nearly as it is.

Stein: Inadmissibility of the usual estimator for the mean of a multivariate normal distribution. Proceedings of the
Third Berkeley Symposium 1, 1956. James, Stein: Estimation with quadratic loss. Fourth Berkeley Symposium 1, 1961.
(They prove that shrinkage is better for every B from three parameters on; for one parameter it is better for small B.)
Mincer, Zarnowitz: The evaluation of economic forecasts. NBER, 1969, for the regression.
"""

from __future__ import annotations

from cloudlstm.evaluation.quant_rows import Slope
from cloudlstm.evaluation.significance import FloatArray, IntArray, daily_means, mean_test

FEWEST_DATES = 20
"""With fewer dates no slope is supported."""


def validation_slope(actual: FloatArray, forecast: FloatArray, origin: IntArray, horizon: int) -> Slope:
    """Slope of actual on forecast returns, and the part of it that the data support.

    Args:
        actual: Realised log-return (n,).
        forecast: Forecast log-return (n,).
        origin: Origin date of each label, in any integer form (n,).
        horizon: Bars ahead; the standard error uses horizon - 1 lags.

    Returns:
        The slope. `supported` is 0 if fewer than `FEWEST_DATES` dates have a forecast other than zero, if the slope is
        not above zero, or if there are too few dates for a standard error.
    """
    products, squares = daily_means(actual * forecast, origin), daily_means(forecast**2, origin)
    dates = int((squares > 0.0).sum())
    if not dates:
        return Slope(dates=0, slope=None, error=None, t=None, supported=0.0)
    size = float(squares.mean())
    slope = float(products.mean()) / size
    test = mean_test(slope + (products - slope * squares) / size, horizon)
    long_enough = dates >= FEWEST_DATES and test.n >= 2 * horizon + 1
    if test.statistic is None:
        # Either too few dates, or each date has exactly this slope: then nothing is shrunk.
        kept, error = float(long_enough), 0.0 if long_enough else None
    elif test.statistic == 0.0:
        kept, error = 0.0, None
    else:
        kept, error = max(0.0, 1.0 - test.statistic**-2), slope / test.statistic
    supported = min(max(0.0, slope * kept), 1.0) if long_enough else 0.0
    return Slope(dates=dates, slope=slope, error=error, t=test.statistic, supported=supported)
