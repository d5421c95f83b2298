"""Targets with a Spark cluster of their own on an emulated cloud, and the end of such a cluster."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from localstack.cloud import Cloud

from cloudlstm.targets.document import TargetConfig, parse

_WORKING = ["STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING"]


@contextmanager
def own_target(cloud: Cloud, name: str, **options: Any) -> Iterator[dict[str, Any]]:
    """Makes a target, for `Cloud.make_target`; its cluster ends with the block, because a cloud has quotas."""
    document = cloud.make_target(name, **options)
    try:
        yield document
    finally:
        end_cluster(parse(document, f"the target {name}"))


def end_cluster(target: TargetConfig) -> None:
    """Ends the cluster that takes jobs now, as an idle one ends itself; does nothing if there is none."""
    if target.cloud == "aws":
        import boto3

        emr = boto3.session.Session(region_name=target.region).client("emr")
        listed = emr.list_clusters(ClusterStates=_WORKING)["Clusters"]
        if ours := [each["Id"] for each in listed if each["Name"] == target.name]:
            emr.terminate_job_flows(JobFlowIds=ours)
        return
    place = f"projects/{target.account}/regions/{target.region}/clusters/{target.spark_cluster}"
    request = urllib.request.Request(f"{target.endpoints['dataproc']}/v1/{place}", method="DELETE")
    try:
        urllib.request.urlopen(request, timeout=30).close()
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
