"""Submits to a target on the emulated cloud as a user does, and looks at what became of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from localstack.cloud import Cloud

from cloudlstm import storage
from pipeline.submitting import cloudlstm, write_config

LONG_S = 900.0
"""How long a run may take on a busy machine."""


class Target:
    """A target on the emulated cloud, and a folder from which runs are submitted to it."""

    def __init__(self, cloud: Cloud, document: dict[str, Any], folder: Path) -> None:
        self.cloud, self.document = cloud, document
        self.config = write_config(folder)
        self.file = folder / "target.json"
        self.file.write_text(json.dumps(document))

    @property
    def bucket(self) -> str:
        return str(self.document["bucket_uri"])

    def run(self, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
        """A verb on this target, which is named by the bucket that has its document."""
        return cloudlstm(verb, f"--target={self.bucket}", *words, timeout_s=LONG_S)

    def submit(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("submit", f"--config={self.config}", *words)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A submit that is not waited for."""
        command = ["-m", "cloudlstm", "submit", f"--target={self.bucket}", f"--config={self.config}", *words]
        return subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def client(self, service: str) -> Any:
        import boto3

        url = self.document["endpoints"][service]
        return boto3.session.Session().client(service, region_name=self.document["region"], endpoint_url=url)

    @property
    def group_size(self) -> int:
        name = self.document["trainer_group"]
        groups = self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])
        return int(groups["AutoScalingGroups"][0]["DesiredCapacity"])

    @property
    def deadlines(self) -> list[dict[str, Any]]:
        name = self.document["trainer_group"]
        found = self.client("autoscaling").describe_scheduled_actions(AutoScalingGroupName=name)
        return list(found["ScheduledUpdateGroupActions"])

    def steps(self, run: str) -> list[dict[str, Any]]:
        """The steps of a run, the oldest first."""
        listed = self.client("emr").list_steps(ClusterId=self.document["spark_cluster"])["Steps"]
        return [step for step in reversed(listed) if step["Config"]["Args"][-1] == run]

    def event_logs(self, step: str) -> Iterator[Path]:
        folder = self.cloud.folder / "aws" / "clusters" / self.document["spark_cluster"] / step / "events"
        return (path for path in folder.iterdir() if path.is_file())

    def versions(self, prefix: str) -> dict[str, Any]:
        """When each object below a prefix of the bucket was written last."""
        name = self.bucket.removeprefix("s3://")
        listed = self.client("s3").list_objects_v2(Bucket=name, Prefix=prefix).get("Contents", [])
        return {item["Key"]: item["LastModified"] for item in listed}


def documents(prefix: str) -> list[Any]:
    """The JSON objects below a prefix, in order of their names."""
    return [storage.read_json(item.uri) for item in storage.list_objects(prefix)]
