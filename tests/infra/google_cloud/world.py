"""The fake cloud: its resources, its clock, and the rules that refuse what Google refuses.

A rule speaks as early as it can: Compute Engine takes a template whose disk is too small, and says so when a machine
starts; here the template is refused, so that an apply finds it.
"""

from __future__ import annotations

import itertools
import threading
from typing import Any

from localstack.gcp import quotas

from infra.google_cloud import access, computing, dataproc, storing
from infra.google_cloud.kinds import KINDS, LINK, means, references
from infra.google_cloud.provider import Refused

State = dict[str, Any]

NUMBER = "123456789012"


_NAMED_BY_PATH = (
    "google_project_iam_custom_role", "google_dataproc_autoscaling_policy", "google_monitoring_notification_channel",
    "google_iam_workload_identity_pool", "google_iam_workload_identity_pool_provider", "google_monitoring_alert_policy",
)  # fmt: skip
"""Types whose attribute `name` is their path."""


class World:
    """A project of Google Cloud. Its methods besides those of a provider are for tests.

    Attributes:
        resources: All resources by type and id.
        born: The time at which each was made, by type and id.
        clock: Seconds since the beginning; only waiting and tests move it.
        limits: The quotas; those of a new project.
        propagation_s: Seconds until a grant is in force: what Google calls typical.
        lacking: Zones without a machine type or accelerator, as "ZONE/TYPE"; a family of types ends in "-".
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.settings: State = {}
        self.reset()

    def reset(self) -> None:
        """Begins with an empty project."""
        self.resources: dict[str, dict[str, State]] = {kind: {} for kind in KINDS}
        self.born: dict[tuple[str, str], float] = {}
        self.clock = 0.0
        self.limits = quotas.REGION | quotas.PROJECT | quotas.FRESH
        self.propagation_s = 120.0
        self.lacking = {"us-central1-f/g2-", "us-central1-f/nvidia-l4", "us-east1-b/a2-"}
        self.buckets = storing.Buckets()
        self._numbers = itertools.count(1)

    # For the provider --------------------------------------------------------------------------------------------

    def configure(self, settings: State) -> None:
        self.settings = settings

    def changeable(self, kind: str) -> frozenset[str]:
        return KINDS[kind].changeable

    def changing(self, kind: str) -> frozenset[str]:
        return KINDS[kind].changing

    def create(self, kind: str, wanted: State) -> State:
        with self._lock:
            if kind == "google_compute_instance_template" and not wanted.get("name"):
                wanted = wanted | {"name": f"{wanted['name_prefix']}{next(self._numbers):026d}"}
            state = self._identified(kind, wanted)
            if state["id"] in self.resources[kind]:
                raise Refused(_taken(kind, state))
            for target, reference in references(kind, state):
                self._found(target, reference)
            self._check(kind, state)
            if kind == "google_dataproc_cluster":
                dataproc.check(self, state)
            trouble = dataproc.trouble(self, state) if kind == "google_dataproc_cluster" else ""
            self._keep(kind, state)
            if trouble:
                raise Refused(trouble, state)
            return state

    def update(self, kind: str, before: State, wanted: State) -> State:
        with self._lock:
            kept = {name: each for name, each in before.items() if name not in KINDS[kind].changing}
            state = self._identified(kind, kept | wanted)
            for target, reference in references(kind, state):
                self._found(target, reference)
            self._check(kind, state)
            self.resources[kind][state["id"]] = state
            if kind == "google_storage_bucket_object":
                self.buckets.put(self.resources["google_storage_bucket"][state["bucket"]], state)
            return state

    def delete(self, kind: str, before: State) -> None:
        with self._lock:
            state = self.resources[kind].get(before["id"])
            if state is None:
                return
            for user, each in self._all():
                if any(target == kind and means(reference, state) for target, reference in references(user, each)):
                    path = state.get("self_link") or state["id"]
                    raise Refused(
                        f"googleapi: Error 400: The resource '{path.removeprefix(LINK)}' is already being used by "
                        f"'{each['id']}', resourceInUseByAnotherResource"
                    )
            if kind == "google_storage_bucket":
                self.buckets.drop(state)
            if kind == "google_storage_bucket_object":
                self.buckets.remove(self.resources["google_storage_bucket"].get(state["bucket"]), state["name"])
            del self.resources[kind][state["id"]]

    def read(self, kind: str, before: State) -> State | None:
        with self._lock:
            return self.resources[kind].get(before["id"])

    def look_up(self, kind: str, wanted: State) -> State:
        with self._lock:
            place = {"id": str(next(self._numbers))}
            if kind == "google_compute_zones":
                region = wanted.get("region") or self.settings["region"]
                if region not in computing.ZONES:
                    raise Refused(f"googleapi: Error 404: The resource '{region}' was not found, notFound")
                return {"id": region, "names": [f"{region}-{letter}" for letter in computing.ZONES[region]]}
            if kind == "google_project":
                return {"id": f"projects/{wanted['project_id']}", "number": NUMBER}
            if kind == "google_compute_machine_types":
                return place | computing.types_in(self, wanted)
            if kind == "google_compute_image":
                return place | {"disk_size_gb": quotas.image_gib(wanted.get("family") or wanted["name"])}
            if kind == "google_storage_buckets":
                begin = wanted.get("prefix") or ""
                names = sorted(name for name in self.resources["google_storage_bucket"] if name.startswith(begin))
                return place | {"buckets": [{"name": name} for name in names]}
            return self._found(kind, wanted.get("name") or wanted.get("account_id") or wanted["id"])

    def find(self, kind: str, name: str) -> State:
        with self._lock:
            return self._found(kind, name.rpartition("/")[2] if kind == "google_storage_bucket" else name)

    # For rules ---------------------------------------------------------------------------------------------------

    def may(self, account: str, permission: str, bucket: str = "", name: str = "") -> bool:
        """True if a service account has the permission on an object, or on the project."""
        return access.may(self.resources, f"serviceAccount:{account}", permission, bucket, name)

    def age(self, kind: str, state: State) -> float:
        """Seconds since a resource was made."""
        return self.clock - self.born[kind, state["id"]]

    def has(self, zone: str, kind: str) -> bool:
        """True if a zone has this machine type or accelerator."""
        lacking = [each.partition("/")[2] for each in self.lacking if each.partition("/")[0] == zone]
        return not any(kind == each or (each.endswith("-") and kind.startswith(each)) for each in lacking)

    def machines(self) -> list[quotas.Machine]:
        """All machines of the project."""
        found = dataproc.machines(self.resources["google_dataproc_cluster"].values())
        for group in self.resources["google_compute_region_instance_group_manager"].values():
            template = self._found("google_compute_instance_template", group["version"][0]["instance_template"])
            found += [computing.machine(template)] * int(group.get("target_size") or 0)
        return found

    # For tests ---------------------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Moves the clock."""
        with self._lock:
            self.clock += seconds

    def set(self, name: str, value: Any) -> None:
        """Sets one of the attributes above; `limits` is merged into those that there are."""
        setattr(self, name, self.limits | value if name == "limits" else set(value) if name == "lacking" else value)

    def found(self, kind: str) -> list[State]:
        """All resources of a type."""
        return list(self.resources[kind].values())

    def remains(self) -> dict[str, list[str]]:
        """The ids of all resources by type; types without a resource are left out."""
        return {kind: sorted(each) for kind, each in self.resources.items() if each}

    def versions(self, bucket: str) -> list[State]:
        """All objects of a bucket, with those that are no longer current."""
        return self.buckets.versions.get(bucket, [])

    def put(self, bucket: str, name: str) -> None:
        """Writes an object as a run does."""
        with self._lock:
            self.buckets.put(self.resources["google_storage_bucket"][bucket], {"name": name, "content": "{}"})

    def give(self, kind: str, state: State) -> State:
        """Makes a resource outside Terraform."""
        return self.create(kind, state)

    def lose(self, kind: str) -> None:
        """Removes all resources of a type outside Terraform, as an idle cluster removes itself."""
        with self._lock:
            self.resources[kind].clear()

    def resize(self, size: int) -> str:
        """Sets the size of the one group; returns why its last machine cannot start, or nothing."""
        (group,) = self.found("google_compute_region_instance_group_manager")
        group["target_size"] = size
        used = quotas.usage(self.machines(), self.limits)
        over = [metric for metric, count in used.items() if count > self.limits[metric]]
        return ", ".join(f"Quota '{metric}' exceeded. Limit: {self.limits[metric]}.0" for metric in over)

    # -------------------------------------------------------------------------------------------------------------

    def _all(self) -> list[tuple[str, State]]:
        return [(kind, state) for kind, each in self.resources.items() for state in each.values()]

    def _found(self, kind: str, reference: str) -> State:
        for state in self.resources.get(kind, {}).values():
            if means(reference, state):
                return state
        raise Refused(f"googleapi: Error 404: The resource '{reference.removeprefix(LINK)}' was not found, notFound")

    def _keep(self, kind: str, state: State) -> None:
        self.resources[kind][state["id"]] = state
        self.born[kind, state["id"]] = self.clock
        if kind == "google_storage_bucket_object":
            self.buckets.put(self.resources["google_storage_bucket"][state["bucket"]], state)

    def _check(self, kind: str, state: State) -> None:
        """Raises Refused if the cloud refuses the resource as it would be."""
        for check in (storing.check, computing.check):
            check(self, kind, state)
        member = state.get("member") if kind.endswith("_iam_member") else None
        if member and member.startswith("serviceAccount:") and ".iam.gserviceaccount.com" in member:
            email = member.removeprefix("serviceAccount:")
            if not any(each["email"] == email for each in self.found("google_service_account")):
                raise Refused(f"googleapi: Error 400: Service account {email} does not exist., badRequest")
        role = state.get("role") or ""
        if role.startswith("projects/") and role not in self.resources["google_project_iam_custom_role"]:
            raise Refused(
                f"googleapi: Error 400: Role ({role}) does not exist in the resource's hierarchy., badRequest"
            )

    def _identified(self, kind: str, wanted: State) -> State:
        """A resource with its id and the attributes that the cloud fills in."""
        plain = {name: each for name, each in wanted.items() if each is not None}
        project = plain.get("project") or self.settings.get("project")
        state = {"region": self.settings.get("region"), **plain, "project": project}
        path = KINDS[kind].path.format_map(state)
        if plain.get("condition"):
            path += f"/{plain['condition'][0]['title']}"
        number = next(self._numbers)
        filled: State = {
            "id": path,
            "project": project,
            "region": state["region"],
            "self_link": f"{LINK}{path}",
            "self_link_unique": f"{LINK}{path}?uniqueId={number}",
            "generation": number,
            "etag": f"etag-{number}",
            "fingerprint": f"fingerprint-{number}",
        }
        if kind == "google_service_account":
            email = path.rpartition("/")[2]
            filled |= {"email": email, "member": f"serviceAccount:{email}", "name": path, "unique_id": str(number)}
        elif kind == "google_storage_bucket":
            filled |= {"self_link": f"https://www.googleapis.com/storage/v1/b/{path}", "url": f"gs://{path}"}
        elif kind in _NAMED_BY_PATH:
            filled |= {"name": path.replace(f"/locations/{state['region']}/", f"/regions/{state['region']}/")}
            filled |= {"deleted": False}
        elif kind == "google_storage_bucket_object":
            filled |= {"output_name": state["name"], "md5hash": f"md5-{number}"}
        return wanted | {name: each for name, each in filled.items() if wanted.get(name) is None}


def _taken(kind: str, state: State) -> str:
    if kind == "google_storage_bucket":
        return (
            "googleapi: Error 409: Your previous request to create the named bucket succeeded and you already own it."
        )
    if kind == "google_dataproc_cluster":
        return f"googleapi: Error 409: Already exists: Failed to create cluster: Cluster {state['id']}, alreadyExists"
    return f"googleapi: Error 409: The resource '{state['id']}' already exists, alreadyExists"
