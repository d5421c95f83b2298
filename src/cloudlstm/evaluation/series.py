"""The series behind the report's figures, short enough to live in report.json."""

from __future__ import annotations

from typing import Any

import numpy as np

from cloudlstm.evaluation.dm import FloatArray
from cloudlstm.evaluation.forecasts import DayArray, Forecasts
from cloudlstm.evaluation.judge import Row, plain

PATH_DATES = 120
DECILES = 10


def series(test: Forecasts, per_ticker: list[Row]) -> dict[str, Any]:
    """All series of the test split, JSON-ready."""
    document: dict[str, Any] = plain(
        {"cumulative": _cumulative(test), "paths": _paths(test, per_ticker), "calibration": _calibration(test)}
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


def _paths(test: Forecasts, per_ticker: list[Row]) -> list[dict[str, Any]]:
    """The last dates of the tickers of best, median and worst skill, so that nobody picks a pretty one."""
    ranked = sorted(
        (row for row in per_ticker if row["model"] == "lstm" and row["skill"] is not None),
        key=lambda row: (-row["skill"], row["ticker"]),
    )
    if not ranked:
        return []
    roles = {0: "best skill", (len(ranked) - 1) // 2: "median skill", len(ranked) - 1: "worst skill"}
    if len(ranked) <= 2:
        roles = dict(
            enumerate(["best skill", "worst skill"][: len(ranked)] if len(ranked) == 2 else ["the only ticker"])
        )
    shown = []
    for place, role in sorted(roles.items()):
        name = ranked[place]["ticker"]
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
