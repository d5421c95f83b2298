"""Creates a model from a finished run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from cloudlstm.config import RunConfig, parse
from cloudlstm.errors import ConfigError, UsageError
from cloudlstm.features import features_of_run
from cloudlstm.market.store.version import Store
from cloudlstm.models import registry
from cloudlstm.models.documents import Recipe
from cloudlstm.models.due import COLD, WARM
from cloudlstm.models.making import add, require_finished
from cloudlstm.models.paths import ModelPaths
from cloudlstm.models.policy import OtherRecipe, Policy
from cloudlstm.runs import numbered, settings
from cloudlstm.runs.attempts import latest_attempt
from cloudlstm.runs.paths import RunPaths, is_run_id

_RECIPE = "recipe."
_NUMBERS = tuple(field.name for field in fields(Policy) if field.name != "others")


def create(paths: ModelPaths, run: RunPaths, policy: Policy) -> Recipe:
    """Creates a model whose first version and champion is the network of a finished run.

    Raises:
        UsageError: The model exists with another recipe, the run is not finished, or a day could not forecast with it.
        ConfigError: The settings of another recipe are not valid.
    """
    config = settings.read(run, latest_attempt(run))
    if config.market.source == "stored":
        raise UsageError(
            f"run {run.run_id} has its bars from the store of another model", hint="the first run of that model"
        )
    if config.train.inputs != "relative":
        raise UsageError(
            "a model needs train.inputs=relative",
            hint="levels have statistics of the tickers of their training",
        )
    _require_numpy(config)
    if within_a_day(config):
        _require_bars_only(config)
    else:
        _require_real(config)
    bars = Store.of(paths.root, config).folder
    recipe = Recipe(paths.name, run.uri, config.model_dump(mode="json"), bars, policy)
    for other in policy.others:
        checked(config, other)
    require_finished(run)
    if not numbered.create(paths.recipe, asdict(recipe)) and not _same(registry.recipe_of(paths), recipe):
        raise UsageError(f"model {paths.name} exists already", hint=f"cloudlstm models show {paths.name}")
    date = str(config.market.end)
    if not numbered.numbers(paths.versions):
        add(paths, 1, run, kind="created", recipe="", parent=None, made=date)
    if not registry.moves_of(paths):
        registry.move(paths, 1, date, "created", (f"the model was created from run {run.run_id}",))
    registry.mark(paths)
    return registry.recipe_of(paths)


def _same(first: Recipe, second: Recipe) -> bool:
    """True if two recipes have the same run and the same policy: then a creation that was interrupted goes on."""
    return (first.run, first.policy) == (second.run, second.policy)


def checked(config: RunConfig, other: OtherRecipe) -> RunConfig:
    """The settings of another recipe.

    Raises:
        UsageError: A day could not forecast with them.
        ConfigError: They are not valid, or change the horizon or the features.
    """
    found = parse(config.model_dump(mode="json"), other.overrides)
    _require_numpy(found)
    _require_real(found)
    if found.dataset.horizon_bars != config.dataset.horizon_bars:
        raise ConfigError(
            f"recipe {other.name} forecasts {found.dataset.horizon_bars} bars ahead, the model "
            f"{config.dataset.horizon_bars}",
            hint="a model of its own: cloudlstm models create",
        )
    if _joined(found) != _joined(config) or set(features_of_run(found).features) - set(
        features_of_run(config).features
    ):
        raise ConfigError(
            f"recipe {other.name} has features that the model does not have",
            hint="fewer features are possible: exogenous.inputs=none, macro or news",
        )
    return found


def _joined(config: RunConfig) -> dict[str, Any]:
    """The settings of the exogenous columns, without which of them a network gets."""
    return config.exogenous.model_dump(exclude={"inputs", "ablation"})


def within_a_day(config: RunConfig) -> bool:
    """True for a model of bars within a day: streams forecast with its champion, and it has no days."""
    return config.market.interval != "1d"


def add_run(paths: ModelPaths, run: RunPaths) -> int:
    """Adds the network of a finished run to a model as a version, which `promote` makes the champion.

    Returns:
        The number of the version; that of the existing one if the run has been added before.

    Raises:
        UsageError: The run is not finished, or its bars, horizon or network are not those that the model can have.
        DataError: Its network was trained with a feature that the model does not have.
    """
    own, config = parse(dict(registry.recipe_of(paths).config)), settings.read(run, latest_attempt(run))
    for name, mine, its in (
        ("market.interval", own.market.interval, config.market.interval),
        ("market.calendar", own.market.calendar, config.market.calendar),
        ("market.bridge_sessions", own.market.bridge_sessions, config.market.bridge_sessions),
        ("dataset.horizon_bars", own.dataset.horizon_bars, config.dataset.horizon_bars),
        ("train.inputs", own.train.inputs, config.train.inputs),
    ):
        if mine != its:
            raise UsageError(
                f"run {run.run_id} has {name}={its}, and model {paths.name} has {mine}",
                hint="a model of its own: cloudlstm models create NAME --run=RUN",
            )
    _require_numpy(config)
    if within_a_day(config):
        _require_bars_only(config)
    versions = registry.versions_of(paths)
    if same := [each.number for each in versions if each.run == run.uri]:
        return same[0]
    number = max((each.number for each in versions), default=0) + 1
    add(paths, number, run, kind="created", recipe="", parent=None, made=str(config.market.end))
    registry.mark(paths)
    return number


def _require_numpy(config: RunConfig) -> None:
    """Raises UsageError if NumPy cannot compute the networks of a run."""
    if config.model.build:
        raise UsageError(
            f"a model computes its forecasts with NumPy, which does not know the network of "
            f"model.build={config.model.build}",
            hint="a run without model.build; cloudlstm predict forecasts with any network",
        )


def _require_bars_only(config: RunConfig) -> None:
    """Raises UsageError if the networks of a run take macro series or news, which a stream does not have."""
    if config.exogenous.own_inputs != "none":
        raise UsageError(
            "a model of bars within a day serves streams, which have no macro series and no news",
            hint="a run with exogenous.inputs=none",
        )


def _require_real(config: RunConfig) -> None:
    """Raises UsageError if the days of a model could not train its networks again."""
    for name in config.exogenous.groups:
        if getattr(config.exogenous, name).source == "synthetic":
            raise UsageError(
                f"exogenous.{name}.source=synthetic is made with the bars of market.source=synthetic, and the "
                f"trainings of a model have their bars from its store",
                hint=f"a run with exogenous.{name}.source=files or off",
            )


def read_policy(words: Sequence[str]) -> Policy:
    """Reads a policy from words such as `cold_every=126` and `recipe.small=model.units=64`.

    Raises:
        UsageError: A word is none of these.
    """
    values: dict[str, Any] = {}
    others: list[OtherRecipe] = []
    for word in words:
        key, equals, value = word.partition("=")
        if key.startswith(_RECIPE) and equals:
            others.append(_other(_named(key, others), value))
        elif key in _NUMBERS and equals:
            values[key] = _number(key, value)
        else:
            raise UsageError(f"{word!r} is no part of a policy", hint=f"{', '.join(_NUMBERS)} or recipe.NAME=SETTINGS")
    return replace(Policy(), **values, others=tuple(others))


def _other(name: str, value: str) -> OtherRecipe:
    """A recipe from its words: `ridge`, or settings with semicolons between them."""
    if value == "ridge":  # every run fits one; its network is only as large as it must be
        return OtherRecipe(name, ("model.units=1", "train.epochs=1"), "ridge")
    return OtherRecipe(name, tuple(value.split(";")))


def _named(key: str, others: Sequence[OtherRecipe]) -> str:
    """The name of another recipe; it becomes a part of the ids of its runs."""
    name = key.removeprefix(_RECIPE)
    if not is_run_id(name) or name in (WARM, COLD, *(each.name for each in others)):
        raise UsageError(
            f"{name!r} is no name of a recipe, or was given before",
            hint=f"lower-case letters, digits and hyphens, beginning with a letter; not {WARM} or {COLD}",
        )
    return name


def _number(key: str, value: str) -> float | None:
    """A number of the policy: whole from 1, or for an amount in USD any above 0."""
    kind = str(Policy.__dataclass_fields__[key].type)
    if value == "none" and kind.endswith("| None"):
        return None
    if kind.startswith("float"):
        return usd_of(key, value)
    if not (value.isascii() and value.isdigit() and int(value)):
        raise UsageError(f"{key} needs a whole number from 1, not {value!r}", hint=f"{key}=21")
    return int(value)


def usd_of(key: str, value: str) -> float:
    """An amount in USD above 0; `key` names it in the error.

    Raises:
        UsageError: It is none.
    """
    try:
        usd = float(value)
    except ValueError:
        usd = math.nan
    if not 0.0 < usd < math.inf:
        raise UsageError(f"{key} needs an amount in USD above 0, not {value!r}", hint=f"{key}=20")
    return usd
