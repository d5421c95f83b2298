"""Submitted steps really run on Spark, on nodes that have only pyspark, with the files of the submission."""

from __future__ import annotations

import json
import zipfile
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from localstack.cloud import Cloud
from localstack.spark.cluster import executors
from localstack.spark.submission import SubmitError, parse

from on_emulators import Cluster, alive, until

BUCKET = "steps"

# Reads and writes S3 in driver and executors with a boto3 that only the archive contains.
JOB = """
import json, os, sys
import boto3
from importlib.util import find_spec
from pyspark import SparkContext
from helper import double

BUCKET = "steps"

def work(number):
    import boto3, os, sys
    s3 = boto3.client("s3")
    read = int(s3.get_object(Bucket=BUCKET, Key=f"in/{number}")["Body"].read())
    s3.put_object(Bucket=BUCKET, Key=f"out/{number}", Body=str(double(read)).encode())
    said = [os.environ.get("SAID"), os.environ["EVERYWHERE"]]
    return {"boto3": boto3.__file__, "cwd": os.getcwd(), "said": said}

context = SparkContext.getOrCreate()
done = context.parallelize(range(8), 8).map(work).collect()
said = [os.environ["SAID"], os.environ["EVERYWHERE"]]
facts = {
    "executors": done, "said": said, "words": sys.argv[1:], "numpy": find_spec("numpy") is not None,
    "cwd": os.getcwd(), "files": os.listdir("."), "script": __file__, "client": "SPARK_SUBMIT_OPTS" in os.environ,
    "container": os.environ["CONTAINER_ID"],
}
try:
    os.makedirs(os.environ["HOME"])
except OSError as error:
    facts["home"] = str(error)
open("kept.txt", "w").write("lost with the container")
boto3.client("s3").put_object(Bucket=BUCKET, Key="facts.json", Body=json.dumps(facts).encode())
context.stop()
"""

# Starts a process in its own session that ignores SIGINT.
SLEEPER = """
import os, subprocess, sys, time
deaf = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(1000)"
child = subprocess.Popen([sys.executable, "-c", deaf], start_new_session=True)
print(os.getpid(), child.pid, flush=True)
time.sleep(1000)
"""


@pytest.fixture(scope="module")
def s3(client: Any) -> Any:
    made = client("s3")
    made.create_bucket(Bucket=BUCKET)
    return made


@pytest.fixture(scope="module")
def cluster(client: Any, s3: Any) -> Cluster:
    return Cluster(client("emr"), s3, BUCKET)


def dependencies() -> bytes:
    """Returns boto3 and its dependencies as a zip, with the data of S3 only."""
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3"):
            origin = Path(find_spec(name).origin)  # type: ignore[union-attr, arg-type]
            if origin.name != "__init__.py":
                archive.write(origin, origin.name)
                continue
            services = origin.parent / "data"
            for path in origin.parent.rglob("*"):
                other = (
                    path.is_relative_to(services) and path.suffix == ".gz" and not path.is_relative_to(services / "s3")
                )
                if path.is_file() and not other and path.suffix != ".pyc":
                    archive.write(path, path.relative_to(origin.parents[1]))
    return packed.getvalue()


def upload(s3: Any, **files: bytes) -> None:
    for key, data in files.items():
        s3.put_object(Bucket=BUCKET, Key=key.replace("__", "."), Body=data)


def helper() -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("helper.py", "def double(number):\n    return 2 * number\n")
    return packed.getvalue()


def test_a_job_reads_and_writes_s3_on_two_executors_with_what_its_archive_brings(
    cloud: Cloud, s3: Any, cluster: Cluster
) -> None:
    upload(s3, job__py=JOB.encode(), deps__zip=dependencies(), helper__zip=helper())
    for number in range(8):
        s3.put_object(Bucket=BUCKET, Key=f"in/{number}", Body=str(number + 100).encode())
    step = cluster.add(
        "--deploy-mode", "cluster", "--name", "tested", "--num-executors", "7", "--executor-cores", "40",
        "--py-files", f"s3://{BUCKET}/helper.zip",
        "--archives", f"s3://{BUCKET}/deps.zip#deps",
        "--conf", "spark.yarn.appMasterEnv.PYTHONPATH=./deps", "--conf", "spark.executorEnv.PYTHONPATH=./deps",
        "--conf", "spark.yarn.appMasterEnv.SAID=to $USER's driver", "--conf", "spark.executorEnv.SAID=to executors",
        "--conf", "spark.yarn.appMasterEnv.PYSPARK_PYTHON=/usr/bin/python3",
        f"s3a://{BUCKET}/job.py", "--these", "words",
    )  # fmt: skip
    status = cluster.wait(step)
    assert status["State"] == "COMPLETED", cluster.log("000001/stderr.gz")
    assert status["Timeline"]["StartDateTime"] <= status["Timeline"]["EndDateTime"]

    assert [int(s3.get_object(Bucket=BUCKET, Key=f"out/{n}")["Body"].read()) for n in range(8)] == [
        2 * (n + 100) for n in range(8)
    ]
    facts = json.loads(s3.get_object(Bucket=BUCKET, Key="facts.json")["Body"].read())
    assert facts["said"] == ["to hadoop's driver", "yes"], "YARN's shell replaces $USER"
    assert facts["words"] == ["--these", "words"]
    assert not facts["numpy"], "the nodes have more than pyspark"
    assert {tuple(each["said"]) for each in facts["executors"]} == {("to executors", "yes")}
    assert len({each["cwd"] for each in facts["executors"]} | {facts["cwd"]}) == 3, "each container has its folder"
    assert facts["container"].endswith("_01_000001")
    assert facts["script"] == f"{facts['cwd']}/job.py" or facts["script"] == "job.py"
    assert {"deps", "helper.zip", "job.py", "pyspark.zip", "__spark_conf__"} <= set(facts["files"])
    assert not facts["client"], "the submitter's variables reach the driver"
    assert facts["home"], "HOME can be written"
    assert not Path(facts["cwd"]).exists(), "the folder of a container is deleted"
    for each in facts["executors"]:
        assert each["boto3"].startswith(f"{each['cwd']}/deps/")
    (events,) = cloud.folder.glob(f"aws/clusters/{cluster.id}/{step}/events/*")
    assert len(executors(events)) == 2
    assert "spark-submit --deploy-mode cluster" in cluster.log(f"{step}/controller.gz")
    assert "state: FINISHED" in cluster.log(f"{step}/stderr.gz")


