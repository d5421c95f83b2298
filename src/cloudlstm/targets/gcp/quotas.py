"""Compute Engine's quotas: vCPUs, GPUs and disks of a region, and those of all regions, with what is in use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from cloudlstm.errors import TargetError
from cloudlstm.targets.gcp.client import GcpApi, status_of
from cloudlstm.targets.polling import retry_unavailable
from cloudlstm.targets.quotas import Machines, Need, Place, Quota

_UNITS = {"CPUS": "vCPUs", "GPUS": "GPUs", "GB": "GB", "NETWORKS": "networks"}
_TITLES = {"CPUS_ALL_REGIONS": "CPUs (all regions)", "GPUS_ALL_REGIONS": "GPUs (all regions)",
           "SSD_TOTAL_GB": "Persistent disk SSD (GB)"}  # fmt: skip
ASK = "ask for more under IAM & Admin > Quotas"


class GcpQuotas:
    """The quotas of a project in a region. The service tells what is in use, whoever uses it.

    Args:
        place: The target document, or settings that are not yet applied.
        project: The id of the project.
        zones: Zones of the region that may have the machine types.
    """

    def __init__(self, place: Place, project: str, zones: Sequence[str]) -> None:
        self._region, self._project, self._zones = place.region, project, zones
        self._types = GcpApi("compute", "MachineTypes", place)
        self._regions, self._projects = GcpApi("compute", "Regions", place), GcpApi("compute", "Projects", place)
        self._machines: dict[str, dict[str, Any]] = {}

    def of(self, machines: Sequence[Machines], *, networks: int = 0) -> list[Quota]:
        """Returns the quotas that machines and networks take from, but for those that the service does not tell."""
        where = {"project": self._project}
        region = self._quotas_of_region()
        project = retry_unavailable(lambda: self._projects.call("get", **where))["quotas"]
        needs: dict[str, list[Need]] = {}
        for each in machines:
            for metric, size in self.taken(each, region):
                needs.setdefault(metric, []).append(Need(each.what, each.least, each.most, size))
        if networks:
            needs["NETWORKS"] = [Need("networks", networks, networks)]
        found = []
        for metric, parts in needs.items():
            of_project = metric.endswith("_ALL_REGIONS") or metric == "NETWORKS"
            place, known = ("all regions", project) if of_project else (self._region, region)
            value = _value(metric, known)
            if value is not None:
                found.append(self._quota(metric, place, value, parts))
        return found

    def _quotas_of_region(self) -> list[dict[str, Any]]:
        asked = {"project": self._project, "region": self._region}
        try:
            found: list[dict[str, Any]] = retry_unavailable(lambda: self._regions.call("get", **asked))["quotas"]
        except TargetError as error:
            if status_of(error) == 404:
                error.hint = (
                    f"gcloud compute regions list --project={self._project}; is region={self._region} mistyped?"
                )
            raise
        return found

    def taken(self, machines: Machines, region: Iterable[Mapping[str, Any]]) -> list[tuple[str, int]]:
        """Returns the quotas that one machine takes from, and how much: first that of its kind.

        Machines of the spot market take from preemptible quotas where the project has some, and else from the others.
        """
        machine = self.machine(machines.kind)
        cpus = int(machine["guest_cpus"])
        metric = cpu_quota(machines.kind, region)
        found = [(granted(metric, region, spot=machines.spot), cpus), ("CPUS_ALL_REGIONS", cpus)]
        if machines.gpu != "none":
            built_in = sum(each["guest_accelerator_count"] for each in machine.get("accelerators", ()))
            kind = granted(gpu_quota(machines.gpu), region, spot=machines.spot)
            found = [(kind, built_in or 1), ("GPUS_ALL_REGIONS", built_in or 1), *found]
        if machines.disk_gib:
            found.append(("SSD_TOTAL_GB", machines.disk_gib))
        return found

    def machine(self, kind: str) -> dict[str, Any]:
        """Returns a machine type as the first zone that has it describes it.

        Raises:
            TargetError: no zone has it, or the service refused.
        """
        for number, zone in enumerate(self._zones, start=1):
            if kind in self._machines:
                break
            asked = {"project": self._project, "zone": zone, "machine_type": kind}
            try:
                self._machines[kind] = retry_unavailable(partial(self._types.call, "get", **asked))
            except TargetError as error:
                if status_of(error) != 404 or number == len(self._zones):
                    raise
        return self._machines[kind]

    def _quota(self, metric: str, place: str, value: tuple[int, int], parts: Sequence[Need]) -> Quota:
        limit, used = value
        unit = next((unit for end, unit in _UNITS.items() if end in metric.split("_")), "")
        return Quota(
            code=metric,
            title=_TITLES.get(metric, metric),
            unit=unit,
            place=place,
            limit=limit,
            used=used,
            needs=tuple(parts),
            ask=f"ask for {{0}} of {metric}{{1}} in {place} under IAM & Admin > Quotas of project {self._project}",
        )


def cpu_quota(machine: str, quotas: Iterable[Mapping[str, Any]]) -> str:
    """Returns the regional vCPU quota of a machine type: its family's own, or the general one."""
    own = f"{machine.split('-')[0].upper()}_CPUS"
    return own if any(each["metric"] == own for each in quotas) else "CPUS"


def gpu_quota(kind: str) -> str:
    """Returns the regional quota of a GPU kind, such as "nvidia-tesla-t4"."""
    return f"NVIDIA_{kind.removeprefix('nvidia-').removeprefix('tesla-').replace('-', '_').upper()}_GPUS"


def granted(metric: str, quotas: Iterable[Mapping[str, Any]], *, spot: bool) -> str:
    """Returns the quota that a machine takes from: on the spot market the preemptible one, if it is not 0."""
    names = [f"PREEMPTIBLE_{metric}"] + (["PREEMPTIBLE_CPUS"] if metric.endswith("CPUS") else [])
    for name in names if spot else ():
        if any(each["metric"] == name and each["limit"] > 0 for each in quotas):
            return name
    return metric


def _value(metric: str, quotas: Iterable[Mapping[str, Any]]) -> tuple[int, int] | None:
    """Returns limit and usage of a quota; None if the service does not tell it."""
    for each in quotas:
        if each["metric"] == metric:
            return int(each["limit"]), int(each.get("usage", 0))
    return None
