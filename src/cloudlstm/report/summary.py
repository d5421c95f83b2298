"""The verdict and the summary sentences of the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from cloudlstm.evaluation.rows import ModelScores

SIGNIFICANCE = 0.05

Verdict = Literal["better", "same", "worse", "untested"]

_OPENINGS: dict[Verdict, str] = {
    "better": "On returns the LSTM beats the naive forecast, and the difference is statistically significant",
    "worse": "On returns the LSTM is worse than the naive forecast, and the difference is statistically significant",
    "same": "On returns the difference between the LSTM and the naive forecast is not statistically significant",
    "untested": "There are too few test forecasts to compare the LSTM with the naive forecast by a test",
}


def verdict(dm_p: float | None, r2_oos: float | None) -> Verdict:
    """The LSTM against naive by the test on squared return errors, at 5 %."""
    if dm_p is None or r2_oos is None:
        return "untested"
    if dm_p >= SIGNIFICANCE:
        return "same"
    return "better" if r2_oos > 0 else "worse"


def headline(
    lstm: ModelScores, naive: ModelScores, *, dates: int, baselines: Mapping[str, ModelScores] | None = None
) -> str:
    """Whether the LSTM beats naive, by how much, with which p-value, and which baselines do better.

    The verdict is on returns, where every ticker has the same weight; dollars have their own p-value.

    Args:
        lstm: Scores of the LSTM.
        naive: Scores of the naive forecast.
        dates: Number of dates of the test split.
        baselines: Scores of other models by name; those that do better on returns are named.
    """
    found = verdict(lstm.dm_p, lstm.r2_oos)
    text = f"{_OPENINGS[found]} ({_p_value(lstm.dm_p)}): on {lstm.labels:,} test forecasts over {dates:,} dates "
    if lstm.r2_oos is not None:
        text += f"the LSTM's out-of-sample R² is {lstm.r2_oos:+,.2%}, and its price RMSE is {_dollars(lstm, naive)}."
    else:
        text += f"the LSTM's price RMSE is {_dollars(lstm, naive)}."
    if found in ("better", "worse") and lstm.skill is not None and (lstm.skill > 0) != ((lstm.r2_oos or 0.0) > 0):
        text += " In dollars, where expensive tickers weigh most, the result is the opposite."
    return text + _better_baselines(lstm, baselines or {})


def _better_baselines(lstm: ModelScores, baselines: Mapping[str, ModelScores]) -> str:
    ahead = [
        name
        for name, row in baselines.items()
        if row.r2_oos is not None and lstm.r2_oos is not None and row.r2_oos > lstm.r2_oos
    ]
    if not ahead:
        return ""
    names = " and ".join(ahead)
    return f" {names[0].upper()}{names[1:]}, which {'needs' if len(ahead) == 1 else 'need'} no network, did better."


def _dollars(lstm: ModelScores, naive: ModelScores) -> str:
    rmse, reference = lstm.rmse_price or 0.0, naive.rmse_price or 0.0
    text = f"${rmse:,.3f} against ${reference:,.3f}"
    change = rmse / reference - 1.0 if reference else 0.0
    p = lstm.dm_p_price
    details = [f"{change:+,.2%}" if abs(change) >= 5e-5 else "a difference below 0.01%"] if reference else []
    details += [f"p = {p:.3f}" if p >= 0.001 else "p < 0.001"] if p is not None else []
    return f"{text} ({', '.join(details)})" if details else text


def _p_value(value: float | None) -> str:
    if value is None:
        return "no p-value"
    return "Diebold-Mariano p < 0.001" if value < 0.001 else f"Diebold-Mariano p = {value:.3f}"
