"""The launcher's check of EC2's quotas: by class and market, vCPUs from the service, minus all that runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudlstm.config import parse
from cloudlstm.errors import TargetError
from cloudlstm.targets.aws.account import AwsAccount
from cloudlstm.targets.aws.quotas import code_of
from cloudlstm.targets.document import TargetConfig
from targets.aws_target import AWSTarget

STANDARD, STANDARD_SPOT, GRAPHICS, GRAPHICS_SPOT = "L-1216C47A", "L-34B43A08", "L-DB2E81BA", "L-3819A6DF"

Asked = Callable[..., str]


@pytest.fixture
def asked(aws: AWSTarget) -> Asked:
    """What the check says for a number of workers of the target with some of its document changed."""

    def check(workers: int, **changed: Any) -> str:
        try:
            return AwsAccount(TargetConfig.model_validate(aws.document | changed)).quota(workers)
        except TargetError as error:
            return f"{error.message} (try: {error.hint})"

    return check


@pytest.fixture
def fresh(aws: AWSTarget) -> Iterator[AWSTarget]:
    """The account of the target with the quotas of a new one."""
    aws.cloud.control.fault("fresh-account")
    yield aws
    aws.cloud.control.clear()


def test_the_quota_of_the_class_and_the_market_decides(fresh: AWSTarget, asked: Asked) -> None:
    gpu = {"trainer_gpu": "t4", "trainer_machines": ["g4dn.xlarge", "g4dn.2xlarge"]}
    service = fresh.client("service-quotas")
    service.request_service_quota_increase(ServiceCode="ec2", QuotaCode=GRAPHICS_SPOT, DesiredValue=8)
    spot = asked(2, trainer_spot=True, **gpu)
    assert spot.startswith(f"2 trainers more would need 8 of 8 vCPUs free in us-east-1 (quota {GRAPHICS_SPOT}); Spark")
    assert asked(2, trainer_spot=False, **gpu) == (
        f"2 trainers more need 8 vCPUs free in us-east-1 (quota {GRAPHICS}), and 0 are allowed "
        "(try: ask for more under Service Quotas, Amazon EC2)"
    )
    assert asked(3, trainer_spot=True, **gpu).endswith("Amazon EC2, or train.workers=2)")


def test_vcpus_come_from_the_service(asked: Asked) -> None:
    # An r6i.large has 2, a metal type as many as its machine: its name does not tell.
    assert "need 2 of" in asked(1, trainer_machines=["r6i.large"])
    assert "need 96 of" in asked(1, trainer_machines=["m5.metal"])
    assert "cannot be read" in asked(1, trainer_machines=["m6i.odd"])


def test_what_runs_is_subtracted_by_market(aws: AWSTarget, asked: Asked) -> None:
    def free(**changed: Any) -> int:
        said = asked(1, trainer_machines=["m6i.xlarge"], **changed)
        return int(said.split("would need 4 of ")[1].split()[0].replace(",", ""))

    ec2 = aws.client("ec2")
    before = free(trainer_spot=False), free(trainer_spot=True)
    machine = {"ImageId": "ami-12c6146b", "InstanceType": "c5.2xlarge", "MinCount": 1, "MaxCount": 1}
    started = [ec2.run_instances(**machine)["Instances"][0]["InstanceId"]]  # somebody else's, of the same class
    assert (free(trainer_spot=False), free(trainer_spot=True)) == (before[0] - 8, before[1])
    market = {"InstanceMarketOptions": {"MarketType": "spot"}}
    started.append(ec2.run_instances(**machine, **market)["Instances"][0]["InstanceId"])
    assert (free(trainer_spot=False), free(trainer_spot=True)) == (before[0] - 8, before[1] - 8)
    ec2.terminate_instances(InstanceIds=started)
    assert (free(trainer_spot=False), free(trainer_spot=True)) == before


def test_trainers_that_run_already_need_no_more(aws: AWSTarget, asked: Asked) -> None:
    aws.resize(1)
    try:
        assert asked(2).startswith("1 trainer more would need 4 of ")
    finally:
        aws.resize(0)


def test_what_spark_may_still_take_is_told(aws: AWSTarget, asked: Asked) -> None:
    # The primary and two nodes of the cluster run; it may have four beside the primary.
    said = asked(1, spark_machine="m6i.xlarge", spark_spot=False, spark_min_nodes=2, spark_max_nodes=4)
    assert f"; Spark may take 8 more of quota {STANDARD}, which has " in said
    spot = asked(1, spark_machine="m6i.xlarge", spark_spot=True, spark_min_nodes=2, spark_max_nodes=7)
    ours = aws.client("emr").list_instance_groups(ClusterId=aws.document["spark_cluster"])["InstanceGroups"]
    task = sum(each["RunningInstanceCount"] for each in ours if each["Market"] == "SPOT")
    assert f"; Spark may take {4 * (5 - task)} more of quota {STANDARD_SPOT}" in spot


def test_a_submit_beyond_the_quota_is_refused_with_what_to_ask_for(fresh: AWSTarget, tmp_path: Path) -> None:
    from cloudlstm.targets.cloud import open_cloud

    path = tmp_path / "target.json"
    path.write_text(json.dumps(fresh.document | {"trainer_spot": True, "trainer_machines": ["g6.xlarge"]}))
    config = parse({"market": {"source": "synthetic"}, "train": {"workers": 1}})
    with pytest.raises(TargetError, match=f"quota {GRAPHICS_SPOT}"):
        open_cloud(str(path)).check(config, f"{fresh.bucket}/runs")


@pytest.mark.parametrize(
    ("kind", "spot", "code"),
    [("m6i.xlarge", False, STANDARD), ("im4gn.large", True, STANDARD_SPOT), ("t3.micro", False, STANDARD),
     ("g6e.xlarge", False, GRAPHICS), ("vt1.3xlarge", True, GRAPHICS_SPOT)],
)  # fmt: skip
def test_the_quota_that_counts_a_type(kind: str, spot: bool, code: str) -> None:
    assert code_of(kind, spot=spot) == code


def test_a_type_of_another_class_has_no_known_quota() -> None:
    with pytest.raises(TargetError, match=r"instance type p4d\.24xlarge is not known"):
        code_of("p4d.24xlarge", spot=False)
