"""What is measured, and what exactly each figure means: one table, one function a kind of figure.

All returns are log-returns over the horizon; a price forecast is last close x exp(forecast return). Grouped figures are
computed for all groups (tickers, years) at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from cloudlstm.evaluation.significance import FloatArray, IntArray, mean_test


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure of the report.

    Attributes:
        name: Its key in report.json.
        label: Its name for people.
        unit: "dollar", "return", "share", "ratio", "count", "p" or "t"; decides how it is printed.
        better: Which way is better, if any.
        definition: What it is, with its source.
    """

    name: str
    label: str
    unit: Literal["dollar", "return", "share", "ratio", "count", "p", "t"]
    better: Literal["lower", "higher", "none"]
    definition: str


METRICS = (
    Metric(
        "rmse_price", "RMSE, price", "dollar", "lower",
        "Root mean squared error of the price forecast, last close x exp(forecast log-return), against the close that "
        "came, in dollars. Pooled over tickers it is mostly the error of the expensive ones.",
    ),
    Metric(
        "skill", "Skill against naive", "share", "higher",
        "1 - MSE(model) / MSE(naive) on the price: the share of naive's mean squared error that the model removes. "
        "Zero is as good as 'tomorrow = today', below zero is worse (Murphy 1988, Monthly Weather Review 116).",
    ),
    Metric(
        "mae_price", "MAE, price", "dollar", "lower",
        "Mean absolute error of the price forecast, in dollars.",
    ),
    Metric(
        "rmse_return", "RMSE, return", "return", "lower",
        "Root mean squared error of the forecast log-return. Unlike dollars it weighs all tickers alike.",
    ),
    Metric(
        "mae_return", "MAE, return", "return", "lower",
        "Mean absolute error of the forecast log-return.",
    ),
    Metric(
        "r2_oos", "R² out of sample", "share", "higher",
        "1 - sum of squared return errors / sum of squared returns: the skill on returns, with a forecast of zero as "
        "benchmark (Campbell and Thompson 2008, Review of Financial Studies 21(4), there with the historical mean).",
    ),
    Metric(
        "dm_p", "DM p, return", "p", "none",
        "Two-sided p-value of the Diebold-Mariano test against naive on squared return errors, averaged over tickers "
        "by date, with the small-sample correction of Harvey, Leybourne and Newbold (1997). Above 0.05 the model "
        "cannot be told apart from naive; below, the sign of R² out of sample says which one is better.",
    ),
    Metric(
        "dm_p_price", "DM p, price", "p", "none",
        "The same test on squared price errors in dollars.",
    ),
    Metric(
        "spread", "Spread of forecasts", "ratio", "none",
        "Standard deviation of the forecast returns over that of the actual returns. An honest forecast with R² of r "
        "has a spread of about the square root of r; near 1 means noise is being forecast.",
    ),
    Metric(
        "directional_accuracy", "Direction right", "share", "higher",
        "Share of labels whose sign was forecast, among those where neither forecast nor return is exactly zero. To be "
        "read against the base rate. Naive forecasts no direction.",
    ),
    Metric(
        "base_rate_up", "Base rate of ups", "share", "none",
        "Share of ups among the labels whose return is not zero: what a forecast of always up gets right.",
    ),
    Metric(
        "zero_forecasts", "Forecasts of zero", "count", "none",
        "Forecasts that are exactly zero and so say nothing about direction.",
    ),
    Metric(
        "ic", "IC", "ratio", "higher",
        "Information coefficient: correlation over tickers of forecast and actual return on one date, averaged over "
        "the dates with enough tickers (Grinold and Kahn 1999, Active Portfolio Management).",
    ),
    Metric(
        "ic_t", "t of IC", "t", "none",
        "The mean IC over its standard error across dates; lags as in the Diebold-Mariano test.",
    ),
    Metric(
        "rank_ic", "RankIC", "ratio", "higher",
        "As IC, with ranks in place of returns (Spearman's correlation), so that single large moves count less.",
    ),
    Metric(
        "rank_ic_t", "t of RankIC", "t", "none",
        "The mean RankIC over its standard error across dates.",
    ),
    Metric(
        "ic_dates", "Dates in IC", "count", "none",
        "Dates with enough tickers, and with forecasts that differ between them, for an information coefficient.",
    ),
    Metric(
        "labels", "Labels", "count", "none",
        "Forecasts that were compared with what came.",
    ),
)  # fmt: skip


