"""EMR through its client: states of steps and clusters, and errors of the service."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from localstack.cloud import Cloud
from localstack.spark.applications import Logs

from on_emulators import Cluster, until
from on_emulators import refused_by_aws as refused

BUCKET = "emr"


@pytest.fixture(scope="module")
def emr(client: Any) -> Any:
    return client("emr")


@pytest.fixture(scope="module")
def s3(client: Any) -> Any:
    made = client("s3")
    made.create_bucket(Bucket=BUCKET)
    return made


def test_steps_run_in_order_and_a_failed_step_has_a_reason(cloud: Cloud, emr: Any, s3: Any) -> None:
    cluster = Cluster(emr, s3, BUCKET)
    assert cluster.state == "WAITING"
    cloud.control.fault("step-hangs")
    first = cluster.add("job.py")
    cluster.wait(first, "RUNNING")
    cloud.control.fault("step-fails", reason="Disk full.", message="no space left on device")
    second = cluster.add("job.py")
    third = cluster.add("job.py")
    time.sleep(1)  # several turns of the engine
    assert cluster.states([first, second, third]) == ["RUNNING", "PENDING", "PENDING"]
    assert cluster.state == "RUNNING"
    assert emr.cancel_steps(ClusterId=cluster.id, StepIds=[third])["CancelStepsInfoList"][0]["Status"] == "SUBMITTED"
    assert cluster.status(third)["State"] == "CANCELLED"
    emr.cancel_steps(ClusterId=cluster.id, StepIds=[first])
    failed = cluster.wait(second)
    assert cluster.states([first, second]) == ["CANCELLED", "FAILED"]
    assert failed["FailureDetails"] == {
        "Reason": "Disk full.",
        "Message": "no space left on device",
        "LogFile": f"s3://{BUCKET}/logs/{cluster.id}/steps/{second}/stderr.gz",
    }
    until(lambda: cluster.state == "WAITING", "the cluster to wait again")
    listed = emr.list_steps(ClusterId=cluster.id, StepStates=["FAILED"])["Steps"]
    assert [step["Id"] for step in listed] == [second]


def test_a_failed_step_can_cancel_the_others_or_end_the_cluster(cloud: Cloud, emr: Any, s3: Any) -> None:
    cluster = Cluster(emr, s3, BUCKET)
    cloud.control.fault("step-hangs")
    cloud.control.fault("step-fails", times=2)
    running = cluster.add("job.py")
    cluster.wait(running, "RUNNING")
    steps = [cluster.add("job.py", on_failure="CANCEL_AND_WAIT"), cluster.add("job.py")]
    emr.cancel_steps(ClusterId=cluster.id, StepIds=[running])
    cluster.wait(steps[1])
    assert cluster.states(steps) == ["FAILED", "CANCELLED"]
    cluster.add("job.py", on_failure="TERMINATE_CLUSTER")
    until(lambda: cluster.state == "TERMINATED_WITH_ERRORS", "the cluster to end")
    reason = emr.describe_cluster(ClusterId=cluster.id)["Cluster"]["Status"]["StateChangeReason"]
    assert reason["Code"] == "STEP_FAILURE"


def test_concurrent_steps_end_with_their_cluster(cloud: Cloud, emr: Any, s3: Any) -> None:
    cluster = Cluster(emr, s3, BUCKET, StepConcurrencyLevel=2)
    cloud.control.fault("step-hangs", times=2)
    steps = [cluster.add("job.py") for _ in range(3)]
    until(lambda: cluster.states(steps) == ["RUNNING", "RUNNING", "PENDING"], "two of three steps to run")
    emr.terminate_job_flows(JobFlowIds=[cluster.id])
    until(lambda: cluster.states(steps) == ["INTERRUPTED", "INTERRUPTED", "CANCELLED"], "all steps to end")


def test_what_emr_refuses(cloud: Cloud, emr: Any, s3: Any) -> None:
    cluster = Cluster(emr, s3, BUCKET)
    cloud.control.fault("step-hangs")
    step = {"Name": "x", "HadoopJarStep": {"Jar": "command-runner.jar", "Args": ["spark-submit", "x.py"]}}
    for _ in range(16):
        emr.add_job_flow_steps(JobFlowId=cluster.id, Steps=[step] * 16)
    refused(emr.add_job_flow_steps, "ValidationException", "Maximum number of active steps", JobFlowId=cluster.id,
            Steps=[step])  # fmt: skip
    emr.terminate_job_flows(JobFlowIds=[cluster.id])
    shut = "A job flow that is shutting down, terminated, or finished may not be modified."
    refused(emr.add_job_flow_steps, "ValidationException", shut, JobFlowId=cluster.id, Steps=[step])
    unknown = "j-0000000000000"
    refused(emr.add_job_flow_steps, "ValidationException", "job flow ID does not exist", JobFlowId=unknown,
            Steps=[step])  # fmt: skip
    for call in (emr.describe_cluster, emr.list_steps, emr.list_instances):
        refused(call, "InvalidRequestException", f"Cluster id '{unknown}' is not valid.", ClusterId=unknown)
    refused(emr.describe_step, "InvalidRequestException", "Step id 's-1' is not valid.", ClusterId=cluster.id,
            StepId="s-1")  # fmt: skip
    refused(emr.list_instance_fleets, "InvalidRequestException", "mutually exclusive", ClusterId=cluster.id)


def test_policies_are_kept_and_an_idle_cluster_ends(emr: Any, s3: Any) -> None:
    limits = {"UnitType": "Instances", "MinimumCapacityUnits": 1, "MaximumCapacityUnits": 4}
    cluster = Cluster(emr, s3, BUCKET, ManagedScalingPolicy={"ComputeLimits": limits})
    kept = emr.get_managed_scaling_policy(ClusterId=cluster.id)["ManagedScalingPolicy"]
    assert kept == {"ComputeLimits": limits}
    emr.remove_managed_scaling_policy(ClusterId=cluster.id)
    assert "ManagedScalingPolicy" not in emr.get_managed_scaling_policy(ClusterId=cluster.id)
    assert "AutoTerminationPolicy" not in emr.get_auto_termination_policy(ClusterId=cluster.id)
    emr.put_auto_termination_policy(ClusterId=cluster.id, AutoTerminationPolicy={"IdleTimeout": 1})
    assert emr.get_auto_termination_policy(ClusterId=cluster.id)["AutoTerminationPolicy"] == {"IdleTimeout": 1}
    until(lambda: cluster.state == "TERMINATED", "the idle cluster to end")


def test_calls_are_throttled_for_a_time_or_fail_a_number_of_times(cloud: Cloud, emr: Any, client: Any) -> None:
    cloud.control.fault("throttled", service="emr", action="ListClusters", seconds=2)
    refused(emr.list_clusters, "ThrottlingException", "Rate exceeded")
    emr.list_release_labels()
    until(lambda: not cloud.control.faults(), "the throttling to pass")
    assert "Clusters" in emr.list_clusters()
    for service, call, code in (
        ("autoscaling", "describe_auto_scaling_groups", "Throttling"),
        ("ec2", "describe_vpcs", "RequestLimitExceeded"),
    ):
        cloud.control.fault("throttled", service=service)
        refused(getattr(client(service), call), code, "Rate exceeded")
        getattr(client(service), call)()
    cloud.control.fault("api-error", service="autoscaling", action="DescribeAutoScalingGroups", times=2)
    autoscaling = client("autoscaling")
    for _ in range(2):
        error = refused(autoscaling.describe_auto_scaling_groups, "InternalFailure", "")
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    autoscaling.describe_auto_scaling_groups()
    cloud.control.fault("api-error", service="emr", status=503, message="try later")
    refused(emr.list_clusters, "InternalServerException", "try later")


def test_logs_arrive_after_the_delay(tmp_path: Path) -> None:
    world: Any = SimpleNamespace(log_delay_s=1.0, problems=[])
    began = time.monotonic()
    Logs(world).send({f"file://{tmp_path}/logs/steps/s-1/stderr": b"as it was"})
    written = tmp_path / "logs" / "steps" / "s-1" / "stderr"
    until(written.exists, "the log")
    assert time.monotonic() - began >= 1
    assert written.read_bytes() == b"as it was"


def test_invalid_faults_are_rejected(cloud: Cloud) -> None:
    for kind, attributes, why in (
        ("step-flies", {}, "there is no fault 'step-flies'"),
        ("throttled", {"servce": "emr"}, "a fault has no servce"),
        ("preempted", {"worker": 3, "group": "none"}, "there is no machine 3"),
    ):
        with pytest.raises(ValueError, match=why):
            cloud.control.fault(kind, **attributes)
    assert cloud.control.faults() == []
