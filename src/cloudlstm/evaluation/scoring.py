"""Puts every model through every measure: pooled, by ticker, by year, and against each other."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from cloudlstm.evaluation import metrics
from cloudlstm.evaluation.forecasts import CodeArray, DayArray, Forecasts
from cloudlstm.evaluation.significance import FloatArray, diebold_mariano

Row = dict[str, Any]

BY_TICKER = (
    "rmse_price",
    "mae_price",
    "skill",
    "rmse_return",
    "mae_return",
    "r2_oos",
    "spread",
    "directional_accuracy",
)
"""Figures that are given for every ticker."""


def plain(value: Any) -> Any:
    """The value as JSON has it: NaN and infinities become None, NumPy's numbers Python's."""
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def compare(test: Forecasts, horizon: int) -> list[Row]:
    """Diebold-Mariano tests: every model against naive, the LSTM also against the others, on both losses."""
    errors = {
        "return": {model: said - test.actual for model, said in test.models.items()},
        "price": {
            model: metrics.price_errors(test.last_close, test.actual, said) for model, said in test.models.items()
        },
    }
    pairs = [(model, "naive") for model in test.models if model != "naive"]
    pairs += [("lstm", model) for model in test.models if model not in ("naive", "lstm")]
    return [
        {"model": model, "reference": reference, "loss": loss}
        | plain(
            asdict(
                diebold_mariano(
                    errors[loss][model] ** 2, errors[loss][reference] ** 2, test.origin, horizon=horizon
                )
            )
        )
        for model, reference in pairs
        for loss in ("return", "price")
    ]  # fmt: skip


def pooled(test: Forecasts, tests: list[Row], *, horizon: int, ic_min_tickers: int) -> list[Row]:
    """One row a model over all labels: errors, test against naive, information coefficients."""
    against_naive = {(row["model"], row["loss"]): row["p"] for row in tests if row["reference"] == "naive"}
    rows = []
    for model, said in test.models.items():
        figures = _one_group(metrics.scores(test.last_close, test.actual, said))
        figures["dm_p"] = against_naive.get((model, "return"))
        figures["dm_p_price"] = against_naive.get((model, "price"))
        figures |= metrics.information_coefficients(
            test.origin, test.actual, said, min_tickers=ic_min_tickers, horizon=horizon
        )
        rows.append({"model": model} | plain(figures))
    return rows


def _one_group(figures: dict[str, FloatArray]) -> Row:
    counts = ("labels", "zero_forecasts")
    return {name: int(values[0]) if name in counts else float(values[0]) for name, values in figures.items()}


def by_ticker(test: Forecasts) -> list[Row]:
    """One row a ticker and model."""
    figures = {
        model: metrics.scores(test.last_close, test.actual, said, test.ticker, len(test.tickers))
        for model, said in test.models.items()
    }
    return [
        {"ticker": name, "model": model, "labels": int(values["labels"][code])}
        | {key: plain(values[key][code]) for key in BY_TICKER}
        for code, name in enumerate(test.tickers)
        for model, values in figures.items()
    ]


def by_year(test: Forecasts) -> list[Row]:
    """One row a calendar year of the target date and model."""
    years, code = np.unique(_year(test.target), return_inverse=True)
    figures = {
        model: metrics.scores(test.last_close, test.actual, said, code.astype(np.intp), len(years))
        for model, said in test.models.items()
    }
    return [
        {"year": int(year), "model": model, "labels": int(values["labels"][number])}
        | {key: plain(values[key][number]) for key in (*BY_TICKER, "base_rate_up")}
        for number, year in enumerate(years)
        for model, values in figures.items()
    ]


def _year(days: DayArray) -> CodeArray:
    years: CodeArray = days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.intp) + 1970
    return years
