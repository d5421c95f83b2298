"""Helpers for tests on the emulated clouds: wait, run steps on a cluster, check errors."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from localstack.cloud import Cloud

from infra.terraform_runner import without

TIMEOUT_S = 600.0
"""How long `until` waits, in seconds: enough for a busy machine."""


def until(condition: Callable[[], Any], what: str) -> Any:
    """Calls the function until its result is true; returns the result."""
    give_up = time.monotonic() + TIMEOUT_S
    while not (found := condition()):
        assert time.monotonic() < give_up, f"waited {TIMEOUT_S:g} s for {what}"
        time.sleep(0.1)
    return found


def require_network(cloud: Cloud) -> None:
    """Skips a test if the cloud has no network of its own; fails it if CLOUDLSTM_REQUIRE names other-user."""
    if exposed := cloud.control.state()["exposed"]:
        without("other-user", exposed)


class Cluster:
    """A new cluster of the emulated EMR."""

    def __init__(self, emr: Any, s3: Any, bucket: str, **more: Any) -> None:
        self._emr, self._s3, self._bucket = emr, s3, bucket
        instances = {"InstanceRole": "MASTER", "InstanceType": "m7i.xlarge", "InstanceCount": 1}
        self.id = emr.run_job_flow(
            Name="tested",
            LogUri=f"s3://{bucket}/logs/",
            Instances={"KeepJobFlowAliveWhenNoSteps": True, "InstanceGroups": [instances]},
            **{"ReleaseLabel": "emr-spark-8.1.0"} | more,
        )["JobFlowId"]

    def add(self, *words: str, on_failure: str = "CONTINUE") -> str:
        """Adds a step that runs spark-submit with these arguments; returns its id."""
        jar = {"Jar": "command-runner.jar", "Args": ["spark-submit", *words]}
        step = {"Name": "tested", "ActionOnFailure": on_failure, "HadoopJarStep": jar}
        return str(self._emr.add_job_flow_steps(JobFlowId=self.id, Steps=[step])["StepIds"][0])

    @property
    def state(self) -> str:
        return str(self._emr.describe_cluster(ClusterId=self.id)["Cluster"]["Status"]["State"])

    def status(self, step: str) -> dict[str, Any]:
        status: dict[str, Any] = self._emr.describe_step(ClusterId=self.id, StepId=step)["Step"]["Status"]
        return status

    def wait(self, step: str, *states: str) -> dict[str, Any]:
        """Waits until a step is in one of the states (default: ended); returns its status."""
        wanted = states or ("COMPLETED", "FAILED", "CANCELLED", "INTERRUPTED")
        until(lambda: self.status(step)["State"] in wanted, f"step {step} to be {' or '.join(wanted)}")
        return self.status(step)

    def states(self, steps: Sequence[str]) -> list[str]:
        return [self.status(step)["State"] for step in steps]

    def log(self, ending: str) -> str:
        """Waits for the log whose key has this ending; returns its text."""

        def found() -> list[str]:
            listed = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=f"logs/{self.id}/").get("Contents", [])
            return [each["Key"] for each in listed if each["Key"].endswith(ending)]

        key = until(found, f"log {ending}")[0]
        return gzip.decompress(self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()).decode()


def alive(pid: int) -> bool:
    """True if the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def refused(call: Any, code: int, message: str, *args: Any, **words: Any) -> Any:
    """Checks that a Google service rejects a call with this status and message; returns the error."""
    from google.api_core.exceptions import GoogleAPICallError

    with pytest.raises(GoogleAPICallError) as caught:
        call(*args, **words)
    assert caught.value.code == code
    assert message in caught.value.message
    return caught.value


def refused_by_aws(call: Any, code: str, message: str, **words: Any) -> Any:
    """Checks that a service of AWS rejects a call with this code and message; returns boto3's error."""
    from botocore.exceptions import ClientError

    with pytest.raises(ClientError) as caught:
        call(**words)
    assert caught.value.response["Error"]["Code"] == code
    assert message in caught.value.response["Error"]["Message"]
    return caught.value
