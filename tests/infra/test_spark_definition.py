"""The definition in the target document makes the Spark cluster that Terraform makes, on the emulated AWS.

test_google_apply.py asks the same of Google Cloud.
"""

from __future__ import annotations

from typing import Any

from cloudlstm.targets.document import load
from infra.conftest import Client
from infra.terraform_runner import Terraform


def test_the_definition_makes_the_cluster_that_terraform_makes(applied: Terraform, client: Client) -> None:
    emr, target = client("emr"), load(str(applied.folder))
    assert target.spark_definition is not None
    again = emr.run_job_flow(**target.spark_definition)["JobFlowId"]
    try:
        made, wanted = description(emr, again), description(emr, target.spark_cluster)
        state = emr.describe_cluster(ClusterId=again)["Cluster"]["Status"]["State"]
    finally:
        emr.terminate_job_flows(JobFlowIds=[again])
    assert made == wanted
    assert made["groups"].keys() == {"MASTER", "CORE", "TASK"}
    assert (again != target.spark_cluster, state) == (True, "WAITING")


_OF_ONE_CLUSTER = {
    "Id",
    "ClusterArn",
    "MasterPublicDnsName",
    "NormalizedInstanceHours",
    "RunningInstanceCount",
    "Status",
}
_ALWAYS_TRUE = {"VisibleToAllUsers"}
"""On AWS it is true whatever a request says. Terraform sends it; the emulator believes a request."""


def description(emr: Any, cluster_id: str) -> dict[str, Any]:
    """What a cluster is made of, without its ids, states and times, and without empty values, which Terraform sends."""
    cluster = _plain(emr.describe_cluster(ClusterId=cluster_id)["Cluster"])
    groups = {
        group["InstanceGroupType"]: _plain(group)
        for group in emr.list_instance_groups(ClusterId=cluster_id)["InstanceGroups"]
    }
    for kind in ("MASTER", "CORE"):
        groups[kind].pop("Name", None)  # where the request has no name the emulator makes one up
    return {
        "cluster": {name: each for name, each in cluster.items() if name != "Tags"},
        "tags": {tag["Key"]: tag["Value"] for tag in cluster["Tags"]},
        "groups": groups,
        "bootstrap": emr.list_bootstrap_actions(ClusterId=cluster_id)["BootstrapActions"],
        "idle": emr.get_auto_termination_policy(ClusterId=cluster_id)["AutoTerminationPolicy"],
        "scaling": emr.get_managed_scaling_policy(ClusterId=cluster_id)["ManagedScalingPolicy"],
    }


def _plain(value: Any) -> Any:
    """A value without those parts that belong to one cluster, and without empty ones."""
    if isinstance(value, dict):
        parts = {name: _plain(each) for name, each in value.items() if name not in _OF_ONE_CLUSTER | _ALWAYS_TRUE}
        return {name: each for name, each in parts.items() if each not in ("", [], {})}
    return [_plain(each) for each in value if each != ""] if isinstance(value, list) else value
