"""What YARN refuses or does differently from client mode: each submission here is wrong in one way.

The client, the application masters and the executors are Spark's own, so the texts are Spark's.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pytest
from localstack.cloud import Cloud

from cloudlstm.targets.aws.spark import EmrSpark
from cloudlstm.targets.document import TargetConfig
from emulator_fixtures import environment_of
from on_emulators import Cluster

BUCKET = "yarn"

NOTHING = "print('nothing to do')"
LATE = "import time; time.sleep(1000)"
GREEDY = "import time; held = bytearray(1100 << 20); time.sleep(1000)"
ON_EXECUTORS = """
import packed
from pyspark import SparkContext

def look(_):
    import packed

SparkContext.getOrCreate().parallelize(range(2), 2).map(look).collect()
"""

CLUSTER = ("--deploy-mode", "cluster")
ONCE = ("--conf", "spark.yarn.maxAppAttempts=1")
DRIVER_PATH = ("--conf", "spark.yarn.appMasterEnv.PYTHONPATH=./d.zip")

WRONG: dict[str, tuple[str, tuple[str, ...]]] = {
    "no context": (NOTHING, CLUSTER),
    "late context": (LATE, (*CLUSTER, *ONCE, "--conf", "spark.yarn.am.waitTime=3s")),
    "memory": (GREEDY, (*CLUSTER, *ONCE, "--driver-memory", "512m")),
    "two files of one name": (
        NOTHING,
        (*CLUSTER, "--archives", f"s3://{BUCKET}/a/d.zip#one,s3://{BUCKET}/b/d.zip#two"),
    ),
    "path of the driver only": (
        ON_EXECUTORS,
        (
            *CLUSTER,
            *ONCE,
            *DRIVER_PATH,
            "--conf",
            "spark.task.maxFailures=1",
            "--archives",
            f"s3://{BUCKET}/a/d.zip",
        ),
    ),
}
"""By its mistake: a program, and the arguments of spark-submit before it."""


@dataclass(frozen=True)
class Ended:
    """A step that has ended.

    Attributes:
        state: Its state.
        message: The platform's message.
        client: The output of spark-submit.
        containers: The output of each container by its id, standard error first.
        shown: What a submit shows of its logs.
    """

    state: str
    message: str
    client: str
    containers: dict[str, str]
    shown: str


@pytest.fixture(scope="module")
def ended(cloud: Cloud, client: Any, target: dict[str, Any]) -> Callable[[str], Ended]:
    """Returns a function that returns the ended step with this mistake. All run at the same time."""
    s3 = client("s3")
    s3.create_bucket(Bucket=BUCKET)
    for folder in ("a", "b"):
        packed = BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("packed.py", f"WHERE = {folder!r}\n")
        s3.put_object(Bucket=BUCKET, Key=f"{folder}/d.zip", Body=packed.getvalue())
    cluster = Cluster(client("emr"), s3, BUCKET, StepConcurrencyLevel=3)
    steps = {}
    for mistake, (program, words) in WRONG.items():
        key = f"{mistake.replace(' ', '-')}.py"
        s3.put_object(Bucket=BUCKET, Key=key, Body=program.encode())
        steps[mistake] = cluster.add(*words, f"s3://{BUCKET}/{key}")
    own = {"spark_cluster": cluster.id, "log_uri": f"s3://{BUCKET}/logs/"}
    service = EmrSpark(TargetConfig.model_validate(target | own))
    found = {}
    for mistake, step in steps.items():
        status = cluster.wait(step)
        folder = cloud.folder / "aws" / "clusters" / cluster.id / step
        logs = (folder / "driver").resolve().parent if (folder / "driver").exists() else folder / "no-containers"
        containers = {
            each.name: (each / "stderr").read_text() + (each / "stdout").read_text()
            for each in sorted(logs.parent.parent.parent.glob(f"node-*/logs/{logs.name}/*"))
            if (each / "stderr").exists()
        }
        with environment_of(cloud.environment):
            cluster.log(f"{step}/stderr.gz")
            shown = "\n".join(service.log_tail(step))
        message = status.get("FailureDetails", {}).get("Message", "")
        found[mistake] = Ended(status["State"], message, (folder / "stderr").read_text(), containers, shown)
    return found.__getitem__


def test_every_wrong_submission_fails(ended: Callable[[str], Ended]) -> None:
    assert {mistake: ended(mistake).state for mistake in WRONG} == dict.fromkeys(WRONG, "FAILED")


def test_a_driver_that_ends_without_a_context_has_failed_and_is_tried_again(ended: Callable[[str], Ended]) -> None:
    output = ended("no context")
    assert "failed 2 times due to AM Container" in output.client
    assert "exitCode: 13" in output.client
    masters = [name for name in output.containers if name.endswith("_000001")]
    assert [name.split("_")[3] for name in masters] == ["01", "02"]
    assert "nothing to do" in output.containers[masters[0]]
    assert output.message.endswith("finished with failed status")


def test_a_context_must_be_there_in_time(ended: Callable[[str], Ended]) -> None:
    (log,) = ended("late context").containers.values()
    assert "TimeoutException: Future timed out after [3000 milliseconds]" in log
    assert "exitCode: 13" in log


def test_a_container_may_not_use_more_memory_than_it_asked_for(ended: Callable[[str], Ended]) -> None:
    last = ended("memory").shown.splitlines()[-1]
    assert "is running beyond physical memory limits" in last
    assert "of 896 MB physical memory used. Killing container." in last


def test_two_files_of_one_name_cannot_be_sent(ended: Callable[[str], Ended]) -> None:
    assert "multiple times to the distributed cache" in ended("two files of one name").message
    assert not ended("two files of one name").containers


def test_an_archive_is_unpacked_below_its_own_name_and_the_executors_have_a_path_of_their_own(
    ended: Callable[[str], Ended],
) -> None:
    output = ended("path of the driver only")
    log = next(iter(output.containers.values()))
    assert "No module named 'packed'" in log
    assert "in look" in log, "the driver found it in ./d.zip"
    assert "full log: " in output.shown
    assert "000001/stdout.gz" in output.shown, "what Python wrote"
