"""Recipe, versions, aliases and days of a model. Versions and moves of an alias are written once and never changed."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import asdict

from cloudlstm import storage
from cloudlstm.errors import ObjectNotFoundError, UsageError
from cloudlstm.models.documents import CHAMPION, Day, Due, Move, Recipe, Version
from cloudlstm.models.paths import ModelPaths, dates_in
from cloudlstm.runs import documents, index, numbered
from cloudlstm.runs.paths import RunPaths, models

_RECENT_DAYS = 30
"""Days whose trainings are made up for, if they were not finished."""


def open_model(root: str, name: str) -> ModelPaths:
    """The paths of a model that exists.

    Raises:
        UsageError: There is none of this name.
    """
    paths = ModelPaths.of(root, name)
    if not storage.exists(paths.recipe):
        near = difflib.get_close_matches(name, model_names(root), n=1)
        make = f"cloudlstm models create {name} --run=RUN --root={root}, or cloudlstm models --root={root}"
        raise UsageError(f"no model {name} in {paths.folder}", hint=f"did you mean {near[0]}?" if near else make)
    return paths


def model_names(root: str) -> list[str]:
    """The names of all models, sorted."""
    return sorted(index.run_ids(models(root)))


def mark(paths: ModelPaths) -> None:
    """Writes the marker of a model with the time of this change."""
    index.mark(paths.folder, paths.name)


def recipe_of(paths: ModelPaths) -> Recipe:
    """The recipe of a model."""
    return documents.read(Recipe, paths.recipe)


def add_version(paths: ModelPaths, version: Version, weights: bytes, inputs: bytes, drift: bytes) -> None:
    """Stores a version; its document is written last, and an existing one is kept."""
    parts = {"weights.npz": weights, "inputs.json": inputs, "drift.json": drift}
    for name, data in parts.items():
        storage.write(paths.version(version.number, name), data)
    numbered.create(paths.version(version.number), asdict(version))


def version_of(paths: ModelPaths, number: int) -> Version:
    """A version.

    Raises:
        UsageError: There is none of this number.
    """
    try:
        return documents.read(Version, paths.version(number))
    except ObjectNotFoundError:
        raise UsageError(
            f"model {paths.name} has no version {number}", hint=f"cloudlstm models show {paths.name}"
        ) from None


def versions_of(paths: ModelPaths) -> list[Version]:
    """All versions, by number."""
    return [documents.read(Version, paths.version(number)) for number in numbered.numbers(paths.versions)]


def moves_of(paths: ModelPaths, alias: str = CHAMPION) -> list[Move]:
    """All moves of an alias, by number."""
    folder = paths.alias(alias)
    return [documents.read(Move, paths.move(alias, number)) for number in numbered.numbers(folder)]


def newest_move(paths: ModelPaths, alias: str = CHAMPION) -> Move:
    """The last move of an alias.

    Raises:
        UsageError: The alias names no version.
    """
    number = numbered.newest(paths.alias(alias))
    if not number:
        raise UsageError(f"model {paths.name} has no {alias}", hint=f"cloudlstm promote {paths.name} VERSION")
    return documents.read(Move, paths.move(alias, number))


def move(paths: ModelPaths, version: int, date: str, basis: str, reasons: tuple[str, ...]) -> Move:
    """Moves the champion's alias to a version.

    Raises:
        UsageError: Another process moved it at the same time.
    """
    number = numbered.newest(paths.alias(CHAMPION)) + 1
    before = newest_move(paths).version if number > 1 else None
    made = Move(number, version, before, date, basis, reasons)
    if not numbered.create(paths.move(CHAMPION, number), asdict(made)):
        raise UsageError(f"another process has just moved the champion of {paths.name}", hint="the same command again")
    return made


def day_dates(paths: ModelPaths) -> list[str]:
    """The dates of all days of a model, ascending."""
    return dates_in([item.uri for item in storage.list_objects(paths.days)], paths.days)


def day_of(paths: ModelPaths, date: str) -> Day:
    """What a day found and decided."""
    return documents.read(Day, paths.day(date))


def days_of(paths: ModelPaths) -> Iterator[Day]:
    """All days, the oldest first."""
    return (day_of(paths, date) for date in day_dates(paths))


def settled_sessions(paths: ModelPaths, since: str, until: str) -> set[str]:
    """The sessions whose outcomes were counted by the days from `since` to `until`, ISO dates."""
    dates = [date for date in day_dates(paths) if since <= date <= until]
    return {each.session for date in dates for each in day_of(paths, date).outcomes}


def unfinished(paths: ModelPaths) -> Iterator[tuple[Day, Due]]:
    """Yields the trainings of the last days whose version is not there yet; of the same kind only the newest."""
    made = {each.run for each in versions_of(paths)}
    found: dict[str, tuple[Day, Due]] = {}
    for date in day_dates(paths)[-_RECENT_DAYS:]:
        day = day_of(paths, date)
        for due in day.due:
            found[due.name] = (day, due)
    for day, due in found.values():
        if RunPaths.of(paths.root, due.run).uri not in made:
            yield day, due


def has_trainings(paths: ModelPaths) -> bool:
    """Whether the model has trainings that are not finished."""
    return any(True for _ in unfinished(paths))
