"""Prices of a target's machines by the list prices of its cloud, and the time limit that a run's limits give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cloudlstm.costs.prices import Prices, prices
from cloudlstm.costs.usage import Rate
from cloudlstm.errors import ConfigError, CostLimitError, to_record
from cloudlstm.targets.base import Request
from cloudlstm.targets.document import TargetConfig
from cloudlstm.text.numbers import counted

_HOUR_S = 3600.0
SAVE_S = 120.0
"""Seconds before the machines' deadline at which the workers save a checkpoint and end."""


def spark_rate(target: TargetConfig) -> Rate:
    """Returns the price of the target's Spark cluster at its least size."""
    table, nodes = prices(target.cloud), 1 + target.spark_min_nodes
    node = table.spark_node(target.spark_machine)
    price = None if node is None else nodes * node
    return Rate(target.spark_machine, nodes, price, spot=False, prices=_named(target, table))


def trainer_rate(target: TargetConfig, workers: int, usd_per_hour: float | None = None) -> Rate:
    """Returns the price of `workers` trainers of the first type that the target prefers.

    Args:
        target: The target document.
        workers: Number of machines.
        usd_per_hour: Price of one machine an hour that counts instead of the table's; None for the table's.
    """
    machine, spot = target.trainer_machines[0], target.trainer_spot
    table = prices(target.cloud)
    named = _named(target, table)
    each = usd_per_hour
    if each is None:
        each = table.trainer(machine, target.trainer_gpu, target.trainer_disk_gib, spot=spot)
    else:
        named = "the price a machine that trainers.usd_per_hour names"
    return Rate(machine, workers, None if each is None else workers * each, spot, named)


@dataclass(frozen=True, slots=True)
class DearestRates:
    """Prices an hour in the dearest case: the largest cluster, the dearest trainer, all on demand.

    Attributes:
        spark: The cluster.
        trainer: One trainer.
        internet: The way to the internet of all these machines.
        unknown: Machine types without a price.
    """

    spark: float
    trainer: float
    internet: float
    unknown: tuple[str, ...]


def dearest(target: TargetConfig, workers: int, usd_per_hour: float | None) -> DearestRates:
    """Returns the prices of the dearest case of a run; a price that is not known counts as 0 and is named.

    Args:
        target: The target document.
        workers: Number of trainers.
        usd_per_hour: Price of one trainer an hour that counts instead of the table's; None for the table's.
    """
    table, nodes = prices(target.cloud), 1 + target.spark_max_nodes
    node = table.spark_node(target.spark_machine)
    unknown = [] if node is not None else [target.spark_machine]
    if usd_per_hour is None:
        unknown += _unpriced(target)
    trainer = 0.0 if unknown else _dearest(target, usd_per_hour)
    internet = table.nat_hour + (nodes + workers) * table.nat_machine_hour if target.egress == "nat" else 0.0
    return DearestRates(nodes * (node or 0.0), trainer, internet, tuple(unknown))


@dataclass(frozen=True, slots=True)
class Limit:
    """The time limit of training.

    Attributes:
        hours: Hours from the request of the machines to their deadline.
        error: The error that ends the run shortly before.
    """

    hours: float
    error: CostLimitError

    def stop(self, deadline: float) -> dict[str, Any]:
        """Returns when the workers save a checkpoint and end, and the error that they leave, for the assignment."""
        return {"at": deadline - min(SAVE_S, self.hours * _HOUR_S / 2), "error": to_record(self.error)}


def limit(target: TargetConfig, request: Request, before_h: float) -> Limit:
    """Returns the nearer limit of training: that in hours, or that in USD.

    Args:
        target: The target document.
        request: The request of the job "train".
        before_h: Hours that single trainers of this run have worked before, together.

    Raises:
        CostLimitError: nothing is left of the limit in USD.
    """
    hours, workers, most = request["hours"], request["workers"], request.get("max_usd")
    over = "submit again to continue from the last checkpoint, with a higher limit"
    found = Limit(
        hours,
        CostLimitError(
            f"the {workers} trainers have worked for their {hours:g} hours; the checkpoint is saved",
            hint=f"{over}: trainers.max_hours, or max_hours in Terraform",
        ),
    )
    if most is None:
        return found
    each = _dearest(target, request.get("usd_per_hour"))
    rate, before_usd = workers * each, before_h * each
    paid = (most - before_usd) / rate
    if paid * _HOUR_S < 2 * SAVE_S and not before_h:
        raise CostLimitError(
            f"trainers.max_usd={most:g} pays {counted(workers, 'trainer')} for {paid * 60:.1f} minutes, and a run "
            f"needs {2 * SAVE_S / 60:.0f} at least",
            hint=f"trainers.max_usd={rate:.2g} pays an hour",
        )
    if paid * _HOUR_S < 2 * SAVE_S:
        raise CostLimitError(
            f"trainers of this run have worked for {before_h:.1f} hours, which is {before_usd:.2f} USD at most, "
            f"and trainers.max_usd is {most:g}",
            hint="a higher trainers.max_usd; training continues from its last checkpoint",
        )
    if paid >= hours:
        return found
    spent = f", after {before_usd:.2f} USD before" if before_usd else ""
    return Limit(
        paid,
        CostLimitError(
            f"{workers} trainers at {rate:.2f} USD an hour would cost more than trainers.max_usd={most:g}{spent}; "
            "the checkpoint is saved",
            hint=f"{over}: trainers.max_usd",
        ),
    )


def require_price(target: TargetConfig, usd_per_hour: float | None) -> None:
    """Raises ConfigError if a limit in USD cannot be kept because a trainer's price is not known."""
    if usd_per_hour is None and (unknown := _unpriced(target)):
        raise ConfigError(
            f"trainers.max_usd needs the price of {', '.join(unknown)}, which is not in the table",
            hint="trainers.usd_per_hour=PRICE, the price of one machine an hour",
        )


def _unpriced(target: TargetConfig) -> list[str]:
    table = prices(target.cloud)
    return [each for each in target.trainer_machines if each not in table.machines]


def _dearest(target: TargetConfig, usd_per_hour: float | None) -> float:
    """Returns the price of the dearest machine that the group may start, on demand: a limit must hold in any case."""
    require_price(target, usd_per_hour)
    if usd_per_hour is not None:
        return usd_per_hour
    table = prices(target.cloud)
    found = (
        table.trainer(each, target.trainer_gpu, target.trainer_disk_gib, spot=False)
        for each in target.trainer_machines
    )  # fmt: skip
    return max(price for price in found if price is not None)


def _named(target: TargetConfig, table: Prices) -> str:
    """Names the list prices; those of another region than the target's say so."""
    other = "" if target.region == table.region else f", not those of {target.region}"
    return f"list prices of {table.region}, {table.date}{other}"
