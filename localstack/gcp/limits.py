"""Why a machine cannot start: a disk smaller than its image, a zone without its type, a quota."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from localstack.gcp import quotas
from localstack.gcp.api import Document
from localstack.gcp.provider import PROJECT, REGION
from localstack.server.faults import Faults


class Limits:
    """The limits of the project, as faults change them."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def all(self) -> dict[str, int]:
        """Returns the limit of every quota: that of a new project during a fault "fresh-account"."""
        fresh = quotas.FRESH if self._faults.lasting("fresh-account") else {}
        return quotas.REGION | quotas.PROJECT | fresh

    def lacks(self, zone: str, kind: str) -> bool:
        """True if a fault "zone-lacks" takes a machine type or a GPU type out of a zone."""
        name = kind.rpartition("/")[2]
        lasting = self._faults.lasting("zone-lacks")
        return any(fnmatchcase(zone, fault.zone) and fnmatchcase(name, fault.machine) for fault in lasting)

    def short(self, wanted: Sequence[quotas.Machine], running: Iterable[quotas.Machine]) -> list[tuple[str, int, int]]:
        """Returns the quotas that more machines would exceed, each with what they take and what is free."""
        limits = self.all()
        used, taken = quotas.usage(running, limits), quotas.usage(wanted, limits)
        free = {metric: limits[metric] - count for metric, count in used.items()}
        return [(metric, count, max(free[metric], 0)) for metric, count in taken.items() if 0 < count > free[metric]]

    def refusal(self, template: Document, zone: str, running: Iterable[quotas.Machine]) -> tuple[str, str]:
        """Returns code and message with which a machine of a template cannot start in a zone; empty if it can.

        Messages are Compute Engine's. Of the codes, only that of quotas is known to be its own.
        """
        properties, machine = template["properties"], machine_of(template)
        for number, disk in enumerate(properties.get("disks", [])):
            boot = disk.get("initializeParams", {})
            image, gib = boot.get("sourceImage", ""), boot.get("diskSizeGb")
            if gib and (message := quotas.too_small(image, int(gib), f"resource.disks[{number}]")):
                return "INVALID_FIELD_VALUE", message
        kinds = {"machineTypes": [machine.type], "acceleratorTypes": [kind for kind, _ in machine.gpus]}
        for group, names in kinds.items():
            for name in names:
                if self.lacks(zone, name):
                    path = f"projects/{PROJECT}/zones/{zone}/{group}/{name.rpartition('/')[2]}"
                    return "RESOURCE_NOT_FOUND", f"The resource '{path}' was not found"
        for metric, *_ in self.short([machine], running):
            where = "globally" if metric in quotas.PROJECT else f"in region {REGION}"
            return "QUOTA_EXCEEDED", f"Quota '{metric}' exceeded.  Limit: {self.all()[metric]:.1f} {where}."
        return "", ""


def machine_of(template: Document) -> quotas.Machine:
    """Returns what a machine of an instance template consists of."""
    properties = template["properties"]
    scheduling = properties.get("scheduling", {})
    boots = [disk.get("initializeParams", {}) for disk in properties.get("disks", [])]
    attached = properties.get("guestAccelerators", [])
    return quotas.Machine(
        properties["machineType"],
        tuple((each["acceleratorType"], int(each["acceleratorCount"])) for each in attached),
        tuple((boot.get("diskType", "pd-standard"), int(boot.get("diskSizeGb", 10))) for boot in boots),
        spot=scheduling.get("provisioningModel") == "SPOT" or bool(scheduling.get("preemptible")),
    )
