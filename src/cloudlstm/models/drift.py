"""Drift of features: PSI and KS of the last 63 dates against a reference, with limits from the null.

Both statistics compare shares of values in bins, which are the deciles of the reference, and one more for values that
are missing (NaN or infinite):

- PSI, the population stability index: sum over bins of (now - reference) x log(now / reference).
- KS: the largest difference of the two cumulated shares, at the bins' edges.

**Limits.** The customary limit of PSI, 0.2, ignores how many dates there are: 60 independent values exceed 0.33 in 5 %
of cases without any drift. So the limits come from a simulation for these data. Dates are the unit, since tickers move
together: each date has one share for each bin, and blocks of consecutive dates are drawn from the reference, as long
as the window. A draw makes a new reference and a path of 252 looks, one a session. The limits are such that in 5 % of
draws any look of the path has any statistic of any feature above its limit. So they are corrected for the number of
features, for both statistics, and for looking every day. They are widened by the ratio of Student's t, with as many
degrees of freedom as the reference has windows, to the normal: without it, a reference of 756 dates alarms in 15 % of
years.

**What that is worth**, by simulation: 4 stationary features of 6 tickers that share half of their variance, 756 dates
of reference, 252 daily looks. Any alarm came in 1 to 3 % of years for independent dates, in 2, 7 and 9 % for features
whose correlation with the day before is 0.5, 0.8 and 0.9, and in 6, 20 and 25 % for a volatility of all features with
a correlation of 0.8, 0.95 and 0.98. Of single looks, fewer than 1 % alarmed, 2 and 5 % in the last two cases. What
moves more slowly than the window is no case for this test: a reference of some years has seen too few of its states.
`effective_dates` says how many independent dates a window is worth; a feature with fewer than FEWEST_EFFECTIVE never
raises an alarm.

A change of law that leaves the distribution of every feature as it was is not seen here: watch.py looks at the loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cloudlstm.errors import DataError
from cloudlstm.evaluation.significance import FloatArray, IntArray

WINDOW = 63
LOOKS = 252
LEVEL = 0.05
FEWEST_WINDOWS = 4
"""A reference has at least so many times the dates of the window."""
FEWEST_EFFECTIVE = 3.0
"""A feature whose window is worth fewer independent dates is slow: it has no limits."""
_QUANTILES = np.arange(1, 10) / 10.0
_EDGES = len(_QUANTILES) + 1
_BINS = _EDGES + 2
"""Below, between and above the edges; the last bin is for missing values."""
_SMOOTHING = 0.5
"""Added to each bin's number of dates, so that no share is zero."""


@dataclass(frozen=True, slots=True)
class FeatureReference:
    """What is remembered of one feature; JSON-ready.

    Attributes:
        name: The feature.
        edges: Edges of the bins, ascending; equal edges make empty bins.
        shares: Mean over dates of each bin's share.
        psi_limit: Limit of PSI; None for a slow feature.
        ks_limit: Limit of KS; None for a slow feature.
        effective_dates: How many independent dates a window of the feature is worth.
    """

    name: str
    edges: tuple[float, ...]
    shares: tuple[float, ...]
    psi_limit: float | None
    ks_limit: float | None
    effective_dates: float


@dataclass(frozen=True, slots=True)
class DriftReference:
    """Reference and limits of all features; JSON-ready.

    Attributes:
        dates: Dates of the reference.
        window: Dates of a look.
        features: One entry per feature.
    """

    dates: int
    window: int
    features: tuple[FeatureReference, ...]


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """Result of one look at one feature; JSON-ready.

    Attributes:
        name: The feature.
        psi: Population stability index.
        psi_limit: Its limit; None for a slow feature.
        ks: Kolmogorov-Smirnov distance at the edges of the bins.
        ks_limit: Its limit; None for a slow feature.
        missing: Mean share of missing values in the window.
        alarm: Whether one of the two is above its limit.
    """

    name: str
    psi: float
    psi_limit: float | None
    ks: float
    ks_limit: float | None
    missing: float
    alarm: bool


