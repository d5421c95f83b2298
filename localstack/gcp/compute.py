"""Compute Engine: projects, regions, machine types, templates, instances, disks and operations."""

from __future__ import annotations

import itertools
import secrets
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from localstack.gcp import quotas
from localstack.gcp.api import Call, Document, Method, Refusal, page
from localstack.gcp.filters import wants_resource
from localstack.gcp.limits import Limits, machine_of
from localstack.gcp.provider import PROJECT, REGION, ZONES
from localstack.network.namespace import next_address
from localstack.server.faults import Faults

LINK = "https://www.googleapis.com/compute/v1"
"""The beginning of all links to resources, whatever the URL of the service is."""

_PROJECT = "/compute/v1/projects/<project>"
_REGION = f"{_PROJECT}/regions/<region>"
_MOST = 500


def now() -> str:
    """Returns the current time in the service's format."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Compute:
    """The resources of Compute Engine except instance groups (trainers.py)."""

    def __init__(self, faults: Faults) -> None:
        self.limits = Limits(faults)
        self._shapes: dict[str, quotas.Machine] = {}
        self.instances: dict[str, Document] = {}
        self.disks: dict[str, Document] = {}
        self.templates: dict[str, Document] = {}
        self._operations: dict[str, Document] = {}
        self._by_request: dict[str, tuple[str, Document]] = {}
        self._ids = itertools.count(secrets.randbits(60) | 1 << 60)

    def methods(self) -> Iterator[Method]:
        def of(action: str, verb: str, url: str, answer: Any) -> Method:
            return Method("compute", action, verb, url, answer)

        zone = f"{_PROJECT}/zones/<zone>"
        yield of("Projects.Get", "GET", _PROJECT, self._project)
        yield of("Regions.Get", "GET", _REGION, self._region)
        yield of("MachineTypes.Get", "GET", f"{zone}/machineTypes/<name>", self._machine_type)
        yield of("Instances.Get", "GET", f"{zone}/instances/<name>", lambda call: self._one(self.instances, call))
        yield of("Instances.List", "GET", f"{zone}/instances", lambda call: self._listed(self.instances, call))
        yield of("Instances.AggregatedList", "GET", f"{_PROJECT}/aggregated/instances",
                 lambda call: self._aggregated("instances", self.instances, call))  # fmt: skip
        yield of("Disks.List", "GET", f"{zone}/disks", lambda call: self._listed(self.disks, call))
        yield of("Disks.AggregatedList", "GET", f"{_PROJECT}/aggregated/disks",
                 lambda call: self._aggregated("disks", self.disks, call))  # fmt: skip
        templates = f"{_PROJECT}/global/instanceTemplates"
        yield of("InstanceTemplates.Insert", "POST", templates, self._insert_template)
        yield of("InstanceTemplates.Get", "GET", f"{templates}/<name>", lambda call: self._one(self.templates, call))
        operations = f"{_REGION}/operations/<name>"
        yield of("RegionOperations.Get", "GET", operations, self._operation)
        yield of("RegionOperations.Wait", "POST", f"{operations}/wait", self._operation)

    # For groups and clusters ----------------------------------------------------------------------------

    def resource(self, kind: str, path: str, **more: Any) -> Document:
        """Returns a new resource; `path` is its path below the project, such as "zones/z/disks/d"."""
        return {
            "kind": f"compute#{kind}",
            "id": str(next(self._ids)),
            "name": path.rpartition("/")[2],
            "creationTimestamp": now(),
            "selfLink": f"{LINK}/projects/{PROJECT}/{path}",
            **more,
        }

    def start(self, name: str, zone: str, template: Document) -> Document:
        """Makes an instance with its disk from a template; its status is STAGING."""
        properties = template["properties"]
        path = f"zones/{zone}/instances/{name}"
        labels = {"labels": dict(properties.get("labels", {}))}
        zone_link = f"{LINK}/projects/{PROJECT}/zones/{zone}"
        boot = (properties.get("disks") or [{}])[0].get("initializeParams", {})
        disk = self.resource(
            "disk", f"zones/{zone}/disks/{name}", zone=zone_link, status="READY",
            sizeGb=str(boot.get("diskSizeGb", 10)), users=[f"{LINK}/projects/{PROJECT}/{path}"],
            labels=dict(boot.get("labels", {})),
        )  # fmt: skip
        instance = self.resource(
            "instance", path, zone=zone_link, status="STAGING", metadata=properties.get("metadata", {}), **labels,
            machineType=f"{zone_link}/machineTypes/{properties['machineType']}",
            scheduling=properties.get("scheduling", {}),
            networkInterfaces=[{"kind": "compute#networkInterface", "name": "nic0", "networkIP": next_address()}],
            disks=[{"kind": "compute#attachedDisk", "boot": True, "autoDelete": True, "source": disk["selfLink"]}],
        )  # fmt: skip
        self.instances[instance["selfLink"]] = instance
        self._shapes[instance["selfLink"]] = machine_of(template)
        self.disks[disk["selfLink"]] = disk
        return instance

    def remove(self, instance: Document) -> None:
        """Deletes an instance and its disk."""
        self.instances.pop(instance["selfLink"], None)
        self._shapes.pop(instance["selfLink"], None)
        for disk in instance["disks"]:
            self.disks.pop(disk["source"], None)

    def template(self, link: str) -> Document:
        """Returns the instance template with this full or partial link."""
        name = link.rpartition("/")[2]
        found = self.templates.get(f"{LINK}/projects/{PROJECT}/global/instanceTemplates/{name}")
        return found or missing(f"projects/{PROJECT}/global/instanceTemplates/{name}")

    def refusal(self, template: Document, zone: str) -> tuple[str, str]:
        """Returns code and message with which a machine of a template cannot start in a zone; empty if it can."""
        return self.limits.refusal(template, zone, self._shapes.values())

    def short(self, templates: Iterable[Document]) -> list[tuple[str, int, int]]:
        """Returns the quotas that a machine of each template would exceed; see Limits.short."""
        return self.limits.short([machine_of(each) for each in templates], self._shapes.values())

    def operation(self, call: Call, kind: str, target: str) -> Document:
        """Returns the running operation of a change; the next request for it finds it DONE."""
        where = {"region": f"{LINK}/projects/{PROJECT}/regions/{call['region']}"} if "region" in call.path else {}
        name = f"operation-{uuid.uuid4()}"
        path = f"{'regions/' + call['region'] if where else 'global'}/operations/{name}"
        begun = self.resource(
            "operation", path, operationType=kind, targetLink=target, status="RUNNING", progress=0, insertTime=now(),
            startTime=now(), **where,
        )  # fmt: skip
        self._operations[name] = begun | {"status": "DONE", "progress": 100, "endTime": now()}
        if request := call.query.get("requestId"):
            self._by_request[request] = (f"{kind} {target}", self._operations[name])
        return begun

    def repeated(self, call: Call, kind: str, target: str) -> Document | None:
        """Returns the operation of an earlier request with the same request id; None if there is none.

        Raises:
            Refusal: if the id is not a UUID or belongs to another request.
        """
        request = call.query.get("requestId")
        if not request:
            return None
        try:
            uuid.UUID(request)
        except ValueError:
            raise Refusal(400, f"Invalid value for field 'requestId': '{request}'. Must be a valid UUID.") from None
        before = self._by_request.get(request)
        if before and before[0] != f"{kind} {target}":
            raise Refusal(409, f"The request ID '{request}' was used for another request.")
        return before[1] if before else None

    # Answers -----------------------------------------------------------------------------------------------------

    def _project(self, call: Call) -> Document:
        check_place(call)
        return {
            "kind": "compute#project", "id": "101", "name": PROJECT, "quotas": self._quotas(quotas.PROJECT),
            "selfLink": f"{LINK}/projects/{PROJECT}", "defaultNetworkTier": "PREMIUM",
            "defaultServiceAccount": "101-compute@developer.gserviceaccount.com",
        }  # fmt: skip

    def _region(self, call: Call) -> Document:
        check_place(call)
        zones = [f"{LINK}/projects/{PROJECT}/zones/{zone}" for zone in ZONES]
        path = f"{LINK}/projects/{PROJECT}/regions/{REGION}"
        return {
            "kind": "compute#region", "id": "1000", "name": REGION, "status": "UP", "zones": zones, "selfLink": path,
            "quotas": self._quotas(quotas.REGION),
        }  # fmt: skip

    def _machine_type(self, call: Call) -> Document:
        check_place(call)
        cpus = quotas.vcpus(call["name"])
        path = f"projects/{PROJECT}/zones/{call['zone']}/machineTypes/{call['name']}"
        if not cpus or self.limits.lacks(call["zone"], call["name"]):
            return missing(path)
        return {
            "kind": "compute#machineType", "id": "4004", "name": call["name"], "guestCpus": cpus,
            "memoryMb": cpus * 4096, "zone": call["zone"], "selfLink": f"{LINK}/{path}",
            "accelerators": [
                {"guestAcceleratorType": kind, "guestAcceleratorCount": count}
                for kind, count in quotas.built_in(call["name"])
            ],
        }  # fmt: skip

    def _one(self, among: dict[str, Document], call: Call) -> Document:
        check_place(call)
        kind = "instanceTemplates" if among is self.templates else "instances"
        where = f"zones/{call['zone']}" if "zone" in call.path else "global"
        path = f"projects/{PROJECT}/{where}/{kind}/{call['name']}"
        return among.get(f"{LINK}/{path}") or missing(path)

    def _listed(self, among: dict[str, Document], call: Call) -> Document:
        check_place(call)
        in_zone = [each for each in among.values() if each["zone"].endswith(f"/{call['zone']}")]
        return listed(in_zone, call)

    def _aggregated(self, kind: str, among: dict[str, Document], call: Call) -> Document:
        check_place(call)
        answer = listed(among.values(), call)
        scopes: dict[str, Any] = {
            f"zones/{zone}": {"warning": {"code": "NO_RESULTS_ON_PAGE", "message": "There are no results."}}
            for zone in ZONES
        }
        for item in answer.pop("items", []):
            scope = f"zones/{item['zone'].rpartition('/')[2]}"
            scopes[scope] = {kind: [*scopes[scope].get(kind, []), item]}
        return answer | {"items": scopes}

    def _insert_template(self, call: Call) -> Document:
        check_place(call)
        path = f"global/instanceTemplates/{call.body['name']}"
        if f"{LINK}/projects/{PROJECT}/{path}" in self.templates:
            raise Refusal(409, f"The resource 'projects/{PROJECT}/{path}' already exists")
        made = self.resource("instanceTemplate", path, properties=call.body["properties"])
        self.templates[made["selfLink"]] = made
        return self.operation(call, "insert", made["selfLink"])

    def _operation(self, call: Call) -> Document:
        check_place(call)
        return self._operations.get(call["name"]) or missing(
            f"projects/{PROJECT}/regions/{call['region']}/operations/{call['name']}"
        )

    def _quotas(self, wanted: Iterable[str]) -> list[Document]:
        """Returns these quotas with their usage."""
        limits = self.limits.all()
        used = quotas.usage(self._shapes.values(), limits)
        return [{"metric": each, "limit": float(limits[each]), "usage": float(used[each])} for each in wanted]


def check_place(call: Call) -> None:
    """Raises Refusal if project, region or zone is unknown."""
    if call["project"] != PROJECT:
        missing(f"projects/{call['project']}")
    if call.path.get("region", REGION) != REGION:
        missing(f"projects/{PROJECT}/regions/{call['region']}")
    if call.path.get("zone", ZONES[0]) not in ZONES:
        missing(f"projects/{PROJECT}/zones/{call['zone']}")


def missing(path: str) -> Document:
    """Raises the error for a missing resource."""
    raise Refusal(404, f"The resource '{path}' was not found")


def listed(items: Iterable[Document], call: Call) -> Document:
    """Returns the answer to a list request."""
    wanted = [item for item in items if wants_resource(call.query.get("filter", ""), item)]
    found, token = page(wanted, call, "maxResults", _MOST)
    return {"items": found} | ({"nextPageToken": token} if token else {})
