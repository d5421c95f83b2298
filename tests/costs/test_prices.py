"""The table of list prices, and the prices of machines by it."""

from __future__ import annotations

import pytest

from cloudlstm.costs.prices import prices


@pytest.mark.parametrize(
    ("cloud", "machine", "usd"),
    [
        ("aws", "m6i.xlarge", 0.192 + 0.048),  # EMR's fee is a quarter of the machine's price
        ("gcp", "n2-standard-4", 0.194236 + 4 * 0.01),  # Dataproc's is a cent a vCPU
        ("aws", "x1e.xlarge", None),
    ],
)
def test_a_spark_node_costs_its_machine_and_the_fee_of_the_service(cloud: str, machine: str, usd: float | None) -> None:
    assert prices(cloud).spark_node(machine) == (None if usd is None else pytest.approx(usd))


@pytest.mark.parametrize(
    ("cloud", "machine", "gpu", "spot", "usd"),
    [
        ("aws", "g4dn.xlarge", "t4", False, 0.526 + 100 * 0.08 / 730),
        ("aws", "g4dn.xlarge", "t4", True, 0.4 * 0.526 + 100 * 0.08 / 730),  # disks are not on the spot market
        ("gcp", "n1-standard-4", "t4", False, 0.189999 + 0.35 + 100 * 0.10 / 730),
        ("gcp", "g2-standard-4", "l4", False, 0.706832 + 100 * 0.10 / 730),  # the type includes its GPU
        ("gcp", "e2-standard-4", "none", False, 0.134012 + 100 * 0.10 / 730),
    ],
)
def test_a_trainer_costs_its_machine_gpu_and_disk(cloud: str, machine: str, gpu: str, spot: bool, usd: float) -> None:
    assert prices(cloud).trainer(machine, gpu, 100, spot=spot) == pytest.approx(usd)


def test_an_unknown_type_has_no_price() -> None:
    assert prices("aws").trainer("p9.xlarge", "none", 100, spot=False) is None
