"""The target document: a launcher's description of a cloud, with the same keys on every cloud.

It is read from `terraform output -json` in a Terraform directory, from a file with that output, or from the object
`target.json` that Terraform writes to a bucket: that of runs on AWS, one of its own on Google Cloud.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cloudlstm import storage
from cloudlstm.config.problems import sentence
from cloudlstm.errors import ConfigError, MachineError, ObjectNotFoundError, UsageError
from cloudlstm.storage.endpoints import NothingListensError, is_loopback, require_listening
from cloudlstm.targets.schedule_config import Schedule

CONTRACT_VERSION = 2
"""The version of the keys below that this launcher understands."""

_URL = r"^https?://([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._/-]*)?$"
_OUTPUT_TIMEOUT_S = 120.0
_OF_STORAGE = {"bucket", "bucket_uri"}
"""The outputs of a storage root."""
_NO_PLUGINS = re.compile(rb"Required plugins are not installed|Inconsistent dependency lock file")
"""What Terraform says in a root that has a lock file, and where its init has not run."""
_MAX_BYTES = 2**20
"""Largest size of a target document in a file or a bucket."""


class TargetConfig(BaseModel):
    """Description of a cloud. Unknown keys are ignored: a Terraform directory may have other outputs."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    contract_version: int
    """Version of these keys."""
    cloud: str
    """Which cloud it is: `aws` or `gcp`."""
    name: str = Field(min_length=1)
    """Prefix of all names in the cloud, and the value of the tag or label `cloudlstm` on everything."""
    account: str
    """Account id on AWS, project id on Google Cloud."""
    region: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    """Region of everything."""
    bucket_uri: str = Field(pattern=r"^[a-z0-9]+://[^/]+$")
    """The bucket of runs, code and trainers' logs, without a slash at the end."""
    spark_cluster: str = Field(min_length=1)
    """Id of the Spark cluster on AWS, its name on Google Cloud."""
    spark_release: str
    """EMR release label or Dataproc image version."""
    spark_python: str = Field(pattern=r"^3\.\d+$")
    """Minor version of the interpreter on Spark nodes, which the bundle is made for."""
    spark_python_path: str = Field(pattern=r"^/")
    """Where that interpreter is on every Spark node."""
    spark_architecture: Literal["x86_64", "aarch64"]
    """CPU architecture of Spark nodes, which the bundle is made for."""
    spark_machine: str = Field(min_length=1)
    """Machine type of every Spark node."""
    spark_min_nodes: int = Field(ge=1)
    """Nodes beside the primary that run as long as the cluster."""
    spark_max_nodes: int = Field(ge=1)
    """Most nodes beside the primary."""
    spark_spot: bool
    """Whether nodes above `spark_min_nodes` come from the spot market."""
    spark_idle_minutes: int = Field(ge=1)
    """Minutes without work after which the cluster ends itself."""
    spark_definition: dict[str, Any] | None = None
    """How to start the cluster again after it has ended itself: arguments of EMR's RunJobFlow, or Dataproc's Cluster.
    None: only Terraform can."""
    log_uri: str
    """Where the platform puts its own logs, minutes late."""
    trainer_group: str = Field(min_length=1)
    """Name of the Auto Scaling group or managed instance group of trainers."""
    trainer_zones: tuple[str, ...]
    """Zones in which trainers may start."""
    trainer_machines: tuple[str, ...]
    """Machine types of trainers, in order of preference."""
    trainer_gpu: str
    """Kind of the trainers' accelerator, or `none`."""
    trainer_max: int = Field(ge=1)
    """Largest size of the trainer group in machines."""
    trainer_spot: bool
    """Whether trainers come from the spot market."""
    trainer_disk_gib: int = Field(ge=1)
    """Disk of a trainer in GiB."""
    trainer_python: str = Field(pattern=r"^(/[A-Za-z0-9._/-]+)?$")
    """Interpreter on the trainers' image that has all packages. Empty: Python and packages come from the bucket."""
    trainer_port: int = Field(ge=1024, le=65535)
    """First TCP port of a worker."""
    max_hours: int = Field(ge=1)
    """Longest life of a trainer machine in hours, whatever its launcher does."""
    egress: Literal["nat", "none"]
    """Whether machines reach the internet; without it source yahoo cannot be fetched."""
    schedule: Schedule | None = None
    """When a launcher comes by itself; None if no schedule is set up."""
    endpoints: dict[str, Annotated[str, Field(pattern=_URL)]] = Field(default_factory=dict)
    """Service to URL, for emulators that no standard variable of an SDK points to; empty on a real cloud."""

    @property
    def accelerator(self) -> Literal["cpu", "cuda"]:
        """Accelerator of trainers, as requirements and assignments name it."""
        return "cpu" if self.trainer_gpu == "none" else "cuda"

    def foreign_hosts(self) -> list[str]:
        """Returns the hosts of `endpoints` other than this machine."""
        hosts = {urlsplit(url).hostname or "" for url in self.endpoints.values()}
        return sorted(host for host in hosts if not is_loopback(host))


