"""Which trainings are due, and the settings of their runs."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest

from cloudlstm.config import parse
from cloudlstm.errors import DataError, UsageError
from cloudlstm.market.calendar import sessions, to_date
from cloudlstm.models.creating import read_policy
from cloudlstm.models.documents import Recipe, Version
from cloudlstm.models.due import due, recent, run_config

SETTINGS = {
    "name": "own",
    "market": {"source": "files", "path": "file:///bars.csv", "start": "2015-01-02", "end": "2020-06-30"},
    "dataset": {"train_end": "2019-06-28", "validation_end": "2019-12-31"},
    "train": {"seeds": 3, "epochs": 20},
}  # fmt: skip
SESSIONS = sessions("XNYS", dt.date(2015, 1, 2), dt.date(2021, 3, 31))
TODAY = "2021-03-31"


def recipe(*words: str) -> Recipe:
    return Recipe("m", "file:///r", parse(SETTINGS).model_dump(mode="json"), "file:///b", read_policy(words))


def version(made: str, **changes: object) -> Version:
    return replace(Version(4, "created", "", "file:///runs/v4", None, made, "2019-12-31", 50, 1, {}), **changes)  # type: ignore[arg-type]


def before(n: int) -> str:
    return to_date(int(SESSIONS[-1 - n])).isoformat()


def names(found: list) -> list[str]:  # type: ignore[type-arg]
    return [each.name for each in found]


@pytest.mark.parametrize(("age", "expected"), [(20, []), (21, ["warm"]), (125, ["warm"]), (126, ["warm", "cold"])])
def test_trainings_are_due_after_their_sessions(age: int, expected: list[str]) -> None:
    assert names(due(recipe(), version(before(age)), {}, TODAY, SESSIONS, ())) == expected


def test_a_training_begins_the_wait_anew() -> None:
    started = {"warm": (before(20),), "cold": (before(30),)}
    assert due(recipe(), version(before(200)), started, TODAY, SESSIONS, ()) == []


def test_an_alarm_brings_a_cold_challenger_within_the_number_of_a_year() -> None:
    own, alarm = version(before(10)), ["the inputs have drifted: volume"]
    (found,) = due(recipe(), own, {}, TODAY, SESSIONS, alarm)
    assert (found.kind, found.why, found.parent) == ("cold", alarm[0], None)
    assert due(recipe(), own, {"cold": (before(1),)}, TODAY, SESSIONS, alarm) == []  # the same alarm goes on
    two = {"cold": (before(100), before(70))}
    assert due(recipe(), own, two, TODAY, SESSIONS, alarm) == []
    assert recent({"cold": (before(260), before(50))}, SESSIONS) == {"cold": (before(50),)}


def test_another_recipe_competes_with_its_own_settings() -> None:
    own = recipe("recipe.short=dataset.window_bars=20;model.units=64", "recipe.linear=ridge", "warm_every=none")
    found = due(own, version(before(5)), {}, TODAY, SESSIONS, ())
    assert names(found) == ["short", "linear"]
    config = run_config(own, found[0], None, "file:///b/universe/2021-03-31.json", SESSIONS)
    assert (config.dataset.window_bars, config.model.units, config.train.weights) == (20, 64, None)
    assert own.policy.model_of("linear") == "ridge"
    assert len({each.run for each in found}) == 2


def test_a_run_trains_on_all_bars_up_to_the_day() -> None:
    own, parent = recipe("test_sessions=21", "validation_sessions=126"), version(before(30))
    (found,) = due(own, parent, {}, TODAY, SESSIONS, ())
    config = run_config(own, found, parent, "file:///b/universe/2021-03-31.json", SESSIONS)
    assert (config.market.source, config.market.path) == ("stored", "file:///b/universe/2021-03-31.json")
    assert config.market.end.isoformat() == TODAY
    ends = [np.searchsorted(SESSIONS, np.datetime64(day, "D").astype(np.int32)) for day in
            (config.dataset.train_end, config.dataset.validation_end)]  # fmt: skip
    assert [len(SESSIONS) - 1 - int(end) for end in ends] == [147, 21]
    assert (config.train.weights, config.train.epochs) == (parent.run, 2)
    assert config.train.all_seeds == (1,)
    assert config.evaluation.walk.mode == "off"
    assert not config.exogenous.ablation


def test_a_ridge_champion_is_fitted_again_without_weights() -> None:
    own = recipe("recipe.linear=ridge")
    parent = version(before(30), recipe="linear", model="ridge")
    found = next(each for each in due(own, parent, {"linear": (before(30),)}, TODAY, SESSIONS, ()))
    assert (found.kind, found.recipe, found.name) == ("warm", "linear", "warm")
    assert run_config(own, found, parent, "file:///b/universe/2021-03-31.json", SESSIONS).train.weights is None


def test_too_little_history_is_an_error() -> None:
    own, parent = recipe(), version(before(30))
    (found,) = due(own, parent, {}, TODAY, SESSIONS, ())
    with pytest.raises(DataError, match="needs 399 sessions, and there are 300"):
        run_config(own, found, parent, "file:///b/universe/2021-03-31.json", SESSIONS[-300:])


@pytest.mark.parametrize("word", ["warm_every=0", "warm_every=x", "cold", "speed=3", "warm_epochs=none"])
def test_a_wrong_policy_is_refused(word: str) -> None:
    with pytest.raises(UsageError):
        read_policy([word])
