"""The EMR cluster of a target: which one it is now, and another one after it has ended.

An id of EMR belongs to one cluster for ever. Terraform writes the id of its cluster into the target document. A cluster
that a run has started since has the target's name and its tag `cloudlstm`. There can be several: by an apply after a
run has started one, or by two runs that began at once. Those without work end themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cloudlstm.errors import TargetError, TargetUnavailableError
from cloudlstm.targets.aws.client import AwsApi
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.services import ClusterStage, ClusterStatus

Description = Mapping[str, Any]
"""A cluster as DescribeCluster gives it."""

_STAGES = {
    "STARTING": ClusterStage.CHANGING,
    "BOOTSTRAPPING": ClusterStage.CHANGING,
    "RUNNING": ClusterStage.READY,
    "WAITING": ClusterStage.READY,
}
"""States of a cluster that lives; all others are those of an end."""

_REMEDY = "terraform apply starts another one: an idle cluster ends by itself"


class EmrClusters:
    """The clusters of a target.

    Args:
        target: The target document.
        emr: The client of EMR.
    """

    def __init__(self, target: TargetConfig, emr: AwsApi) -> None:
        self._target, self._emr = target, emr
        self._id: str | None = None
        self._looked = False
        self._started = ""  # the cluster that this process has started

    def current(self) -> str | None:
        """Returns the id of the cluster that the last `look` found, at first after one; None if EMR knows none."""
        if not self._looked:
            self.look()
        return self._id

    def ids(self) -> list[str]:
        """Returns the id of the current cluster, and those of all others that live."""
        current = self.current()
        return list(dict.fromkeys([*filter(None, [current]), *(each["Id"] for each in self._living())]))

    def look(self) -> ClusterStatus:
        """Finds the cluster for jobs, which is one that lives, if there is one; returns its state."""
        found, refusal = self._known()
        if found is None or found["Status"]["State"] not in _STAGES:
            # The oldest one, so that all runs agree.
            found = min(self._living(), key=_began, default=found)
        if found is None and refusal is not None and self._target.spark_definition is None:
            refusal.hint = refusal.hint or "terraform apply: the target names a cluster that is not there"
            raise refusal
        self._looked = True
        if found is None:
            self._id, why = None, refusal.message if refusal else ""
            return ClusterStatus(self._target.spark_cluster, "gone", why, "", ClusterStage.ENDED, _REMEDY)
        self._id = str(found["Id"])
        state, reason = found["Status"]["State"], (found["Status"].get("StateChangeReason") or {}).get("Message", "")
        stage = _STAGES.get(state, ClusterStage.ENDED)
        return ClusterStatus(self._id, state, reason, found.get("ReleaseLabel", ""), stage, _REMEDY)

    def _known(self) -> tuple[Description | None, TargetError | None]:
        """Returns the cluster of the last look, at first that of Terraform; or why it cannot be described.

        EMR forgets a cluster two months after its end, and refuses then to describe it, also for lack of rights: those
        are for clusters with a tag.
        """
        name = self._id or self._target.spark_cluster
        try:
            return self._described(name), None
        except TargetUnavailableError:
            raise
        except TargetError as error:
            if name == self._started:
                raise
            return None, error

    def _described(self, cluster: str) -> Description:
        found: Description = self._emr.call("DescribeCluster", ClusterId=cluster)["Cluster"]
        return found

    def _living(self) -> Iterator[Description]:
        """Yields the clusters with the target's name and tag that have not ended."""
        more: dict[str, Any] = {"ClusterStates": list(_STAGES)}
        while more:
            page = self._emr.call("ListClusters", **more)
            for each in page.get("Clusters", ()):
                if each["Name"] == self._target.name:
                    try:
                        found = self._described(each["Id"])
                    except TargetUnavailableError:
                        raise
                    except TargetError:  # somebody else's: the rights are for clusters with the tag
                        continue
                    if {"Key": "cloudlstm", "Value": self._target.name} in found.get("Tags", ()):
                        yield found
            more = more | {"Marker": page["Marker"]} if page.get("Marker") else {}

    def start(self) -> None:
        """Requests another cluster, unless one lives."""
        if self.look().stage is ClusterStage.ENDED:
            answer = self._emr.call("RunJobFlow", **self._target.spark_definition or {})
            self._id = self._started = str(answer["JobFlowId"])


def _began(cluster: Description) -> Any:
    return cluster["Status"]["Timeline"]["CreationDateTime"]
