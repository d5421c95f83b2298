"""The Spark cluster of a target: which one takes jobs, and another one after it has ended itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import pytest
from localstack.cloud import Cloud

from cloudlstm.errors import TargetError
from cloudlstm.targets import clusters, preflight
from cloudlstm.targets.aws.spark import EmrSpark
from cloudlstm.targets.cloud import CloudTarget, open_cloud
from cloudlstm.targets.clusters import wait_until_ready
from cloudlstm.targets.document import TargetConfig, parse
from cloudlstm.targets.gcp.spark import DataprocSpark
from cloudlstm.targets.polling import Intervals
from cloudlstm.targets.services import ClusterStage, ClusterStatus
from emulator_fixtures import environment_of
from spark_clusters import end_cluster, own_target
from targets.foreign_server import ForeignServer
from targets.test_requests import AWS, GCP

QUICK = Intervals(first_pause_s=0.0, longest_pause_s=0.0, first_poll_s=0.0, longest_poll_s=0.0)
DEFINED = TargetConfig.model_validate(AWS | {"spark_definition": {"Name": "desk"}})
READY, CHANGING, ENDED, BROKEN = ClusterStage.READY, ClusterStage.CHANGING, ClusterStage.ENDED, ClusterStage.BROKEN


class Stages:
    """A Spark service whose cluster has these stages in turn. ENDED lasts until `start`, the last one for ever."""

    def __init__(self, *stages: ClusterStage) -> None:
        self._stages, self.starts = list(stages), 0

    def cluster(self) -> ClusterStatus:
        seen = self._stages[0]
        if seen is not ENDED and len(self._stages) > 1:
            self._stages.pop(0)
        return ClusterStatus("c", seen.name, "a reason", "1", seen, "do something")

    def start(self) -> None:
        self.starts += 1
        self._stages.pop(0)


def waited(service: Stages, target: TargetConfig = DEFINED) -> list[str]:
    return list(wait_until_ready(service, target, QUICK))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("stages", "starts", "told"),
    [
        ([READY], 0, []),
        ([CHANGING, READY], 0, ["waiting for the Spark cluster c: CHANGING"]),
        ([ENDED, READY], 1, ["starting another Spark cluster: c is ENDED"]),
        ([ENDED, CHANGING, READY], 1, ["starting another Spark cluster: c is ENDED",
                                       "waiting for the Spark cluster c: CHANGING"]),
        ([CHANGING, ENDED, READY], 1, ["waiting for the Spark cluster c: CHANGING",
                                       "starting another Spark cluster: c is ENDED"]),
    ],
)  # fmt: skip
def test_a_job_waits_for_a_cluster_and_starts_one_that_has_ended(
    stages: Sequence[ClusterStage], starts: int, told: list[str]
) -> None:
    service = Stages(*stages)
    assert waited(service) == told
    assert service.starts == starts


@pytest.mark.parametrize(("stages", "starts"), [([BROKEN], 0), ([CHANGING, BROKEN], 0), ([ENDED, CHANGING, ENDED], 1)])
def test_a_cluster_that_needs_a_person_is_an_error(stages: Sequence[ClusterStage], starts: int) -> None:
    service = Stages(*stages)
    with pytest.raises(TargetError, match=rf"cluster c is {stages[-1].name} \(a reason\)") as raised:
        waited(service)
    assert raised.value.hint == (
        "do something" if starts == 0 else "mend what the reason says; the next run starts another one"
    )
    assert service.starts == starts


def test_without_a_definition_only_terraform_starts_a_cluster() -> None:
    service = Stages(ENDED, READY)
    with pytest.raises(TargetError, match="cluster c is ENDED"):
        waited(service, TargetConfig.model_validate(AWS))
    assert service.starts == 0


def test_a_cluster_that_never_starts_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "START_S", -60.0)
    with pytest.raises(TargetError, match="is CHANGING for -1 minutes"):
        waited(Stages(CHANGING))


# On the emulated clouds.


@pytest.fixture(params=["aws", "gcp"])
def target(request: pytest.FixtureRequest) -> Iterator[CloudTarget]:
    """A target of its own, whose cluster may end."""
    cloud: Cloud = request.getfixturevalue(f"{request.param}_cloud")
    with environment_of(cloud.environment), own_target(cloud, "ending") as document:
        yield open_cloud(document["bucket_uri"])


def test_an_ended_cluster_is_started_again_once(target: CloudTarget) -> None:
    first = target.spark.cluster()
    assert first.stage is READY
    assert list(wait_until_ready(target.spark, target.config, QUICK)) == []
    end_cluster(target.config)
    ended = target.spark.cluster()
    assert ended.stage is ENDED
    assert preflight.cluster(target.spark, target.config).endswith("a run starts another one")
    assert target.spark.find(None) == []

    assert list(wait_until_ready(target.spark, target.config, QUICK))
    again = target.spark.cluster()
    assert again.stage is READY
    assert again.release == first.release
    target.spark.start()  # as by another launcher
    other = type(target.spark)(target.config)
    assert other.cluster().id == target.spark.cluster().id == again.id
    assert [each for each in target.list_resources() if each.text.startswith(f"Spark cluster {again.id}: ")]
    assert (again.id != first.id) == (target.config.cloud == "aws")  # Google Cloud's are named by their names


def test_only_a_cluster_with_the_tag_of_the_target_is_used(aws_cloud: Cloud) -> None:
    import boto3

    with environment_of(aws_cloud.environment), own_target(aws_cloud, "tagged") as document:
        made = document["spark_cluster"]
        target = parse(document | {"spark_cluster": "j-GONE"}, "it")  # an id that EMR has forgotten
        emr = boto3.session.Session(region_name=target.region).client("emr")
        foreign = emr.run_job_flow(**document["spark_definition"] | {"Tags": []})["JobFlowId"]
        spark = EmrSpark(target)
        assert (spark.cluster().id, spark.cluster().stage) == (made, READY)
        emr.terminate_job_flows(JobFlowIds=[made])
        assert (spark.cluster().id, spark.cluster().stage) == (made, ENDED)
        late = EmrSpark(target)
        assert (late.cluster().state, late.cluster().stage, late.find(None)) == ("gone", ENDED, [])
        late.start()
        assert late.cluster().stage is READY
        assert late.cluster().id not in (made, foreign)
        end_cluster(target)
        assert emr.describe_cluster(ClusterId=foreign)["Cluster"]["Status"]["State"].startswith("TERMINAT")


def test_a_cluster_that_ends_while_it_starts_is_an_error_with_its_reason(aws_cloud: Cloud) -> None:
    with environment_of(aws_cloud.environment), own_target(aws_cloud, "short") as document:
        definition = json.loads(json.dumps(document["spark_definition"]))
        definition["Instances"]["InstanceGroups"][1]["InstanceCount"] = 5000
        target = parse(document | {"spark_definition": definition}, "it")
        end_cluster(target)
        with pytest.raises(TargetError, match="is TERMINATED_WITH_ERRORS") as raised:
            list(wait_until_ready(EmrSpark(target), target, QUICK))
    assert "vCPU" in raised.value.message
    assert raised.value.hint == "mend what the reason says; the next run starts another one"


def test_work_on_each_living_cluster_of_a_target_is_found(aws_cloud: Cloud) -> None:
    import boto3

    with environment_of(aws_cloud.environment), own_target(aws_cloud, "twice") as document:
        emr = boto3.session.Session(region_name=document["region"]).client("emr")
        second = emr.run_job_flow(**document["spark_definition"])["JobFlowId"]  # as by an apply beside a run's cluster
        words = ["spark-submit", "x.py", "s3://b/runs/r"]
        step = {"Name": "cloudlstm r prepare 1", "HadoopJarStep": {"Jar": "command-runner.jar", "Args": words}}
        (there,) = emr.add_job_flow_steps(JobFlowId=second, Steps=[step | {"ActionOnFailure": "CONTINUE"}])["StepIds"]
        spark = EmrSpark(parse(document, "it"))
        assert spark.cluster().id == document["spark_cluster"]
        (found,) = spark.find("s3://b/runs/r")
        assert found.id == there
        assert spark.look(there).name == "cloudlstm r prepare 1"
        spark.cancel(there)
        paid = [each.text for each in open_cloud(document["bucket_uri"]).list_resources() if each.bill == "costs"]
    assert paid[0].startswith(f"Spark cluster {document['spark_cluster']}: ")
    assert len([each for each in paid if each.startswith("instance ")]) == 6, "the nodes of both"


def test_a_cluster_that_another_launcher_has_started_is_used() -> None:
    service = ForeignServer()
    service.refuse("POST clusters", 409, "Already exists: Failed to create cluster")
    service.refuse("POST clusters", 403, "Permission denied")
    definition = {"clusterName": "desk", "config": {"lifecycleConfig": {"idleDeleteTtl": "3600s"}}}
    with service.serving():
        changed = {"endpoints": {"dataproc": service.url}, "spark_definition": definition}
        spark = DataprocSpark(TargetConfig.model_validate(GCP | changed))
        spark.start()
        with pytest.raises(TargetError, match="Permission denied"):
            spark.start()
    assert [sent for _, _, sent in service.asked] == [definition, definition]
