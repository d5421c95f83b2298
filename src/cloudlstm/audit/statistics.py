"""Tests with one observation per date, against a limit of effect, corrected for the number of tests.

A correlation is the mean over dates of the mean product of a date, so entities of one date count as one observation.
The null is not "no correlation" but "at most the limit": a real forecast of daily returns may have a small one. The
standard error is Newey and West's of the influence of each date, and the critical value Student's t at a level that is
divided by the number of tests (Bonferroni).

Newey, West: A simple, positive semi-definite, heteroskedasticity and autocorrelation consistent covariance matrix.
Econometrica 55(3), 1987.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cloudlstm.audit.panel import Panel, Values

LEVEL = 0.002
"""Probability of a false alarm in a clean table over all statistical checks."""
FEWEST_DATES = 40
_FEWEST_EFFECTIVE = 12.0
"""A result that rests on fewer dates, by Kish's effective number of their squared influences, is no evidence."""


def critical(tests: int, dates: int) -> float:
    """Returns the one-sided critical value of Student's t at LEVEL / `tests`, by Cornish and Fisher's expansion."""
    z = NormalDist().inv_cdf(1.0 - LEVEL / max(tests, 1))
    n = max(dates - 1, 1)
    return z + (z**3 + z) / (4 * n) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)


def standard_error(series: Values, lags: int) -> float:
    """Returns the standard error of the mean of a series: the larger of the plain one and Newey and West's."""
    n = len(series)
    centred = series - series.mean()
    variance = long_run = float(centred @ centred) / n
    for lag in range(1, min(lags, n - 1) + 1):
        long_run += 2.0 * (1.0 - lag / (lags + 1)) * float(centred[lag:] @ centred[:-lag]) / n
    return math.sqrt(max(variance, long_run) / (n - 1))


@dataclass(frozen=True, slots=True)
class Correlation:
    """A correlation over dates.

    Attributes:
        value: Between -1 and 1; NaN if there are too few dates.
        error: Its standard error.
        dates: Number of dates with both values.
    """

    value: float
    error: float
    dates: int

    def exceeds(self, limit: float, tests: int) -> bool:
        """True if the correlation is above the limit in size, beyond chance."""
        return self.lower(tests) > limit

    def lower(self, tests: int) -> float:
        """The lower confidence limit of its size."""
        if not math.isfinite(self.value):
            return 0.0
        return abs(self.value) - critical(tests, self.dates) * self.error


NO_CORRELATION = Correlation(math.nan, math.nan, 0)


@dataclass(frozen=True, slots=True)
class Dated:
    """A column in the order of dates, ready for many correlations.

    Attributes:
        values: 0 where missing (rows,).
        known: 1 where there is a value, else 0 (rows,).
        squares: Squares of the values (rows,).
        starts: The first row of each date (dates,).
    """

    values: Values
    known: Values
    squares: Values
    starts: NDArray[np.intp]

    @classmethod
    def of(cls, panel: Panel, values: Values) -> Self:
        """The column of a panel; it has mean zero under the null."""
        ordered = values[panel.by_step]
        known = np.isfinite(ordered)
        ordered[~known] = 0.0
        return cls(ordered, known.astype(np.float64), ordered * ordered, panel.step_starts)


def correlation(x: Dated, y: Dated, lags: int) -> Correlation:
    """Returns the correlation of two columns that have mean zero under the null; every date weighs the same.

    Args:
        x: A column.
        y: Another.
        lags: Lags of the standard error.
    """
    count = np.add.reduceat(x.known * y.known, x.starts)
    some = count > 0
    if some.sum() < FEWEST_DATES:
        return NO_CORRELATION
    pairs = ((x.values, y.values), (x.squares, y.known), (x.known, y.squares))
    xy, xx, yy = (np.add.reduceat(one * other, x.starts)[some] / count[some] for one, other in pairs)
    scale = math.sqrt(float(xx.mean()) * float(yy.mean()))
    if scale <= 0.0 or not math.isfinite(scale):
        return NO_CORRELATION
    value = float(xy.mean()) / scale
    influence = xy / scale - 0.5 * value * (xx / xx.mean() + yy / yy.mean())
    squares = (xy / scale) ** 2
    if squares.sum() ** 2 < _FEWEST_EFFECTIVE * (squares**2).sum():
        return NO_CORRELATION
    return Correlation(value, standard_error(influence, lags), int(some.sum()))
