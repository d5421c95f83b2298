"""Compute Engine: what it refuses of templates and groups."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from localstack.gcp import quotas

from infra.google_cloud.kinds import first
from infra.google_cloud.provider import Refused

if TYPE_CHECKING:
    from infra.google_cloud.world import World

State = dict[str, Any]

ZONES = {"us-central1": "abcf", "us-east1": "bcd", "europe-west4": "abc"}
"""The letters of the zones of some regions."""

_TYPES = (
    "e2-standard-2", "e2-standard-4", "n1-standard-4", "n1-standard-8", "n2-standard-4", "n2-standard-8",
    "g2-standard-4", "g2-standard-8", "a2-highgpu-1g",
)  # fmt: skip
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_CARRIES = {"nvidia-tesla-t4": "n1-", "nvidia-tesla-v100": "n1-", "nvidia-l4": "g2-", "nvidia-tesla-a100": "a2-"}


def machine(template: State) -> quotas.Machine:
    """A machine of a template."""
    return quotas.Machine(
        template["machine_type"],
        tuple((each["type"], int(each["count"])) for each in template.get("guest_accelerator") or []),
        tuple((each.get("disk_type") or "pd-standard", int(each["disk_size_gb"])) for each in template["disk"]),
        spot=first(template, "scheduling").get("provisioning_model") == "SPOT",
    )


def check(world: World, kind: str, state: State) -> None:
    """Raises Refused if Compute Engine refuses the resource."""
    if kind.startswith("google_compute_") and not _NAME.fullmatch(state["name"]):
        raise Refused(f"googleapi: Error 400: Invalid value for field 'resource.name': '{state['name']}', invalid")
    if kind == "google_compute_instance_template":
        _check_template(state)
    if kind == "google_compute_region_instance_group_manager":
        _check_zones(world, state)


def _check_template(template: State) -> None:
    for number, disk in enumerate(template["disk"]):
        place = f"resource.properties.disks[{number}]"
        if trouble := quotas.too_small(disk.get("source_image") or "", int(disk["disk_size_gb"]), place):
            raise Refused(f"googleapi: Error 400: {trouble}, invalid")
    scheduling = first(template, "scheduling")
    spot = scheduling.get("provisioning_model") == "SPOT"
    if spot and scheduling.get("automatic_restart") is not False:
        raise Refused(
            "googleapi: Error 400: Invalid value for field 'resource.properties.scheduling.automaticRestart': 'true'. "
            "Scheduling must have automaticRestart be false when preemptible is true., invalid"
        )
    if spot and scheduling.get("preemptible") is not True:
        raise Refused(
            "googleapi: Error 400: Invalid value for field 'resource.properties.scheduling.preemptible': 'false'. "
            "Scheduling preemptible must be true when provisioningModel is SPOT., invalid"
        )
    attached = template.get("guest_accelerator") or []
    gpus = [each["type"] for each in attached] + [kind for kind, _ in quotas.built_in(template["machine_type"])]
    if gpus and scheduling.get("on_host_maintenance") != "TERMINATE":
        raise Refused(
            "googleapi: Error 400: Invalid value for field 'resource.properties.scheduling.onHostMaintenance': "
            "'MIGRATE'. Instances with guest accelerators do not support live migration., invalid"
        )
    for kind in gpus:
        if not template["machine_type"].startswith(_CARRIES[kind]):
            raise Refused(
                f"googleapi: Error 400: {kind} accelerators are not compatible with machine type "
                f"{template['machine_type']}., badRequest"
            )


def _check_zones(world: World, group: State) -> None:
    template = next(
        each
        for each in world.found("google_compute_instance_template")
        if group["version"][0]["instance_template"].partition("?")[0].endswith(each["id"])
    )
    wanted = [template["machine_type"], *(each["type"] for each in template.get("guest_accelerator") or [])]
    for zone in group.get("distribution_policy_zones") or []:
        if zone.rpartition("-")[2] not in ZONES.get(zone.rpartition("-")[0], ""):
            raise Refused(f"googleapi: Error 400: Invalid value for field 'zone': '{zone}'. Unknown zone., invalid")
        for kind in wanted:
            if not world.has(zone, kind):
                raise Refused(
                    f"googleapi: Error 400: Machine type or accelerator {kind} does not exist in zone {zone}., invalid"
                )


def types_in(world: World, asked: State) -> State:
    """The answer of the data source of machine types: those of a zone that its filter lets through."""
    names = re.findall(r"name\s*=\s*\(?[\"']?([\w-]+)", asked.get("filter") or "")
    found = [name for name in _TYPES if world.has(asked["zone"], name) and (not names or name in names)]
    return {"machine_types": [{"name": name, "guest_cpus": str(quotas.vcpus(name))} for name in found]}
