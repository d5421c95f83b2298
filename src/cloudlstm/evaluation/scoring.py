"""Scores every model: over all labels, by ticker, by year, and against each other."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from cloudlstm.evaluation import metrics
from cloudlstm.evaluation.forecasts import Forecasts
from cloudlstm.evaluation.periods import by_year
from cloudlstm.evaluation.rows import LOSSES, ModelScores, ModelTest, TickerScores, YearScores
from cloudlstm.evaluation.significance import FloatArray, NestedComparison, clark_west, diebold_mariano

NESTING = frozenset({"drift", "ridge", "lstm", "ensemble", "calibrated"})
"""Models that contain the naive forecast: with other parameters they would forecast a return of zero."""


def compare_models(test: Forecasts, horizon: int, nesting: Collection[str] = NESTING) -> list[ModelTest]:
    """Diebold-Mariano tests on both losses: every model against naive, and the LSTM against the other models.

    On returns against naive, the Clark-West test stands beside it for the models that contain naive.

    Args:
        test: The test split with the forecasts of all models.
        horizon: Bars ahead, as `sessions.evidence_horizon`.
        nesting: The models that contain the naive forecast.
    """
    errors = {
        "return": {model: forecast - test.actual for model, forecast in test.models.items()},
        "price": {
            model: metrics.price_errors(test.last_close, test.actual, forecast)
            for model, forecast in test.models.items()
        },
    }
    pairs = [(model, "naive") for model in test.models if model != "naive"]
    pairs += [("lstm", model) for model in test.models if model not in ("naive", "lstm")]
    tests = []
    for model, reference in pairs:
        for loss in LOSSES:
            squared = errors[loss][model] ** 2, errors[loss][reference] ** 2
            result = diebold_mariano(*squared, test.session, horizon=horizon)
            nested = NestedComparison(None, None)
            if reference == "naive" and loss == "return" and model in nesting:
                forecasts = test.models[model], test.models[reference]
                nested = clark_west(test.actual, *forecasts, test.session, horizon=horizon)
            tests.append(
                ModelTest(
                    model=model, reference=reference, loss=loss, **asdict(result),
                    cw_statistic=nested.statistic, cw_p=nested.p,
                )
            )  # fmt: skip
    return tests


def score_models(
    test: Forecasts, tests: list[ModelTest], *, horizon: int, ic_min_tickers: int
) -> list[ModelScores]:  # fmt: skip
    """Scores of every model over all labels.

    Args:
        test: The test split with the forecasts of all models.
        tests: Results of `compare_models`.
        horizon: Bars ahead, as `sessions.evidence_horizon`.
        ic_min_tickers: Dates with fewer tickers do not count for the information coefficients.
    """
    against_naive = {(str(each.model), str(each.loss)): each for each in tests if each.reference == "naive"}
    rows = []
    for model, forecast in test.models.items():
        coefficients = metrics.information_coefficients(
            test.origin, test.actual, forecast, min_tickers=ic_min_tickers, horizon=horizon, session=test.session
        )
        (scores,) = _by_group(metrics.scores(test.last_close, test.actual, forecast, test.session))
        on_return, on_price = (against_naive.get((model, loss)) for loss in ("return", "price"))
        rows.append(
            ModelScores(
                model=model,
                dm_p=on_return.p if on_return else None,
                dm_p_price=on_price.p if on_price else None,
                cw_p=on_return.cw_p if on_return else None,
                **scores,
                **asdict(coefficients),
            )
        )
    return rows


def score_by_ticker(test: Forecasts) -> list[TickerScores]:
    """Scores of every model by ticker: the models of the first ticker, then those of the next."""
    scores = {
        model: _by_group(
            metrics.scores(test.last_close, test.actual, forecast, test.session, test.ticker, len(test.tickers))
        )
        for model, forecast in test.models.items()
    }
    return [
        TickerScores(ticker=name, model=model, **groups[code])
        for code, name in enumerate(test.tickers)
        for model, groups in scores.items()
    ]


def score_by_year(test: Forecasts) -> list[YearScores]:
    """Scores of every model by calendar year of the target date."""
    code, years = by_year(test.target_session)
    scores = {
        model: _by_group(
            metrics.scores(test.last_close, test.actual, forecast, test.session, code, len(years))
        )
        for model, forecast in test.models.items()
    }  # fmt: skip
    return [
        YearScores(year=int(year), model=model, **groups[number])
        for number, year in enumerate(years)
        for model, groups in scores.items()
    ]


def _by_group(scores: dict[str, FloatArray]) -> list[dict[str, Any]]:
    """Turns arrays by metric into metrics by group, as keyword arguments of the row models."""
    columns = {name: values.tolist() for name, values in scores.items()}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
