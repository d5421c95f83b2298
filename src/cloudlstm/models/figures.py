"""The figures of a day that a monitoring service gets."""

from __future__ import annotations

from cloudlstm.models.competition import NAIVE
from cloudlstm.models.documents import Day

UP_TO_DATE = "up_to_date"
"""1 whenever `daily` has found or made the day of the last session: what the alarm on absence looks for."""
FAILED = "failed"
"""1 if `daily` has ended with an error, also if only a training has failed; else 0."""
OVER_BUDGET = "over_budget"
"""Trainings that were refused for their cost."""
USD, USD_MONTH = "usd", "usd_month"
"""List price of what this command has used; of everything in the month so far."""
SECONDS = "seconds"
"""Duration of the command with its trainings."""


def figures_of(day: Day) -> dict[str, float]:
    """The figures of a day that has just been done: name -> value.

    `skill` is 1 - loss / loss of naive, over the outcomes that became known; it is missing without any.
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
