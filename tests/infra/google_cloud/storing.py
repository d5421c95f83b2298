"""Cloud Storage: objects with their versions, and what it refuses."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from infra.google_cloud.kinds import first
from infra.google_cloud.provider import Refused

if TYPE_CHECKING:
    from infra.google_cloud.world import World

State = dict[str, Any]


class Buckets:
    """The objects of all buckets.

    Attributes:
        versions: All versions of all objects of each bucket: name, content, generation, and whether it is current.
    """

    def __init__(self) -> None:
        self.versions: dict[str, list[State]] = {}
        self._generations = itertools.count(1)

    def put(self, bucket: State, written: State) -> None:
        """Writes an object; in a versioned bucket the earlier one stays as a noncurrent version."""
        self.remove(bucket, written["name"])
        version = {"name": written["name"], "content": written.get("content"), "generation": next(self._generations)}
        self.versions.setdefault(bucket["name"], []).append(version | {"current": True})

    def remove(self, bucket: State | None, name: str) -> None:
        """Deletes the current version, as the provider does without a generation: a versioned bucket keeps it."""
        if bucket is None:
            return
        for version in list(self.versions.get(bucket["name"], [])):
            if version["name"] == name and version["current"]:
                if first(bucket, "versioning").get("enabled"):
                    version["current"] = False
                else:
                    self.versions[bucket["name"]].remove(version)

    def drop(self, bucket: State) -> None:
        """Deletes a bucket as the provider does, which looks for versions of every kind.

        Raises:
            Refused: if it has any and force_destroy is off.
        """
        if self.versions.get(bucket["name"]) and not bucket.get("force_destroy"):
            raise Refused(
                f"Error trying to delete bucket {bucket['name']} containing objects without `force_destroy` set to true"
            )
        self.versions.pop(bucket["name"], None)


def check(world: World, kind: str, state: State) -> None:
    """Raises Refused if Cloud Storage refuses the resource."""
    buckets = world.resources["google_storage_bucket"]
    if kind == "google_storage_bucket_object" and state["bucket"] not in buckets:
        raise Refused("googleapi: Error 404: The specified bucket does not exist., notFound")
    if kind == "google_storage_bucket":
        if "google" in state["name"] or state["name"].startswith("goog") or not 3 <= len(state["name"]) <= 63:
            raise Refused(f"googleapi: Error 400: Invalid bucket name: '{state['name']}', invalid")
        if state.get("uniform_bucket_level_access") is not True and any(
            grant["bucket"] == state["name"] and grant.get("condition")
            for grant in world.found("google_storage_bucket_iam_member")
        ):
            raise Refused(_NEEDS_UNIFORM)
    if (
        kind == "google_storage_bucket_iam_member"
        and state.get("condition")
        and buckets[state["bucket"]].get("uniform_bucket_level_access") is not True
    ):
        raise Refused(_NEEDS_UNIFORM)


_NEEDS_UNIFORM = (
    "googleapi: Error 412: An IAM policy with conditions can be set only on a bucket with uniform bucket-level access "
    "enabled., conditionNotMet"
)