def _edges(values: FloatArray) -> FloatArray:
    """Edges of a feature's bins (10,): the deciles, and one above the highest value if that is a decile itself."""
    finite = values[np.isfinite(values)]
    edges = np.full(_EDGES, np.finfo(np.float64).max)
    if len(finite):
        edges[:-1] = np.quantile(finite, _QUANTILES, method="lower")
        if edges[-2] == finite.max():
            edges[-1] = np.nextafter(edges[-2], np.inf)
    return edges


def _daily_shares(values: FloatArray, date: npt.NDArray[np.intp], dates: int, edges: FloatArray) -> FloatArray:
    """Share of each bin on each date (dates, bins).

    Args:
        values: One feature (n,).
        date: Number of each value's date, from 0 (n,).
        dates: Number of dates.
        edges: Edges of the bins.
    """
    place = np.where(np.isfinite(values), np.searchsorted(edges, values, side="right"), _BINS - 1)
    counts = np.bincount(date * _BINS + place, minlength=dates * _BINS).reshape(dates, _BINS)
    shares: FloatArray = counts / counts.sum(axis=1, keepdims=True)
    return shares


def _statistics(reference: FloatArray, dates: int, now: FloatArray, window: int) -> FloatArray:
    """PSI and KS of shares (..., 2).

    Args:
        reference: Shares of the reference (..., bins).
        dates: Its number of dates.
        now: Shares of the window (..., bins).
        window: Its number of dates.
    """
    before = (reference * dates + _SMOOTHING) / (dates + _SMOOTHING * _BINS)
    after = (now * window + _SMOOTHING) / (window + _SMOOTHING * _BINS)
    psi = ((after - before) * np.log(after / before)).sum(axis=-1)
    ks = np.abs(np.cumsum(now - reference, axis=-1)).max(axis=-1)
    return np.stack([psi, ks], axis=-1)


def _window_means(shares: FloatArray, window: int) -> FloatArray:
    """Means over each `window` consecutive dates (dates - window + 1, ...)."""
    sums = np.concatenate([np.zeros((1, *shares.shape[1:])), np.cumsum(shares, axis=0)])
    means: FloatArray = (sums[window:] - sums[:-window]) / window
    return means


def _effective_dates(shares: FloatArray, window: int) -> float:
    """Number of independent dates whose mean varies as much as that of `window` dates of these; of the worst edge.

    The variance of the mean has Bartlett's weights and `window` - 1 lags.

    Args:
        shares: Daily shares of one feature (dates, bins).
        window: Dates of a window.
    """
    series = np.cumsum(shares - shares.mean(axis=0), axis=1)[:, :-1]
    variance = (series**2).mean(axis=0)
    series, variance = series[:, variance > 1e-12], variance[variance > 1e-12]
    long_run = variance.copy()
    for lag in range(1, window):
        long_run += 2.0 * (1.0 - lag / window) * (series[lag:] * series[:-lag]).sum(axis=0) / len(series)
    ratio = long_run / variance
    return window / max(1.0, float(ratio.max(initial=1.0)))


