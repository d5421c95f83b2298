"""The series behind the report's figures, short enough to live in report.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cloudlstm.evaluation.forecasts import DayArray, Forecasts
from cloudlstm.evaluation.scoring import Row, plain
from cloudlstm.evaluation.significance import FloatArray

PATH_DATES = 120
DECILES = 10
FEW_TICKERS = 6
"""Up to so many tickers are all shown against the truth."""
MOST_PERIODS = 40
SAMPLE = 600
"""Labels in the scatter of forecast and actual returns."""


def series(test: Forecasts, per_ticker: list[Row], turnover: Mapping[str, float]) -> dict[str, Any]:
    """All series of the test split, JSON-ready; `turnover` is in dollars a session by ticker."""
    document: dict[str, Any] = plain(
        {
            "cumulative": _cumulative(test),
            "errors": _errors(test),
            "paths": _paths(test, per_ticker, turnover),
            "calibration": _calibration(test),
            "sample": _sample(test),
        }
    )
    return document


def iso(days: DayArray) -> list[str]:
    """Days since 1970-01-01 as ISO dates."""
    return [str(day) for day in days.astype("datetime64[D]")]


def _cumulative(test: Forecasts) -> dict[str, Any]:
    """Squared return error that a model saved against naive up to each date, as a share of naive's over all dates.

    Welch, Goyal: A comprehensive look at the empirical performance of equity premium prediction. Review of Financial
    Studies 21(4), 2008. A rising line gains on naive; the last value is R² out of sample.
    """
    dates, code = np.unique(test.target, return_inverse=True)
    naive = float((test.actual**2).sum())
    saved = {
        model: np.round(np.cumsum(np.bincount(code, test.actual**2 - (said - test.actual) ** 2)) / naive, 9)
        for model, said in test.models.items()
        if model != "naive" and naive > 0.0
    }
    return {"dates": iso(dates), "models": saved}


def _errors(test: Forecasts) -> dict[str, Any]:
    """RMSE of the log-return by month, quarter or year of the target date, whichever gives few enough points."""
    months = test.target.astype("datetime64[D]").astype("datetime64[M]").astype(np.intp)  # since 1970-01
    n_months = len(np.unique(months))
    period, length = next(
        ((name, length) for name, length in (("month", 1), ("quarter", 3)) if n_months / length <= MOST_PERIODS),
        ("year", 12),
    )
    periods, code = np.unique(months // length, return_inverse=True)
    first = (periods * length).astype("datetime64[M]").astype("datetime64[D]").astype(np.int32)
    counts = np.bincount(code)
    return {
        "period": period,
        "dates": iso(first),
        "labels": counts,
        "models": {
            model: _rounded(np.sqrt(np.bincount(code, (said - test.actual) ** 2) / counts), 9)
            for model, said in test.models.items()
        },
    }


def _paths(test: Forecasts, per_ticker: list[Row], turnover: Mapping[str, float]) -> list[dict[str, Any]]:
    """The last dates of all tickers where they are few; else of those that nobody picked for being pretty."""
    shown = []
    for name, role in _chosen(per_ticker, turnover):
        at = np.flatnonzero(test.ticker == test.tickers.index(name))[-PATH_DATES:]
        close, actual, said = test.last_close[at], test.actual[at], test.models["lstm"][at]
        shown.append(
            {
                "ticker": name,
                "role": role,
                "dates": iso(test.target[at]),
                "actual_price": _rounded(close * np.exp(actual), 4),
                "forecast_price": _rounded(close * np.exp(said), 4),
                "actual_return": _rounded(actual, 6),
                "forecast_return": _rounded(said, 6),
            }
        )
    return shown


def _chosen(per_ticker: list[Row], turnover: Mapping[str, float]) -> list[tuple[str, str]]:
    """Tickers and why they are shown, the one of best skill first."""
    ranked = sorted(
        (row for row in per_ticker if row["model"] == "lstm" and row["skill"] is not None),
        key=lambda row: (-row["skill"], row["ticker"]),
    )
    if not ranked:
        return []
    names = [row["ticker"] for row in ranked]
    roles: dict[str, list[str]] = {name: [] for name in names} if len(names) <= FEW_TICKERS else {}
    if len(names) == 1:
        return [(names[0], "the only ticker")]
    roles.setdefault(names[0], []).append("best skill")
    if len(names) > 2:
        roles.setdefault(names[(len(names) - 1) // 2], []).append("median skill")
    roles.setdefault(names[-1], []).append("worst skill")
    traded = [name for name in names if turnover.get(name)]
    if traded:
        roles.setdefault(max(traded, key=lambda name: (turnover[name], name)), []).append("largest turnover")
    return [(name, ", ".join(roles[name])) for name in names if name in roles]


def _sample(test: Forecasts) -> dict[str, Any]:
    """Forecast and actual return of labels at even distances in the order of the forecast, so that the ends are in."""
    said = test.models["lstm"]
    order = np.lexsort((test.actual, said))
    taken = order[np.unique(np.linspace(0, len(order) - 1, min(SAMPLE, len(order))).round().astype(np.intp))]
    return {"labels": len(said), "forecast": _rounded(said[taken], 6), "actual": _rounded(test.actual[taken], 6)}


def _rounded(values: FloatArray, digits: int) -> FloatArray:
    rounded: FloatArray = np.round(values, digits)
    return rounded


def _calibration(test: Forecasts) -> dict[str, Any]:
    """Deciles of the LSTM's forecast with the return that came, and both distributions on one scale.

    `error` is the half width of a 95 % interval of the decile's mean return, from the mean of each date.
    """
    said, actual = test.models["lstm"], test.actual
    bins = []
    if len(np.unique(said)) >= DECILES:
        order = np.argsort(said, kind="stable")
        for part in np.array_split(order, DECILES):
            _, code = np.unique(test.origin[part], return_inverse=True)
            daily = np.bincount(code, actual[part]) / np.bincount(code)
            error = 1.96 * daily.std(ddof=1) / np.sqrt(len(daily)) if len(daily) > 1 else 0.0
            bins.append(
                {"forecast": said[part].mean(), "actual": actual[part].mean(), "error": error, "labels": len(part)}
            )
    reach = float(np.quantile(np.abs(actual), 0.995)) or 0.01
    edges = np.linspace(-reach, reach, 62)  # an odd number of bins: zero lies in the middle of one

    def density(values: FloatArray) -> FloatArray:
        return _rounded(np.histogram(np.clip(values, -reach, reach), edges)[0] / len(values), 8)

    return {
        "bins": bins,
        "edges": _rounded(edges, 8),
        "actual_density": density(actual),
        "forecast_density": density(said),
    }
