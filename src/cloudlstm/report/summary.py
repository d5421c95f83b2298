"""The one sentence that a hurried reader takes home; it claims no more than the test allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SIGNIFICANCE = 0.05


def verdict(dm_p: float | None, r2_oos: float | None) -> str:
    """What the test on squared return errors allows to be said of the LSTM: better, worse, same or untested."""
    if dm_p is None or r2_oos is None:
        return "untested"
    if dm_p >= SIGNIFICANCE:
        return "same"
    return "better" if r2_oos > 0 else "worse"


def headline(
    lstm: dict[str, Any], naive: dict[str, Any], *, dates: int, baselines: Mapping[str, dict[str, Any]] | None = None
) -> str:
    """Whether the LSTM beats naive, whether that could be luck, by how much, and whether simpler models do better.

    The verdict is on returns, where every ticker weighs the same; dollars come with a p-value of their own.

    Args:
        lstm: The LSTM's row of results.
        naive: The naive forecast's.
        dates: Dates of the test split.
        baselines: Rows of further models by name, each to be named where it does better on returns.
    """
    found = verdict(lstm["dm_p"], lstm["r2_oos"])
    opening = {
        "better": "On returns the LSTM beats the naive forecast, and the difference is statistically significant",
        "worse": "On returns the LSTM is worse than the naive forecast; the difference is statistically significant",
        "same": "On returns the LSTM cannot be told apart from the naive forecast",
        "untested": "Whether the LSTM beats the naive forecast cannot be tested here",
    }[found]
    sentence = f"{opening} ({_p(lstm['dm_p'])}): on {lstm['labels']:,} test forecasts over {dates:,} dates "
    if lstm["r2_oos"] is not None:
        sentence += f"its out-of-sample R² is {lstm['r2_oos']:+,.2%}, and "
    sentence += f"its price RMSE is {_dollars(lstm, naive)}."
    if found in ("better", "worse") and lstm["skill"] is not None and (lstm["skill"] > 0) != (lstm["r2_oos"] > 0):
        sentence += " In dollars, where expensive tickers weigh most, it is the other way round."
    return sentence + _simpler(lstm, baselines or {})


def _simpler(lstm: dict[str, Any], baselines: Mapping[str, dict[str, Any]]) -> str:
    ahead = [
        name
        for name, row in baselines.items()
        if row["r2_oos"] is not None and lstm["r2_oos"] is not None and row["r2_oos"] > lstm["r2_oos"]
    ]
    if not ahead:
        return ""
    names = " and ".join(ahead)
    return f" {names[0].upper()}{names[1:]}, which {'needs' if len(ahead) == 1 else 'need'} no network, did better."


def _dollars(lstm: dict[str, Any], naive: dict[str, Any]) -> str:
    ours, theirs = lstm["rmse_price"], naive["rmse_price"]
    text = f"${ours:,.3f} against ${theirs:,.3f}"
    change = ours / theirs - 1.0 if theirs else 0.0
    p = lstm.get("dm_p_price")
    details = [f"{change:+,.2%}" if abs(change) >= 5e-5 else "no difference to speak of"] if theirs else []
    details += [f"p = {p:.3f}" if p >= 0.001 else "p < 0.001"] if p is not None else []
    return f"{text} ({', '.join(details)})" if details else text


def _p(value: float | None) -> str:
    if value is None:
        return "no p-value"
    return "Diebold-Mariano p < 0.001" if value < 0.001 else f"Diebold-Mariano p = {value:.3f}"
