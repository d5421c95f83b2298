"""The Google Cloud project of a target: credentials, quotas and labelled resources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cloudlstm.errors import TargetError
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
        """Checks that the credentials can see the target's project: credentials do not belong to one."""
        return f"project {self._project()['name']} can be seen"

    def quota(self, workers: int) -> str:
        """Checks what the quota leaves free for trainers that do not run yet.

        Spot machines may have their own quota, so the larger of the two is used.
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
        found = []
        for name, place, quotas in ((metric, target.region, region), (overall, "all regions", project)):
            if (free := _free(name, quotas["quotas"])) is not None:
                counted = f"{unit} free in {place} (quota {name})"
                found.append(preflight.quota(each * missing, free, missing, counted, _ASK))
        return found[0] if found else f"{workers} trainers need {each * workers} {unit}; there is no quota {metric}"

    def tagged(self) -> list[str]:
        """Returns the machines and disks with the label `cloudlstm`."""
        return [*self._labelled("Instances"), *self._labelled("Disks")]

    def _labelled(self, client: str) -> Iterator[str]:
        api, kind = GcpApi("compute", client, self._target), client.lower()
        ours = {"project": self._target.account, "filter": f"labels.cloudlstm = {self._target.name}"}
        for place in retry_unavailable(lambda: api.each("aggregated_list", **ours)):
            for each in place.get(kind, ()):
                yield f"{kind.removesuffix('s')} {each['name']} in {each['zone'].rsplit('/', 1)[-1]}: {each['status']}"

    def _project(self) -> dict[str, Any]:
        try:
            return GcpApi("compute", "Projects", self._target).call("get", project=self._target.account)
        except TargetError as error:
            if status_of(error) in (403, 404):
                error.hint = f"credentials for project {self._target.account}: gcloud auth application-default login"
            raise

    def _machine(self) -> dict[str, Any]:
        """Returns the first machine type of the trainers."""
        place = {"project": self._target.account, "zone": self._target.trainer_zones[0]}
        types = GcpApi("compute", "MachineTypes", self._target)
        return types.call("get", **place, machine_type=self._target.trainer_machines[0])


def cpu_quota(machine: str, quotas: Iterable[Mapping[str, Any]]) -> str:
    """Returns the regional vCPU quota of a machine type: its family's own, or the general one."""
    own = f"{machine.split('-')[0].upper()}_CPUS"
    return own if any(each["metric"] == own for each in quotas) else "CPUS"


def gpu_quota(kind: str) -> str:
    """Returns the regional quota of a GPU kind, such as "nvidia-tesla-t4"."""
    return f"NVIDIA_{kind.removeprefix('nvidia-').removeprefix('tesla-').replace('-', '_').upper()}_GPUS"


def _free(name: str, quotas: Iterable[Mapping[str, Any]]) -> int | None:
    """Returns what is left of a quota; None if the quota is unknown."""
    left = {each["metric"]: int(each["limit"] - each.get("usage", 0)) for each in quotas}
    return max(left[name], left.get(f"PREEMPTIBLE_{name}", 0)) if name in left else None
