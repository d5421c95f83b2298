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

from on_emulators import Cluster

BUCKET = "yarn"

NOTHING = "print('nothing to do')"
LATE = "import time; time.sleep(1000)"
GREEDY = "import time; held = bytearray(1100 << 20); time.sleep(1000)"
FROM_ARCHIVE = "import packed; print('found')"
ON_EXECUTORS = """
import packed
from pyspark import SparkContext

def look(_):
    import packed

SparkContext.getOrCreate().parallelize(range(2), 2).map(look).collect()
"""

CLUSTER = ("--deploy-mode", "cluster")
ONCE = ("--conf", "spark.yarn.maxAppAttempts=1")
DRIVER_PATH = ("--conf", "spark.yarn.appMasterEnv.PYTHONPATH=./deps")

WRONG: dict[str, tuple[str, tuple[str, ...]]] = {
    "no context": (NOTHING, CLUSTER),
    "late context": (LATE, (*CLUSTER, *ONCE, "--conf", "spark.yarn.am.waitTime=3s")),
    "memory": (GREEDY, (*CLUSTER, *ONCE, "--driver-memory", "512m")),
    "two files of one name": (
        NOTHING,
        (*CLUSTER, "--archives", f"s3://{BUCKET}/a/d.zip#one,s3://{BUCKET}/b/d.zip#two"),
    ),
    "archive without a name": (FROM_ARCHIVE, (*CLUSTER, *ONCE, *DRIVER_PATH, "--archives", f"s3://{BUCKET}/a/d.zip")),
    "path of the driver only": (
        ON_EXECUTORS,
        (
            *CLUSTER,
            *ONCE,
            *DRIVER_PATH,
            "--conf",
            "spark.task.maxFailures=1",
            "--archives",
            f"s3://{BUCKET}/a/d.zip#deps",
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
    """

    state: str
    message: str
    client: str
    containers: dict[str, str]


@pytest.fixture(scope="module")
def ended(cloud: Cloud, client: Any) -> Callable[[str], Ended]:
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
        details = status.get("FailureDetails", {})
        found[mistake] = Ended(status["State"], details.get("Message", ""), (folder / "stderr").read_text(), containers)
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
    assert "of 896 MB physical memory used. Killing container." in ended("memory").client


def test_two_files_of_one_name_cannot_be_sent(ended: Callable[[str], Ended]) -> None:
    assert "multiple times to the distributed cache" in ended("two files of one name").message
    assert not ended("two files of one name").containers


def test_an_archive_is_unpacked_below_its_own_name(ended: Callable[[str], Ended]) -> None:
    (log,) = ended("archive without a name").containers.values()
    assert "No module named 'packed'" in log


def test_the_drivers_path_is_not_that_of_the_executors(ended: Callable[[str], Ended]) -> None:
    log = next(iter(ended("path of the driver only").containers.values()))
    assert "No module named 'packed'" in log
    assert "in look" in log, "the driver found it"
