"""What tests do on the emulated cloud: wait, run steps on a cluster, start a group of machines."""

from __future__ import annotations

import gzip
import hashlib
import json
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import cloudlstm

LIVENESS_S = 600.0
"""How long something may take that must happen at all, on a busy machine."""


def until(true: Callable[[], Any], what: str) -> Any:
    """What the function returns, once that is truthy."""
    give_up = time.monotonic() + LIVENESS_S
    while not (found := true()):
        assert time.monotonic() < give_up, f"waited {LIVENESS_S:g} s for {what}"
        time.sleep(0.1)
    return found


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
        """Adds a step that runs spark-submit with these words; its id."""
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
        """Its status once it is in one of the states; without states, once it has ended."""
        wanted = states or ("COMPLETED", "FAILED", "CANCELLED", "INTERRUPTED")
        until(lambda: self.status(step)["State"] in wanted, f"step {step} to be {' or '.join(wanted)}")
        return self.status(step)

    def states(self, steps: Sequence[str]) -> list[str]:
        return [self.status(step)["State"] for step in steps]

    def log(self, ending: str) -> str:
        """The text of the log whose key ends like this, once it has come."""

        def found() -> list[str]:
            listed = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=f"logs/{self.id}/").get("Contents", [])
            return [each["Key"] for each in listed if each["Key"].endswith(ending)]

        key = until(found, f"log {ending}")[0]
        return gzip.decompress(self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()).decode()


class Trainers:
    """The group of a target, and what its machines are to do."""

    def __init__(self, client: Callable[[str], Any], target: Mapping[str, Any]) -> None:
        self.autoscaling, self.s3 = client("autoscaling"), client("s3")
        self.name = str(target["trainer_group"])
        self.bucket = str(target["bucket_uri"]).removeprefix("s3://")

    def assign(self, member: str, *, deadline: float, sha256: str | None = None) -> None:
        """Writes the assignment to run this member script, with this package; `sha256` to name a wrong one."""
        parts = {"cloudlstm.zip": package(), "requirements.txt": b"", "member.py": member.encode(), "train.py": b""}
        described = {}
        for name, data in parts.items():
            digest = hashlib.sha256(data).hexdigest()
            self.s3.put_object(Bucket=self.bucket, Key=f"code/{digest}/{name}", Body=data)
            described[name] = {"uri": f"s3://{self.bucket}/code/{digest}/{name}", "sha256": sha256 or digest}
        assignment = {
            "version": 1, "run": f"s3://{self.bucket}/runs/tested", "lease": "token", "workers": 2, "python": "3.11",
            "port": 8470, "deadline": deadline, "accelerator": "cpu", "package": described["cloudlstm.zip"],
            "jobs": {"member": described["member.py"], "train": described["train.py"]},
            "requirements": described["requirements.txt"],
        }  # fmt: skip
        self.write("assignment.json", assignment)

    def write(self, name: str, document: object) -> None:
        key = f"trainers/{self.name}/{name}"
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=json.dumps(document).encode())

    def scale(self, size: int) -> None:
        self.autoscaling.set_desired_capacity(AutoScalingGroupName=self.name, DesiredCapacity=size)

    @property
    def group(self) -> dict[str, Any]:
        found = self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self.name])
        group: dict[str, Any] = found["AutoScalingGroups"][0]
        return group

    @property
    def instances(self) -> list[str]:
        return [each["InstanceId"] for each in self.group["Instances"]]

    def activities(self) -> list[dict[str, Any]]:
        found = self.autoscaling.describe_scaling_activities(AutoScalingGroupName=self.name)
        activities: list[dict[str, Any]] = found["Activities"]
        return activities

    def told(self, prefix: str) -> dict[str, Any]:
        """The JSON objects that machines have written below this prefix, by the rest of their names."""
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
        return {
            each["Key"].removeprefix(prefix): json.loads(
                self.s3.get_object(Bucket=self.bucket, Key=each["Key"])["Body"].read()
            )
            for each in listed
        }


def package() -> bytes:
    """The package as a zip, as a bundle has it."""
    root = Path(cloudlstm.__file__).parents[1]
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted((root / "cloudlstm").rglob("*.py")):
            archive.write(path, path.relative_to(root))
    return packed.getvalue()


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended but was not collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
