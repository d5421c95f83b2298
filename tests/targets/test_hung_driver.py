"""A driver that hangs on a cluster ends itself at its limit, so that the cluster is idle and can end, too."""

from __future__ import annotations

from typing import Any

from on_emulators import until
from pipeline.cli_runner import error_line
from targets.aws_target import AWSTarget
from targets.fake_clouds import Target, on_one_cloud


@on_one_cloud
def test_a_hung_driver_ends_at_its_limit_and_its_cluster_is_idle(target: Target, faults: Any) -> None:
    assert isinstance(target, AWSTarget)
    faults.fault("executors-hang")
    done = target.submit("--run=hung", "spark.max_hours=0.006")
    assert done.returncode == 1
    assert "the job prepare was ended after its 0.006 hours" in error_line(done)
    (step,) = target.steps(f"{target.bucket}/runs/hung")
    assert step.state == "failed"
    cluster = target.document["spark_cluster"]
    said = (target.cloud.folder / "aws" / "clusters" / cluster / step.id / "driver" / "stdout").read_text()
    assert "most recent call first" in said, "the stacks of its threads"
    assert "in collect" in said or "in _start" in said, "it was at work on Spark"
    emr = target.client("emr")
    until(lambda: emr.describe_cluster(ClusterId=cluster)["Cluster"]["Status"]["State"] == "WAITING", "an idle cluster")
