"""The figures of a day that a monitoring service gets."""

from __future__ import annotations

from cloudlstm.models.competition import NAIVE
from cloudlstm.models.documents import Day

UP_TO_DATE, FAILED, OVER_BUDGET = "up_to_date", "failed", "over_budget"
USD, USD_MONTH, SECONDS = "usd", "usd_month", "seconds"

FIGURES = {
    UP_TO_DATE: "1 whenever the command has made or found the day of the last session",
    "done": "1 if the day was done",
    "refused": "1 if it was refused: the data or the forecasts failed a check",
    "late": "1 if the next session had opened",
    FAILED: "1 if the day or a training has ended with an error, else 0",
    OVER_BUDGET: "trainings that were refused for their cost",
    "skill": "1 - loss / loss of naive, over the outcomes that became known; missing without any",
    "drift_alarms": "features that have drifted, and 1 more if the champion is shown to be worse than naive",
    "missed_sessions": "sessions since the day before that had no day",
    "forecasts": "forecasts of the champion",
    USD: "list price of what the command has used, with the largest cluster",
    USD_MONTH: "list price in the month so far: trainings, with the largest cluster also while idle, and the launcher",
    SECONDS: "duration of the command with its trainings",
}
"""Name -> meaning. Those of `figures_of` are sent once a day, until the service has taken them; others by each call."""


def figures_of(day: Day) -> dict[str, float]:
    """The figures of a day that has just been done.

    Args:
        day: The day.

    Returns:
        Name -> value; every value is finite.
    """
    found = {status: float(day.status == status) for status in ("done", "refused", "late")}
    found["drift_alarms"] = float(len(day.drifting) + bool(day.loss_watch and day.loss_watch.alarm))
    ours = sum(each.loss.get(str(each.champion), 0.0) * each.tickers for each in day.outcomes)
    naive = sum(each.loss.get(NAIVE, 0.0) * each.tickers for each in day.outcomes)
    if naive > 0.0:
        found["skill"] = 1.0 - ours / naive
    found["missed_sessions"] = float(len(day.missed))
    found["forecasts"] = float(day.forecasts.get(str(day.champion), 0))
    return found