def load(where: str) -> TargetConfig:
    """Reads the target `where`: a Terraform directory, a file, or the URI of a bucket or of its target.json.

    Raises:
        UsageError: nothing of this name exists.
        ConfigError: it is not a target document; the message names every output that is missing or wrong.
        MachineError: Terraform is missing, fails or hangs; or an emulator has ended.
    """
    config = parse(_read(where), where)
    for url in sorted(set(config.endpoints.values())):
        try:
            require_listening(url)
        except NothingListensError as error:
            raise MachineError(
                f"{error}, an endpoint of this target", hint="start the emulator again: make cloud-up"
            ) from None
    return config


def parse(document: Any, where: str) -> TargetConfig:
    """Validates a document's plain values; `where` names it in errors."""
    if not isinstance(document, dict):
        raise ConfigError(f"{where} is not a target document but a {type(document).__name__}")
    values = _unwrapped(document)
    if not values:
        raise ConfigError(f"{where} has no outputs: nothing is applied there", hint=_to_apply(where))
    if values.keys() == _OF_STORAGE:
        raise ConfigError(
            f"{where} has the outputs of a storage root, which makes only the bucket",
            hint="the outputs of the root above it, such as infra/terraform/aws",
        )
    version = values.get("contract_version", CONTRACT_VERSION)
    if version != CONTRACT_VERSION:
        raise ConfigError(
            f"{where} has contract_version {version}, and this cloudlstm knows {CONTRACT_VERSION}",
            hint="use the Terraform files and the cloudlstm of one release",
        )
    try:
        return TargetConfig.model_validate(values)
    except ValidationError as error:
        missing = [str(each["loc"][0]) for each in error.errors() if each["type"] == "missing"]
        wrong = [sentence(each) for each in error.errors(include_url=False) if each["type"] != "missing"]
        problems = ([f"the outputs {', '.join(missing)} are missing"] if missing else []) + wrong
        raise ConfigError(
            f"{where} is not a target document: {'; '.join(problems)}",
            hint="terraform apply with the files of this release",
        ) from None


def _unwrapped(document: dict[str, Any]) -> dict[str, Any]:
    """Terraform wraps each output as {"sensitive", "type", "value"}; the object in the bucket is plain."""
    if all(isinstance(value, dict) and "value" in value for value in document.values()):
        return {name: output["value"] for name, output in document.items()}
    return document


def _read(where: str) -> Any:
    if "://" in where:
        uri = where if where.endswith(".json") else f"{where.rstrip('/')}/target.json"
        try:
            text = storage.read_small(uri, _MAX_BYTES)
        except ObjectNotFoundError:
            raise UsageError(
                f"no target document at {uri}", hint="terraform apply puts it where its output target_uri says"
            ) from None
    elif (path := Path(where).expanduser()).is_dir():
        text = _terraform_output(path)
    elif path.is_file():
        text = storage.read_small(storage.absolute(where), _MAX_BYTES)
    else:
        raise UsageError(f"no target at {where}", hint="name a Terraform directory, a saved output or a bucket's URI")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where} is not JSON: {error}") from None


def refuse_storage_root(folder: Path) -> None:
    """Raises UsageError if the folder is that of a storage root, which makes only the bucket of runs."""
    text = "".join(path.read_text(encoding="utf-8") for path in folder.glob("outputs.tf"))
    if set(re.findall(r'^output "([^"]+)"', text, re.MULTILINE)) == _OF_STORAGE:
        main = folder.parent if folder.name not in ("", "..") else folder.resolve().parent
        raise UsageError(f"{folder} is a storage root, which makes only the bucket", hint=f"--target={main}")


def _to_apply(where: str) -> str:
    """Returns the commands that apply a root, if `where` is one."""
    if "://" in where or not Path(where).expanduser().is_dir():
        return "terraform apply"
    return f"terraform -chdir={where} init, then terraform -chdir={where} apply"


def _terraform_output(folder: Path) -> bytes:
    """Returns the output of `terraform output -json` in `folder`."""
    if not any(folder.glob("*.tf")):
        raise UsageError(f"{folder} holds no Terraform files", hint="for example --target=infra/terraform/aws")
    refuse_storage_root(folder)
    tool = shutil.which("terraform") or shutil.which("tofu")
    if tool is None:
        raise MachineError(
            f"reading the target {folder} needs terraform or tofu, and neither is on PATH",
            hint="install one, or name the bucket's URI or a saved `terraform output -json`",
        )
    command = [tool, "output", "-json", "-no-color"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=_OUTPUT_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise MachineError(
            f"`terraform output` in {folder} took longer than {_OUTPUT_TIMEOUT_S:.0f} s",
            hint="see where its state lies, or name the bucket's URI",
        ) from None
    if done.returncode != 0 and _NO_PLUGINS.search(done.stderr) and not (folder / "terraform.tfstate").exists():
        return b"{}"  # as in a root without a lock file
    if done.returncode != 0:
        lines = [line.strip("│╷╵ ") for line in done.stderr.decode(errors="replace").splitlines()]
        message = next((line for line in lines if line.startswith("Error")), f"status {done.returncode}")
        raise MachineError(
            f"`terraform output` failed in {folder}: {message}", hint=f"terraform -chdir={folder} init, then apply"
        )
    return done.stdout
