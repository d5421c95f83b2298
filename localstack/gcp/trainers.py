"""Regional managed instance groups: machines by number, with their states and errors."""

from __future__ import annotations

import re
import secrets
import string
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from localstack.gcp.api import Call, Document, Method, Refusal
from localstack.gcp.compute import LINK, Compute, check_place, listed, missing, now
from localstack.gcp.provider import PROJECT
from localstack.server.engine import REFILL_S
from localstack.server.faults import Faults

MAX_SIZE = 2000
"""The maximum number of machines of a regional group."""

_URL = "/compute/v1/projects/<project>/regions/<region>/instanceGroupManagers"
_INSTANCE = re.compile(rf"(?:{LINK}/)?(?:projects/[^/]+/)?zones/([^/]+)/instances/([^/]+)")
_ACTIONS = (
    "abandoning", "creating", "creatingWithoutRetries", "deleting", "none", "recreating", "refreshing", "restarting",
    "resuming", "starting", "stopping", "suspending", "verifying",
)  # fmt: skip


@dataclass
class Managed:
    """A machine of a group. After a preemption, a new instance gets the same name.

    Attributes:
        name: Its name.
        zone: Its zone.
        action: The group's current action.
        instance: Its instance, if there is one.
        errors: The errors of the last attempt to start an instance.
        retry_at: The time of the next attempt, on the monotonic clock.
    """

    name: str
    zone: str
    action: str = "CREATING"
    instance: Document | None = None
    errors: list[Document] = field(default_factory=list)
    retry_at: float = 0.0

    @property
    def link(self) -> str:
        """Returns the instance's URL; it exists before the instance."""
        return f"{LINK}/projects/{PROJECT}/zones/{self.zone}/instances/{self.name}"

    def document(self) -> Document:
        """Returns a ManagedInstance."""
        document: Document = {"instance": self.link, "name": self.name, "currentAction": self.action}
        if self.instance:
            document |= {"id": self.instance["id"], "instanceStatus": self.instance["status"]}
        if self.errors:
            document["lastAttempt"] = {"errors": {"errors": self.errors}}
        return document


class Group:
    """A group and its machines."""

    def __init__(self, compute: Compute, faults: Faults, request: Document, region: str) -> None:
        self._compute, self._faults = compute, faults
        self.name = str(request["name"])
        self._base = str(request.get("baseInstanceName") or self.name)
        policy = request["distributionPolicy"]
        self._zones: list[str] = [each["zone"].rpartition("/")[2] for each in policy["zones"]]
        self._shape = str(policy.get("targetShape", "EVEN"))
        self._template = str(request.get("instanceTemplate") or request["versions"][0]["instanceTemplate"])
        self._resource = compute.resource("instanceGroupManager", f"regions/{region}/instanceGroupManagers/{self.name}")
        self._region = f"{LINK}/projects/{PROJECT}/regions/{region}"
        self.size = 0
        self.machines: list[Managed] = []
        self.errors: list[Document] = []
        compute.template(self._template)
        self.resize(int(request["targetSize"]))

    @property
    def link(self) -> str:
        return str(self._resource["selfLink"])

    def document(self) -> Document:
        """Returns an InstanceGroupManager."""
        actions = [machine.action for machine in self.machines]
        return self._resource | {
            "baseInstanceName": self._base,
            "currentActions": {name: sum(each.lower() == name.lower() for each in actions) for name in _ACTIONS},
            "distributionPolicy": {
                "targetShape": self._shape,
                "zones": [{"zone": f"{LINK}/projects/{PROJECT}/zones/{zone}"} for zone in self._zones],
            },
            "instanceGroup": self.link.replace("/instanceGroupManagers/", "/instanceGroups/"),
            "instanceTemplate": self._template,
            "region": self._region,
            "status": {"isStable": set(actions) <= {"NONE"}},
            "targetSize": self.size,
            "versions": [{"instanceTemplate": self._template, "targetSize": {"calculated": self.size}}],
        }

    def resize(self, size: int) -> None:
        """Sets the size. To shrink, deletes machines that do not run first, then the newest."""
        self.size = size
        staying = [each for each in self.machines if each.action != "DELETING"]
        for _ in range(size - len(staying)):
            self.machines.append(Managed(self._fresh_name(), self._next_zone()))
        running = [each for each in staying if each.action in ("NONE", "VERIFYING")]
        idle = [each for each in staying if each not in running]
        for each in [*reversed(idle), *reversed(running)][: max(len(staying) - size, 0)]:
            each.action = "DELETING"

    def delete(self, machines: Sequence[Managed]) -> None:
        """Deletes these machines and makes the group smaller by their number."""
        for each in machines:
            each.action = "DELETING"
        self.size -= len(machines)

    def tick(self) -> None:
        """Moves every machine to its next state."""
        for machine in list(self.machines):
            self._move(machine)

    def _move(self, machine: Managed) -> None:
        instance = machine.instance
        if machine.action == "DELETING":
            if instance and instance["status"] != "STOPPING":
                instance["status"] = "STOPPING"
                return
            self._drop(machine)
            self.machines.remove(machine)
        elif instance is None:
            self._create(machine)
        elif instance["status"] == "STAGING":
            instance["status"], machine.action = "RUNNING", "VERIFYING"
        elif instance["status"] == "STOPPING":  # it was preempted, or it shut itself down
            self._drop(machine)
            machine.action = "RECREATING"
        else:
            machine.action = "NONE"

    def _create(self, machine: Managed) -> None:
        if time.monotonic() < machine.retry_at:
            return
        template = self._compute.template(self._template)
        code, message = "", ""
        if self._faults.take("no-capacity", group=self.name):
            code = "ZONE_RESOURCE_POOL_EXHAUSTED"
            message = (
                f"The zone 'projects/{PROJECT}/zones/{machine.zone}' does not have enough resources available to "
                "fulfill the request.  Try a different zone, or try again later."
            )
        else:
            code, message = self._compute.refusal(template, machine.zone)
        if not code:
            machine.instance, machine.errors = self._compute.start(machine.name, machine.zone, template), []
            return
        machine.retry_at = time.monotonic() + REFILL_S
        machine.errors = [{"code": code, "message": message}]
        details = {"instance": machine.link, "action": machine.action, "version": {}}
        self.errors.insert(0, {"error": machine.errors[0], "instanceActionDetails": details, "timestamp": now()})
        del self.errors[100:]

    def _drop(self, machine: Managed) -> None:
        if machine.instance:
            self._compute.remove(machine.instance)
            machine.instance = None

    def _fresh_name(self) -> str:
        taken = {each.name for each in self.machines}
        while True:
            name = f"{self._base}-{''.join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(4))}"
            if name not in taken:
                return name

    def _next_zone(self) -> str:
        """Returns the zone of the next machine: the sparsest one, or of a group in one zone that of the others.

        Only shapes with ANY pass over a zone in which a machine cannot start.
        """
        used = [each.zone for each in self.machines if each.action != "DELETING"]
        zones = self._zones
        if self._shape.startswith("ANY"):
            template = self._compute.template(self._template)
            zones = [zone for zone in zones if not self._compute.refusal(template, zone)[0]] or zones
        if self._shape == "ANY_SINGLE_ZONE":
            return next((zone for zone in used if zone in zones), zones[0])
        return min(zones, key=used.count)


