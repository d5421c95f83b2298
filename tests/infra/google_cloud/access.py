"""Who may do what: grants on the project and on buckets, with their roles and conditions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

State = dict[str, Any]
Resources = Mapping[str, Mapping[str, State]]

_BUCKET = "storage.buckets.get"
_READS = {"storage.objects.get", "storage.objects.list"}
_WRITES = {"storage.objects.create", "storage.objects.delete", "storage.objects.update"}
NODE = {"dataproc.agents.create", "dataproc.tasks.lease", "dataproc.tasks.reportStatus"}
"""Some of the permissions without which a Dataproc node cannot register and take jobs."""

ROLES = {
    "roles/dataproc.worker": _READS | _WRITES | NODE | {_BUCKET},
    "roles/storage.legacyBucketReader": {"storage.objects.list", _BUCKET},
    "roles/storage.legacyObjectReader": {"storage.objects.get"},
    "roles/storage.objectAdmin": _READS | _WRITES,
    "roles/storage.objectCreator": {"storage.objects.create"},
    "roles/storage.objectUser": _READS | _WRITES,
    "roles/storage.objectViewer": _READS,
}
"""The permissions of roles, as far as rules of the fake cloud ask for them."""

_NAME = re.compile(r'resource\.name\.startsWith\("([^"]*)"\)')
_TYPE = re.compile(r'resource\.type\s*(==|!=)\s*"([^"]*)"')


def grants(resources: Resources, member: str) -> Iterator[tuple[str, State]]:
    """All grants on the project and on buckets to a member, as (type, grant)."""
    for kind in ("google_project_iam_member", "google_storage_bucket_iam_member"):
        yield from ((kind, grant) for grant in resources.get(kind, {}).values() if grant["member"] == member)


def may(resources: Resources, member: str, permission: str, bucket: str = "", name: str = "") -> bool:
    """True if a grant gives the permission on an object of a bucket, or on the project if there is no bucket.

    Args:
        resources: All resources by type and id.
        member: Such as "serviceAccount:…".
        permission: Such as "storage.objects.get".
        bucket: Name of the bucket; empty for the project.
        name: Name of the object.
    """
    full = f"projects/_/buckets/{bucket}" + (f"/objects/{name}" if name else "")
    return any(
        permission in permissions(resources, grant["role"]) and _holds(grant, full)
        for kind, grant in grants(resources, member)
        if kind == "google_project_iam_member" or grant["bucket"] == bucket
    )


def permissions(resources: Resources, role: str) -> set[str]:
    """The permissions of a role, predefined or custom."""
    custom = resources.get("google_project_iam_custom_role", {}).get(role)
    return set(custom["permissions"]) if custom else ROLES.get(role, set())


def _holds(grant: State, full: str) -> bool:
    """True if the grant's condition holds for a resource of Cloud Storage with this name."""
    if not grant.get("condition"):
        return True
    expression = grant["condition"][0]["expression"]
    kind = "storage.googleapis.com/" + ("Object" if "/objects/" in full else "Bucket")
    text = _NAME.sub(lambda found: str(full.startswith(found[1])), expression)
    text = _TYPE.sub(lambda found: str((found[2] == kind) == (found[1] == "==")), text)
    text = text.replace("||", " or ").replace("&&", " and ").replace("!", " not ")
    if not re.fullmatch(r"(?:True|False|or|and|not|[\s()])+", text):
        return "compute.googleapis.com" not in expression  # of machines, which no rule asks about
    return bool(eval(text))
