"""Dataproc through its client: states of jobs, errors of the service, and a job that really runs."""

from __future__ import annotations

import json
import time
import zipfile
from io import BytesIO
from typing import Any

import pytest
from localstack.cloud import Cloud
from localstack.gcp.api import Refusal
from localstack.gcp.filters import wants_job, wants_resource
from localstack.spark.cluster import executors

from on_emulators import refused, until
from trainer_groups import GSBucket

WHERE = {"project_id": "emulated", "region": "us-central1"}

# Reads and writes Cloud Storage in driver and executors with a module that only the archive contains.
JOB = """
import json, os, sys
from importlib.util import find_spec
from pyspark import SparkContext
from helper import double

def work(number):
    import brought, os
    brought.write(f"out/{number}", str(double(int(brought.read(f"in/{number}")))))
    return {"brought": brought.__file__, "cwd": os.getcwd(), "said": [os.environ.get("SAID"), os.environ["EVERYWHERE"]]}

import brought
context = SparkContext.getOrCreate()
print("printed by the driver")
done = context.parallelize(range(4), 4).map(work).collect()
facts = {"executors": done, "said": os.environ["SAID"], "words": sys.argv[1:], "numpy": find_spec("numpy") is not None}
brought.write("facts.json", json.dumps(facts))
context.stop()
"""

BROUGHT = """
import os, urllib.request
from urllib.parse import quote
HOST = os.environ["STORAGE_EMULATOR_HOST"]

def read(name):
    url = f"{HOST}/storage/v1/b/boxed-data/o/{quote(name, safe='')}?alt=media"
    return urllib.request.urlopen(url).read().decode()

def write(name, text):
    url = f"{HOST}/upload/storage/v1/b/boxed-data/o?uploadType=media&name={quote(name, safe='')}"
    urllib.request.urlopen(urllib.request.Request(url, text.encode(), {"Content-Type": "text/plain"})).close()
"""


class Jobs:
    """Jobs on a target's cluster, through Google's client."""

    def __init__(self, target: dict[str, Any]) -> None:
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import dataproc_v1

        def client(kind: Any) -> Any:
            rest = kind.get_transport_class("rest")
            url = target["endpoints"]["dataproc"]
            return kind(transport=rest(host=url, credentials=AnonymousCredentials(), url_scheme="http"))

        self.api = client(dataproc_v1.JobControllerClient)
        self.clusters = client(dataproc_v1.ClusterControllerClient)
        self.cluster = target["spark_cluster"]

    def submit(self, name: str, *, request: str = "", cluster: str = "", **more: Any) -> Any:
        """Submits a job. `more` sets fields of its program; names with a capital letter set other fields of the job."""
        program = {"main_python_file_uri": "gs://boxed-data/job.py", "args": ["gs://boxed-data/runs/1"]}
        parts = {key.lower(): more.pop(key) for key in list(more) if key[0].isupper()}
        job = {
            "reference": {"job_id": name},
            "placement": {"cluster_name": cluster or self.cluster},
            "labels": {"cloudlstm": "boxed"},
            "pyspark_job": program | more,
            **parts,
        }
        return self.api.submit_job(request={**WHERE, "job": job, "request_id": request})

    def get(self, name: str) -> Any:
        return self.api.get_job(job_id=name, **WHERE)

    def state(self, name: str) -> str:
        return str(self.get(name).status.state.name)

    def wait(self, name: str, *states: str) -> Any:
        """Waits until a job is in one of the states (default: ended); returns the job."""
        until(lambda: self.state(name) in (states or ("DONE", "ERROR", "CANCELLED")), f"job {name}")
        return self.get(name)

    def cancel(self, name: str) -> Any:
        return self.api.cancel_job(job_id=name, **WHERE)

    def listed(self, **asked: Any) -> list[str]:
        return [each.reference.job_id for each in self.api.list_jobs(request={**WHERE, **asked})]


@pytest.fixture(scope="module")
def jobs(gcp_target: dict[str, Any]) -> Jobs:
    return Jobs(gcp_target)


@pytest.fixture(scope="module")
def bucket(gcp: Cloud) -> GSBucket:
    return GSBucket("boxed-data", gcp.environment["STORAGE_EMULATOR_HOST"])