def _limits(shares: FloatArray, window: int, looks: int, level: float, draws: int, seed: int) -> FloatArray:
    """Limits of PSI and KS for each feature (features, 2), from blocks of dates of the reference.

    Args:
        shares: Daily shares (dates, features, bins).
        window: Dates of a look.
        looks: Looks, one a session, in which any alarm counts.
        level: Share of draws with an alarm.
        draws: Number of draws.
        seed: Seed of the draws.
    """
    from scipy import special  # not scipy.stats, whose import takes a second

    rng, dates = np.random.default_rng(seed), len(shares)
    highest = np.empty((draws, shares.shape[1], 2))

    def drawn(number: int) -> FloatArray:
        starts = rng.integers(0, dates - window + 1, -(-number // window))
        blocks: FloatArray = shares[(starts[:, None] + np.arange(window)).ravel()[:number]]
        return blocks

    for draw in range(draws):
        reference = drawn(dates).mean(axis=0)
        path = _window_means(drawn(window + looks - 1), window)
        highest[draw] = _statistics(reference, dates, path, window).max(axis=0)
    alone = np.maximum(np.quantile(highest, 1.0 - level, axis=0), 1e-9)
    together = np.quantile((highest / alone).max(axis=(1, 2)), 1.0 - level)
    # The draws know the variance of a window from `dates / window` blocks only: Student's t instead of the normal.
    windows, tail = dates / window, 1.0 - min(0.5, level * window / looks) / 2.0
    wider = float(special.stdtrit(windows, tail) / special.ndtri(tail))
    limits: FloatArray = alone * together * np.array([wider**2, wider])
    return limits


def make_reference(
    names: Sequence[str], values: FloatArray, date: IntArray, *, window: int = WINDOW, looks: int = LOOKS,
    level: float = LEVEL, draws: int = 500, seed: int = 0,
) -> DriftReference:  # fmt: skip
    """Computes bins, shares and limits from a time in which the features count as unchanged.

    Args:
        names: Names of the features.
        values: Their values; NaN or infinite counts as missing (n, features).
        date: Date of each row, in any integer form (n,).
        window: Dates of a look.
        looks: Looks, one a session, in which any alarm counts.
        level: Probability of an alarm in so many looks, if nothing changes.
        draws: Draws of the simulation.
        seed: Its seed.

    Raises:
        DataError: The reference has less than four times the dates of the window.
    """
    found, code = np.unique(date, return_inverse=True)
    if len(found) < FEWEST_WINDOWS * window:
        raise DataError(
            f"a reference for drift of {window} dates has {len(found)} dates, and needs {FEWEST_WINDOWS * window}",
            hint="let the reference begin earlier",
        )
    edges = [_edges(values[:, column]) for column in range(len(names))]
    shares = np.stack([_daily_shares(values[:, i], code, len(found), edges[i]) for i in range(len(names))], axis=1)
    effective = [_effective_dates(shares[:, i], window) for i in range(len(names))]
    fast = [i for i, number in enumerate(effective) if number >= min(FEWEST_EFFECTIVE, window)]
    limits: dict[int, Any] = {}
    if fast:
        limits = dict(zip(fast, _limits(shares[:, fast], window, looks, level, draws, seed), strict=True))
    features = []
    for i, name in enumerate(names):
        psi, ks = (float(limits[i][0]), float(limits[i][1])) if i in limits else (None, None)
        mean = tuple(shares[:, i].mean(axis=0).tolist())
        features.append(FeatureReference(name, tuple(edges[i].tolist()), mean, psi, ks, effective[i]))
    return DriftReference(len(found), window, tuple(features))


def look(reference: DriftReference, values: FloatArray, date: IntArray) -> list[FeatureDrift]:
    """Compares the last `reference.window` dates with the reference.

    Args:
        reference: Made by `make_reference`.
        values: Values of the reference's features, in its order (n, features).
        date: Date of each row, in any integer form (n,).

    Raises:
        DataError: There are fewer dates than the window has.
    """
    found, code = np.unique(date, return_inverse=True)
    window = reference.window
    if len(found) < window:
        raise DataError(f"drift is measured on {window} dates, and there are {len(found)}", hint="give more dates")
    kept = code >= len(found) - window
    values, code = values[kept], code[kept] - (len(found) - window)
    results = []
    for column, feature in enumerate(reference.features):
        shares = _daily_shares(values[:, column], code, window, np.array(feature.edges)).mean(axis=0)
        psi, ks = _statistics(np.array(feature.shares), reference.dates, shares, window).tolist()
        pairs = ((psi, feature.psi_limit), (ks, feature.ks_limit))
        alarm = any(limit is not None and value > limit for value, limit in pairs)
        results.append(
            FeatureDrift(feature.name, psi, feature.psi_limit, ks, feature.ks_limit, float(shares[-1]), alarm)
        )
    return results
