"""`doctor --before-apply`: with the quotas of a new account it says what to ask for, and that this is enough."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloudlstm.cli import main
from cloudlstm.targets.planned import COMPUTE, read_root
from infra.terraform_runner import REPOSITORY
from targets.aws_target import AWSTarget
from targets.fake_clouds import Target

NAMES = ("name", "region", "spark_machine", "spark_min_nodes", "spark_max_nodes", "trainer_gpu", "trainer_spot")


Examined = Callable[..., dict[str, dict[str, Any]]]


@pytest.fixture
def examined(capsys: pytest.CaptureFixture[str]) -> Examined:
    """A function that returns the checks by their names."""

    def call(target: Target, *words: str, code: int) -> dict[str, dict[str, Any]]:
        folder = REPOSITORY / "infra" / "terraform" / target.document["cloud"]
        status = main(["doctor", "--before-apply", f"--target={folder}", "--json", *words])
        printed = capsys.readouterr()
        assert status == code, printed.out + printed.err
        return {each["name"]: each for each in json.loads(printed.out)["checks"]}

    return call


@pytest.fixture
def words(target: Target, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Terraform variables of a root for this emulator, whose name nothing has that runs there."""
    if target.document["cloud"] == "aws":
        return ["name=fresh", "spark_machine=m6i.xlarge"]
    monkeypatch.setenv(COMPUTE, f"{target.document['endpoints']['compute']}/compute/v1/")
    return ["name=fresh", f"project={target.document['account']}"]


def test_a_new_account_is_told_what_to_ask_for(
    target: Target, faults: Any, words: list[str], examined: Examined
) -> None:
    faults.fault("fresh-account")
    found = examined(target, *words, "trainer_gpu=l4", "trainer_spot=true", "train.workers=2", code=1)
    assert found["credentials"]["state"] == "ok"
    if target.document["cloud"] == "aws":
        standard, spot = found["L-1216C47A"], found["L-3819A6DF"]
        assert standard["text"].startswith("too small a quota: Running On-Demand Standard (A, C, D, H, I, M, R, T, Z)")
        assert "12 to 20 vCPUs (Spark 12 to 20); 5 are allowed in us-east-1" in standard["text"]
        assert "All G and VT Spot Instance Requests: 8 vCPUs (trainers 8); 0 are allowed" in spot["text"]
        assert "L-DB2E81BA" not in found
        assert "--quota-code=L-3819A6DF --desired-value=8" in spot["fix"]
    else:
        disks, cpus = found["SSD_TOTAL_GB"], found["CPUS_ALL_REGIONS"]
        assert "310 to 410 GB (Spark 150 to 250, trainers 160); 250 are allowed in us-central1" in disks["text"]
        assert re.search(r"20 to 28 vCPUs \(Spark 12 to 20, trainers 8\); 12 are allowed in all regions", cpus["text"])
        assert found["PREEMPTIBLE_NVIDIA_L4_GPUS"]["state"] == "fail"
        assert "NVIDIA_L4_GPUS" not in found
        assert re.fullmatch(
            r"ask for \d+ of SSD_TOTAL_GB in us-central1 under IAM & Admin > Quotas of project emulated", disks["fix"]
        )


def test_what_is_to_be_asked_for_is_enough(aws: AWSTarget, examined: Examined) -> None:
    words = ["name=fresh", "spark_machine=m6i.xlarge", "trainer_gpu=t4", "train.workers=1"]
    aws.cloud.control.fault("fresh-account")
    try:
        service, asked = aws.client("service-quotas"), 0
        for each in examined(aws, *words, code=1).values():
            assert each["name"] != "quotas", each
            if each["state"] == "fail":
                flags = dict(word[2:].split("=") for word in shlex.split(each["fix"]) if word.startswith("--"))
                service.request_service_quota_increase(
                    ServiceCode=flags["service-code"], QuotaCode=flags["quota-code"],
                    DesiredValue=float(flags["desired-value"]),
                )  # fmt: skip
                asked += 1
        assert asked == 2  # Spark's and the trainers'
        assert {each["state"] for each in examined(aws, *words, code=0).values()} == {"ok"}
    finally:
        aws.cloud.control.clear()


def test_a_cluster_that_cannot_grow_is_a_warning(aws: AWSTarget, examined: Examined) -> None:
    aws.cloud.control.fault("fresh-account")
    service = aws.client("service-quotas")
    in_use = re.search(r"(\d+) in use", examined(aws, "name=x", code=1)["L-1216C47A"]["text"])
    used = int(in_use[1]) if in_use else 0
    try:
        service.request_service_quota_increase(ServiceCode="ec2", QuotaCode="L-1216C47A", DesiredValue=float(used + 12))
        found = examined(aws, "name=x", "trainer_gpu=l4", code=1)["L-1216C47A"]
        assert found["state"] == "warn"
        assert "the cluster cannot grow to its largest: ask for" in found["text"]
    finally:
        aws.cloud.control.clear()


def test_the_settings_are_those_that_terraform_applied(aws: AWSTarget, aws_place: str | None) -> None:
    if aws_place is None:
        pytest.skip("nothing is applied without Terraform")
    root = read_root(aws_place)
    assert {name: root.settings[name] for name in NAMES} == {name: aws.document[name] for name in NAMES}
    assert list(root.trainer_machines) == list(aws.document["trainer_machines"])
    spot = any(each.what == "Spark's spot nodes" for each in root.machines(1))
    assert (root.cloud, spot) == (aws.document["cloud"], aws.document["spark_spot"])


def test_a_mistyped_directory_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--before-apply", f"--target={tmp_path}"]) == 2
    assert "is not a Terraform root of cloudlstm" in capsys.readouterr().err
    assert main(["doctor", "--before-apply"]) == 2
    assert "needs a Terraform directory" in capsys.readouterr().err
