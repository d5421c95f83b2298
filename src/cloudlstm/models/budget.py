"""The monthly limit of a model in USD: what its trainings have cost, and which of those that are due it still pays.

Forecasts need no machine besides the launcher, so a limit never stops them. A training is refused if the rest of the
month's limit does not pay it at the prices of the dearest machines. One that is not refused gets limits of its own, so
that the work of its machines cannot cost more than that rest. Not counted are a cluster that starts slowly and a job
that hangs at its limit, unless the rest pays these hours as well.

A month is that of the day's date. What a training has cost is read from the records of its run; the usage object of a
day keeps a copy, which stays if the run is deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cloudlstm import storage
from cloudlstm.config import RunConfig
from cloudlstm.costs.usage import cost, read_usage
from cloudlstm.errors import BudgetError, ObjectNotFoundError
from cloudlstm.models import registry
from cloudlstm.models.documents import Due, OverBudget
from cloudlstm.models.paths import ModelPaths
from cloudlstm.runs.paths import RunPaths
from cloudlstm.workers.deadline import TARGET_HOURS

_DAYS = 62
"""Days that are read: those of a month, and of the month before, whose trainings may go on in it."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a training may cost by list prices: the dearest machines, on demand.

    Attributes:
        spark_usd: The Spark cluster while it works for the training.
        spark_rate: The cluster at its largest size an hour.
        trainers_usd: The trainers.
        other_usd: The cluster while it is idle after the training, and the way to the internet.
        before_usd: What trainers of the same run have cost before, at most.
        unknown: Machine types that are not in the table of prices.
        beyond_h: Hours that the cluster may cost beyond the limit of its job, at most: its start, and the time until a
            job that hangs is ended.
    """

    spark_usd: float
    spark_rate: float
    trainers_usd: float
    other_usd: float = 0.0
    before_usd: float = 0.0
    unknown: tuple[str, ...] = ()
    beyond_h: float = 0.0

    @property
    def usd(self) -> float:
        """The whole cost."""
        return self.spark_usd + self.trainers_usd + self.other_usd


PriceOf = Callable[[Due, str, str], Price]
"""Training, date of its day, and URI of the manifest of the bars -> what it may cost."""


class Budget:
    """The limit of a model for the month of one day.

    Args:
        paths: The model.
        date: The day.
        limit: USD a month.
        price: The price of a training; None where trainings cost nothing.
        nodes: Machines of the Spark cluster at its largest size.
    """

    def __init__(self, paths: ModelPaths, date: str, limit: float, price: PriceOf, nodes: int = 0) -> None:
        self._paths, self._price, self.limit, self._month = paths, price, limit, date[:7]
        self._nodes = nodes

    @cached_property
    def left(self) -> float:
        """What is left of the limit; below 0 if more was spent."""
        return self.limit - spent(self._paths, self._month, self._nodes)

    def choose(self, trainings: Sequence[Due], date: str, manifest: str) -> tuple[list[Due], list[OverBudget]]:
        """Returns those of a day's trainings that the rest pays, in their order, and the others.

        Args:
            trainings: The trainings that are due.
            date: The day.
            manifest: URI of the manifest of its bars.
        """
        paid: list[Due] = []
        over: list[OverBudget] = []
        left = self.left if trainings else 0.0
        for due in trainings:
            price = self._price(due, date, manifest)
            if why := self._refusal(due, price, left):
                over.append(OverBudget(due, price.usd, max(left, 0.0), why))
            else:
                paid.append(due)
                left -= price.usd
        return paid, over

    def limited(self, config: RunConfig, due: Due, date: str, manifest: str) -> RunConfig:
        """Returns the settings of a training with limits that the rest of the month pays.

        If the rest also pays the hours beyond the limit of the Spark job, they are subtracted from that limit. What the
        training is not expected to need is divided evenly between its two jobs.

        Raises:
            BudgetError: The rest does not pay it.
        """
        price = self._price(due, date, manifest)
        if why := self._refusal(due, price, self.left):
            raise BudgetError(why, hint=f"next month, or a higher max_usd_month: {_COMMAND}")
        spare = (self.left - price.usd) / 2
        expected_h, spare_h = price.spark_usd / price.spark_rate, spare / price.spark_rate
        hours = min(config.spark.max_hours or TARGET_HOURS, expected_h + max(spare_h - price.beyond_h, 0.0))
        trainers_usd = price.before_usd + price.trainers_usd + spare
        most = min(config.trainers.max_usd or trainers_usd, trainers_usd)
        return config.model_copy(
            update={
                "spark": config.spark.model_copy(update={"max_hours": hours}),
                "trainers": config.trainers.model_copy(update={"max_usd": most}),
            }
        )

    def _refusal(self, due: Due, price: Price, left: float) -> str:
        """Why a training is refused; empty if it is not."""
        if price.unknown:
            return f"the price of {', '.join(price.unknown)} is not in the table, so no limit of {due.run} can be kept"
        if price.usd <= left:
            return ""
        return (
            f"{due.run} may cost {price.usd:.2f} USD, and {max(left, 0.0):.2f} of {self.limit:.2f} USD are left for "
            f"{self._month}"
        )


_COMMAND = "cloudlstm daily NAME --max-usd-month=USD"


def spent(paths: ModelPaths, month: str, nodes: int = 0) -> float:
    """USD that a model has cost in a month, such as "2026-11": trainings, and the launcher if its price is known.

    Trainings count with the cluster while it is idle after them, and with the way to the internet.
    What a run has cost so far and no earlier month has counted is counted in this month.
    `nodes` is as for `cost_of_run`.
    """
    dates = [date for date in registry.day_dates(paths) if date[:7] <= month][-_DAYS:]
    total = 0.0
    runs: set[str] = set()
    latest: dict[str, float] = {}
    earlier: dict[str, float] = {}
    for date in dates:
        used = usage_of(paths, date)
        for run, usd in used.get("trainings", {}).items():
            latest[run] = max(latest.get(run, 0.0), float(usd))
            if date[:7] < month:
                earlier[run] = latest[run]
        runs.update(due.run for due in registry.day_of(paths, date).due)
        if date[:7] == month:
            total += float(used.get("launcher_usd") or 0.0) + float(used.get("other_usd") or 0.0)
    for run in runs | set(latest):
        known = max(cost_of_run(paths, run, nodes), latest.get(run, 0.0))
        total += known - earlier.get(run, 0.0)
    return total


def cost_of_run(paths: ModelPaths, run: str, nodes: int = 0) -> float:
    """USD that the machines of all attempts of a run have cost; 0 for a run of this machine, or that was deleted.

    Args:
        paths: The model.
        run: The run.
        nodes: Machines of the Spark cluster at its largest size. The records of a run have the least size, since how
            many a cluster has added is not known; a limit has to hold in any case.
    """
    used = read_usage(RunPaths.of(paths.root, run))
    added = sum(
        (each.usd or 0.0) * (nodes / each.rate.machines - 1)
        for each in used
        if each.job == "prepare" and nodes > each.rate.machines
    )
    return cost(used) + added


def usage_of(paths: ModelPaths, date: str) -> dict[str, Any]:
    """The usage object of a day; empty if there is none."""
    try:
        found: dict[str, Any] = storage.read_json(paths.usage(date))
    except ObjectNotFoundError:
        return {}
    return found


def note_usage(
    paths: ModelPaths,
    date: str,
    *,
    seconds: float,
    launcher_usd: float | None,
    trained: Mapping[str, float],
    sent: bool = False,
    nodes: int = 0,
) -> dict[str, Any]:
    """Adds the work of one command to the usage object of a day, and returns the object.

    Args:
        paths: The model.
        date: The day.
        seconds: Time of the command; kept if it is the first one of the day.
        launcher_usd: Price of its machine for this time; None if it is not known.
        trained: The runs that it has trained, or tried to, each with what it has cost besides the time of its machines.
        sent: Whether it has sent the figures of the day; once true, it stays.
        nodes: As for `cost_of_run`.
    """
    used = usage_of(paths, date)
    trainings = used.get("trainings", {}) | {run: cost_of_run(paths, run, nodes) for run in trained}
    launcher = used.get("launcher_usd")
    if launcher_usd is not None:
        launcher = (launcher or 0.0) + launcher_usd
    other = (used.get("other_usd") or 0.0) + sum(trained.values())
    known = [value for value in (launcher, *trainings.values(), other or None) if value is not None]
    document = {
        "seconds": used.get("seconds", round(seconds, 3)),
        "launcher_usd": launcher,
        "trainings": trainings,
        "other_usd": other,
        "usd": sum(known) if known else None,
        "sent": sent or used.get("sent", False),
    }
    storage.write_json(paths.usage(date), document)
    return document
