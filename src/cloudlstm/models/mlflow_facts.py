"""What MLflow gets about a version of a model: parameters, metrics, tags and files. It does not import MLflow."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from cloudlstm import storage
from cloudlstm.config import overrides
from cloudlstm.errors import ObjectNotFoundError
from cloudlstm.models.documents import Move, Recipe, Version
from cloudlstm.models.paths import ModelPaths
from cloudlstm.runs.paths import RunPaths
from cloudlstm.text.printable import shortened

MODEL = "cloudlstm.model"
"""Tag of a registered model: URI of the model that it holds."""
VERSION = "cloudlstm.version"
"""Tag of a run and of a registered version: URI of the version's document."""
MOVES = "cloudlstm.champion_moves"
"""Tag of a run and of a registered version: the moves that made it the champion. The only fact that may change."""
FOLDER = "model"
"""The folder of a run's artifacts that is registered."""

_LONGEST_PARAM = 500
"""Characters of a parameter's value: servers before MLflow 2.8 accept no more; version 3 accepts 6000."""
_LONGEST_TAG = 5000
"""Characters of a tag's value: MLflow 3 accepts 8000, older servers 5000."""
_LONGEST_KEY = 250
_REFUSED_IN_KEYS = re.compile(r"[^\w.\- ]")
_REPORTS = ("report.json", "report.html")


def params_of(recipe: Recipe, version: Version) -> dict[str, str]:
    """The settings of a version's recipe, the model's policy, and the lengths of its windows.

    Args:
        recipe: The recipe of the model.
        version: The version; if it has another recipe, the settings of that one count.

    Returns:
        Name -> value, such as "recipe.model.units" -> "64". Values are text or JSON, cut to 500 characters.
    """
    settings = copy.deepcopy(dict(recipe.config))
    for other in recipe.policy.others:
        if other.name == version.recipe:
            for word in other.overrides:
                overrides.apply(settings, word)
    facts = {"recipe": settings, "policy": asdict(recipe.policy),
             "window_bars": version.window_bars, "horizon_bars": version.horizon_bars}  # fmt: skip
    return {_key(name): shortened(_text(value), _LONGEST_PARAM) for name, value in overrides.flat(facts).items()}


def metrics_of(version: Version) -> dict[str, float]:
    """The evidence of a version, such as "lstm.rmse_return" -> 0.0123; what is no number is left out."""
    return {
        _key(f"{model}.{name}"): float(value)
        for model, figures in version.evidence.items()
        if isinstance(figures, dict)
        for name, value in figures.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def tags_of(paths: ModelPaths, version: Version, moves: Sequence[Move]) -> dict[str, str]:
    """What a version is, as tags of its run and of its registered version.

    Args:
        paths: The model.
        version: The version.
        moves: All moves of the champion.
    """
    facts = {
        VERSION: paths.version(version.number),
        "cloudlstm.number": str(version.number),
        "cloudlstm.kind": version.kind,
        "cloudlstm.recipe": version.recipe,
        "cloudlstm.parent": str(version.parent) if version.parent else "",
        "cloudlstm.made": version.made,
        "cloudlstm.seen": version.seen,
        "cloudlstm.run": version.run,
        MOVES: moves_text(moves, version.number),
    }
    return {name: shortened(value, _LONGEST_TAG) for name, value in facts.items() if value}


def moves_text(moves: Sequence[Move], number: int) -> str:
    """The moves that made a version the champion, as "2024-06-28 skill (after version 1)", the oldest first."""
    return "; ".join(
        f"{each.date} {each.basis}" + (f" (after version {each.before})" if each.before else "")
        for each in moves
        if each.version == number
    )


def files_of(paths: ModelPaths, version: Version) -> Iterator[tuple[str, bytes]]:
    """Yields the artifacts of a version as (name, content).

    `model/` has its weights, inputs and document. The report of its run is left out if the run was deleted.
    """
    for part in ("weights.npz", "inputs.json"):
        yield f"{FOLDER}/{part}", storage.read(paths.version(version.number, part))
    yield f"{FOLDER}/version.json", storage.read(paths.version(version.number))
    for name in _REPORTS:
        try:
            yield name, storage.read(RunPaths(version.run).report(name))
        except ObjectNotFoundError:
            continue


def _key(name: str) -> str:
    """A name that MLflow accepts."""
    return _REFUSED_IN_KEYS.sub("_", name)[:_LONGEST_KEY]


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, sort_keys=True)