def test_a_step_fails_without_its_dependency(s3: Any, cluster: Cluster) -> None:
    upload(s3, job__py=JOB.encode())
    step = cluster.add("--deploy-mode", "cluster", f"s3://{BUCKET}/job.py")
    status = cluster.wait(step)
    assert status["State"] == "FAILED"
    details = status["FailureDetails"]
    assert details["Reason"] == "Unknown Error."
    assert details["Message"].startswith('Exception in thread "main" org.apache.spark.SparkException: Application ')
    assert details["LogFile"] == f"s3://{BUCKET}/logs/{cluster.id}/steps/{step}/stderr.gz"
    application = details["Message"].split("Application ")[1].split()[0]
    container = f"{application.replace('application', 'container')}_01_000001"
    assert "No module named 'boto3'" in cluster.log(f"containers/{application}/{container}/stdout.gz")


def test_files_and_interpreters_that_the_nodes_lack(s3: Any, cluster: Cluster) -> None:
    upload(s3, job__py=b"print(1)")
    missing = cluster.add("--deploy-mode", "cluster", f"s3://{BUCKET}/nothing.py")
    python = cluster.add(
        "--deploy-mode", "cluster", "--conf", "spark.pyspark.python=/usr/bin/python3.9", f"s3://{BUCKET}/job.py"
    )
    unknown = cluster.add("--no-such-option", f"s3://{BUCKET}/job.py")
    assert "FileNotFoundException" in cluster.wait(missing)["FailureDetails"]["Message"]
    assert "Cannot run program" in cluster.wait(python)["FailureDetails"]["Message"]
    assert "--no-such-option" in cluster.wait(unknown)["FailureDetails"]["Message"]


def sleeping(s3: Any, cluster: Cluster) -> str:
    """Adds a step that sleeps; returns its id."""
    upload(s3, sleeper__py=SLEEPER.encode())
    return cluster.add("--deploy-mode", "cluster", f"s3://{BUCKET}/sleeper.py")


def pids_of(cloud: Cloud, cluster: Cluster, step: str) -> list[int]:
    """Returns the ids of the driver and its child; empty before the driver has started."""
    printed = cloud.folder / f"aws/clusters/{cluster.id}/{step}/driver/stdout"
    return [int(pid) for pid in printed.read_text().split()] if printed.exists() else []


def test_cancelling_a_step_ends_only_spark_submit_and_the_cluster_is_busy_until_the_driver_ends(
    cloud: Cloud, client: Any, s3: Any
) -> None:
    cluster = Cluster(client("emr"), s3, BUCKET)
    steps = [sleeping(s3, cluster), sleeping(s3, cluster)]
    for step, option in zip(steps, ("SEND_INTERRUPT", "TERMINATE_PROCESS"), strict=True):
        pids = until(lambda step=step: pids_of(cloud, cluster, step), "the driver")
        answer = client("emr").cancel_steps(ClusterId=cluster.id, StepIds=[step], StepCancellationOption=option)
        assert answer["CancelStepsInfoList"] == [{"StepId": step, "Status": "SUBMITTED"}]
        assert cluster.wait(step)["State"] == "CANCELLED"
        assert all(map(alive, pids))
        again = client("emr").cancel_steps(ClusterId=cluster.id, StepIds=[step])["CancelStepsInfoList"][0]
        assert again["Status"] == "FAILED"
    assert cluster.state == "RUNNING"
    client("emr").terminate_job_flows(JobFlowIds=[cluster.id])
    pids = [pid for step in steps for pid in pids_of(cloud, cluster, step)]
    until(lambda: not any(map(alive, pids)), "the ends of the drivers")


def test_a_step_can_fail_in_the_middle_of_its_work(cloud: Cloud, s3: Any, cluster: Cluster) -> None:
    for after_s in (12, 36, 108, 324):  # long enough for the driver to begin on this machine
        cloud.control.fault("step-fails", after_s=after_s, reason="Node lost.")
        step = sleeping(s3, cluster)
        status = cluster.wait(step)
        assert (status["State"], status["FailureDetails"]["Reason"]) == ("FAILED", "Node lost.")
        if pids := pids_of(cloud, cluster, step):
            break
    assert pids
    assert not any(map(alive, pids))


def test_the_arguments_of_spark_submit() -> None:
    output = parse(["--conf=a.b=c=d", "-c", "e=", "--name", "n", "--files", "x, y", "main.py", "--conf", "mine"])
    assert output.conf == {"a.b": "c=d", "e": ""}
    assert output.options == {"name": "n", "files": "x, y"}
    assert output.uris("files") == ["x", "y"]
    assert (output.main, output.arguments, output.in_cluster) == ("main.py", ["--conf", "mine"], False)
    for words in ([], ["--name"], ["--conf", "no equals", "x.py"], ["--packages", "a:b:1", "x.py"]):
        with pytest.raises(SubmitError):
            parse(words)
