"""The series behind the charts, reduced to a size that fits into report.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from cloudlstm.evaluation.forecasts import Forecasts
from cloudlstm.evaluation.metrics import date_weights, price_errors
from cloudlstm.evaluation.periods import by_period, iso_dates
from cloudlstm.evaluation.rows import TickerScores
from cloudlstm.evaluation.significance import FloatArray, daily_means, diebold_mariano, mean_test
from cloudlstm.market.interval import texts_of
from cloudlstm.report.models import (
    Calibration,
    ChartData,
    CumulativeSeries,
    Decile,
    ErrorSeries,
    ForecastPath,
    Sample,
    SkillInterval,
)

PATH_DATES = 60
"""Dates of a forecast path: few enough to tell one day from the next at the width of a phone."""
DECILES = 10
FEW_TICKERS = 6
"""Up to this many tickers, every ticker has a forecast path."""
SAMPLE = 600
"""Labels in the scatter plot of forecast and actual returns."""


def chart_data(
    test: Forecasts, per_ticker: Sequence[TickerScores], turnover: Mapping[str, float], *, horizon: int
) -> ChartData:
    """All series of the test split.

    Args:
        test: The test split with the forecasts of all models.
        per_ticker: Scores by ticker and model.
        turnover: Ticker -> close x volume in dollars a session.
        horizon: Bars ahead, as `sessions.evidence_horizon`.
    """
    return ChartData(
        cumulative=_cumulative(test),
        errors=_errors(test),
        paths=tuple(_paths(test, per_ticker, turnover)),
        calibration=_calibration(test, horizon),
        sample=_sample(test),
        skill=tuple(_skill_intervals(test, horizon)),
    )


def _rounded(values: FloatArray, digits: int) -> tuple[float, ...]:
    return tuple(np.round(values, digits).tolist())


def _cumulative(test: Forecasts) -> CumulativeSeries:
    """Squared return error that a model saved against naive up to each date, as a share of naive's over all dates.

    Welch, Goyal: A comprehensive look at the empirical performance of equity premium prediction. Review of Financial
    Studies 21(4), 2008. Every date weighs the same. The last value is R² out of sample.
    """
    dates, code = np.unique(test.target_session, return_inverse=True)
    weight = date_weights(test.session)
    squared = weight * test.actual**2
    naive = float(squared.sum())
    saved = {
        model: _rounded(np.cumsum(np.bincount(code, squared - weight * (forecast - test.actual) ** 2)) / naive, 9)
        for model, forecast in test.models.items()
        if model != "naive" and naive > 0.0
    }
    return CumulativeSeries(dates=iso_dates(dates), models=saved)


def _errors(test: Forecasts) -> ErrorSeries:
    """RMSE of the log-return by month, quarter or year: the shortest with few enough points, see `by_period`.

    Every date weighs the same.
    """
    period, first, code = by_period(test.target_session, sessions=test.unit != "D")
    weight = date_weights(test.session, code)
    total = np.bincount(code, weight)
    return ErrorSeries(
        period=period,
        dates=iso_dates(first),
        labels=tuple(np.bincount(code).tolist()),
        models={
            model: _rounded(np.sqrt(np.bincount(code, weight * (forecast - test.actual) ** 2) / total), 9)
            for model, forecast in test.models.items()
        },
    )


def _skill_intervals(test: Forecasts, horizon: int) -> Iterator[SkillInterval]:
    """Intervals of the skill on price, from a Diebold-Mariano test on the dates of each ticker."""
    squared = {
        model: price_errors(test.last_close, test.actual, test.models[model]) ** 2 for model in ("lstm", "naive")
    }
    order = np.argsort(test.ticker, kind="stable")
    for at in np.split(order, np.flatnonzero(np.diff(test.ticker[order])) + 1):
        tested = diebold_mariano(squared["lstm"][at], squared["naive"][at], test.session[at], horizon=horizon)
        low, high = (None if end is None else round(0.0 - end, 6) for end in (tested.high, tested.low))
        yield SkillInterval(ticker=test.tickers[test.ticker[at[0]]], low=low, high=high)


def _paths(
    test: Forecasts, per_ticker: Sequence[TickerScores], turnover: Mapping[str, float]
) -> list[ForecastPath]:  # fmt: skip
    """The last dates of the tickers that are shown."""
    shown = []
    for name, role in _chosen_tickers(per_ticker, turnover):
        at = np.flatnonzero(test.ticker == test.tickers.index(name))[-PATH_DATES:]
        close, actual, forecast = test.last_close[at], test.actual[at], test.models["lstm"][at]
        shown.append(
            ForecastPath(
                ticker=name,
                role=role,
                dates=texts_of(test.target[at], test.unit),
                actual_price=_rounded(close * np.exp(actual), 4),
                forecast_price=_rounded(close * np.exp(forecast), 4),
                actual_return=_rounded(actual, 6),
                forecast_return=_rounded(forecast, 6),
            )
        )
    return shown


def _chosen_tickers(per_ticker: Sequence[TickerScores], turnover: Mapping[str, float]) -> list[tuple[str, str]]:
    """Tickers and why they are shown, the best skill first. The choice follows from skill and turnover only."""
    skills = {row.ticker: row.skill for row in per_ticker if row.model == "lstm" and row.skill is not None}
    names = sorted(skills, key=lambda name: (-skills[name], name))
    if not names:
        return []
    if len(names) == 1:
        return [(names[0], "the only ticker")]
    roles: dict[str, list[str]] = {name: [] for name in names} if len(names) <= FEW_TICKERS else {}
    roles.setdefault(names[0], []).append("best skill")
    if len(names) > 2:
        roles.setdefault(names[(len(names) - 1) // 2], []).append("median skill")
    roles.setdefault(names[-1], []).append("worst skill")
    traded = [name for name in names if turnover.get(name)]
    if traded:
        roles.setdefault(max(traded, key=lambda name: (turnover[name], name)), []).append("largest turnover")
    return [(name, ", ".join(roles[name])) for name in names if name in roles]


def _sample(test: Forecasts) -> Sample:
    """Labels at even distances in the order of the forecast, with the smallest and the largest forecast."""
    forecast = test.models["lstm"]
    order = np.lexsort((test.actual, forecast))
    taken = order[np.unique(np.linspace(0, len(order) - 1, min(SAMPLE, len(order))).round().astype(np.intp))]
    return Sample(
        labels=len(forecast), forecast=_rounded(forecast[taken], 6), actual=_rounded(test.actual[taken], 6)
    )  # fmt: skip


def _calibration(test: Forecasts, horizon: int) -> Calibration:
    """Deciles of the LSTM's forecast, and the histograms of forecast and actual returns.

    Means of a decile are over its dates, and each date's over its labels. The error is the half width of the 95 %
    interval of the mean return, by Student's t with horizon - 1 lags; 0 if the decile has too few dates for it.
    """
    forecast, actual = test.models["lstm"], test.actual
    bins = []
    if len(np.unique(forecast)) >= DECILES:
        for part in np.array_split(np.argsort(forecast, kind="stable"), DECILES):
            realised = mean_test(daily_means(actual[part], test.session[part]), horizon)
            bins.append(
                Decile(
                    forecast=float(daily_means(forecast[part], test.session[part]).mean()),
                    actual=realised.mean,
                    error=0.0 if realised.high is None else realised.high - realised.mean,
                    labels=len(part),
                )
            )
    limit = float(np.quantile(np.abs(actual), 0.995)) or 0.01
    edges = np.linspace(-limit, limit, 62)  # an odd number of bins: zero is in the middle of one

    def density(values: FloatArray) -> tuple[float, ...]:
        return _rounded(np.histogram(np.clip(values, -limit, limit), edges)[0] / len(values), 8)

    return Calibration(
        bins=tuple(bins),
        edges=_rounded(edges, 8),
        actual_density=density(actual),
        forecast_density=density(forecast),
    )
