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
    if config.market.interval != "1d":
        raise UsageError(
            f"a model lives from day to day and has daily bars; run {run.run_id} has bars of {config.market.interval}",
            hint="a run with market.interval=1d",
        )
    if config.train.inputs != "relative":
        raise UsageError(
            "a model that lives from day to day needs train.inputs=relative",
            hint="levels have statistics of the tickers of their training",
        )
    _require_daily(config)
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
    _require_daily(found)
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


def _require_daily(config: RunConfig) -> None:
    """Raises UsageError if a day could not forecast with the networks of a run, or could not train others."""
    if config.model.build:
        raise UsageError(
            f"a day computes its forecasts with NumPy, which does not know the network of "
            f"model.build={config.model.build}",
            hint="a run without model.build; cloudlstm predict forecasts with any network",
        )
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
