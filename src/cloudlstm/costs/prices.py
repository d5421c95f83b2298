"""The table of list prices (prices.toml) and the prices of machines by it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

HOURS_A_MONTH = 730.0

_FILE = "prices.toml"
_GPU_INCLUDED = ("a2-", "a3-", "g2-")
"""Types of Google's machines whose price includes the GPU."""


@dataclass(frozen=True, slots=True)
class Prices:
    """List prices of one cloud, USD, on demand, before tax.

    Attributes:
        date: When the prices were read: year and month.
        region: The region that they are of.
        machines: Machine type -> price an hour.
        gpus: Kind of a GPU that is attached to a machine -> price an hour.
        spark_fee_share: Fee of the Spark service as a share of the machine's price.
        spark_fee_vcpu_hour: Fee of the Spark service for each vCPU an hour.
        spot_share: Usual price of a spot machine as a share of its price on demand.
        disk_gib_month: Price of a trainer's disk for each GiB a month.
        nat_hour: Price of the way to the internet an hour.
        nat_machine_hour: Price of the way to the internet an hour for each machine.
        nat_gb: Price of a GB through it.
        endpoint_hour: Price of an interface endpoint an hour.
        storage_gb_month: Price of a stored GB a month.
    """

    date: str
    region: str
    machines: Mapping[str, float]
    spot_share: float
    disk_gib_month: float
    nat_hour: float
    nat_machine_hour: float
    nat_gb: float
    endpoint_hour: float
    storage_gb_month: float
    gpus: Mapping[str, float] = field(default_factory=dict)
    spark_fee_share: float = 0.0
    spark_fee_vcpu_hour: float = 0.0

    def spark_node(self, machine: str) -> float | None:
        """Returns the price of a Spark node an hour with the service's fee; None if its type is not in the table."""
        price = self.machines.get(machine)
        if price is None:
            return None
        size = machine.rpartition("-")[2]
        vcpus = int(size) if self.spark_fee_vcpu_hour and size.isdigit() else 0
        return price * (1.0 + self.spark_fee_share) + vcpus * self.spark_fee_vcpu_hour

    def trainer(self, machine: str, gpu: str, disk_gib: int, *, spot: bool) -> float | None:
        """Returns the price of a trainer an hour with GPU and disk; None if its type is not in the table.

        Args:
            machine: Its type.
            gpu: Its accelerator, or "none".
            disk_gib: Its disk in GiB.
            spot: Whether it comes from the spot market; then the usual price, which is not certain.
        """
        price = self.machines.get(machine)
        if price is None:
            return None
        if not machine.startswith(_GPU_INCLUDED):
            price += self.gpus.get(gpu, 0.0)
        return price * (self.spot_share if spot else 1.0) + disk_gib * self.disk_gib_month / HOURS_A_MONTH


@cache
def prices(cloud: str) -> Prices:
    """Returns the prices of "aws" or "gcp"."""
    table = _table()
    return Prices(date=table["date"], **table[cloud])


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath(_FILE).read_text(encoding="utf-8"))
