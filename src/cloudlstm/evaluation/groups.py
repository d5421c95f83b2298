"""Scores of a model against naive by group of labels: calendar year, regime of volatility, sector.

A group is a set of labels; within it every date weighs the same, and the tests see one number per date. A difference
between groups is easily found by chance: of 20 groups without any skill, one has p below 0.05 on average.

The regimes are groups of dates, not of labels: calm, normal and turbulent are the thirds of the dates in the order of
the mean over tickers of the window's volatility, which is known at the origin. With thresholds from the dates
themselves the thirds are equal in size, but known only afterwards. Thresholds of an earlier split are known before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from cloudlstm.evaluation import metrics
from cloudlstm.evaluation.forecasts import CodeArray, Forecasts
from cloudlstm.evaluation.periods import iso_date
from cloudlstm.evaluation.quant_rows import GroupScores
from cloudlstm.evaluation.significance import FloatArray, IntArray, daily_means, diebold_mariano
from cloudlstm.market.sectors import OTHER

REGIMES = ("calm", "normal", "turbulent")


def by_group(
    forecasts: Forecasts, model: str, codes: CodeArray, names: Sequence[str], horizon: int, ic_min_tickers: int
) -> list[GroupScores]:
    """Scores of one model by group, in the order of the names; groups without labels are left out.

    Args:
        forecasts: Labels with the forecasts of the model.
        model: Name of the model in `forecasts.models`.
        codes: Index into `names` of each label's group; -1 for labels in no group (n,).
        names: Names of the groups.
        horizon: Bars ahead.
        ic_min_tickers: Dates with fewer tickers of the group do not count for the information coefficients.
    """
    order = np.argsort(codes, kind="stable")
    order = order[np.searchsorted(codes[order], 0) :]
    rows = []
    for at in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
        if not len(at):
            continue
        close, actual, session = forecasts.last_close[at], forecasts.actual[at], forecasts.session[at]
        forecast = forecasts.models[model][at]
        scores = {name: float(values[0]) for name, values in metrics.scores(close, actual, forecast, session).items()}
        tested = diebold_mariano((forecast - actual) ** 2, actual**2, session, horizon=horizon)
        coefficients = metrics.information_coefficients(
            forecasts.origin[at], actual, forecast, min_tickers=ic_min_tickers, horizon=horizon, session=session
        )
        rows.append(
            GroupScores(
                group=names[codes[at[0]]],
                model=model,
                first=iso_date(int(session.min())),
                last=iso_date(int(session.max())),
                labels=len(at),
                dates=tested.dates,
                rmse_ratio=_root(1.0 - scores["r2_oos"]),
                rmse_ratio_price=_root(1.0 - scores["skill"]),
                r2_oos=scores["r2_oos"],
                difference=tested.difference,
                low=tested.low,
                high=tested.high,
                dm_p=tested.p,
                **asdict(coefficients),
            )
        )
    return rows


def _root(ratio: float) -> float:
    return float(np.sqrt(ratio))  # NaN where naive's error is zero; the row stores it as None


def volatility_thresholds(origin: IntArray, volatility: FloatArray) -> tuple[float, float]:
    """The two thresholds that divide the dates into thirds by their mean volatility over tickers.

    Args:
        origin: Origin date of each label, in any integer form (n,), n > 0.
        volatility: Volatility of each label's window (n,).
    """
    lower, upper = np.quantile(daily_means(volatility, origin), [1.0 / 3.0, 2.0 / 3.0]).tolist()
    return lower, upper


def by_regime(
    origin: IntArray, volatility: FloatArray, thresholds: tuple[float, float] | None = None
) -> tuple[CodeArray, tuple[str, ...]]:
    """Groups labels by the volatility of their date.

    Args:
        origin: Origin date of each label, in any integer form (n,).
        volatility: Volatility of each label's window (n,).
        thresholds: Largest mean volatility of calm and of normal dates; None takes `volatility_thresholds`.

    Returns:
        Index into the names of each label's regime (n,); `REGIMES`.
    """
    if thresholds is None:
        thresholds = volatility_thresholds(origin, volatility)
    _, date = np.unique(origin, return_inverse=True)
    codes: CodeArray = np.searchsorted(np.array(thresholds), daily_means(volatility, origin))[date]
    return codes, REGIMES


def by_sector(
    tickers: Sequence[str], ticker: CodeArray, sectors: Mapping[str, str]
) -> tuple[CodeArray, tuple[str, ...]]:  # fmt: skip
    """Groups labels by the sector of their ticker.

    Args:
        tickers: Names of the tickers.
        ticker: Index into `tickers` of each label (n,).
        sectors: Ticker -> sector; a ticker without one is in the sector "other".

    Returns:
        Index into the names of each label's sector (n,); the sectors that occur, sorted, "other" last.
    """
    own = [sectors.get(name, OTHER) for name in tickers]
    names = sorted(set(own), key=lambda name: (name == OTHER, name))
    place = {name: number for number, name in enumerate(names)}
    codes: CodeArray = np.array([place[name] for name in own], dtype=np.intp)[ticker]
    return codes, tuple(names)