def price_errors(last_close: FloatArray, actual: FloatArray, forecast: FloatArray) -> FloatArray:
    """Forecast price minus the price that came, in dollars; all of shape (n,)."""
    errors: FloatArray = last_close * (np.exp(forecast) - np.exp(actual))
    return errors


def scores(
    last_close: FloatArray,
    actual: FloatArray,
    forecast: FloatArray,
    group: npt.NDArray[np.intp] | None = None,
    n_groups: int = 1,
) -> dict[str, FloatArray]:
    """The error figures of one model, by group.

    Args:
        last_close: Close at the origin, in dollars (n,).
        actual: Log-return that came (n,).
        forecast: Log-return forecast (n,).
        group: Group of each label, 0 to n_groups - 1 (n,); one group when left out.
        n_groups: How many groups there are.

    Returns:
        Name of the figure -> (n_groups,); NaN where a group has nothing to compute it from.
    """
    codes = np.zeros(len(actual), np.intp) if group is None else group

    def total(values: npt.NDArray[Any]) -> FloatArray:
        sums: FloatArray = np.bincount(codes, values, n_groups).astype(np.float64)
        return sums

    count = total(np.ones(len(actual)))
    price = price_errors(last_close, actual, forecast)
    naive_price = price_errors(last_close, actual, np.zeros_like(forecast))  # as rounded for naive itself: skill 0
    error = forecast - actual
    moved = actual != 0.0
    called = moved & (forecast != 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):

        def deviation(values: FloatArray) -> FloatArray:
            mean = total(values) / count
            spread: FloatArray = np.sqrt(total((values - mean[codes]) ** 2) / count)
            return spread

        squared_price, squared_error = total(price**2), total(error**2)
        figures = {
            "labels": count,
            "rmse_price": np.sqrt(squared_price / count),
            "mae_price": total(np.abs(price)) / count,
            "skill": 1.0 - squared_price / total(naive_price**2),
            "rmse_return": np.sqrt(squared_error / count),
            "mae_return": total(np.abs(error)) / count,
            "r2_oos": 1.0 - squared_error / total(actual**2),
            "spread": deviation(forecast) / deviation(actual),
            "directional_accuracy": total(called & (np.sign(forecast) == np.sign(actual))) / total(called),
            "base_rate_up": total(actual > 0.0) / total(moved),
            "zero_forecasts": total(forecast == 0.0),
        }
    return {name: np.where(np.isfinite(values), values, np.nan) for name, values in figures.items()}


def ranks_within(group: npt.NDArray[np.intp], values: FloatArray) -> FloatArray:
    """The rank of each value within its group, from 1; equal values share the mean of their ranks (n,)."""
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
    """Pearson's correlation of x and y on each date (dates,)."""
    count = np.bincount(date)
    dx, dy = (v - (np.bincount(date, v) / count)[date] for v in (x, y))
    covariance = np.bincount(date, dx * dy)
    result: FloatArray = covariance / np.sqrt(np.bincount(date, dx * dx) * np.bincount(date, dy * dy))
    return result


def information_coefficients(
    origin: IntArray, actual: FloatArray, forecast: FloatArray, *, min_tickers: int, horizon: int
) -> dict[str, float | int | None]:
    """IC and RankIC over the dates that have at least `min_tickers` tickers; all None where no date has.

    `origin` is each label's date in any integer form (n,). A date on which all forecasts, or all returns, are equal
    has no correlation and does not count.
    """
    nothing: dict[str, float | int | None] = {"ic": None, "ic_t": None, "rank_ic": None, "rank_ic_t": None}
    _, date, count = np.unique(origin, return_inverse=True, return_counts=True)
    kept = count[date] >= min_tickers
    if kept.any():
        _, date = np.unique(date[kept], return_inverse=True)
        actual, forecast = actual[kept], forecast[kept]
        ranks = [ranks_within(date, values) for values in (actual, forecast)]
        # Ranks, unlike returns, are exact: their spread is zero if and only if all values are equal.
        middle = (np.bincount(date)[date] + 1) / 2.0
        varies = np.all([np.bincount(date, (rank - middle) ** 2) > 0.0 for rank in ranks], axis=0)
        if varies.any():
            with np.errstate(divide="ignore", invalid="ignore"):
                plain = mean_test(_correlations(date, actual, forecast)[varies], horizon)
                rank = mean_test(_correlations(date, *ranks)[varies], horizon)
            return {
                "ic": plain.mean, "ic_t": plain.statistic, "rank_ic": rank.mean, "rank_ic_t": rank.statistic,
                "ic_dates": plain.n,
            }  # fmt: skip
    return nothing | {"ic_dates": 0}
