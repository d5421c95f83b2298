"""The one sentence that a hurried reader takes home; it claims no more than the test allows."""

from __future__ import annotations

from typing import Any

SIGNIFICANCE = 0.05


def verdict(dm_p: float | None, r2_oos: float | None) -> str:
    """What the test on squared return errors allows to be said of the LSTM: better, worse, same or untested."""
    if dm_p is None or r2_oos is None:
        return "untested"
    if dm_p >= SIGNIFICANCE:
        return "same"
    return "better" if r2_oos > 0 else "worse"


def headline(lstm: dict[str, Any], naive: dict[str, Any], *, dates: int) -> str:
    """Whether the LSTM beats naive, whether that could be luck, and by how much, in one or two sentences."""
    found = verdict(lstm["dm_p"], lstm["r2_oos"])
    labels = f"{lstm['labels']:,} test forecasts over {dates:,} dates"
    p = _p(lstm["dm_p"])
    opening = {
        "better": f"The LSTM beats the naive forecast, and the difference is statistically significant ({p})",
        "worse": f"The LSTM is worse than the naive forecast, and the difference is statistically significant ({p})",
        "same": f"The LSTM cannot be told apart from the naive forecast ({p})",
        "untested": "Whether the LSTM beats the naive forecast cannot be tested here",
    }[found]
    sentence = f"{opening}: on {labels} its price RMSE is {_dollars(lstm, naive)}"
    if lstm["r2_oos"] is not None:
        sentence += f" and its out-of-sample R² on returns {lstm['r2_oos']:+.2%}"
    sentence += "."
    if found in ("better", "worse") and lstm["skill"] is not None and (lstm["skill"] > 0) != (lstm["r2_oos"] > 0):
        sentence += (
            " The verdict is on returns; in dollars, where expensive tickers weigh most, it is the other way round."
        )
    return sentence


def _dollars(lstm: dict[str, Any], naive: dict[str, Any]) -> str:
    ours, theirs = lstm["rmse_price"], naive["rmse_price"]
    text = f"${ours:,.3f} against ${theirs:,.3f}"
    if not theirs:
        return text
    change = ours / theirs - 1.0
    return f"{text} ({change:+.2%})" if abs(change) >= 5e-5 else f"{text} (no difference to speak of)"


def _p(value: float | None) -> str:
    if value is None:
        return "no p-value"
    return "Diebold-Mariano p < 0.001" if value < 0.001 else f"Diebold-Mariano p = {value:.3f}"
