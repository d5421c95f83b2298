"""Spark on Dataproc: an application is a cluster job with an id chosen here, in cluster deploy mode."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Mapping
from typing import Any

from cloudlstm import storage
from cloudlstm.errors import StorageError, TargetError
from cloudlstm.targets.base import JobState, Request
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.gcp.client import GcpApi, status_of
from cloudlstm.targets.polling import retry_unavailable
from cloudlstm.targets.services import Application, ClusterStage, ClusterStatus, SparkWork
from cloudlstm.targets.spark_job import (
    NAME_PREFIX,
    OPENED,
    TAIL_LINES,
    application_name,
    spark_conf,
)

_STATES = {
    "DONE": JobState.DONE,
    "ERROR": JobState.FAILED,
    "ATTEMPT_FAILURE": JobState.FAILED,  # a retry would find the claim taken and exit with 0
    "CANCELLED": JobState.CANCELLED,
}
"""Final states; in all others a job waits, runs or is being cancelled."""

_ENDING = ("CANCEL_PENDING", "CANCEL_STARTED")
_CANCELLABLE = ("PENDING", "RUNNING")
_SETUP_S = 30.0
"""How long a job may take from PENDING to RUNNING; the service cannot cancel it in between."""

_TAKES_WORK = ("RUNNING", "UPDATING", "ERROR_DUE_TO_UPDATE")
_CHANGING = ("CREATING", "STARTING", "REPAIRING", "DELETING")

_LINKS = re.compile(r"\s*(If logs are available, they|Additional details) can be found at:.*", re.DOTALL)
"""Text after the reason in a job's details; `log_tail` returns where the output is."""

_LABEL, _RUN_LABEL, _JOB_LABEL = "cloudlstm", "cloudlstm-run", "cloudlstm-job"


