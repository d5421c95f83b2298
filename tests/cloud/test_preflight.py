"""What stands in the way of a submit is said before anything is started, with what mends it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cloud.aws_target import AWSTarget
from cloudlstm.config import RunConfig, parse
from cloudlstm.errors import CloudLSTMError
from cloudlstm.targets import preflight
from cloudlstm.targets.aws_group import AutoScalingTrainers
from cloudlstm.targets.aws_preflight import AwsPreflight
from cloudlstm.targets.aws_spark import EmrSpark
from cloudlstm.targets.document import TargetConfig
from pipeline.submitting import error_line

Checked = Callable[..., str]


@pytest.fixture
def checked(aws: AWSTarget) -> Checked:
    """What a check says of the target with some of its document changed: the error with its hint, or what is fine."""

    def check(name: str, config: RunConfig | None = None, **changed: Any) -> str:
        target = TargetConfig.model_validate(aws.document | changed)
        told = ""
        try:
            services = EmrSpark(target), AutoScalingTrainers(target), AwsPreflight(target)
            return preflight.checks(target, *services, config, f"{target.bucket_uri}/runs")[name]()
        except CloudLSTMError as error:
            told = f"{error.message} (try: {error.hint or 'NOTHING'})"
        assert "NOTHING" not in told
        return told

    return check


def test_a_target_that_is_fine(aws: AWSTarget, checked: Checked) -> None:
    config = parse({"market": {"source": "synthetic"}})
    assert checked("credentials").startswith("arn:aws:sts::")
    assert checked("bucket") == f"{aws.bucket}/runs can be written, listed, read and deleted"
    assert "WAITING" in checked("cluster") or "RUNNING" in checked("cluster")
    assert checked("interpreter", config).startswith("/usr/bin/python3")
    assert checked("trainers", config) == f"{aws.document['trainer_group']} has 0 of at most 4 machines"
    assert "vCPUs" in checked("quota", config)
    assert checked("source", config) == "synthetic, egress nat"


@pytest.mark.parametrize(
    ("name", "changed", "settings", "told"),
    [
        ("credentials", {"account": "000000000001"}, {}, "the target is in 000000000001 (try: set AWS_PROFILE"),
        ("bucket", {"bucket_uri": "s3://no-such-bucket-at-all"}, {}, "create the bucket, or correct its name"),
        ("cluster", {"spark_cluster": "j-NONE"}, {}, "j-NONE"),
        ("trainers", {"trainer_group": "none"}, {}, "there is no Auto Scaling group none (try: terraform apply)"),
        ("trainers", {}, {"train": {"workers": 5}}, "may have 4 machines (try: train.workers=4"),
        ("interpreter", {"spark_python": "3.9"}, {}, "Spark nodes have Python 3.9"),
        ("interpreter", {"spark_python_path": "/usr/bin/python3.13"}, {}, "must agree"),
        ("source", {"egress": "none"}, {"market": {"source": "yahoo"}}, "source yahoo is fetched over the internet"),
    ],
)
def test_each_failure_has_its_fix(
    checked: Checked, name: str, changed: dict[str, Any], settings: dict[str, Any], told: str
) -> None:
    config = parse({"market": {"source": "synthetic"}} | settings)
    assert told in checked(name, config, **changed)


def test_a_cluster_that_has_ended_is_named_with_its_reason(aws: AWSTarget, checked: Checked) -> None:
    emr = aws.client("emr")
    instances = {"KeepJobFlowAliveWhenNoSteps": True, "InstanceCount": 1, "MasterInstanceType": "m7i.xlarge"}
    ended = emr.run_job_flow(Name="ended", ReleaseLabel="emr-spark-8.1.0", Instances=instances)["JobFlowId"]
    emr.terminate_job_flows(JobFlowIds=[ended])
    line = checked("cluster", spark_cluster=ended)
    assert f"cluster {ended} is TERMINAT" in line
    assert "terraform apply starts another one" in line


def test_a_submit_looks_first_and_leaves_nothing(aws: AWSTarget) -> None:
    done = aws.submit("--run=refused", "train.workers=9")
    assert done.returncode == 1
    assert "the run wants 9 workers" in error_line(done)
    assert aws.written("runs/refused/") == {}


def test_doctor_tells_all_checks(aws: AWSTarget) -> None:
    done = aws.run("doctor", f"--config={aws.config}", "train.workers=9")
    assert done.returncode == 1
    lines = {line[6:22].strip(): line[:4].strip() for line in done.stdout.splitlines() if line[:4].strip()}
    assert lines["trainers"] == "FAIL"
    assert {name for name, mark in lines.items() if mark == "ok"} == {
        "python", "credentials", "bucket", "cluster", "interpreter", "quota", "source", "bundle",
    }  # fmt: skip
    assert "fix: train.workers=4" in done.stdout
