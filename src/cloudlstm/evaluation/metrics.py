"""Error metrics of forecasts, and information coefficients. `report.glossary` defines each metric for readers.

All returns are log-returns over the horizon; a price forecast is last close x exp(forecast return). Metrics by group
(ticker, year) are computed for all groups at once.

One weighting: every date weighs the same in every mean, however many tickers it has, as in the significance tests. So
a score and its test cannot have different signs. R² by label, `r2_pooled`, is the only exception; it says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cloudlstm.evaluation.significance import FloatArray, IntArray, daily_means, mean_test


def price_errors(last_close: FloatArray, actual: FloatArray, forecast: FloatArray) -> FloatArray:
    """Forecast price minus actual price, in dollars; all of shape (n,)."""
    errors: FloatArray = last_close * (np.exp(forecast) - np.exp(actual))
    return errors


def date_weights(date: IntArray, group: npt.NDArray[np.intp] | None = None) -> FloatArray:
    """Weight of each label, with which every date of a group weighs 1 (n,).

    Args:
        date: Origin date of each label, in any integer form (n,).
        group: Group of each label (n,); None puts all labels into one group.
    """
    _, code = np.unique(date, return_inverse=True)
    if group is not None:
        _, code = np.unique(group.astype(np.int64) * (int(code.max(initial=0)) + 1) + code, return_inverse=True)
    weights: FloatArray = 1.0 / np.bincount(code)[code]
    return weights


def scores(
    last_close: FloatArray,
    actual: FloatArray,
    forecast: FloatArray,
    date: IntArray,
    group: npt.NDArray[np.intp] | None = None,
    n_groups: int = 1,
) -> dict[str, FloatArray]:
    """Error metrics of one model, by group; in each, every date weighs the same.

    Args:
        last_close: Close at the origin, in dollars (n,).
        actual: Realised log-return (n,).
        forecast: Forecast log-return (n,).
        date: Origin date of each label, in any integer form (n,).
        group: Group of each label, 0 to n_groups - 1 (n,); None puts all labels into one group.
        n_groups: Number of groups.

    Returns:
        Name of the metric -> values (n_groups,); NaN where it cannot be computed for a group.
    """
    codes = np.zeros(len(actual), np.intp) if group is None else group
    weight = date_weights(date, codes)

    def pooled(values: npt.NDArray[Any]) -> FloatArray:
        sums: FloatArray = np.bincount(codes, values, n_groups).astype(np.float64)
        return sums

    def total(values: npt.NDArray[Any]) -> FloatArray:
        return pooled(weight * values)

    count = total(np.ones(len(actual)))
    price = price_errors(last_close, actual, forecast)
    naive_price = price_errors(
        last_close, actual, np.zeros_like(forecast)
    )  # computed as for naive, so naive's skill is exactly 0
    error = forecast - actual
    moved = actual != 0.0
    directed = moved & (forecast != 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):

        def deviation(values: FloatArray) -> FloatArray:
            mean = total(values) / count
            spread: FloatArray = np.sqrt(total((values - mean[codes]) ** 2) / count)
            return spread

        squared_price, squared_error = total(price**2), total(error**2)
        found = {
            "labels": pooled(np.ones(len(actual))),
            "rmse_price": np.sqrt(squared_price / count),
            "mae_price": total(np.abs(price)) / count,
            "skill": 1.0 - squared_price / total(naive_price**2),
            "rmse_return": np.sqrt(squared_error / count),
            "mae_return": total(np.abs(error)) / count,
            "r2_oos": 1.0 - squared_error / total(actual**2),
            "r2_pooled": 1.0 - pooled(error**2) / pooled(actual**2),
            "spread": deviation(forecast) / deviation(actual),
            "directional_accuracy": total(directed & (np.sign(forecast) == np.sign(actual))) / total(directed),
            "base_rate_up": total(actual > 0.0) / total(moved),
            "zero_forecasts": pooled(forecast == 0.0),
        }
    return {name: np.where(np.isfinite(values), values, np.nan) for name, values in found.items()}


def ranks_within(group: npt.NDArray[np.intp], values: FloatArray) -> FloatArray:
    """Rank of each value within its group, from 1 (n,); equal values get the mean of their ranks."""
    order = np.lexsort((values, group))
    sorted_group, sorted_values = group[order], values[order]
    place = np.arange(len(order))
    new_group = np.r_[True, sorted_group[1:] != sorted_group[:-1]]
    new_tie = new_group | np.r_[True, sorted_values[1:] != sorted_values[:-1]]
    group_start = np.maximum.accumulate(np.where(new_group, place, 0))
    starts = np.flatnonzero(new_tie)
    ends = np.r_[starts[1:], len(order)] - 1
    tie = np.cumsum(new_tie) - 1
    ranks = np.empty(len(order))
    ranks[order] = (starts + ends)[tie] / 2.0 - group_start + 1.0
    return ranks


def _correlations(date: npt.NDArray[np.intp], x: FloatArray, y: FloatArray) -> FloatArray:
    """Pearson correlation of x and y on each date (dates,)."""
    count = np.bincount(date)
    dx, dy = (v - (np.bincount(date, v) / count)[date] for v in (x, y))
    covariance = np.bincount(date, dx * dy)
    result: FloatArray = covariance / np.sqrt(np.bincount(date, dx * dx) * np.bincount(date, dy * dy))
    return result


@dataclass(frozen=True, slots=True)
class InformationCoefficients:
    """Mean correlation over tickers of forecast and actual return, over dates.

    Attributes:
        ic: Mean of Pearson's correlation; None if no date has enough tickers.
        ic_t: Its mean over its standard error.
        rank_ic: Mean of Spearman's correlation.
        rank_ic_t: Its mean over its standard error.
        ic_dates: Number of dates.
    """

    ic: float | None = None
    ic_t: float | None = None
    rank_ic: float | None = None
    rank_ic_t: float | None = None
    ic_dates: int = 0


def daily_correlations(
    origin: IntArray, actual: FloatArray, forecast: FloatArray, *, min_tickers: int, session: IntArray | None = None
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Correlation over tickers of forecast and actual return on each date with at least `min_tickers` tickers.

    A date on which all forecasts, or all returns, are equal has no correlation and is left out.

    Args:
        origin: Origin date of each label, in any integer form (n,).
        actual: Realised log-return (n,).
        forecast: Forecast log-return (n,).
        min_tickers: Dates with fewer tickers are left out.
        session: Of bars within a day, the session of each label (n,): correlations are averaged over its bars.

    Returns:
        The dates, or the sessions, in order; on each, Pearson's correlation; Spearman's (dates,).
    """
    days, date, count = np.unique(origin, return_inverse=True, return_counts=True)
    kept = count[date] >= min_tickers
    if not kept.any():
        return days[:0], np.zeros(0), np.zeros(0)
    days, first, date = np.unique(origin[kept], return_index=True, return_inverse=True)
    actual, forecast = actual[kept], forecast[kept]
    ranks = [ranks_within(date, values) for values in (actual, forecast)]
    # Ranks, unlike returns, are exact: their spread is zero if and only if all values are equal.
    middle = (np.bincount(date)[date] + 1) / 2.0
    varies = np.all([np.bincount(date, (rank - middle) ** 2) > 0.0 for rank in ranks], axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        pearson, spearman = _correlations(date, actual, forecast), _correlations(date, *ranks)
    days, pearson, spearman = days[varies], pearson[varies], spearman[varies]
    if session is None or session is origin:
        return days, pearson, spearman
    own = session[kept][first][varies]
    return np.unique(own), daily_means(pearson, own), daily_means(spearman, own)


def information_coefficients(
    origin: IntArray,
    actual: FloatArray,
    forecast: FloatArray,
    *,
    min_tickers: int,
    horizon: int,
    session: IntArray | None = None,
) -> InformationCoefficients:
    """Returns IC and RankIC over the dates of `daily_correlations`.

    Args:
        origin: Origin date of each label, in any integer form (n,).
        actual: Realised log-return (n,).
        forecast: Forecast log-return (n,).
        min_tickers: Dates with fewer tickers are left out.
        horizon: Bars ahead; the standard error uses horizon - 1 lags.
        session: As in `daily_correlations`.
    """
    dates, *correlations = daily_correlations(origin, actual, forecast, min_tickers=min_tickers, session=session)
    if not len(dates):
        return InformationCoefficients()
    pearson, spearman = (mean_test(series, horizon) for series in correlations)
    return InformationCoefficients(pearson.mean, pearson.statistic, spearman.mean, spearman.statistic, pearson.n)
