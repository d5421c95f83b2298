"""Carries out a day of a model, then the trainings that are due, each through the path of a submit."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator

from cloudlstm import storage
from cloudlstm.cli import terminal
from cloudlstm.cli.plans import make_plan
from cloudlstm.cli.submit import launch
from cloudlstm.config import RunConfig, parse
from cloudlstm.errors import CloudLSTMError, MissingExtraError
from cloudlstm.market.calendar import sessions
from cloudlstm.models import registry
from cloudlstm.models.day import run_day
from cloudlstm.models.delivery import deliver
from cloudlstm.models.documents import Day, Due
from cloudlstm.models.due import run_config
from cloudlstm.models.exogenous_rows import scored_in
from cloudlstm.models.making import add
from cloudlstm.models.paths import ModelPaths
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets import Target

_RECENT_DAYS = 30
"""Days whose trainings are made up for, if they were not finished."""


def run_daily(
    paths: ModelPaths,
    target: Target,
    clock: Callable[[], dt.datetime],
    tell: Callable[[Day], None] = lambda _: None,
) -> Day:
    """Carries out the day of the last session, and the trainings that are due; then writes the monitor page.

    The page is also written if a training fails, because the forecasts of the day stand then.

    Args:
        paths: The model.
        target: Where challengers are trained.
        clock: Tells the moment.
        tell: Called with the day before the trainings begin, which may take long.
    """
    began = time.monotonic()
    known = set(registry.day_dates(paths))
    day = run_day(paths, clock(), clock, scored_in(paths.root))
    if day.date not in known:
        storage.write_json(paths.usage(day.date), {"seconds": round(time.monotonic() - began, 3), "usd": None})
    else:
        terminal.write_error("note: this day was done before; nothing is read again\n")
    deliver(paths)  # also after a day that was killed before it
    tell(day)
    failed: CloudLSTMError | None = None
    for of_day, due in list(_unfinished(paths)):
        try:
            _train(paths, of_day, due, target)
        except CloudLSTMError as error:  # others may go well
            if failed:
                terminal.write_error(f"cloudlstm: {failed}\n")
            failed = error
    write_monitor(paths)
    if failed:
        raise failed
    return day


def _unfinished(paths: ModelPaths) -> Iterator[tuple[Day, Due]]:
    """The trainings of the last days whose version is not there yet; of the same kind only the newest."""
    made = {each.run for each in registry.versions_of(paths)}
    found: dict[str, tuple[Day, Due]] = {}
    for date in registry.day_dates(paths)[-_RECENT_DAYS:]:
        day = registry.day_of(paths, date)
        for due in day.due:
            found[due.name] = (day, due)
    for day, due in found.values():
        if RunPaths.of(paths.root, due.run).uri not in made:
            yield day, due


def _train(paths: ModelPaths, day: Day, due: Due, target: Target) -> None:
    """Trains a challenger and makes a version of it."""
    recipe = registry.recipe_of(paths)
    parent = registry.version_of(paths, due.parent) if due.parent else None
    if parent and Manifest.load(RunPaths(parent.run), "train") is None:
        terminal.write_error(f"note: {parent.run} was deleted, so {due.run} starts from new weights\n")
        parent = None
    market = parse(dict(recipe.config)).market
    known = sessions(market.calendar, market.start, dt.date.fromisoformat(day.date))
    config = _on_target(run_config(recipe, due, parent, day.manifest, known), target)
    terminal.write_error(f"training {due.run}: {due.why}\n")
    run = launch(make_plan("submit", target, config, paths.root, due.run), target)
    versions = registry.versions_of(paths)
    if any(each.run == run.uri for each in versions):  # another process was first
        return
    number = max(each.number for each in versions) + 1
    model = recipe.policy.model_of(due.recipe)
    add(paths, number, run, kind=due.kind, recipe=due.recipe, parent=due.parent, made=day.date, model=model)


def _on_target(config: RunConfig, target: Target) -> RunConfig:
    """The settings for a target: a cluster always prepares with Spark, also if the first run used another engine."""
    if target.root is None:
        return config
    return config.model_copy(update={"prepare": config.prepare.model_copy(update={"engine": "spark"})})


def write_monitor(paths: ModelPaths) -> None:
    """Writes the page of a model."""
    from cloudlstm.models.monitor.render import to_html

    days = list(registry.days_of(paths))
    usage = {
        day.date: storage.read_json(paths.usage(day.date)) for day in days if storage.exists(paths.usage(day.date))
    }
    try:
        page = to_html(
            registry.recipe_of(paths), registry.versions_of(paths), registry.moves_of(paths), days, usage
        )  # fmt: skip
    except MissingExtraError as error:
        terminal.write_error(f"note: no page was made: {error}\n")
        return
    storage.write(paths.monitor, page.encode())
