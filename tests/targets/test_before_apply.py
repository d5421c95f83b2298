"""`doctor --before-apply`: with the quotas of a new account it says what to ask for, and that this is enough."""

from __future__ import annotations

import json
import re
import shlex
from argparse import Namespace
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

    def call(target: Any, *words: str, code: int) -> dict[str, dict[str, Any]]:
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
        assert standard["text"].startswith("too small a quota: Running On-Demand Standard instances: ")
        assert "12 to 20 vCPUs (3 to 5 Spark nodes x 4); 5 allowed in us-east-1" in standard["text"]
        assert "All G and VT Spot Instance Requests: 8 vCPUs (2 trainers x 4); 0 allowed" in spot["text"]
        assert "L-DB2E81BA" not in found
        assert found["L-F678F1CE"]["text"].startswith("VPCs per Region: 1 VPC; 5 allowed in us-east-1")
        assert re.match(r"ask for \d+ \(\d+ is enough to start\): aws service-quotas ", standard["fix"])
        assert "--quota-code=L-3819A6DF --desired-value=8" in spot["fix"]
    else:
        disks, cpus = found["SSD_TOTAL_GB"], found["CPUS_ALL_REGIONS"]
        assert "310 to 410 GB (3 to 5 Spark nodes x 50, 2 trainers x 80); 250 allowed in us-central1" in disks["text"]
        assert re.search(
            r"20 to 28 vCPUs \(3 to 5 Spark nodes x 4, 2 trainers x 4\); 12 allowed in all regions", cpus["text"]
        )
        assert found["PREEMPTIBLE_NVIDIA_L4_GPUS"]["state"] == "fail"
        assert "NVIDIA_L4_GPUS" not in found
        assert re.fullmatch(
            r"ask for \d+ of SSD_TOTAL_GB \(\d+ is enough to start\) in us-central1 "
            r"under IAM & Admin > Quotas of project emulated",
            disks["fix"],
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
    in_use = re.search(r"(\d+) in use", examined(aws, "name=xx", code=1)["L-1216C47A"]["text"])
    used = int(in_use[1]) if in_use else 0
    try:
        service.request_service_quota_increase(ServiceCode="ec2", QuotaCode="L-1216C47A", DesiredValue=float(used + 12))
        found = examined(aws, "name=xx", "trainer_gpu=l4", code=1)["L-1216C47A"]
        assert found["state"] == "warn"
        assert found["text"].endswith("; the cluster cannot grow to its largest")
        assert found["fix"].startswith("ask for ")
    finally:
        aws.cloud.control.clear()


def test_the_settings_are_those_that_terraform_applied(aws: AWSTarget, aws_place: str | None) -> None:
    if aws_place is None:
        pytest.skip("nothing is applied without Terraform")
    root = read_root(aws_place)
    assert {name: root.settings[name] for name in NAMES} == {name: aws.document[name] for name in NAMES}
    assert list(root.trainer_machines) == list(aws.document["trainer_machines"])
    spot = any(each.what == "Spark nodes on spot" for each in root.machines(1))
    assert (root.cloud, spot) == (aws.document["cloud"], aws.document["spark_spot"])


def test_more_workers_than_the_group_may_have_fail(
    target: Target, words: list[str], examined: Examined, tmp_path: Path
) -> None:
    found = examined(target, *words, "trainer_gpu=none", "trainer_max=2", "train.workers=3", code=1)
    assert found["trainers"]["text"] == "the run wants 3 workers, and trainer_max is 2"
    assert found["trainers"]["fix"] == "train.workers=2, or trainer_max=3"
    assert found["settings"]["text"].endswith("; terraform plan checks the rest")


def test_an_instance_type_without_the_gpu_fails(aws: AWSTarget, examined: Examined) -> None:
    for kind, said in (("m6i.xlarge", "has no GPU"), ("g5.xlarge", "has GPU a10g"), ("m7g.xlarge", "is not of x86-64")):
        found = examined(aws, f'trainer_machines=["{kind}"]', "trainer_gpu=t4", code=1)["quotas"]
        assert (found["state"], said in found["text"]) == ("fail", True), found


def test_without_a_region_or_credentials_nothing_more_is_asked(
    examined: Examined, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = Namespace(document={"cloud": "aws"})
    found = examined(aws, "region=eu-nowhere-9", code=1)
    assert found["region"]["text"] == "boto3 knows no region eu-nowhere-9"
    assert found["quotas"]["state"] == "warn"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    found = examined(aws, code=1)
    assert found["credentials"]["text"] == "cannot call GetCallerIdentity of sts: Unable to locate credentials"
    assert "aws configure sso" in found["credentials"]["fix"]
    assert found["quotas"]["state"] == "warn"


@pytest.mark.parametrize("target", ["gcp"], indirect=True)
def test_a_mistyped_region_of_google_is_named(target: Target, words: list[str], examined: Examined) -> None:
    failed = [
        each for each in examined(target, *words, "region=us-nowhere9", code=1).values() if each["state"] == "fail"
    ]
    assert [each["name"] for each in failed] == ["quotas"]
    assert "us-nowhere9" in failed[0]["fix"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [(["-var", "project=x"], "project=x"), (["-var=project=x"], "project=x"),
     (["--trainer-gpu=l_4"], "trainer_gpu=l_4"),
     (["--var-file=a.tfvars"], "NAME=VALUE"), (["-var-file", "a.tfvars"], "NAME=VALUE"), (["--tarket=x"], "--target")],
)  # fmt: skip
def test_flags_of_terraform_get_a_hint(typed: list[str], meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--before-apply", "--target=infra/terraform/gcp", *typed]) == 2
    assert f"(try: {meant}" in capsys.readouterr().err


def test_a_mistyped_directory_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--before-apply", f"--target={tmp_path}"]) == 2
    assert "is not a Terraform root of cloudlstm" in capsys.readouterr().err
    assert main(["doctor", "--before-apply"]) == 2
    assert "needs a Terraform directory" in capsys.readouterr().err
