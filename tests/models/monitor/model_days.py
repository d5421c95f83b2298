"""Documents of a model over many days, from a seed: refresh, promotion on skill, rollback, refused, late and missed."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cloudlstm.models import gate as gates
from cloudlstm.models import watch as watches
from cloudlstm.models.documents import (
    Challenger,
    Day,
    Decided,
    Due,
    Judged,
    Move,
    Outcome,
    Recipe,
    Version,
)
from cloudlstm.models.policy import OtherRecipe, Policy

NAIVE_LOSS = 4e-4
TICKERS = ("AAPL", "KO", "MSFT", "NVDA", "XOM", "IBM")
FEATURES = ("log_return", "volume_z", "range", "gap", "volatility", "turnover", "month")


@dataclass(frozen=True)
class Model:
    """All arguments of `to_html`."""

    recipe: Recipe
    versions: list[Version]
    moves: list[Move]
    days: list[Day]
    usage: dict[str, dict[str, Any]]

    def page_arguments(self) -> tuple[Any, ...]:
        return self.recipe, self.versions, self.moves, self.days, self.usage


def sessions_from(first: str, number: int) -> list[str]:
    """Weekdays."""
    found: list[str] = []
    date = dt.date.fromisoformat(first)
    while len(found) < number:
        if date.weekday() < 5:
            found.append(date.isoformat())
        date += dt.timedelta(days=1)
    return found


def make_version(number: int, made: str, kind: Any = "warm", parent: int | None = None, recipe: str = "") -> Version:
    evidence = {"lstm": {"r2_oos": 0.0041 + number / 1e4, "dm_p": 0.21, "labels": 9_120}, "naive": {"r2_oos": 0.0}}
    seen = (dt.date.fromisoformat(made) - dt.timedelta(days=30)).isoformat()
    run = f"s3://bucket/runs/core-{number}"
    return Version(number, kind, recipe, run, parent, made, seen, 60, 1, {"train": f"{number:064x}"}, evidence)


def drift_of(rng: np.random.Generator, alarm: str | None) -> tuple[dict[str, Any], ...]:
    """Drift of all features; the last one is slow."""
    found = []
    for name in FEATURES:
        slow, alarms = name == FEATURES[-1], name == alarm
        psi = 0.61 if alarms else float(rng.uniform(0.02, 0.3))
        ks = 0.31 if alarms else float(rng.uniform(0.02, 0.15))
        found.append({
            "name": name, "psi": psi, "psi_limit": None if slow else 0.4, "ks": ks,
            "ks_limit": None if slow else 0.2, "missing": 0.002, "alarm": alarms,
        })  # fmt: skip
    return tuple(found)


CHECKS: tuple[dict[str, Any], ...] = (
    {"name": "coverage", "passed": True, "value": 1.0, "limit": 0.98, "tickers": [],
     "text": "6 of 6 tickers of the universe have a forecast (100.0%, at least 98.0%)"},
    {"name": "size", "passed": False, "value": 3.4, "limit": 3.0, "tickers": ["NVDA"],
     "text": "the largest forecast is 3.40 standard deviations of its ticker's returns (at most 3); 1 of 6 are above"},
)  # fmt: skip


def make_model(
    number: int = 80, *, seed: int = 7, name: str = "core", tickers: int = 6, first: str = "2026-01-05",
    refreshes: int = 0,
) -> Model:  # fmt: skip
    """A model with `number` sessions; events at fixed places, as far as there are so many.

    10: v2 (warm) replaces v1 by refresh. 30: v3 (cold) replaces v2 on skill. 45: rollback to v2. 20: a refused day.
    25: a missed day. 33: a late day. 50 to 55: drift alarm. 60: v4 retires. At the end v5 (warm) and v6 (recipe) have
    open gates.

    Args:
        number: Sessions.
        seed: Of the losses.
        name: The model's name.
        tickers: Tickers with a forecast.
        first: The first session.
        refreshes: Further refreshes, one every 21 sessions from the 70th on.
    """
    rng = np.random.default_rng(seed)
    dates = sessions_from(first, number + 1)
    policy = Policy(others=(OtherRecipe("wide", ("model.units=64",)),))
    recipe = Recipe(name, "core-1a2b3c", {"market": {"source": "synthetic"}}, "s3://bucket/runs/bars/core", policy)
    versions = [make_version(1, dates[0], "created")]
    moves = [Move(1, 1, None, dates[0], "created", ("made from run core-1a2b3c",))]
    champion, previous = 1, None
    challengers: dict[int, Challenger] = {}
    days: list[Day] = []
    usage: dict[str, dict[str, Any]] = {}
    loss_watch = rollback_watch = None
    pending: list[tuple[str, int, list[int]]] = []
    missed: list[str] = []
    quality = {1: 0.0, 2: 0.002, 3: 0.004, 4: -0.03, 5: 0.001, 6: 0.002}

    def enter(version: int, kind: Any, judged: Judged, at: int, recipe_name: str = "") -> Decided:
        versions.append(make_version(version, dates[at], kind, champion if kind == "warm" else None, recipe_name))
        opened = gates.Gate(bound=3e-5, challengers=2)
        challengers[version] = Challenger(version, judged, dates[at + 1], opened)
        return Decided(version, "enter", "", ())

    def move_to(version: int, at: int, basis: str, *reasons: str) -> Decided:
        nonlocal champion, previous, loss_watch, rollback_watch
        moves.append(Move(len(moves) + 1, version, champion, dates[at], basis, reasons))
        champion, previous = version, None if basis == "rollback" else champion
        challengers.pop(version, None)
        loss_watch, rollback_watch = watches.Watch(3e-5), None if previous is None else watches.Watch(3e-5)
        return Decided(version, "rollback" if basis == "rollback" else "promote", basis, reasons)

    for at in range(number):
        date, decisions, outcomes = dates[at], [], []
        if at == 25:
            missed = [date]
            continue
        for session, served, others in [each for each in pending if each[0] <= date]:
            level = NAIVE_LOSS * float(rng.lognormal(0.0, 0.3))
            loss = {"naive": level}
            for version in (served, *others):
                loss[str(version)] = level * (1.0 - quality.get(version, 0.001) + 0.02 * float(rng.normal()))
            outcomes.append(Outcome(session, tickers, served, loss, float(np.clip(rng.normal(0.7, 0.08), 0, 1))))
            loss_watch = watches.advance(loss_watch or watches.Watch(3e-5), loss[str(served)] - level)
            if served == champion and previous is not None and str(previous) in loss:
                watch = rollback_watch or watches.Watch(3e-5)
                rollback_watch = watches.advance(watch, loss[str(served)] - loss[str(previous)])
            for version, each in challengers.items():
                if str(version) in loss and served == champion:
                    state = gates.advance(each.gate, loss[str(served)] - loss[str(version)])
                    challengers[version] = replace(each, gate=state)
        pending = [each for each in pending if each[0] > date]
        if at == 3:
            decisions.append(enter(2, "warm", "refresh", at))
        if at == 10:
            decisions.append(move_to(2, at, "refresh", "a refresh, not shown to be better: 5 sessions are too few"))
        if at == 12:
            decisions.append(enter(3, "cold", "skill", at))
            decisions.append(enter(4, "recipe", "skill", at, "wide"))
        if at == 30:
            decisions.append(move_to(3, at, "skill", "it is better: e-value 43.1 of 40"))
        if at == 45:
            decisions.append(move_to(2, at, "rollback", "v3 is worse than v2: e-value 81 of 80"))
        if at == 60:
            challengers.pop(4)
            decisions.append(Decided(4, "retire", "worse", ("it is worse: e-value 21.5 of 20",), 0.19))
        if at == 58:
            decisions += [enter(5, "warm", "refresh", at), enter(6, "recipe", "skill", at, "wide")]
        if refreshes and at >= 70 and (at - 70) % 21 == 0 and max(v.number for v in versions) < 6 + refreshes:
            fresh = max(v.number for v in versions) + 1
            versions.append(make_version(fresh, date, "warm", champion))
            decisions.append(move_to(fresh, at, "refresh", "a refresh, not shown to be better"))
        for ended in [v for v, each in challengers.items() if each.gate.sessions >= gates.MOST_SESSIONS]:
            challengers.pop(ended)
            decisions.append(Decided(ended, "retire", "expired", ("the e-value is 0.3 of 40",), 0.19))
        decisions += [
            Decided(v, "wait", "undecided", ("the e-value is too small",), 0.19) for v in challengers
        ]  # fmt: skip
        status: Any = {20: "refused", 33: "late"}.get(at, "done")
        reasons = {
            20: ("check refused: 3 of 6 new bars were refused (50.0%, at most 1.0%), such as KO",),
            33: (f"the session of {dates[at + 1]} had opened",),
        }.get(at, ())
        forecasts = {}
        if status == "done":
            others = [*challengers, *([previous] if previous is not None else [])]
            pending.append((dates[at + 1], champion, others))
            forecasts = {str(version): tickers for version in (champion, *others)}
        bars: dict[str, Any] = {
            "as_of": date, "previous": days[-1].date if days else None, "sessions": 1, "rows_read": 600,
            "appended": tickers, "new": [] if days else list(TICKERS), "corrected": [], "corrections": [],
            "restated": [], "gone": [], "quarantined": [], "failed": [], "compacted": False,
        }  # fmt: skip
        if at % 15 == 14:
            ticker = TICKERS[at % 6]
            value = {"ticker": ticker, "date": dates[at - 3], "column": "close", "old": "101.5", "new": "99.1"}
            rescaled = {"ticker": "KO", "price_factor": 0.5, "adjusted_factor": 1.0, "cause": "a split of 2 for 1"}
            refused = {"ticker": "XOM", "reason": "12 of 20 bars contradict the stored ones"}
            bars |= {"corrected": [ticker], "corrections": [value, {**value, "column": "volume", "old": None}]}
            bars |= {"restated": [rescaled], "quarantined": [refused]}
        days.append(
            Day(
                date, days[-1].date if days else None, tuple(missed), status, reasons, bars, f"s3://b/m/{date}.json",
                tuple(outcomes), CHECKS[: 1 if status == "done" else 2],
                drift_of(rng, "gap" if 50 <= at < 56 else None),
                champion, previous, tuple(challengers.values()), loss_watch, rollback_watch, tuple(decisions),
                (Due("warm", "", "core-w", champion, "21 sessions since the last"),) if at % 21 == 20 else (),
                {"warm": (dates[0],)}, champion, dates[at + 1] if forecasts else "",
                f"{at:064x}" if forecasts else "", forecasts,
                {"rows_read": 600 + at, "windows": tickers},
            )
        )  # fmt: skip
        usage[date] = {"seconds": 20.0 + at / 10, "usd": None if at % 2 else 0.004}
        missed = []
    return Model(recipe, versions, moves, days, usage)
