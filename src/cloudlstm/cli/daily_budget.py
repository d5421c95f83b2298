"""What a training of a model may cost on a target, for the monthly limit of the model."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from cloudlstm.cli.estimate import START_H, hours_of_work
from cloudlstm.config import RunConfig, parse
from cloudlstm.costs.usage import machine_hours, read_usage
from cloudlstm.market.calendar import sessions
from cloudlstm.market.store.version import Version
from cloudlstm.models import registry
from cloudlstm.models.budget import Budget, Price, PriceOf
from cloudlstm.models.documents import Due
from cloudlstm.models.due import run_config
from cloudlstm.models.paths import ModelPaths
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets import Target, clusters, costs
from cloudlstm.targets.cloud import CloudTarget
from cloudlstm.targets.spark_job import MARGIN_S
from cloudlstm.workers.deadline import TARGET_HOURS

_SPREAD = 2.0
"""Times the expected hours that a training may need: assumed speeds were measured on few kinds of machines."""


def budget_of(paths: ModelPaths, target: Target, limit: float | None) -> Callable[[str], Budget] | None:
    """Returns a function from a day to the budget of its month; None without a limit, or where trainings cost nothing.

    Args:
        paths: The model.
        target: Where challengers are trained.
        limit: USD a month; None for the limit of the model's policy.
    """
    most = registry.recipe_of(paths).policy.max_usd_month if limit is None else limit
    if most is None or not isinstance(target, CloudTarget):
        return None
    return lambda date: Budget(paths, date, most, _prices(paths, target), nodes_of(target))


def nodes_of(target: Target) -> int:
    """Returns the machines of the target's Spark cluster at its largest size; 0 without a cluster."""
    return 1 + target.config.spark_max_nodes if isinstance(target, CloudTarget) else 0


def other_usd(paths: ModelPaths, target: Target, due: Due, date: str, manifest: str) -> float:
    """Returns what a training costs besides the time of its machines at work, at most.

    That is the cluster while it is idle afterwards, and the way to the internet; no record of the run has them.

    Args:
        paths: The model.
        target: Where it is trained.
        due: The training.
        date: The day that asks for it.
        manifest: URI of the manifest of its bars.
    """
    return _prices(paths, target)(due, date, manifest).other_usd if isinstance(target, CloudTarget) else 0.0


def _prices(paths: ModelPaths, target: CloudTarget) -> PriceOf:
    """Returns what tells the price of a training."""

    def price(due: Due, date: str, manifest: str) -> Price:
        tickers = len(Version.open(manifest).tickers())
        return price_of(target, RunPaths.of(paths.root, due.run), settings_of(paths, due, date, manifest), tickers)

    return price


def settings_of(paths: ModelPaths, due: Due, date: str, manifest: str, *, warm: bool = True) -> RunConfig:
    """Returns the settings of the run of a training.

    Args:
        paths: The model.
        due: The training.
        date: The day that asks for it.
        manifest: URI of the manifest of its bars.
        warm: False for a warm challenger whose champion's run is gone: it starts from new weights.
    """
    recipe = registry.recipe_of(paths)
    market = parse(dict(recipe.config)).market
    known = sessions(market.calendar, market.start, dt.date.fromisoformat(date))
    parent = registry.version_of(paths, due.parent) if due.parent and warm else None
    return run_config(recipe, due, parent, manifest, known)


def price_of(target: CloudTarget, run: RunPaths, config: RunConfig, tickers: int) -> Price:
    """Returns what the run of a training may cost: twice its expected hours, at the prices of the dearest machines.

    Args:
        target: Where it is trained.
        run: Its run, which may have been begun.
        config: Its settings.
        tickers: Number of tickers of its bars.
    """
    workers, trainers = config.train.workers or target.workers, config.trainers
    rates = costs.dearest(target.config, workers, trainers.usd_per_hour)
    prepare_h, train_h = (START_H + _SPREAD * hours for hours in hours_of_work(config, tickers, workers) or (0.0, 0.0))
    prepare_h = min(prepare_h, config.spark.max_hours or TARGET_HOURS)
    train_h = min(train_h, trainers.max_hours or target.config.max_hours, target.config.max_hours)
    idle_h = target.config.spark_idle_minutes / 60.0
    before = machine_hours(read_usage(run), "train") * rates.trainer
    trainers_usd = train_h * workers * rates.trainer
    if trainers.max_usd is not None:
        trainers_usd = min(trainers_usd, max(trainers.max_usd - before, 0.0))
    return Price(
        spark_usd=prepare_h * rates.spark,
        spark_rate=rates.spark,
        trainers_usd=trainers_usd,
        other_usd=idle_h * rates.spark + (prepare_h + max(idle_h, train_h)) * rates.internet,
        before_usd=before,
        unknown=rates.unknown,
        beyond_h=(clusters.START_S + MARGIN_S) / 3600.0,
    )
