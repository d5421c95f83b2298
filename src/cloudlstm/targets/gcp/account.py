"""What a Google Cloud project says of itself and of a target: who may look, its quotas, what carries the label."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from cloudlstm import storage
from cloudlstm.errors import StorageError, TargetError
from cloudlstm.runs.paths import join
from cloudlstm.targets import preflight
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.gcp.client import GcpApi, status_of
from cloudlstm.targets.gcp.trainers import ManagedTrainers
from cloudlstm.targets.polling import retry_unavailable

_ASK = "ask for more under IAM & Admin > Quotas"


class GcpAccount:
    """The project of a target on Google Cloud."""

    def __init__(self, target: TargetConfig) -> None:
        self._target = target

    def credentials(self) -> str:
        """Credentials belong to no project: they must see the target's."""
        return f"project {self._project()['name']} can be seen"

    def quota(self, workers: int) -> str:
        """What is in use already counts, but for trainers that are there.

        Spot machines count against a quota of their own where the project has one, so the larger of the two is taken.
        """
        target = self._target
        where = {"project": target.account, "region": target.region}
        try:
            machine = self._machine()
            region, project = GcpApi("compute", "Regions", target).call("get", **where), self._project()
            missing = max(workers - len(ManagedTrainers(target).look().machines), 0)
        except TargetError as error:
            return f"quotas cannot be read ({error.message})"
        if target.trainer_gpu == "none":
            each, unit, overall = int(machine["guest_cpus"]), "vCPUs", "CPUS_ALL_REGIONS"
            metric = cpu_quota(machine["name"], region["quotas"])
        else:
            built_in = sum(each["guest_accelerator_count"] for each in machine.get("accelerators", ()))
            each, unit, overall = built_in or 1, "GPUs", "GPUS_ALL_REGIONS"
            metric = gpu_quota(target.trainer_gpu)
        told = []
        for name, place, quotas in ((metric, target.region, region), (overall, "all regions", project)):
            if (free := _free(name, quotas["quotas"])) is not None:
                counted = f"{unit} free in {place} (quota {name})"
                told.append(preflight.quota(each * missing, free, missing, counted, _ASK))
        return told[0] if told else f"{workers} trainers need {each * workers} {unit}; there is no quota {metric}"

    def tagged(self) -> list[str]:
        """Machines and disks by the label `cloudlstm`, as only they can be listed by it, and the known buckets."""
        return [*self._labelled("Instances"), *self._labelled("Disks"), *self._buckets()]

    def _labelled(self, client: str) -> Iterator[str]:
        api, kind = GcpApi("compute", client, self._target), client.lower()
        ours = {"project": self._target.account, "filter": f"labels.cloudlstm = {self._target.name}"}
        for place in retry_unavailable(lambda: api.each("aggregated_list", **ours)):
            for each in place.get(kind, ()):
                yield f"{kind.removesuffix('s')} {each['name']} in {each['zone'].rsplit('/', 1)[-1]}: {each['status']}"

    def _buckets(self) -> Iterator[str]:
        logs = "/".join(self._target.log_uri.split("/")[:3])
        for bucket in dict.fromkeys(filter(None, (self._target.bucket_uri, logs))):
            with suppress(StorageError):  # it is not there, or not ours to see
                next(iter(storage.list_objects(join(bucket, "target.json"))), None)
                yield f"bucket {bucket}"

    def _project(self) -> dict[str, Any]:
        try:
            return GcpApi("compute", "Projects", self._target).call("get", project=self._target.account)
        except TargetError as error:
            if status_of(error) in (403, 404):
                error.hint = f"credentials for project {self._target.account}: gcloud auth application-default login"
            raise

    def _machine(self) -> dict[str, Any]:
        """The trainers' machine type."""
        place = {"project": self._target.account, "zone": self._target.trainer_zones[0]}
        types = GcpApi("compute", "MachineTypes", self._target)
        return types.call("get", **place, machine_type=self._target.trainer_machines[0])


def cpu_quota(machine: str, quotas: Iterable[Mapping[str, Any]]) -> str:
    """The regional quota of vCPUs that a machine type counts against: its family's own, or that of all others."""
    own = f"{machine.split('-')[0].upper()}_CPUS"
    return own if any(each["metric"] == own for each in quotas) else "CPUS"


def gpu_quota(kind: str) -> str:
    """The regional quota of a kind of GPU, such as "nvidia-tesla-t4"."""
    return f"NVIDIA_{kind.removeprefix('nvidia-').removeprefix('tesla-').replace('-', '_').upper()}_GPUS"


def _free(name: str, quotas: Iterable[Mapping[str, Any]]) -> int | None:
    """How much of a quota is left; None if it is not known."""
    left = {each["metric"]: int(each["limit"] - each.get("usage", 0)) for each in quotas}
    return max(left[name], left.get(f"PREEMPTIBLE_{name}", 0)) if name in left else None