class DataprocSpark:
    """Jobs of the target's Dataproc cluster."""

    def __init__(self, target: TargetConfig) -> None:
        self._target = target
        self._place = {"project_id": target.account, "region": target.region}
        self._jobs = GcpApi("dataproc", "JobController", target)
        self._clusters = GcpApi("dataproc", "ClusterController", target)

    def cluster(self) -> ClusterStatus:
        name = self._target.spark_cluster
        try:
            found = self._clusters.call("get_cluster", **self._place, cluster_name=name)
        except TargetError as error:
            if status_of(error) != 404:
                raise
            remedy = "terraform apply starts another one: an idle cluster deletes itself"
            return ClusterStatus(name, "gone", "", "", ClusterStage.ENDED, remedy)
        status, state = found["status"], str(found["status"]["state"])
        stage, remedy = ClusterStage.BROKEN, "terraform apply -replace=google_dataproc_cluster.spark"
        if state in _TAKES_WORK:
            stage = ClusterStage.READY
        elif state in _CHANGING:
            stage, remedy = ClusterStage.CHANGING, "wait some minutes"
        elif state in ("STOPPED", "STOPPING"):
            remedy = f"gcloud dataproc clusters start {name} --region={self._target.region}"
        release = ((found.get("config") or {}).get("software_config") or {}).get("image_version", "")
        return ClusterStatus(name, state, _line(status.get("detail", "")), release, stage, remedy)

    def start(self) -> None:
        from google.cloud import dataproc_v1 as sdk

        definition = sdk.Cluster.from_json(json.dumps(self._target.spark_definition))
        try:
            self._clusters.begin("create_cluster", **self._place, cluster=definition)
        except TargetError as error:
            if status_of(error) != 409:  # another launcher was first
                raise

    def request(self, work: SparkWork) -> Request:
        """Returns the exact request SubmitJob. Its id is unique over attempts, runs and roots."""
        job, paths = work.job, work.paths
        ours = f"{hashlib.sha256(paths.uri.encode()).hexdigest()[:8]}-${{attempt}}-{OPENED}"
        properties = spark_conf(self._target, work, {}) | {
            "spark.submit.deployMode": "cluster",
            "spark.app.name": application_name(paths, job),
            "spark.driver.memory": f"{work.driver_memory_mib}m",
        }
        submitted = {
            "main_python_file_uri": f"${{{job}.uri}}",
            "args": [*work.words, paths.uri],
            "python_file_uris": list(work.python_files),
            "archive_uris": list(work.dependencies),
            **({"jar_file_uris": list(work.jars)} if work.jars else {}),
            "properties": properties,
        }
        document = {
            "reference": {"job_id": f"{paths.run_id}-{job}-{ours}"},
            "placement": {"cluster_name": self._target.spark_cluster},
            "labels": {_LABEL: self._target.name, _RUN_LABEL: paths.run_id, _JOB_LABEL: f"{job}-${{attempt}}"},
            "pyspark_job": submitted,
        }
        return {
            "service": "dataproc",
            "call": "SubmitJob",
            "arguments": {**self._place, "request_id": f"{job}-{ours}", "job": document},
        }

    def name_and_arguments(self, request: Request) -> tuple[str, tuple[str, ...]]:
        job = request["arguments"]["job"]
        return _name(job), _arguments(job)

    def submit(self, request: Request) -> str:
        """Submits a request; a retry after a lost answer finds the job of the first try."""
        name = str(request["arguments"]["job"]["reference"]["job_id"])
        try:
            self._jobs.call("submit_job", **request["arguments"])
        except TargetError as error:
            if status_of(error) != 409:
                raise
            there = self.look(name)
            if (there.name, there.arguments) != self.name_and_arguments(request):
                raise TargetError(
                    f"project {self._target.account} has another job of the id {name}: {' '.join(there.arguments)}",
                    hint=f"gcloud dataproc jobs delete {name} --region={self._target.region}",
                ) from error
        return name

    def find(self, run: str | None) -> list[Application]:
        """Returns a run's applications, or the unfinished ones of all runs."""
        these = f"labels.{_RUN_LABEL} = {run.rsplit('/', 1)[1]}" if run else "status.state = ACTIVE"
        ours = f"labels.{_LABEL} = {self._target.name} AND {these}"
        here = {**self._place, "cluster_name": self._target.spark_cluster}
        found = retry_unavailable(lambda: self._jobs.each("list_jobs", **here, filter=ours))
        found.sort(key=_began, reverse=True)
        return [each for each in map(_application, found) if run in (None, *each.arguments[-1:])]

    def look(self, application: str) -> Application:
        return _application(self._look(application))

    def _look(self, application: str) -> dict[str, Any]:
        return self._jobs.call("get_job", **self._place, job_id=application)

    def cancel(self, application: str) -> None:
        """Waits for the set-up first: the service rejects a cancel during it, and after the end."""
        give_up = time.monotonic() + _SETUP_S
        while True:
            state = retry_unavailable(lambda: self._look(application))["status"]["state"]
            if state in _STATES or state in _ENDING:
                return
            if state in _CANCELLABLE or time.monotonic() > give_up:
                try:
                    retry_unavailable(lambda: self._jobs.call("cancel_job", **self._place, job_id=application))
                except TargetError as error:
                    if status_of(error) not in (400, 409) or time.monotonic() > give_up:
                        raise  # otherwise the state has changed since
                else:
                    return
            time.sleep(1.0)

    def log_tail(self, application: str) -> list[str]:
        """Returns spark-submit's output and where the driver's own log is: YARN keeps that one."""
        job = self._look(application)
        driver_log = [self._driver_log(job)]
        where = job.get("driver_output_resource_uri")
        if not where:
            return ["Dataproc kept no output of the job", *driver_log]
        try:
            # With ".", so that a longer number with the same beginning does not match.
            parts = sorted(item.uri for item in storage.list_objects(f"{where}."))
            lines: list[str] = []
            while parts and len(lines) < TAIL_LINES:
                lines = storage.read(parts.pop()).decode(errors="replace").splitlines() + lines
        except StorageError as error:
            return [f"Dataproc's output of the job could not be read: {error}", *driver_log]
        return [*lines[-TAIL_LINES:], f"full output: {where}.*", *driver_log]

    def _driver_log(self, job: Mapping[str, Any]) -> str:
        urls = " ".join(str(each.get("tracking_url", "")) for each in job.get("yarn_applications") or ())
        names = sorted(set(re.findall(r"application_\d+_\d+", urls)))
        which = f"`yarn logs -applicationId {names[-1]}` on the cluster" if names else "YARN's web page of the cluster"
        job_id = job["reference"]["job_id"]
        query = f'resource.type="cloud_dataproc_job" resource.labels.job_id="{job_id}"'
        return f"the driver's own log: {which}, or gcloud logging read '{query}' --project={self._target.account}"


def _name(job: Mapping[str, Any]) -> str:
    labels = job.get("labels") or {}
    return NAME_PREFIX + " ".join([labels.get(_RUN_LABEL, ""), *labels.get(_JOB_LABEL, "").rsplit("-", 1)])


def _arguments(job: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the job's id, files and arguments; not its properties, to which the service may add some."""
    work = job.get("pyspark_job") or {}
    return (
        job["reference"]["job_id"],
        work.get("main_python_file_uri", ""),
        *work.get("python_file_uris", ()),
        *work.get("archive_uris", ()),
        *work.get("args", ()),
    )


def _application(job: Mapping[str, Any]) -> Application:
    status = job["status"]
    state, substate = str(status["state"]), str(status.get("substate", ""))  # a state unknown to the SDK is a number
    reasons = [
        substate if substate not in ("", "UNSPECIFIED") else "",
        _line(_LINKS.sub("", status.get("details", ""))),
    ]
    details = ": ".join([state, *filter(None, reasons)])
    return Application(
        job["reference"]["job_id"], _name(job), _arguments(job), _STATES.get(state, JobState.RUNNING), details
    )


def _began(job: Mapping[str, Any]) -> str:
    first = [*(job.get("status_history") or ()), job["status"]][0]
    return str(first.get("state_start_time", ""))


def _line(text: str) -> str:
    return " ".join(text.split())
