"""A Terraform root that is not applied yet: its settings as Terraform reads them, and the machines that they start."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cloudlstm.errors import ConfigError, UsageError
from cloudlstm.storage.endpoints import is_loopback
from cloudlstm.targets import variables
from cloudlstm.targets.document import refuse_storage_root
from cloudlstm.targets.hcl import NotLiteralError, read_value
from cloudlstm.targets.quotas import Machines

_PROVIDERS = {"hashicorp/aws": "aws", "hashicorp/google": "gcp"}
COMPUTE = "GOOGLE_COMPUTE_CUSTOM_ENDPOINT"
"""The variable by which Terraform's Google provider finds Compute Engine elsewhere."""


@dataclass(frozen=True, slots=True)
class PlannedRoot:
    """A root with its settings.

    Attributes:
        folder: The root's folder.
        cloud: "aws" or "gcp".
        settings: Value of each variable.
        trainer_machines: Machine types of trainers, in order of preference.
        endpoints: Service to URL, for emulators.
        foreign: What its files name that is none of its variables.
    """

    folder: Path
    cloud: str
    settings: Mapping[str, Any]
    trainer_machines: tuple[str, ...]
    endpoints: Mapping[str, str] = field(default_factory=dict)
    foreign: Sequence[str] = ()

    @property
    def name(self) -> str:
        """Returns the prefix of all names."""
        return str(self.settings["name"])

    @property
    def region(self) -> str:
        """Returns the region of everything."""
        return str(self.settings["region"])

    @property
    def project(self) -> str:
        """Returns the project on Google Cloud."""
        return str(self.settings["project"])

    @property
    def makes_network(self) -> bool:
        """True unless the machines go into a network that exists."""
        return self.settings.get("network") is None

    @property
    def zones(self) -> tuple[str, ...]:
        """Returns the names of the zones on Google Cloud."""
        return tuple(f"{self.region}-{letter}" for letter in self.settings["zones"])

    def machines(self, workers: int) -> list[Machines]:
        """Returns the machines that an apply and a submit with this many workers start.

        A run trains while the cluster still has the nodes with which it prepared, so all count together.
        """
        settings = self.settings
        kind, low, high = settings["spark_machine"], int(settings["spark_min_nodes"]), int(settings["spark_max_nodes"])
        spot = settings.get("spark_spot_max_usd") is not None or bool(settings.get("spark_spot"))
        disk = int(settings.get("spark_disk_gib") or 0)
        found = [Machines("Spark nodes", kind, 1 + low, 1 + (low if spot else high), disk_gib=disk)]
        if spot and high > low:
            first = 1 if self.cloud == "aws" else 0  # the AWS root starts its group of spot nodes with one
            found.append(Machines("Spark nodes on spot", kind, first, high - low, spot=True, disk_gib=disk))
        gpu, trainer_disk = str(settings["trainer_gpu"]), 0
        if self.cloud == "gcp":
            trainer_disk = int(settings["trainer_disk_gib"])
        market = bool(settings["trainer_spot"])
        kind = self.trainer_machines[0]
        found.append(Machines("trainers", kind, workers, workers, spot=market, gpu=gpu, disk_gib=trainer_disk))
        return found

    def __str__(self) -> str:
        where = f"{self.region} of project {self.project}" if self.cloud == "gcp" else self.region
        spot = " from the spot market" if self.settings["trainer_spot"] else ""
        spark, trainers = self.settings["spark_machine"], ", ".join(self.trainer_machines)
        return f"{self.name} in {where}: Spark on {spark}, trainers on {trainers}{spot}"


def read_root(where: str, words: Sequence[str] = (), *, trust_endpoints: bool = False) -> PlannedRoot:
    """Reads a root's settings as Terraform does.

    A value of a later kind counts: the variable's default, TF_VAR_NAME, terraform.tfvars, *.auto.tfvars, a word
    NAME=VALUE.

    Args:
        where: The folder.
        words: Values that `terraform apply` will get by -var.
        trust_endpoints: Whether an endpoint in the environment may be on another machine.

    Raises:
        UsageError: it is no root of this project, or that of the bucket only.
        ConfigError: a value is missing, is no literal, or is one that Terraform refuses.
    """
    folder = Path(where).expanduser()
    refuse_storage_root(folder)
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.tf")))
    cloud = next((cloud for provider, cloud in _PROVIDERS.items() if f'"{provider}"' in text), None)
    usual = re.search(r"^  trainer_usual\s*=", text, re.MULTILINE)
    if cloud is None or usual is None:
        raise UsageError(
            f"{where} is not a Terraform root of cloudlstm", hint="for example --target=infra/terraform/aws"
        )
    try:
        known, table = variables.declared(text), read_value(text, usual.end())
    except NotLiteralError as error:
        raise ConfigError(
            f"the variables of {where} cannot be read: {error}", hint="use the files of this release"
        ) from None
    settings, foreign = variables.given(folder, known, words)
    settings = {name: each.default for name, each in known.items() if not each.required} | settings
    if missing := sorted(known.keys() - settings.keys()):
        raise ConfigError(
            f"{where} has no value for {', '.join(missing)}",
            hint=f"{missing[0]}=… at the end of the command, or in {folder / 'terraform.tfvars'}",
        )
    if wrong := variables.problems(known, settings):
        raise ConfigError.of(wrong)
    machines = settings["trainer_machines"] or table.get(settings["trainer_gpu"])
    if machines is None:
        raise ConfigError(
            f"trainer_gpu = {settings['trainer_gpu']} is not known to {where}", hint=f"one of {', '.join(table)}"
        )
    kinds = (machines,) if isinstance(machines, str) else tuple(machines)
    return PlannedRoot(folder, cloud, settings, kinds, _endpoints(cloud, trust=trust_endpoints), tuple(foreign))


def _endpoints(cloud: str, *, trust: bool) -> dict[str, str]:
    """Returns where Compute Engine is, if the environment says so; AWS's SDK reads its variables itself."""
    url = os.environ.get(COMPUTE) if cloud == "gcp" else None
    if not url:
        return {}
    if not (trust or is_loopback(urlsplit(url).hostname or "")):
        raise UsageError(
            f"{COMPUTE} names {url}, another machine, which would get your credentials",
            hint="unset it, or --trust-endpoints",
        )
    return {"compute": url.rstrip("/").removesuffix("/compute/v1")}
