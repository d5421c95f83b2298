"""Trainer groups on the emulated clouds, and the buckets with their assignments."""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import cloudlstm

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


class Bucket(Protocol):
    """A bucket, by its keys."""

    uri: str

    def put(self, key: str, data: bytes) -> None: ...
    def get(self, key: str) -> bytes: ...
    def keys(self, prefix: str) -> list[str]: ...
    def delete(self, key: str) -> None: ...


class S3Bucket:
    """A bucket of the emulated S3."""

    def __init__(self, s3: Any, name: str) -> None:
        self._s3, self._name, self.uri = s3, name, f"s3://{name}"

    def put(self, key: str, data: bytes) -> None:
        self._s3.put_object(Bucket=self._name, Key=key, Body=data)

    def get(self, key: str) -> bytes:
        return bytes(self._s3.get_object(Bucket=self._name, Key=key)["Body"].read())

    def keys(self, prefix: str) -> list[str]:
        listed = self._s3.list_objects_v2(Bucket=self._name, Prefix=prefix).get("Contents", [])
        return [each["Key"] for each in listed]

    def delete(self, key: str) -> None:
        self._s3.delete_object(Bucket=self._name, Key=key)


class GSBucket:
    """A bucket of the emulated GCS."""

    def __init__(self, name: str, url: str) -> None:
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import storage

        client = storage.Client("emulated", AnonymousCredentials(), client_options={"api_endpoint": url})
        self._bucket, self.uri = client.bucket(name), f"gs://{name}"

    def put(self, key: str, data: bytes) -> None:
        self._bucket.blob(key).upload_from_string(data)

    def get(self, key: str) -> bytes:
        return bytes(self._bucket.blob(key).download_as_bytes())

    def keys(self, prefix: str) -> list[str]:
        return [each.name for each in self._bucket.list_blobs(prefix=prefix)]

    def delete(self, key: str) -> None:
        self._bucket.delete_blob(key)


class Trainers(ABC):
    """The trainer group of a target, and the assignment of its machines."""

    def __init__(self, bucket: Bucket, target: Mapping[str, Any]) -> None:
        self.bucket, self.target, self.name = bucket, target, str(target["trainer_group"])

    @abstractmethod
    def scale(self, size: int) -> None:
        """Sets the group's size."""

    @property
    @abstractmethod
    def size(self) -> int:
        """The wanted size of the group."""

    @property
    @abstractmethod
    def instances(self) -> list[str]:
        """The ids of its instances."""

    @abstractmethod
    def addresses(self) -> set[str]:
        """Returns the private addresses of its instances."""

    @abstractmethod
    def remove(self, instance: str) -> None:
        """Removes an instance and makes the group smaller by one."""

    @abstractmethod
    def start_errors(self) -> list[str]:
        """Returns the platform's errors for machines that it could not start, newest first."""

    def assign(
        self, agent: str, *, deadline: float, sha256: str | None = None, wheelhouse: Mapping[str, str] | None = None
    ) -> None:
        """Writes an assignment to run this agent script.

        `sha256` replaces the right checksum of its files. With a wheelhouse (`uri`, `sha256`) the machines install it.
        """
        parts = {"cloudlstm.zip": package(), "agent.py": agent.encode(), "train.py": b""}
        described = {}
        for name, data in parts.items():
            digest = hashlib.sha256(data).hexdigest()
            self.bucket.put(f"code/{digest}/{name}", data)
            described[name] = {"uri": f"{self.bucket.uri}/code/{digest}/{name}", "sha256": sha256 or digest}
        assignment = {
            "version": 1, "run": f"{self.bucket.uri}/runs/tested", "lease": "token", "workers": 2, "python": PYTHON,
            "attempt": 1, "port": 8470, "deadline": deadline, "accelerator": "cpu",
            "package": described["cloudlstm.zip"],
            "jobs": {"agent": described["agent.py"], "train": described["train.py"]},
        }  # fmt: skip
        assignment |= {"wheelhouse": wheelhouse} if wheelhouse else {"trainer_python": sys.executable}
        self.bucket.put(f"trainers/{self.name}/assignment.json", json.dumps(assignment).encode())

    def reports(self, prefix: str) -> dict[str, Any]:
        """Returns the JSON objects that machines have written below this prefix, by the rest of their names."""
        return {key.removeprefix(prefix): json.loads(self.bucket.get(key)) for key in self.bucket.keys(prefix)}


