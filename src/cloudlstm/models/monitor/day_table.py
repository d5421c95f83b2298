"""The days as a table with their time and cost, and the coverage and hard checks of the last ones."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from typing import Any

from cloudlstm.models.documents import Day, Decided
from cloudlstm.models.monitor.history import History
from cloudlstm.models.monitor.table import Row, Table, table
from cloudlstm.models.monitor.words import BASES, joined
from cloudlstm.text.numbers import DASH, count, counted, minus, seconds

SHOWN_DAYS = 30
Usage = Mapping[str, Mapping[str, Any]]
"""Date -> {"seconds": time of the day, "usd": cost in US dollars or None}."""

_ACTIONS = {"promote": "promoted", "retire": "retired", "rollback": "rollback to", "enter": "entered"}


def day_table(history: History, usage: Usage) -> list[Table]:
    """The last days, the newest first, with the days that were missed between them."""
    rows: list[Row] = []
    for day in reversed(history.days):
        rows.append(_day_row(day, usage))
        rows += [
            Row((date, "missed", DASH, DASH, "no day was run", DASH, DASH, DASH), marked=True)
            for date in sorted(day.missed, reverse=True)
        ]
    columns = ("Date", "Status", "Forecasts for", "Outcomes", "Decisions", "Trainings due", "Time", "Cost")
    return table(f"The last {SHOWN_DAYS} days, the newest first", columns, rows[:SHOWN_DAYS])


def _day_row(day: Day, usage: Usage) -> Row:
    used = usage.get(day.date, {})
    texts = [text for text in map(decision_text, day.decisions) if text]
    if day.status != "done":
        texts.insert(0, joined(day.reasons))
    outcomes = ", ".join(f"{each.session[5:]}: {count(each.tickers)}" for each in day.outcomes)
    due = ", ".join(
        [*(f"{each.kind} {each.recipe}".strip() for each in day.due),
         *(f"{each.due.name} refused: {dollars(each.usd)} of {dollars(each.left)}" for each in day.over_budget)]
    )  # fmt: skip
    return Row(
        (
            day.date, day.status, day.session or DASH, outcomes or DASH, "; ".join(texts) or DASH, due or DASH,
            seconds(_number(used.get("seconds"))), dollars(_number(used.get("usd"))),
        ),
        day.status != "done",
    )  # fmt: skip


def decision_text(decided: Decided) -> str:
    """A decision in words; empty for one that waits and is not held up by a check."""
    if decided.action == "wait":
        return f"v{decided.version} waits: {joined(decided.reasons, 120)}" if decided.basis == "checks" else ""
    basis = BASES.get(decided.basis, decided.basis)
    return f"v{decided.version} {_ACTIONS.get(decided.action, decided.action)}" + (f" ({basis})" if basis else "")


def dollars(value: float | None) -> str:
    """A cost in US dollars."""
    return DASH if value is None else minus(f"${value:,.2f}" if value >= 0.01 or value == 0.0 else f"${value:.2g}")


def _number(value: Any) -> float | None:
    """A finite number; None for anything else."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None


def cost_text(history: History, usage: Usage) -> str:
    """Time and cost of all days in one sentence."""
    dates = {day.date for day in history.days}
    times = [value for date in sorted(dates & set(usage)) if (value := _number(usage[date].get("seconds"))) is not None]
    costs = [value for date in sorted(dates & set(usage)) if (value := _number(usage[date].get("usd"))) is not None]
    if not times and not costs:
        return "Time and cost of the days are not known."
    parts = []
    if times:
        parts.append(f"{counted(len(times), 'day')} took {seconds(math.fsum(times))}, "
                     f"the median day {seconds(statistics.median(times))}")  # fmt: skip
    if costs:
        parts.append(f"the cost of {counted(len(costs), 'day')} is {dollars(math.fsum(costs))} at list prices")
    else:
        parts.append("no day has a known cost")
    return "; ".join(parts) + "."


def work_text(day: Day | None) -> str:
    """The counted work of a day; empty if nothing was counted."""
    if day is None or not day.work:
        return ""
    counts = ", ".join(f"{key.replace('_', ' ')} {count(value)}" for key, value in day.work.items())
    return f"Counted work of {day.date}: {counts}."


def check_table(history: History) -> list[Table]:
    """The hard checks of the last day that ran them."""
    day = next((day for day in reversed(history.days) if day.checks), None)
    if day is None:
        return []
    rows = []
    for check in day.checks:
        text = str(check.get("text", ""))
        if tickers := check.get("tickers"):
            text += f"; such as {joined([str(each) for each in tickers], 120).replace('; ', ', ')}"
        passed = bool(check.get("passed"))
        rows.append(Row((str(check.get("name", "")), "passed" if passed else "FAILED", text), not passed))
    return table(f"Hard checks of the champion's forecasts on {day.date}", ("Check", "Result", "Numbers"), rows)


def coverage_table(history: History) -> list[Table]:
    """Forecasts and outcomes of the last sessions, the newest first."""
    made = {day.session: day.forecasts.get(str(day.champion), 0) for day in history.days if day.session}
    came = {each.session: each.tickers for each in history.outcomes}
    rows = [
        Row((session, count(made.get(session)), count(came.get(session)), _left(made.get(session), came.get(session))))
        for session in sorted({*made, *came}, reverse=True)[:10]
    ]
    columns = ("Session", "Tickers with a forecast", "With an outcome too", "Outcome missing")
    return table("The last 10 sessions", columns, rows)


def _left(made: int | None, came: int | None) -> str:
    return "not yet known" if came is None else DASH if made is None else count(made - came)