def test_a_job_runs_on_two_executors_with_what_its_archive_brings(gcp: Cloud, jobs: Jobs, bucket: GSBucket) -> None:
    files = {"deps.zip": {"brought.py": BROUGHT}, "helper.zip": {"helper.py": "def double(n):\n    return 2 * n\n"}}
    for name, modules in files.items():
        packed = BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for path, text in modules.items():
                archive.writestr(path, text)
        bucket.put(name, packed.getvalue())
    bucket.put("job.py", JOB.encode())
    for number in range(4):
        bucket.put(f"in/{number}", str(number + 100).encode())
    properties = {
        "spark.submit.deployMode": "cluster",
        "spark.pyspark.python": "/opt/conda/default/bin/python3",
        **{f"spark.yarn.appMasterEnv.{name}": value for name, value in (("PYTHONPATH", "./deps"), ("SAID", "driver"))},
        **{f"spark.executorEnv.{name}": value for name, value in (("PYTHONPATH", "./deps"), ("SAID", "executor"))},
    }
    jobs.submit(
        "runs",
        args=["--these", "words"],
        python_file_uris=["gs://boxed-data/helper.zip"],
        archive_uris=["gs://boxed-data/deps.zip#deps"],
        properties=properties,
    )
    job = jobs.wait("runs")
    prefix = job.driver_output_resource_uri.removeprefix("gs://boxed-staging/")
    output = GSBucket("boxed-staging", gcp.environment["STORAGE_EMULATOR_HOST"])
    key = until(lambda: output.keys(prefix), "the driver's output")[0]
    text = output.get(key).decode()
    assert job.status.state.name == "DONE", text
    assert job.done
    assert [each.state.name for each in job.status_history] == ["PENDING", "SETUP_DONE", "RUNNING"]
    assert key == f"{prefix}.000000000"
    assert "state: FINISHED" in text
    assert "printed by the driver" not in text, "in cluster mode that is in the container's log"
    (application,) = job.yarn_applications
    assert (application.name, application.state.name, application.progress) == ("job.py", "FINISHED", 1.0)

    assert [int(bucket.get(f"out/{n}")) for n in range(4)] == [2 * (n + 100) for n in range(4)]
    facts = json.loads(bucket.get("facts.json"))
    assert facts["said"] == "driver"
    assert facts["words"] == ["--these", "words"]
    assert not facts["numpy"], "the nodes have more than pyspark"
    for each in facts["executors"]:
        assert each["said"] == ["executor", "yes"]
        assert each["brought"].startswith(f"{each['cwd']}/deps/")
    (events,) = gcp.folder.glob("gcp/clusters/boxed/runs/events/*")
    assert len(executors(events)) == 2


def test_a_failed_job_has_a_reason_and_may_be_restarted(gcp: Cloud, jobs: Jobs) -> None:
    jobs.submit("fails", main_python_file_uri="gs://boxed-data/nothing.py")
    missing = jobs.wait("fails")
    gcp.control.fault("step-fails", reason="Disk full.", times=3)
    jobs.submit("thrice", Scheduling={"max_failures_per_hour": 2})
    job = jobs.wait("thrice")
    assert job.status.state.name == "ERROR"
    assert job.status.details.startswith("Job failed with message [Disk full.]. Additional details can be found at:\n")
    assert [each.state.name for each in job.status_history].count("ATTEMPT_FAILURE") == 2
    gcp.control.fault("step-fails")
    jobs.submit("silent")
    assert jobs.wait("silent").status.details.startswith("Google Cloud Dataproc Agent reports job failure. If logs are")
    job = missing
    assert "java.io.FileNotFoundException: No such file or directory: gs://boxed-data/nothing.py" in job.status.details
    assert f"{job.driver_output_resource_uri}.*" in job.status.details


