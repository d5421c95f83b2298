"""The Google Cloud clients against given answers: requests, how answers are read, and the errors that users see."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cloudlstm import storage
from cloudlstm.config import parse
from cloudlstm.errors import CloudLSTMError, TargetError, TargetUnavailableError
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets import polling
from cloudlstm.targets.base import JobState
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.gcp import client, spark, trainers
from cloudlstm.targets.gcp.account import GcpAccount
from cloudlstm.targets.gcp.quotas import cpu_quota, gpu_quota
from cloudlstm.targets.gcp.spark import DataprocSpark
from cloudlstm.targets.gcp.trainers import ManagedTrainers
from cloudlstm.targets.spark_job import work_of_run
from module_time import replace_time
from targets.foreign_server import ForeignServer
from targets.test_requests import GCP

RUN = "gs://desk-runs/runs/a" + 62 * "z"


@pytest.fixture
def service() -> Iterator[ForeignServer]:
    made = ForeignServer()
    with made.serving():
        yield made


@pytest.fixture
def target(service: ForeignServer, monkeypatch: pytest.MonkeyPatch) -> TargetConfig:
    monkeypatch.setattr(client, "_RETRY_LIMIT_S", 0.0)
    monkeypatch.setattr(polling, "RETRY_LIMIT_S", 0.0)
    monkeypatch.setattr(trainers, "_OPERATION_LOOK_S", 0.0)
    return TargetConfig.model_validate(GCP | {"endpoints": {"dataproc": service.url, "compute": service.url}})


def job(state: str, **status: Any) -> dict[str, Any]:
    """The answer of Dataproc for a job of this request."""
    asked = submission()["arguments"]["job"]
    work = asked["pyspark_job"]
    return {
        "reference": {"projectId": "desk-project", "jobId": asked["reference"]["job_id"]},
        "labels": asked["labels"] | {"goog-x": "added-by-dataproc"},
        "pysparkJob": {
            "mainPythonFileUri": work["main_python_file_uri"],
            "pythonFileUris": work["python_file_uris"],
            "archiveUris": work["archive_uris"],
            "args": work["args"],
            "properties": work["properties"] | {"spark.added": "by-dataproc"},
        },
        "status": {"state": state, **status},
    }


def submission(attempt: int = 1) -> dict[str, Any]:
    """A request with all placeholders filled."""
    spark = DataprocSpark(TargetConfig.model_validate(GCP))
    work = work_of_run("prepare", parse({"market": {"source": "synthetic"}}), RunPaths(RUN))
    text = json.dumps(spark.request(work))
    for name, value in {"attempt": str(attempt), "opened": "19a8f3b2c11", "package.uri": "gs://p.zip"}.items():
        text = text.replace(f"${{{name}}}", value)
    request: dict[str, Any] = json.loads(text)
    return request


NAME = submission()["arguments"]["job"]["reference"]["job_id"]


def test_the_submitted_job_matches_its_request(service: ForeignServer, target: TargetConfig) -> None:
    service.answer("POST jobs:submit", job("PENDING"))
    assert DataprocSpark(target).submit(submission(attempt=9999)) != NAME
    ((_, query, sent),) = service.asked
    assert query["$alt"] == ["json;enum-encoding=int"]
    assert len(sent["job"]["reference"]["jobId"]) <= 100
    assert len(sent["requestId"]) <= 40
    assert sent["job"]["pysparkJob"]["pythonFileUris"] == ["gs://p.zip"]
    assert sent["job"]["pysparkJob"]["properties"]["spark.submit.deployMode"] == "cluster"
    assert all(len(value) <= 63 for value in sent["job"]["labels"].values())


def test_an_existing_job_is_found_again_and_a_foreign_one_is_rejected(
    service: ForeignServer, target: TargetConfig
) -> None:
    service.refuse("POST jobs:submit", 409, f"Already exists: Failed to submit job: Job {NAME}")
    other = job("DONE")
    other["pysparkJob"]["pythonFileUris"] = ["gs://another.zip"]
    service.answer(f"GET {NAME}", job("RUNNING"), other)
    spark = DataprocSpark(target)
    assert spark.submit(submission()) == NAME
    with pytest.raises(TargetError, match=r"has another job of the id .*gs://another.zip.*gcloud dataproc jobs delete"):
        spark.submit(submission())


@pytest.mark.parametrize(
    ("status", "state", "output"),
    [
        ({"state": "PENDING"}, JobState.RUNNING, "PENDING"),
        ({"state": "SETUP_DONE"}, JobState.RUNNING, "SETUP_DONE"),
        (
            {"state": "RUNNING", "substate": "QUEUED", "details": "no room"},
            JobState.RUNNING,
            "RUNNING: QUEUED: no room",
        ),
        ({"state": "CANCEL_PENDING"}, JobState.RUNNING, "CANCEL_PENDING"),
        ({"state": "CANCEL_STARTED"}, JobState.RUNNING, "CANCEL_STARTED"),
        ({"state": "CANCELLED"}, JobState.CANCELLED, "CANCELLED"),
        ({"state": "DONE"}, JobState.DONE, "DONE"),
        ({"state": 99}, JobState.RUNNING, "99"),
        (
            {"state": "ERROR", "details": "Driver\n exited. Additional details can be found at:\nhttps://x\ngs://y"},
            JobState.FAILED,
            "ERROR: Driver exited.",
        ),
        ({"state": "ATTEMPT_FAILURE", "details": "no memory"}, JobState.FAILED, "ATTEMPT_FAILURE: no memory"),
    ],
    ids=lambda value: str(value.get("state")) if isinstance(value, dict) else "",
)
def test_every_state_is_known(
    service: ForeignServer, target: TargetConfig, status: dict[str, Any], state: JobState, output: str
) -> None:
    service.answer(f"GET {NAME}", job(**status))
    seen = DataprocSpark(target).look(NAME)
    assert (seen.state, seen.details) == (state, output)
    assert seen.name == f"cloudlstm {RUN.rsplit('/', 1)[1]} prepare 1"
    assert (seen.name, seen.arguments) == DataprocSpark(target).name_and_arguments(submission())


def test_jobs_are_found_by_run_through_all_pages(service: ForeignServer, target: TargetConfig) -> None:
    elsewhere = job("DONE")
    elsewhere["pysparkJob"]["args"] = ["gs://other-runs/runs/" + RUN.rsplit("/", 1)[1]]
    old = job("DONE", stateStartTime="2026-01-01T00:00:00Z")
    new = job("RUNNING", stateStartTime="2026-01-02T00:00:00Z")
    service.answer("GET jobs", {"jobs": [old, elsewhere], "nextPageToken": "more"}, {"jobs": [new]})
    found = DataprocSpark(target).find(RUN)
    assert [each.state for each in found] == [JobState.RUNNING, JobState.DONE]
    _, query, _ = service.asked[0]
    assert query["clusterName"] == ["desk"]
    assert query["filter"] == [f"labels.cloudlstm = desk AND labels.cloudlstm-run = {RUN.rsplit('/', 1)[1]}"]
    assert service.asked[1][1]["pageToken"] == ["more"]


@pytest.mark.parametrize(
    ("states", "asked"),
    [
        (["DONE"], 0),
        (["CANCEL_STARTED"], 0),
        (["RUNNING"], 1),
        (["SETUP_DONE", "RUNNING"], 1),
    ],
)
def test_a_job_is_cancelled_where_the_service_cancels(
    service: ForeignServer, target: TargetConfig, monkeypatch: pytest.MonkeyPatch, states: list[str], asked: int
) -> None:
    replace_time(monkeypatch, spark, sleep=lambda _: None)
    service.answer(f"GET {NAME}", *map(job, states))
    service.answer(f"POST {NAME}:cancel", job("CANCEL_PENDING"))
    DataprocSpark(target).cancel(NAME)
    assert service.times(f"POST {NAME}:cancel") == asked


def test_a_job_that_ends_while_it_is_being_cancelled_is_no_error(
    service: ForeignServer, target: TargetConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_time(monkeypatch, spark, sleep=lambda _: None)
    service.answer(f"GET {NAME}", job("RUNNING"), job("DONE"))
    service.refuse(f"POST {NAME}:cancel", 400, "Cannot cancel jobId in state: 'DONE'")
    DataprocSpark(target).cancel(NAME)
    assert service.times(f"GET {NAME}") == 2


def test_the_log_tail_names_the_place_of_the_whole_log(service: ForeignServer, target: TargetConfig) -> None:
    prefix = "memory://staging/jobs/1/driveroutput"
    for number in range(3):
        storage.write(f"{prefix}.{number:09}", "".join(f"line {number}-{each}\n" for each in range(30)).encode())
    storage.write(f"{prefix}s.txt", b"another's\n")
    urls = [{"trackingUrl": "http://desk-m:8088/proxy/application_17_0004/"}]
    service.answer(f"GET {NAME}", job("ERROR") | {"driverOutputResourceUri": prefix, "yarnApplications": urls})
    *lines, whole, own = DataprocSpark(target).log_tail(NAME)
    assert lines == [*(f"line 1-{each}" for each in range(20, 30)), *(f"line 2-{each}" for each in range(30))]
    assert whole == f"full output: {prefix}.*"
    assert "yarn logs -applicationId application_17_0004" in own


@pytest.mark.parametrize(
    ("state", "stage", "remedy"),
    [("RUNNING", "READY", ""), ("UPDATING", "READY", ""), ("CREATING", "CHANGING", "wait"),
     ("DELETING", "CHANGING", "wait"), ("STOPPED", "BROKEN", "gcloud dataproc clusters start desk"),
     ("ERROR", "BROKEN", "-replace=google_dataproc_cluster.spark")],
)  # fmt: skip
def test_a_cluster_accepts_work_or_names_the_fix(
    service: ForeignServer, target: TargetConfig, state: str, stage: str, remedy: str
) -> None:
    config = {"softwareConfig": {"imageVersion": "2.3.9-debian12"}}
    service.answer("GET desk", {"config": config, "status": {"state": state, "detail": "a\nreason"}})
    seen = DataprocSpark(target).cluster()
    assert (seen.state, seen.reason, seen.release) == (state, "a reason", "2.3.9-debian12")
    assert seen.stage.name == stage
    assert remedy in seen.remedy


GROUP, RESIZE = "GET desk-trainers", "POST resize"


def managed(name: str, status: str, action: str) -> dict[str, str]:
    url = f"https://www.googleapis.com/compute/v1/projects/desk-project/zones/europe-west4-b/instances/{name}"
    return {"instance": url, "instanceStatus": status, "currentAction": action}


def test_a_group_has_a_target_size_and_machines(service: ForeignServer, target: TargetConfig) -> None:
    service.answer(GROUP, {"name": "desk-trainers", "targetSize": 2})
    service.answer(
        "POST listManagedInstances",
        {"managedInstances": [managed("a", "RUNNING", "NONE") | {"id": "4711"}], "nextPageToken": "more"},
        {"managedInstances": [managed("b", "", "CREATING"), managed("c", "STOPPING", "DELETING")]},
    )
    seen = ManagedTrainers(target).look()
    assert (seen.size, seen.most) == (2, 4)
    assert [(each.id, each.ready) for each in seen.machines] == [("4711", True), ("b", False), ("c", False)]
    assert {(each.zone, each.kind) for each in seen.machines} == {("europe-west4-b", "g2-standard-4")}


def test_a_resize_also_to_zero_is_sent_and_awaited(service: ForeignServer, target: TargetConfig) -> None:
    service.answer(RESIZE, {"name": "operation-1", "status": "RUNNING"})
    service.answer("GET operation-1", {"name": "operation-1", "status": "RUNNING"}, {"name": "x", "status": "DONE"})
    group = ManagedTrainers(target)
    group.send(group.size_request(0))
    assert service.asked[0][1] == {"size": ["0"]}
    assert service.times("GET operation-1") == 2
    assert group.deadline_request("2026-11-23T00:00:00Z") is None


def test_a_failed_operation_is_an_error(service: ForeignServer, target: TargetConfig) -> None:
    errors = {"errors": [{"code": "QUOTA_EXCEEDED", "message": "Quota 'NVIDIA_L4_GPUS'\nexceeded."}]}
    service.answer(RESIZE, {"name": "o", "status": "DONE", "error": errors})
    group = ManagedTrainers(target)
    with pytest.raises(TargetError, match=r"cannot resize desk-trainers: Quota 'NVIDIA_L4_GPUS' exceeded. \(QUOTA_EXC"):
        group.send(group.size_request(3))


def test_the_launch_error_is_the_latest_one_with_its_zone(service: ForeignServer, target: TargetConfig) -> None:
    def error(when: str, text: str) -> dict[str, Any]:
        details = {"action": "CREATING", "instance": managed("a", "", "")["instance"]}
        reply = {"code": "ZONE_RESOURCE_POOL_EXHAUSTED", "message": text}
        return {"error": reply, "timestamp": when, "instanceActionDetails": details}

    old, last = error("2026-11-23T10:00:00.5-07:00", "an old one"), error("2026-11-23T12:00:00.123-07:00", "none left")
    service.answer("GET listErrors", {"items": [old, last]})
    group, noon = ManagedTrainers(target), 1795460400.0  # 2026-11-23T19:00:00Z
    output = group.launch_error(noon)
    assert output == "none left (ZONE_RESOURCE_POOL_EXHAUSTED) (europe-west4-b, g2-standard-4)"
    assert group.launch_error(noon + 3600) == ""


@pytest.mark.parametrize(
    ("status", "kind", "output"),
    [
        (400, TargetError, r"cannot call get of compute: what it says \(400\)"),
        (401, TargetError, "gcloud auth application-default login"),
        (403, TargetError, "the rights of desk-submitter"),
        (404, TargetError, "terraform apply"),
        (429, TargetUnavailableError, "what it says"),
        (500, TargetUnavailableError, "what it says"),
        (503, TargetUnavailableError, "what it says"),
    ],
)
def test_errors_name_the_request_and_the_fix(
    service: ForeignServer, target: TargetConfig, status: int, kind: type[CloudLSTMError], output: str
) -> None:
    service.refuse(GROUP, status, "what it\nsays")
    with pytest.raises(kind, match=output) as caught:
        ManagedTrainers(target).look()
    assert type(caught.value) is kind
    assert "http" not in caught.value.message


def test_a_temporary_error_is_retried(
    service: ForeignServer, target: TargetConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_RETRY_LIMIT_S", 30.0)
    service.refuse(RESIZE, 503, "later")
    service.refuse(RESIZE, 429, "slower")
    service.refuse(RESIZE, 403, "Rate Limit Exceeded", "rateLimitExceeded")
    service.refuse(RESIZE, 400, "The resource is not ready", "resourceNotReady")
    service.answer(RESIZE, {"name": "o", "status": "DONE"})
    group = ManagedTrainers(target)
    group.send(group.size_request(1))
    assert service.times(RESIZE) == 5


def test_a_service_that_does_not_listen_is_unavailable(target: TargetConfig) -> None:
    gone = target.model_copy(update={"endpoints": {"dataproc": "http://127.0.0.1:9"}})
    with pytest.raises(TargetUnavailableError, match="check the network"):
        DataprocSpark(gone).look("x")


def test_the_error_without_credentials_says_how_to_get_them(
    target: TargetConfig, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    nothing = tmp_path_factory.mktemp("nothing")
    for name, value in {"HOME": nothing, "CLOUDSDK_CONFIG": nothing, "NO_GCE_CHECK": "true"}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    real = target.model_copy(update={"endpoints": {}})
    with pytest.raises(TargetError, match="gcloud auth application-default login"):
        GcpAccount(real).credentials()


def quotas(**limits: tuple[int, int]) -> dict[str, Any]:
    return {"quotas": [{"metric": name, "limit": limit, "usage": usage} for name, (limit, usage) in limits.items()]}


@pytest.mark.parametrize(
    ("machines", "region", "project", "output"),
    [
        ("l4", {"NVIDIA_L4_GPUS": (8, 2)}, {"GPUS_ALL_REGIONS": (8, 0)}, "would need 4 of 6 GPUs free in europe-west4"),
        ("l4", {"NVIDIA_L4_GPUS": (4, 1)}, {}, "3 are allowed (try: ask for more under IAM & Admin > Quotas, or train"),
        ("l4", {"NVIDIA_L4_GPUS": (0, 0), "PREEMPTIBLE_NVIDIA_L4_GPUS": (4, 0)}, {},
         "(quota NVIDIA_L4_GPUS), and 0 are allowed (try: ask for more under IAM & Admin > Quotas)"),
        ("l4 spot", {"NVIDIA_L4_GPUS": (0, 0), "PREEMPTIBLE_NVIDIA_L4_GPUS": (4, 0)}, {},
         "4 of 4 GPUs free in europe-west4 (quota PREEMPTIBLE_NVIDIA_L4_GPUS)"),
        ("l4 spot", {"NVIDIA_L4_GPUS": (4, 0), "PREEMPTIBLE_NVIDIA_L4_GPUS": (0, 0)}, {}, "(quota NVIDIA_L4_GPUS)"),
        ("l4", {"NVIDIA_L4_GPUS": (8, 0)}, {"GPUS_ALL_REGIONS": (1, 0)}, "in all regions (quota GPUS_ALL_REGIONS)"),
        ("l4", {"NVIDIA_L4_GPUS": (8, 0), "CPUS": (8, 0)}, {}, "4 trainers more need 16 vCPUs free in europe-west4"),
        ("l4", {}, {}, "there is no quota NVIDIA_L4_GPUS; Spark at its largest takes 20 vCPUs"),
        ("none", {"CPUS": (24, 0)}, {"CPUS_ALL_REGIONS": (32, 0)}, "16 of 24 vCPUs"),
        ("none", {"G2_CPUS": (12, 0), "CPUS": (24, 0)}, {}, "4 trainers more need 16 vCPUs free in europe-west4"),
        ("none spot", {"CPUS": (0, 0), "PREEMPTIBLE_CPUS": (16, 0)}, {}, "(quota PREEMPTIBLE_CPUS)"),
        ("none", {"CPUS": (24, 0), "SSD_TOTAL_GB": (500, 150)}, {},
         "4 trainers more need 400 GB free in europe-west4 (quota SSD_TOTAL_GB), and 350 are allowed"),
    ],
)  # fmt: skip
def test_quotas_of_the_region_and_of_the_project_are_checked(
    service: ForeignServer, target: TargetConfig, machines: str, region: Any, project: Any, output: str
) -> None:
    gpu, _, spot = machines.partition(" ")
    service.answer(GROUP, {"targetSize": 0})
    service.answer("POST listManagedInstances", {})
    machine = {"name": "g2-standard-4", "guestCpus": 4}
    accelerators = [{"guestAcceleratorType": "nvidia-l4", "guestAcceleratorCount": 1}]
    service.answer("GET g2-standard-4", machine | ({"accelerators": accelerators} if gpu != "none" else {}))
    service.answer("GET n2-standard-4", machine | {"name": "n2-standard-4"})
    service.answer("GET europe-west4", quotas(**region))
    service.answer("GET desk-project", {"name": "desk-project"} | quotas(**project))
    try:
        reply = GcpAccount(target.model_copy(update={"trainer_gpu": gpu, "trainer_spot": bool(spot)})).quota(4)
    except TargetError as error:
        reply = str(error)
    assert output in reply


@pytest.mark.parametrize(
    ("kind", "quota"),
    [("l4", "NVIDIA_L4_GPUS"), ("nvidia-tesla-t4", "NVIDIA_T4_GPUS"), ("nvidia-a100-80gb", "NVIDIA_A100_80GB_GPUS")],
)
def test_the_quota_of_a_gpu(kind: str, quota: str) -> None:
    assert gpu_quota(kind) == quota


def test_the_quota_of_a_machine_type() -> None:
    known = [{"metric": "N2_CPUS"}, {"metric": "CPUS"}]
    assert [cpu_quota(each, known) for each in ("n2-standard-4", "e2-medium")] == ["N2_CPUS", "CPUS"]
