"""The EMR cluster of a target: which one it is now, and another one after it has ended.

An id of EMR belongs to one cluster for ever. Terraform writes the id of its cluster into the target document; a cluster
that a run has started since has the target's name and its tag `cloudlstm`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cloudlstm.errors import TargetError, TargetUnavailableError
from cloudlstm.targets.aws.client import AwsApi
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.services import ClusterStage, ClusterStatus

_WORKING = ("STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING")
"""States in which a cluster takes steps, which wait until it has started."""


class EmrClusters:
    """The clusters that a target has had.

    Args:
        target: The target document.
        emr: The client of EMR.
    """

    def __init__(self, target: TargetConfig, emr: AwsApi) -> None:
        self._target, self._emr = target, emr
        self._id: str | None = None
        self._looked = False

    def current(self) -> str | None:
        """Returns the id of the cluster that the last `look` found, at first after one; None if EMR knows none."""
        if not self._looked:
            self.look()
        return self._id

    def look(self) -> ClusterStatus:
        """Finds the target's cluster; returns its state."""
        found: Mapping[str, Any] = {}
        failure: TargetError | None = None
        try:
            found = self._described(self._id or self._target.spark_cluster)
        except TargetUnavailableError:
            raise
        except TargetError as error:  # EMR forgets a cluster two months after its end
            failure = error
        if not found or found["Status"]["State"] not in _WORKING:
            # The oldest one: then several that were started at once are not all used, and the others end as idle ones.
            found = min(self._started(), key=_began, default=found)
        if failure is not None and not found and self._target.spark_definition is None:
            failure.hint = failure.hint or "terraform apply: the target names a cluster that is not there"
            raise failure
        self._looked, self._id = True, found.get("Id")
        if not found:
            return ClusterStatus(self._target.spark_cluster, "gone", "", "", ClusterStage.ENDED, _REMEDY)
        state, reason = found["Status"]["State"], (found["Status"].get("StateChangeReason") or {}).get("Message", "")
        stage = ClusterStage.READY if state in _WORKING else ClusterStage.ENDED
        return ClusterStatus(found["Id"], state, reason, found.get("ReleaseLabel", ""), stage, _REMEDY)

    def _described(self, cluster: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._emr.call("DescribeCluster", ClusterId=cluster)["Cluster"]
        return found

    def _started(self) -> Iterator[Mapping[str, Any]]:
        """Yields the target's clusters that take steps."""
        more: dict[str, Any] = {"ClusterStates": list(_WORKING)}
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
        """Requests another cluster, unless there is one that takes steps."""
        if self.look().stage is ClusterStage.ENDED:
            self._id = str(self._emr.call("RunJobFlow", **self._target.spark_definition or {})["JobFlowId"])


_REMEDY = "terraform apply starts another one: an idle cluster ends by itself"


def _began(cluster: Mapping[str, Any]) -> Any:
    return cluster["Status"]["Timeline"]["CreationDateTime"]