def test_jobs_are_cancelled_and_listed_and_ids_are_unique(gcp: Cloud, jobs: Jobs) -> None:
    gcp.control.fault("step-hangs", times=2)
    first = jobs.submit("first", request="one")
    assert (first.status.state.name, first.reference.project_id) == ("PENDING", "emulated")
    jobs.wait("first", "RUNNING")
    again = jobs.submit("first", request="one")
    assert again.job_uuid == first.job_uuid, "the same request made another job"
    printed = "Already exists: Failed to submit job: Job projects/emulated/regions/us-central1/jobs/first"
    refused(jobs.submit, 409, printed, "first", request="two")
    refused(jobs.submit, 409, printed, "first", request="one", args=["other"])
    jobs.submit("second", Labels={"cloudlstm": "other"})
    jobs.wait("second", "RUNNING")
    assert jobs.listed(filter="status.state = ACTIVE AND labels.cloudlstm = boxed") == ["first"]
    assert jobs.listed(filter="labels.cloudlstm=* status.state=ACTIVE", page_size=1) == ["second", "first"]
    assert jobs.listed(job_state_matcher="ACTIVE", cluster_name="boxed") == ["second", "first"]
    refused(jobs.listed, 400, "Invalid filter", filter="name = first")

    jobs.cancel("second")
    cancelled = jobs.cancel("first")
    assert cancelled.status.state.name == "CANCEL_PENDING"
    job = jobs.wait("first")
    assert job.status.state.name == "CANCELLED"
    assert [each.state.name for each in job.status_history][-2:] == ["CANCEL_PENDING", "CANCEL_STARTED"]
    refused(jobs.cancel, 400, "in state: 'CANCELLED'; cancellable states: '[PENDING, RUNNING]'", "first")
    jobs.wait("second")
    assert "first" in jobs.listed(filter="status.state = NON_ACTIVE")


def test_what_dataproc_refuses(gcp: Cloud, jobs: Jobs) -> None:
    refused(jobs.submit, 404, "Not found: Cluster projects/emulated/regions/us-central1/clusters/none", "x",
            cluster="none")  # fmt: skip
    refused(jobs.get, 404, "Not found: Job projects/emulated/regions/us-central1/jobs/none", "none")
    for name, more, why in (
        ("a b", {}, "Invalid job id 'a b'"),
        ("x" * 101, {}, "Invalid job id"),
        ("x", {"request": "y" * 41}, "Invalid request id"),
        ("x", {"python_file_uris": ["gs://boxed-data/p.whl"]}, "supported file types are .py, .egg, .zip"),
        ("x", {"args": ["--conf", "a=b"]}, "Invalid argument '--conf'"),
        ("x", {"Labels": {"Upper": "x"}}, "Invalid label"),
    ):
        refused(jobs.submit, 400, why, name, **more)
    gcp.control.fault("throttled", service="dataproc", action="GetJob", seconds=1)
    refused(jobs.api.get_job, 429, "Quota exceeded", job_id="none", retry=None, **WHERE)
    time.sleep(1)
    gcp.control.fault("api-error", service="dataproc", status=503, message="try later")
    refused(jobs.api.get_job, 503, "try later", job_id="none", retry=None, **WHERE)


def test_a_cluster_that_is_stopped_or_deleted_takes_no_jobs(gcp: Cloud) -> None:
    jobs = Jobs(gcp.make_target("short"))
    named = {**WHERE, "cluster_name": "short"}
    assert jobs.clusters.get_cluster(**named).config.software_config.image_version == "2.3-debian12"
    gcp.control.fault("step-hangs")
    jobs.submit("abandoned")
    jobs.wait("abandoned", "RUNNING")
    jobs.clusters.stop_cluster(request=named)
    assert jobs.wait("abandoned").status.state.name == "ERROR"
    assert jobs.clusters.get_cluster(**named).status.state.name == "STOPPED"
    refused(jobs.submit, 400, "is in state STOPPED", "late")
    jobs.clusters.delete_cluster(**named)
    refused(jobs.clusters.get_cluster, 404, "Not found: Cluster", **named)
    assert "short" not in [each.cluster_name for each in jobs.clusters.list_clusters(**WHERE)]


def test_filters() -> None:
    disk = {"name": "disk-1", "labels": {"a": "x-y"}, "status": "READY"}
    for text in ("", "labels.a=x-y", '(labels.a = "x-y") AND (status = READY)', "name eq disk-1", "labels.a:*",
                 "name = disk-*", "status != DONE"):  # fmt: skip
        assert wants_resource(text, disk), text
    for text in ("labels.b=x", "labels.b:*", "labels.a=x-y AND name=other", "name ne disk-1"):
        assert not wants_resource(text, disk), text
    job = {"status": {"state": "RUNNING"}, "labels": {}}
    assert wants_job("status.state = ACTIVE", job)
    assert not wants_job("labels.a = *", job)
    for text in ("=", "labels.a", "labels.a = x OR labels.b = y", "status.state = RUNNING"):
        with pytest.raises(Refusal):
            wants_job(text, job)
