"""The end of a target's Spark cluster on an emulated cloud, as an idle one ends itself."""

from __future__ import annotations

import urllib.request

from cloudlstm.targets.document import TargetConfig


def end_cluster(target: TargetConfig) -> None:
    """Ends the cluster that takes jobs now."""
    if target.cloud == "aws":
        import boto3

        emr = boto3.session.Session(region_name=target.region).client("emr")
        listed = emr.list_clusters(ClusterStates=["STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING"])["Clusters"]
        emr.terminate_job_flows(JobFlowIds=[each["Id"] for each in listed if each["Name"] == target.name])
    else:
        place = f"projects/{target.account}/regions/{target.region}/clusters/{target.spark_cluster}"
        request = urllib.request.Request(f"{target.endpoints['dataproc']}/v1/{place}", method="DELETE")
        urllib.request.urlopen(request, timeout=30).close()
