"""The first lines of the page: the headline, the key figures, and facts about the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cloudlstm.models.documents import Day, Recipe
from cloudlstm.models.monitor.history import INSIDE_ONE_SD, TRAILING_SESSIONS, History
from cloudlstm.models.monitor.words import BASES, joined
from cloudlstm.models.policy import Policy
from cloudlstm.text.numbers import DASH, count, counted, percent, signed_percent

_HEADLINE_REASONS = 400


@dataclass(frozen=True, slots=True)
class Tile:
    """A key figure.

    Attributes:
        name: What it is.
        value: The figure.
        note: Its unit, and what to compare it with.
    """

    name: str
    value: str
    note: str


def headline(history: History) -> str:
    """One sentence: the champion and since when, the last day, its forecasts, and what was refused."""
    day = history.last
    serves = f"Version {history.champion} is champion{_since(history)}" if history.champion else "There is no champion"
    if day is None:
        return f"{serves}; no day has been run yet."
    parts = [serves]
    if day.status == "done":
        parts.append(f"the last day, {day.date}, is done")
    else:
        why = joined(day.reasons, _HEADLINE_REASONS) or "no reason is given"
        parts.append(f"the last day, {day.date}, was {day.status} and made no forecasts: {why}")
    parts.append(_forecasts_text(history))
    parts += [
        f"version {each.version} was refused: {joined(each.reasons, _HEADLINE_REASONS)}"
        for each in day.decisions if each.action == "retire"
    ]  # fmt: skip
    if day.loss_watch is not None and day.loss_watch.alarm:
        parts.append("the loss watch shows that the champion is worse than naive")
    if day.drifting:
        parts.append(f"drift alarm for {joined(day.drifting, 120).replace('; ', ', ')}")
    return "; ".join(parts) + "."


def _since(history: History) -> str:
    if not history.moves:
        return ""
    move = history.moves[-1]
    return f" since {move.date} ({BASES.get(move.basis, move.basis)})"


def _forecasts_text(history: History) -> str:
    made = [day for day in history.days if day.session]
    if not made:
        return "there are no forecasts yet"
    last = max(made, key=lambda day: day.session)
    return f"the last forecasts are for the session of {last.session}"


def needs_attention(day: Day | None) -> bool:
    """Whether the last day was not done, refused a challenger, or has an alarm."""
    if day is None:
        return False
    return day.status != "done" or day.refused or bool(day.drifting) or (
        day.loss_watch is not None and day.loss_watch.alarm
    )  # fmt: skip


def tiles(history: History) -> list[Tile]:
    """The key figures."""
    return [_champion_tile(history), _saved_tile(history), _inside_tile(history), _day_tile(history)]


def _champion_tile(history: History) -> Tile:
    if not history.champion:
        return Tile("Champion", DASH, "none yet")
    note = f"since {history.moves[-1].date}, {BASES.get(history.moves[-1].basis, history.moves[-1].basis)}" if (
        history.moves) else "no move is known"  # fmt: skip
    return Tile("Champion", f"v{history.champion}", note)


def _saved_tile(history: History) -> Tile:
    saved = history.saved
    name = "Error saved against naive"
    if saved.mean is None:
        return Tile(name, DASH, "no outcome yet")
    sessions = counted(saved.sessions, "session")
    if saved.low is None or saved.high is None:
        return Tile(name, signed_percent(saved.mean), f"of the mean squared error, {sessions}; too few for an interval")
    word = "no evidence of skill" if saved.low <= 0.0 <= saved.high else "zero is outside"
    interval = f"{signed_percent(saved.low)} to {signed_percent(saved.high)}"
    return Tile(name, signed_percent(saved.mean), f"95% interval {interval}, {sessions}: {word}")


def _inside_tile(history: History) -> Tile:
    _, values, means = history.inside
    name = "Inside one standard deviation"
    if not means:
        return Tile(name, DASH, "no outcome yet")
    sessions = counted(min(len(values), TRAILING_SESSIONS), "session")
    return Tile(name, percent(means[-1]), f"of outcomes, last {sessions}; {percent(INSIDE_ONE_SD, 0)} if normal")


def _day_tile(history: History) -> Tile:
    day = history.last
    if day is None:
        return Tile("Last day", DASH, "none yet")
    made = day.forecasts.get(str(day.champion), 0)
    note = f"{counted(made, 'forecast')} for {day.session}" if day.session else "no forecasts"
    return Tile("Last day", day.status, f"{day.date}, {note}")


def facts(recipe: Recipe, history: History) -> Iterator[tuple[str, str]]:
    """Name and text of facts about the model."""
    yield "First run", recipe.run
    yield "Bars", recipe.bars
    found = Counter(day.status for day in history.days)
    missed = sum(len(day.missed) for day in history.days)
    if history.days:
        span = f", {history.days[0].date} to {history.days[-1].date}"
        yield (
            "Days",
            (
                f"{count(found['done'])} done, {count(found['refused'])} refused, {count(found['late'])} late, "
                f"{count(missed)} missed{span}"
            ),
        )
    yield "Outcomes", counted(len(history.outcomes), "session")
    yield "Versions", f"{count(len(history.versions))}, {counted(len(history.challengers), 'open gate')}"
    yield "Policy", "; ".join(policy_texts(recipe.policy))


def policy_texts(policy: Policy) -> Iterator[str]:
    """When challengers are trained and how they are judged, in words."""
    if policy.warm_every is not None:
        yield f"a warm challenger every {counted(policy.warm_every, 'session')}"
    if policy.refresh_after is not None:
        yield f"it replaces the champion after {counted(policy.refresh_after, 'session')} if not shown to be worse"
    yield ("a cold challenger only after an alarm" if policy.cold_every is None
           else f"a cold challenger every {counted(policy.cold_every, 'session')}")  # fmt: skip
    if policy.others:
        names = joined([each.name for each in policy.others], 120).replace("; ", ", ")
        yield f"other recipes: {names}"
    yield f"at most {counted(policy.challengers, 'challenger')} judged on skill a year"


def is_synthetic(recipe: Recipe) -> bool:
    """Whether the bars are simulated."""
    market: Any = recipe.config.get("market")
    source = market.get("source") if hasattr(market, "get") else recipe.config.get("market.source")
    return bool(source == "synthetic")
