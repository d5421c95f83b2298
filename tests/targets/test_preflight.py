"""Checks before a submit: each fault is reported with its fix before anything starts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloudlstm.config import RunConfig, parse
from cloudlstm.errors import CloudLSTMError
from cloudlstm.targets.cloud import open_cloud
from pipeline.cli_runner import error_line
from targets.aws_target import AWSTarget
from targets.fake_clouds import Target, on_one_cloud

Checked = Callable[..., str]


@pytest.fixture
def checked(target: Target, tmp_path: Path) -> Checked:
    """What a check says of the target with some of its document changed: the error with its hint, or what is fine."""

    def check(name: str, config: RunConfig | None = None, /, **changed: Any) -> str:
        document = target.document | changed
        path = tmp_path / "changed.json"
        path.write_text(json.dumps(document))
        output = ""
        try:
            return open_cloud(str(path)).checks(config, f"{document['bucket_uri']}/runs")[name]()
        except CloudLSTMError as error:
            output = f"{error.message} (try: {error.hint or 'NOTHING'})"
        assert "NOTHING" not in output
        return output

    return check


FINE = {
    "aws": {"credentials": "arn:aws:sts::", "cluster": "WAITING", "quota": "2 trainers more would need 8 of "},
    "gcp": {
        "credentials": "project emulated can be seen",
        "cluster": "tested is RUNNING, 2.3-debian12",
        "quota": "vCPUs free in us-central1 (quota N2_CPUS)",
    },
}


def test_all_checks_of_a_working_target_pass(target: Target, checked: Checked) -> None:
    config = parse({"market": {"source": "synthetic"}})
    for name, output in FINE[target.document["cloud"]].items():
        assert output in checked(name, config).replace("is RUNNING, emr", "is WAITING, emr")
    assert checked("bucket") == f"{target.bucket}/runs can be written, listed, read and deleted"
    assert checked("interpreter", config).startswith(target.document["spark_python_path"])
    assert (
        checked("packages", trainer_python="/opt/all/python") == "trainers have them at /opt/all/python of their image"
    )
    from_bucket = f"trainers take Python 3.12 and packages from {target.bucket}, sent by a first submit"
    assert checked("packages", spark_python="3.12", trainer_python="") == from_bucket
    most = target.document["trainer_max"]
    assert checked("trainers", config) == f"{target.document['trainer_group']} has 0 of at most {most} machines"
    assert checked("source", config) == "synthetic, egress nat"


@pytest.mark.parametrize(
    ("target", "name", "changed", "settings", "output"),
    [
        ("aws", "credentials", {"account": "000000000001"}, {}, "the target is in 000000000001 (try: set AWS_PROFILE"),
        ("gcp", "credentials", {"account": "elsewhere"}, {}, "project elsewhere: gcloud auth application-default"),
        ("aws", "bucket", {"bucket_uri": "s3://no-such-bucket-at-all"}, {}, "create the bucket, or correct its name"),
        ("gcp", "bucket", {"bucket_uri": "gs://no-such-bucket-at-all"}, {}, "create the bucket, or correct its name"),
        ("aws", "cluster", {"spark_cluster": "j-NONE", "name": "nobody", "spark_definition": None}, {}, "j-NONE"),
        ("gcp", "cluster", {"spark_cluster": "none", "spark_definition": None}, {}, "terraform apply starts another"),
        ("aws", "trainers", {"trainer_group": "none"}, {}, "no Auto Scaling group none (try: terraform apply)"),
        ("gcp", "trainers", {"trainer_group": "none"}, {}, "(try: terraform apply)"),
        ("aws", "trainers", {}, {"train": {"workers": 5}}, "may have 4 machines (try: train.workers=4"),
        ("gcp", "trainers", {}, {"train": {"workers": 5}}, "may have 4 machines (try: train.workers=4"),
        ("gcp", "quota", {}, {"train": {"workers": 50}}, "are allowed (try: ask for more under IAM & Admin > Quotas"),
        ("aws", "interpreter", {"spark_python": "3.9"}, {}, "Spark nodes have Python 3.9"),
        ("aws", "packages", {"spark_python": "3.14", "trainer_python": ""}, {}, "no archive of Python 3.14"),
        ("aws", "interpreter", {"spark_python_path": "/usr/bin/python3.13"}, {}, "must agree"),
        ("aws", "source", {"egress": "none"}, {"market": {"source": "yahoo"}}, "is fetched over the internet"),
        ("aws", "engine", {}, {"prepare": {"engine": "local"}}, "prepare.engine=local runs on this machine only"),
    ],
    indirect=["target"],
)  # fmt: skip
def test_each_failed_check_names_its_fix(
    checked: Checked, name: str, changed: dict[str, Any], settings: dict[str, Any], output: str
) -> None:
    config = parse({"market": {"source": "synthetic"}} | settings)
    assert output in checked(name, config, **changed)


@on_one_cloud
def test_the_error_for_a_terminated_cluster_names_the_reason(aws: AWSTarget, checked: Checked) -> None:
    emr = aws.client("emr")
    instances = {"KeepJobFlowAliveWhenNoSteps": True, "InstanceCount": 1, "MasterInstanceType": "m7i.xlarge"}
    ended = emr.run_job_flow(Name="ended", ReleaseLabel="emr-spark-8.1.0", Instances=instances)["JobFlowId"]
    emr.terminate_job_flows(JobFlowIds=[ended])
    line = checked("cluster", name="ended", spark_cluster=ended, spark_definition=None)
    assert f"cluster {ended} is TERMINAT" in line
    assert "terraform apply starts another one" in line
    defined = checked("cluster", name="ended", spark_cluster=ended, spark_definition={"Name": "ended"})
    assert defined == f"{ended} is TERMINATED, emr-spark-8.1.0; a run starts another one"


@on_one_cloud
def test_a_submit_that_fails_a_check_writes_nothing(target: Target) -> None:
    done = target.submit("--run=refused", "train.workers=9")
    assert done.returncode == 1
    assert "the run wants 9 workers" in error_line(done)
    assert target.written("runs/refused/") == {}


def test_doctor_prints_all_checks(target: Target) -> None:
    done = target.run("doctor", f"--config={target.config}", "train.workers=9")
    assert done.returncode == 1
    lines = {line[6:22].strip(): line[:4].strip() for line in done.stdout.splitlines() if line[:4].strip()}
    assert lines["trainers"] == "FAIL"
    assert {name for name, mark in lines.items() if mark == "ok"} == {
        "python", "engine", "credentials", "bucket", "cluster", "interpreter", "packages", "quota", "source", "bundle",
        "resources",
    }  # fmt: skip
    assert "fix: train.workers=4" in done.stdout


def test_doctor_lists_what_costs_money_and_stops_nothing(target: Target) -> None:
    target.resize(1)
    try:
        done, listed = target.run("doctor"), json.loads(target.run("doctor", "--json").stdout)
        assert target.group_size == 1
    finally:
        target.resize(0)
    paid = done.stdout.split("costs money while it exists:\n")[1].split(":\n")[0]
    assert f"  Spark cluster {target.document['spark_cluster']}: " in paid
    assert ("  Cloud NAT" in paid) == (target.document["cloud"] == "gcp")
    assert f"trainer group {target.document['trainer_group']}: " in done.stdout
    assert f"costs money for what it holds:\n  bucket {target.bucket}\n" in done.stdout
    assert any(each.startswith("Spark cluster ") for each in listed["remaining"])
    assert listed["bucket"] == [f"bucket {target.bucket}"]
