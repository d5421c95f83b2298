"""Which trainings are due, and the settings of their runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudlstm.config import RunConfig, parse
from cloudlstm.errors import DataError
from cloudlstm.market.calendar import to_date, to_days
from cloudlstm.models.documents import Due, Recipe, Version
from cloudlstm.models.gate import MOST_SESSIONS
from cloudlstm.models.policy import Policy
from cloudlstm.text.numbers import counted

WARM, COLD = "warm", "cold"
_BETWEEN_ALARMS = 63
"""Sessions from a training to one that an alarm asks for: the same alarm goes on for some time."""
_SHORTEST_TRAINING = 252
"""Fewest sessions of training labels of a challenger."""


def due(
    recipe: Recipe, champion: Version, started: Mapping[str, Sequence[str]], date: str, sessions: NDArray[np.int32],
    alarms: Sequence[str],
) -> list[Due]:  # fmt: skip
    """The trainings that are due after a day.

    Args:
        recipe: The model's recipe.
        champion: The champion, from whose weights a warm challenger starts.
        started: Kind or name of a recipe -> dates of its trainings within the last 252 sessions.
        date: The day.
        sessions: Sessions up to the day, as days since 1970-01-01.
        alarms: Sentences of alarms of drift; any of them makes a cold challenger due.
    """
    policy, found = recipe.policy, []
    since = {name: _sessions_since(dates, champion.made, sessions) for name, dates in started.items()}
    first = _sessions_since((), champion.made, sessions)
    if policy.warm_every and since.get(WARM, first) >= policy.warm_every:
        why = f"{counted(policy.warm_every, 'session')} since the last warm challenger"
        found.append(Due("warm", champion.recipe, _run(recipe, WARM, date), champion.number, why))
    room = len(started.get(COLD, ())) < policy.cold_a_year
    regular = policy.cold_every is not None and since.get(COLD, first) >= policy.cold_every
    calm = since.get(COLD, first) >= _BETWEEN_ALARMS or COLD not in started
    if room and (regular or (alarms and calm)):
        passed = f"{counted(policy.cold_every or 0, 'session')} since the last cold challenger"
        why = alarms[0] if alarms and not regular else passed
        found.append(Due("cold", "", _run(recipe, COLD, date), None, why))
    for other in policy.others:
        few = len(started.get(other.name, ())) < policy.cold_a_year
        if few and (other.name not in started or since[other.name] >= (policy.cold_every or MOST_SESSIONS)):
            found.append(Due("recipe", other.name, _run(recipe, other.name, date), None, f"recipe {other.name}"))
    return found


def _sessions_since(dates: Sequence[str], otherwise: str, sessions: NDArray[np.int32]) -> int:
    last = to_days(dt.date.fromisoformat(max(dates, default=otherwise)))
    return int(np.sum(sessions > last))


def _run(recipe: Recipe, what: str, date: str) -> str:
    return f"{recipe.name}-{what}-{date.replace('-', '')}"[-63:].lstrip("-0123456789")


def recent(started: Mapping[str, Sequence[str]], sessions: NDArray[np.int32]) -> dict[str, tuple[str, ...]]:
    """The dates of trainings within the last 252 sessions."""
    first = int(sessions[-min(MOST_SESSIONS, len(sessions))])
    return {
        name: kept
        for name, dates in started.items()
        if (kept := tuple(date for date in dates if to_days(dt.date.fromisoformat(date)) >= first))
    }


def run_config(
    recipe: Recipe, due: Due, parent: Version | None, manifest: str, sessions: NDArray[np.int32]
) -> RunConfig:
    """The settings of the run that trains a challenger on all bars up to the last session.

    Args:
        recipe: The model's recipe.
        due: The training.
        parent: The version whose weights it starts from.
        manifest: URI of the manifest of the bars.
        sessions: Sessions from the first bar to the day, as days since 1970-01-01.

    Raises:
        DataError: There are too few sessions.
    """
    policy = recipe.policy
    document = _settings(recipe, due)
    horizon = int(document["dataset"]["horizon_bars"])
    test = max(policy.test_sessions, horizon + 1)
    validation = max(policy.validation_sessions, horizon + 1)
    if len(sessions) < _SHORTEST_TRAINING + validation + test:
        raise DataError(
            f"a challenger needs {_SHORTEST_TRAINING + validation + test} sessions, and there are {len(sessions)}",
            hint="an earlier market.start",
        )
    validation_end, train_end = (to_date(int(sessions[-1 - after])) for after in (test, test + validation))
    document["market"] |= {"source": "stored", "path": manifest, "end": to_date(int(sessions[-1])).isoformat()}
    document["dataset"] |= {"train_end": train_end.isoformat(), "validation_end": validation_end.isoformat()}
    document["evaluation"]["walk"] = {}
    document["train"] |= {"seeds": 1, "weights": None}
    document["prepare"]["reuse"] = None
    document["exogenous"]["ablation"] = False  # it costs a training for each group, and nobody reads its report
    document["name"] = recipe.name[:40]
    if due.kind == WARM and parent is not None and parent.model == "lstm":
        document["train"] |= {"weights": parent.run, "epochs": policy.warm_epochs, "warmup_steps": 0}
    return parse(document)


def _settings(recipe: Recipe, due: Due) -> dict[str, Any]:
    """A copy of the recipe's settings, with those of another recipe."""
    other: Policy = recipe.policy
    overrides = [word for each in other.others if each.name == due.recipe for word in each.overrides]
    config = parse(dict(recipe.config), overrides)
    return config.model_dump(mode="json")