class Groups:
    """All groups; answers requests about them."""

    def __init__(self, compute: Compute, faults: Faults) -> None:
        self._compute, self._faults = compute, faults
        self.all: dict[str, Group] = {}

    def methods(self) -> Iterator[Method]:
        def of(action: str, verb: str, url: str, answer: Any) -> Method:
            return Method("compute", f"RegionInstanceGroupManagers.{action}", verb, _URL + url, answer)

        yield of("Insert", "POST", "", self._insert)
        yield of("List", "GET", "", self._list)
        yield of("Get", "GET", "/<name>", lambda call: self._group(call).document())
        yield of("Resize", "POST", "/<name>/resize", self.resize)
        yield of("ListManagedInstances", "POST", "/<name>/listManagedInstances", self._machines)
        yield of("DeleteInstances", "POST", "/<name>/deleteInstances", self._delete)
        yield of("ListErrors", "GET", "/<name>/listErrors", lambda call: listed(self._group(call).errors, call))

    def tick(self) -> None:
        """Moves every machine to its next state."""
        for group in self.all.values():
            group.tick()

    def _group(self, call: Call) -> Group:
        check_place(call)
        name, region = call["name"], call["region"]
        if name not in self.all:
            missing(f"projects/{PROJECT}/regions/{region}/instanceGroupManagers/{name}")
        return self.all[name]

    def _insert(self, call: Call) -> Document:
        check_place(call)
        name = call.body["name"]
        if name in self.all:
            path = f"projects/{PROJECT}/regions/{call['region']}/instanceGroupManagers/{name}"
            raise Refusal(409, f"The resource '{path}' already exists")
        self.all[name] = Group(self._compute, self._faults, call.body, call["region"])
        return self._compute.operation(call, "insert", self.all[name].link)

    def _list(self, call: Call) -> Document:
        check_place(call)
        return listed([group.document() for group in self.all.values()], call)

    def resize(self, call: Call) -> Document:
        """Sets the size of a group to the parameter `size`."""
        group, text = self._group(call), call.query.get("size", "")
        if not re.fullmatch(r"-?\d+", text):
            raise Refusal(400, "Required field 'size' not specified", "required")
        if not 0 <= int(text) <= MAX_SIZE:
            raise Refusal(400, f"Invalid value for field 'size': '{text}'. Must be between 0 and {MAX_SIZE}.")
        kind = f"compute.instanceGroupManagers.resize to {text}"
        if before := self._compute.repeated(call, kind, group.link):
            return before
        group.resize(int(text))
        return self._compute.operation(call, kind, group.link)

    def _machines(self, call: Call) -> Document:
        answer = listed([machine.document() for machine in self._group(call).machines], call)
        return {"managedInstances" if name == "items" else name: value for name, value in answer.items()}

    def _delete(self, call: Call) -> Document:
        group, links = self._group(call), call.body.get("instances", [])
        members = {(each.zone, each.name): each for each in group.machines if each.action != "DELETING"}
        deleted = []
        for place, link in enumerate(links):
            found = _INSTANCE.fullmatch(link)
            if not found:
                raise Refusal(400, f"Invalid value for field 'instances[{place}]': '{link}'. The URL is malformed.")
            if (member := members.get((found[1], found[2]))) is not None:
                deleted.append(member)
            elif not call.body.get("skipInstancesOnValidationError"):
                raise Refusal(
                    400, f"Invalid value for field 'instances[{place}]': '{link}'. "
                    f"The instance is not a member of the group {group.name}.",
                )  # fmt: skip
        kind = "compute.instanceGroupManagers.deleteInstances"
        if before := self._compute.repeated(call, kind, group.link):
            return before
        group.delete(deleted)
        return self._compute.operation(call, kind, group.link)