class AwsTrainers(Trainers):
    """An Auto Scaling group."""

    def __init__(self, client: Callable[[str], Any], target: Mapping[str, Any]) -> None:
        super().__init__(S3Bucket(client("s3"), str(target["bucket_uri"]).removeprefix("s3://")), target)
        self.autoscaling, self._ec2 = client("autoscaling"), client("ec2")

    def scale(self, size: int) -> None:
        self.autoscaling.set_desired_capacity(AutoScalingGroupName=self.name, DesiredCapacity=size)

    @property
    def _group(self) -> dict[str, Any]:
        found = self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self.name])
        group: dict[str, Any] = found["AutoScalingGroups"][0]
        return group

    @property
    def size(self) -> int:
        return int(self._group["DesiredCapacity"])

    @property
    def instances(self) -> list[str]:
        return [each["InstanceId"] for each in self._group["Instances"]]

    def addresses(self) -> set[str]:
        found = self._ec2.describe_instances(InstanceIds=self.instances)["Reservations"]
        return {each["PrivateIpAddress"] for reservation in found for each in reservation["Instances"]}

    def remove(self, instance: str) -> None:
        self.autoscaling.terminate_instance_in_auto_scaling_group(
            InstanceId=instance, ShouldDecrementDesiredCapacity=True
        )

    def start_errors(self) -> list[str]:
        return [each["StatusMessage"] for each in self.activities() if each["StatusCode"] == "Failed"]

    def activities(self) -> list[dict[str, Any]]:
        found = self.autoscaling.describe_scaling_activities(AutoScalingGroupName=self.name)
        activities: list[dict[str, Any]] = found["Activities"]
        return activities


class GcpTrainers(Trainers):
    """A regional managed instance group."""

    def __init__(self, storage_url: str, target: Mapping[str, Any]) -> None:
        super().__init__(GSBucket(str(target["bucket_uri"]).removeprefix("gs://"), storage_url), target)
        self.groups = compute(target, "RegionInstanceGroupManagersClient")
        self.where = {
            "project": target["account"],
            "region": target["region"],
            "instance_group_manager": self.name,
        }

    def scale(self, size: int) -> None:
        self.groups.resize_unary(size=size, **self.where)

    @property
    def size(self) -> int:
        return int(self.groups.get(**self.where).target_size)

    def managed(self) -> list[Any]:
        """Returns the group's list of its machines."""
        return list(self.groups.list_managed_instances(**self.where))

    @property
    def instances(self) -> list[str]:
        return [str(each.id) for each in self.managed() if each.id]

    def addresses(self) -> set[str]:
        project = self.target["account"]
        asked = {"project": project, "filter": f"labels.cloudlstm = {self.target['name']} AND status = RUNNING"}
        found = compute(self.target, "InstancesClient").aggregated_list(request=asked)
        machines = [each for _, scope in found for each in scope.instances if str(each.id) in self.instances]
        return {each.network_interfaces[0].network_i_p for each in machines}

    def remove(self, instance: str) -> None:
        (link,) = [each.instance for each in self.managed() if str(each.id) == instance]
        body = {"instances": [link]}
        self.groups.delete_instances_unary(
            region_instance_group_managers_delete_instances_request_resource=body, **self.where
        )

    def start_errors(self) -> list[str]:
        return [each.error.message for each in self.groups.list_errors(**self.where)]


def compute(target: Mapping[str, Any], client: str) -> Any:
    """Returns a client of Compute Engine by the name of its class."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import compute_v1

    endpoint = {"api_endpoint": target["endpoints"]["compute"]}
    return getattr(compute_v1, client)(credentials=AnonymousCredentials(), client_options=endpoint)


def package() -> bytes:
    """Returns the package as the zip of a bundle."""
    root = Path(cloudlstm.__file__).parents[1]
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted((root / "cloudlstm").rglob("*.py")):
            archive.write(path, path.relative_to(root))
    return packed.getvalue()
