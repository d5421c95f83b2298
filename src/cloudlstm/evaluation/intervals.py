"""Intervals of forecasts by split conformal prediction, and whether they hold what they state.

The nonconformity score of a label is |actual - forecast| / scale; the scale is the window's volatility x sqrt(horizon),
so an interval is wide where the market was volatile. The interval of level L is forecast +- q x scale, where q is the L
quantile of the scores of a split that is not trained on. It assumes no distribution of returns.

Choices, and why:

- Dates are the exchangeable units, not labels: one shock moves all tickers of a date, so 500 tickers on one date are
  not 500 observations. Each date weighs 1, shared equally by its labels, and one more date of weight 1 with an infinite
  score stands for the date to come. So q is the smallest score up to which the labels weigh level x (dates + 1). If
  dates are exchangeable, a label drawn at random from a new date lies inside with at least this probability. One label
  a date gives the usual rank ceil(level x (dates + 1)). With fewer than level / (1 - level) dates there is no such q.
- The validation split has chosen the epoch and the slope of the calibrated forecast, so its errors are a little smaller
  than those of a split without any use.
- Dates of a market are not exactly exchangeable: volatility clusters, and for horizon > 1 neighbouring labels overlap.
  Therefore coverage is measured on the test split.
- The measured share is a mean over dates, with the 95 % interval of `significance.mean_test`. It judges these intervals
  as they were fitted: a quantile of few dates has an error of its own, and if that made the intervals too narrow, the
  verdict says so, from a difference of TOLERANCE on.

Vovk, Gammerman, Shafer: Algorithmic learning in a random world. Springer, 2005.
Lei, G'Sell, Rinaldo, Tibshirani, Wasserman: Distribution-free predictive inference for regression. Journal of the
American Statistical Association 113, 2018, also for scores with a local scale.
Angelopoulos, Bates: Conformal prediction: a gentle introduction. Foundations and Trends in Machine Learning 16(4),
2023.
Lee, Barber, Willett: Distribution-free inference with hierarchical data. arXiv, 2023, for groups (here dates) as units.
Clopper, Pearson: The use of confidence or fiducial limits illustrated in the case of the binomial. Biometrika 26(4),
1934.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from cloudlstm.evaluation.metrics import date_weights
from cloudlstm.evaluation.quant_rows import IntervalCoverage
from cloudlstm.evaluation.rows import Number, Row
from cloudlstm.evaluation.significance import FloatArray, IntArray, daily_means, mean_test

LEVELS = (0.5, 0.8, 0.95)

TOLERANCE = 0.02
"""A share this close to the nominal one is as stated, even if many dates show that it is not equal."""


class ConformalFit(Row):
    """Quantiles of the nonconformity score.

    Attributes:
        levels: Nominal coverage of each interval, between 0 and 1.
        quantiles: Half width of the interval of each level, in units of the scale; None if there are too few dates.
        dates: Dates behind them.
        labels: Labels behind them.
    """

    levels: tuple[float, ...]
    quantiles: tuple[Number, ...]
    dates: int
    labels: int


def fit(
    actual: FloatArray, forecast: FloatArray, scale: FloatArray, origin: IntArray, levels: Sequence[float] = LEVELS
) -> ConformalFit:
    """Fits the intervals on labels that are not trained on.

    Args:
        actual: Realised log-return (n,).
        forecast: Forecast log-return (n,).
        scale: The window's volatility x sqrt(horizon), above zero (n,).
        origin: Origin date of each label, in any integer form (n,).
        levels: Nominal coverages, between 0 and 1.
    """
    score = np.abs(actual - forecast) / scale
    order = np.argsort(score, kind="stable")
    weight = np.cumsum(date_weights(origin)[order])  # its last value is the number of dates
    dates = len(np.unique(origin))
    # 19 dates that sum up to 18.999999999 still weigh 0.95 x 20.
    place = np.searchsorted(weight, np.array(levels) * (dates + 1) - 1e-9 * (dates + 1))
    quantiles = tuple(float(score[order[at]]) if at < len(order) else None for at in place)
    return ConformalFit(levels=tuple(levels), quantiles=quantiles, dates=dates, labels=len(actual))


def half_widths(fitted: ConformalFit, scale: FloatArray) -> FloatArray:
    """Half widths of the intervals of every level, log-return (levels, n); infinite without a quantile.

    Args:
        fitted: Result of `fit`.
        scale: The window's volatility x sqrt(horizon), above zero (n,).
    """
    quantiles = [np.inf if quantile is None else quantile for quantile in fitted.quantiles]
    return np.outer(quantiles, scale)


def coverage(
    levels: Sequence[float],
    halves: FloatArray,
    actual: FloatArray,
    forecast: FloatArray,
    origin: IntArray,
    horizon: int,
) -> tuple[IntervalCoverage, ...]:
    """Coverage of the intervals of every level on labels that did not fit them.

    Args:
        levels: Nominal coverages.
        halves: Half widths from `half_widths` (levels, n); the labels of several folds may be joined.
        actual: Realised log-return (n,).
        forecast: Forecast log-return (n,).
        origin: Origin date of each label, in any integer form (n,).
        horizon: Bars ahead; the interval of the share uses horizon - 1 lags.
    """
    dates = len(np.unique(origin))
    found = []
    for level, half in zip(levels, halves, strict=True):
        share, width, ends = None, None, None
        if dates and np.isfinite(half).all():
            inside = daily_means((np.abs(actual - forecast) <= half).astype(np.float64), origin)
            ends = _interval(inside, horizon)
            share, width = min(float(inside.mean()), 1.0), float(daily_means(2.0 * half, origin).mean())
        found.append(
            IntervalCoverage(
                level=level,
                dates=dates,
                labels=len(actual),
                share=share,
                low=ends and ends[0],
                high=ends and ends[1],
                verdict=_verdict(level, share, ends),
                width=width,
            )
        )
    return tuple(found)


def _interval(inside: FloatArray, horizon: int) -> tuple[float, float] | None:
    """95 % interval of the mean of daily shares (dates,); None if there are too few dates."""
    n = len(inside)
    if n < 2 * horizon + 1:
        return None
    tested = mean_test(inside, horizon)
    if tested.low is not None and tested.high is not None and inside.any():
        return max(tested.low, 0.0), min(tested.high, 1.0)
    # Every date has the same share. If it is 0 or 1: the interval of Clopper and Pearson for n / horizon dates. It also
    # holds for shares: by Markov's inequality a share of mean m is 1 with probability m at most.
    edge = 0.025 ** (horizon / n)
    if inside[0] in (0.0, 1.0):
        return (edge, 1.0) if inside[0] else (0.0, 1.0 - edge)
    return None


def _verdict(
    level: float, share: float | None, ends: tuple[float, float] | None
) -> Literal["as stated", "too narrow", "too wide", "untested"]:  # fmt: skip
    if ends is None or share is None:
        return "untested"
    if abs(share - level) <= TOLERANCE:
        return "as stated"
    low, high = ends
    return "too narrow" if high < level else "too wide" if low > level else "as stated"
