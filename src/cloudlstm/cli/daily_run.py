"""Carries out a day of a model, then the trainings that are due, each through the path of a submit."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cloudlstm import storage
from cloudlstm.cli import terminal
from cloudlstm.cli.daily_budget import budget_of, nodes_of, other_usd, settings_of
from cloudlstm.cli.plans import make_plan
from cloudlstm.cli.submit import launch
from cloudlstm.config import RunConfig
from cloudlstm.errors import BudgetError, CloudLSTMError, JobError, MissingExtraError, RunBusyError
from cloudlstm.models import registry
from cloudlstm.models.budget import Budget, cost_of_run, note_usage, spent, usage_of
from cloudlstm.models.day import run_day
from cloudlstm.models.delivery import deliver
from cloudlstm.models.documents import Day, Due
from cloudlstm.models.exogenous_rows import scored_in
from cloudlstm.models.figures import FAILED, OVER_BUDGET, SECONDS, UP_TO_DATE, USD, USD_MONTH, figures_of
from cloudlstm.models.making import add
from cloudlstm.models.paths import ModelPaths
from cloudlstm.models.registry import has_trainings, unfinished
from cloudlstm.runs.attempts import is_alive, latest_attempt
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets import Target


@dataclass(frozen=True, slots=True)
class Limits:
    """What a day may cost, and what its machine costs.

    Attributes:
        max_usd_month: Most that the model may cost in a month in USD; None for the limit of its policy.
        launcher_usd_per_hour: Price of this machine an hour in USD, which counts for the limit; None: it costs nothing.
    """

    max_usd_month: float | None = None
    launcher_usd_per_hour: float | None = None


NO_LIMITS = Limits()


def run_daily(
    paths: ModelPaths,
    target: Target,
    clock: Callable[[], dt.datetime],
    tell: Callable[[Day], None] = lambda _: None,
    limits: Limits = NO_LIMITS,
    *,
    train: bool = True,
    give_up: bool = False,
) -> Day:
    """Carries out the day of the last session, and the trainings that are due; then writes the monitor page.

    The page is also written if a training fails, because the forecasts of the day stand then.

    Args:
        paths: The model.
        target: Where challengers are trained.
        clock: Tells the moment.
        tell: Called with the day before the trainings begin, which may take long.
        limits: The monthly limit, and what this machine costs.
        train: False leaves the trainings that are due to a later command, which then sends whether they have failed.
        give_up: True leaves them as well, and counts them as failed: no later command of this day will do them.

    Raises:
        BudgetError: A training of an earlier day, or one that failed, would exceed the limit.
        JobError: Trainings that are due were given up.
    """
    began = time.monotonic()
    sender = _Sender(target, paths.name, clock)
    figures: dict[str, float] = {}
    try:
        day = _day(paths, target, clock, limits, sender)
        errors: list[CloudLSTMError] = []
        tried: dict[str, float] = {}
        left = False
        try:
            tell(day)
            if give_up:
                errors += [_given_up(due) for _, due in unfinished(paths)]
            elif not train:
                left = has_trainings(paths)
            else:
                left = _train_all(paths, day, target, limits, tried, errors)
        finally:  # what trainings have cost counts, also if the command is cut off
            whole_s = time.monotonic() - began
            used = _note(paths, day.date, whole_s, limits, tried, nodes_of(target))
            refused = [each for each in errors if isinstance(each, BudgetError)]
            figures |= {SECONDS: whole_s, USD: used, OVER_BUDGET: float(len(day.over_budget) + len(refused))}
            if sender.sends:
                figures[USD_MONTH] = spent(paths, day.date[:7], nodes_of(target))
        write_monitor(paths)
        failed = len(refused) < len(errors)
        if failed or not left:  # else the command that does the trainings tells it
            figures[FAILED] = float(failed)
    except BaseException:  # also SIGTERM and Ctrl-C, since nothing else tells that the command did not end
        sender.send(figures | {FAILED: 1.0})
        raise
    sender.send(figures)
    if errors:
        worst = next((each for each in errors if each not in refused), errors[0])
        for each in errors:
            if each is not worst:
                terminal.write_error(f"cloudlstm: {each}\n")
        raise worst
    return day


def _given_up(due: Due) -> JobError:
    return JobError(f"there was no time for the training {due.run}", hint="the next day does it")


def _train_all(
    paths: ModelPaths, day: Day, target: Target, limits: Limits, tried: dict[str, float], errors: list[CloudLSTMError]
) -> bool:
    """Carries out all trainings that are not finished; returns whether another process carries out some of them.

    Args:
        paths: The model.
        day: The newest day, whose month has to pay them.
        target: Where they are trained.
        limits: The monthly limit.
        tried: Gets the run of each training, with what it has cost besides its machines in USD.
        errors: Gets the errors of those that failed; the others may go well.
    """
    budget = budget_of(paths, target, limits.max_usd_month)
    left = False
    for of_day, due in list(unfinished(paths)):
        tried[due.run] = other = 0.0
        before = cost_of_run(paths, due.run)
        try:
            other = other_usd(paths, target, due, of_day.date, of_day.manifest)
            _train(paths, of_day, due, target, budget(day.date) if budget else None)
        except (RunBusyError, BudgetError) as error:  # what a training has cost so far may leave no money for it
            if not _is_at_work(paths, due):
                errors.append(error)
                continue
            left, other = True, 0.0  # that process counts it
            terminal.write_error(f"note: another process does the training {due.run}\n")
        except CloudLSTMError as error:
            errors.append(error)
        finally:
            if cost_of_run(paths, due.run) > before:  # else it used no machine
                tried[due.run] = other
    return left


def _is_at_work(paths: ModelPaths, due: Due) -> bool:
    """Whether another process works on the run of a training; this one has ended its attempt.

    A RunBusyError may also mean that the trainers do the work of another run.
    """
    run = RunPaths.of(paths.root, due.run)
    number = latest_attempt(run)
    return number > 0 and is_alive(run, number)


def _note(paths: ModelPaths, date: str, whole_s: float, limits: Limits, tried: dict[str, float], nodes: int) -> float:
    """Adds what the command has used to the usage object of the day; returns the list price of that in USD."""
    launcher = None if limits.launcher_usd_per_hour is None else whole_s / 3600.0 * limits.launcher_usd_per_hour
    before = usage_of(paths, date).get("usd") or 0.0
    used = note_usage(paths, date, seconds=whole_s, launcher_usd=launcher, trained=tried, nodes=nodes)
    return (used["usd"] or 0.0) - before


def _day(paths: ModelPaths, target: Target, clock: Callable[[], dt.datetime], limits: Limits, sender: _Sender) -> Day:
    """Carries out the day itself, delivers its forecasts, and sends its figures."""
    began = time.monotonic()
    budget = budget_of(paths, target, limits.max_usd_month)
    known = set(registry.day_dates(paths))
    choose = (lambda date: budget(date).choose) if budget else None
    day = run_day(paths, clock(), clock, scored_in(paths.root), choose)
    if day.date in known:
        terminal.write_error("note: this day was done before; nothing is read again\n")
    deliver(paths)  # also after a day that was killed before it
    if usage_of(paths, day.date).get("sent"):
        sender.send({UP_TO_DATE: 1.0})
    else:  # also if an earlier command was killed before it sent them, or the service did not take them
        sent = sender.send({UP_TO_DATE: 1.0} | figures_of(day))
        seconds = time.monotonic() - began
        note_usage(paths, day.date, seconds=seconds, launcher_usd=None, trained={}, sent=sent)
    return day


class _Sender:
    """Sends the figures of a model; where the service does not take them, the day says so and goes on.

    Args:
        target: The target, which may have no such service.
        model: The model.
        clock: Tells the moment of the figures.
    """

    def __init__(self, target: Target, model: str, clock: Callable[[], dt.datetime]) -> None:
        self._target, self._model, self._clock = target, model, clock
        self.sends = target.root is not None

    def send(self, figures: Mapping[str, float]) -> bool:
        """Sends figures; writes a note and returns False if the service has not taken all of them."""
        try:
            self._target.send_figures(self._model, figures, self._clock().timestamp())
        except CloudLSTMError as error:
            terminal.write_error(f"note: figures were not sent: {error}\n")
            return False
        return True


def _train(paths: ModelPaths, day: Day, due: Due, target: Target, budget: Budget | None) -> None:
    """Trains a challenger and makes a version of it."""
    recipe = registry.recipe_of(paths)
    parent = registry.version_of(paths, due.parent) if due.parent else None
    lost = parent is not None and Manifest.load(RunPaths(parent.run), "train") is None
    if parent and lost:
        terminal.write_error(f"note: {parent.run} was deleted, so {due.run} starts from new weights\n")
    config = _on_target(settings_of(paths, due, day.date, day.manifest, warm=not lost), target)
    if budget is not None:
        config = budget.limited(config, due, day.date, day.manifest)
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
