"""Runs Dataproc jobs: starts, watches, cancels and restarts them, and sends their output as Dataproc does."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from localstack.gcp.api import Document, Refusal
from localstack.gcp.compute import now
from localstack.gcp.provider import PROJECT, REGION
from localstack.processes import tail
from localstack.server.world import World
from localstack.spark.applications import Application, Applications, Logs

ENDED = ("CANCELLED", "DONE", "ERROR")
_CANCELLABLE = ("PENDING", "RUNNING")
_MAX_RUNNING = 5
"""Jobs that a small cluster runs at a time; others wait in state RUNNING."""


@dataclass
class Cluster:
    """The properties of a cluster that jobs need.

    Attributes:
        name: Its name.
        uuid: Its id.
        bucket: Its staging bucket.
        defaults: Its Spark properties.
        gone: True if it was deleted or stopped.
    """

    name: str
    uuid: str
    bucket: str
    defaults: dict[str, str]
    gone: bool = False


@dataclass
class Job:
    """A job.

    Attributes:
        document: Its state in Dataproc's format.
        arguments: The arguments of spark-submit.
        cluster: Its cluster.
        request: The id of the request that submitted it; may be empty.
        submitted: The submitted document.
        attempts: How often it was started.
        application: The running application, if any.
    """

    document: Document
    arguments: list[str]
    cluster: Cluster
    request: str
    submitted: Document
    attempts: int = 0
    application: Application | None = None

    @property
    def id(self) -> str:
        return str(self.document["reference"]["jobId"])

    @property
    def state(self) -> str:
        return str(self.document["status"]["state"])

    def enter(self, state: str, details: str = "", substate: str = "") -> None:
        """Changes the state; the old status goes to the history."""
        status = {"state": state, "stateStartTime": now()}
        status |= {"details": details} if details else {}
        status |= {"substate": substate} if substate else {}
        self.document["statusHistory"] = [*self.document.get("statusHistory", []), self.document["status"]]
        self.document |= {"status": status, "done": state in ENDED}


class Jobs:
    """All jobs of all clusters. The engine calls `tick` in each turn, with the world's lock held."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._logs = Logs(world)
        self._applications = Applications(world)
        self.all: dict[str, Job] = {}

    def submit(self, submitted: Document, arguments: list[str], cluster: Cluster, request: str) -> Job:
        """Adds a job and returns it; for a repeated request, returns the earlier job.

        Raises:
            Refusal: if another job has this id or this request id.
        """
        name = submitted["reference"]["jobId"]
        same = [each for each in self.all.values() if request and each.request == request]
        # Dataproc ignores the job of a repeated request; here a different job is an error, because it is a mistake.
        if same and same[0].submitted == submitted:
            return same[0]
        if same or name in self.all:
            raise Refusal(
                409, f"Already exists: Failed to submit job: Job projects/{PROJECT}/regions/{REGION}/jobs/{name}"
            )
        folder = f"gs://{cluster.bucket}/google-cloud-dataproc-metainfo/{cluster.uuid}/jobs/{name}/"
        document = submitted | {
            "placement": submitted["placement"] | {"clusterUuid": cluster.uuid},
            "status": {"state": "PENDING", "stateStartTime": now()},
            "jobUuid": str(uuid.uuid4()),
            "driverControlFilesUri": folder,
            "driverOutputResourceUri": f"{folder}driveroutput",
        }
        self.all[name] = Job(document, arguments, cluster, request, submitted)
        return self.all[name]

    def cancel(self, name: str) -> None:
        """Cancels a job.

        Raises:
            Refusal: if the job's state does not allow it.
        """
        job = self.all[name]
        if job.state not in _CANCELLABLE:
            raise Refusal(
                400,
                f"Cannot cancel jobId '{name}' in projectId '{PROJECT}' in state: '{job.state}'; "
                f"cancellable states: '[{', '.join(_CANCELLABLE)}]'",
                "FAILED_PRECONDITION",
            )
        job.enter("CANCEL_PENDING")

    def tick(self) -> None:
        """Moves every job to its next state, if it is ready for it."""
        for job in list(self.all.values()):
            if job.state in ENDED:
                continue
            if job.cluster.gone:
                self._abandon(job)
            else:
                self._move(job)

    def states(self) -> list[dict[str, object]]:
        """Returns the jobs as JSON objects."""
        return [
            {"cluster": job.cluster.name, "step": job.id, "name": job.id, "state": job.state}
            for job in self.all.values()
        ]

    def _move(self, job: Job) -> None:
        if job.state == "PENDING":
            job.enter("SETUP_DONE")
        elif job.state in ("SETUP_DONE", "ATTEMPT_FAILURE"):
            job.enter("RUNNING", substate="SUBMITTED")
        elif job.state == "CANCEL_PENDING":
            job.enter("CANCEL_STARTED")
            if job.application:
                job.application.cancel()
            else:
                job.enter("CANCELLED")
        elif job.application is None:
            self._begin(job)
        else:
            self._watch(job, job.application)

    def _begin(self, job: Job) -> None:
        status = job.document["status"]
        n_running = sum(each.application is not None for each in self._of(job.cluster))
        if n_running >= _MAX_RUNNING:
            status |= {"substate": "QUEUED", "details": "The job waits: the cluster has no room for its driver."}
            return
        for name in ("substate", "details"):
            status.pop(name, None)
        job.attempts += 1
        folder = self._world.folder / "clusters" / job.cluster.name / job.id
        job.application = self._applications.begin(
            folder if job.attempts == 1 else folder.with_name(f"{job.id}.{job.attempts}"),
            job.arguments,
            defaults=job.cluster.defaults,
            joined=True,
        )

    def _watch(self, job: Job, application: Application) -> None:
        status = application.status()
        if status is None:
            self._set_application(job, "RUNNING", 0.1)
            return
        done, cancelled = status == 0, job.state == "CANCEL_STARTED"
        self._set_application(job, "FINISHED" if done else "KILLED" if cancelled else "FAILED", 1.0)
        self._send_output(job, application)
        job.application = None
        if done:
            job.enter("DONE")
        elif cancelled:
            job.enter("CANCELLED")
        elif job.attempts <= self._restarts(job):
            job.enter("ATTEMPT_FAILURE", self._details(job, application))
        else:
            job.enter("ERROR", self._details(job, application))

    def _abandon(self, job: Job) -> None:
        """Ends a job because its cluster has ended."""
        if job.application:
            job.application.end()
            self._send_output(job, job.application)
            job.application = None
        job.enter("ERROR", "Job aborted: the cluster was stopped or deleted.")

    def _restarts(self, job: Job) -> int:
        """Returns how often a failed driver is restarted."""
        scheduling = job.submitted.get("scheduling", {})
        return max(int(scheduling.get("maxFailuresTotal", 0)), int(scheduling.get("maxFailuresPerHour", 0)))

    def _details(self, job: Job, application: Application) -> str:
        """Returns status.details: the error and the place of the driver's output."""
        fault = application.fault
        message = application.last_exception().removeprefix('Exception in thread "main" ')
        if fault and (fault.reason or fault.message):
            message = " ".join(filter(None, (fault.reason, fault.message)))
        begin = (
            f"Job failed with message [{message}]. Additional details can be found at:"
            if message
            else "Google Cloud Dataproc Agent reports job failure. If logs are available, they can be found at:"
        )
        return "\n".join(
            (
                begin,
                f"https://console.cloud.google.com/dataproc/jobs/{job.id}?project={PROJECT}&region={REGION}",
                f"gcloud dataproc jobs wait '{job.id}' --region '{REGION}' --project '{PROJECT}'",
                f"{job.document['driverOutputResourceUri']}.*",
            )
        )

    def _set_application(self, job: Job, state: str, progress: float) -> None:
        """Writes the application's state to the job."""
        assert job.application
        name = job.application.id
        if not name:
            return
        applications = {each["trackingUrl"]: each for each in job.document.get("yarnApplications", [])}
        url = f"http://{job.cluster.name}-m:8088/proxy/{name}/"
        program = job.arguments[job.arguments.index("--name") + 1]
        applications[url] = {"name": program, "state": state, "progress": progress, "trackingUrl": url}
        job.document["yarnApplications"] = list(applications.values())

    def _send_output(self, job: Job, application: Application) -> None:
        """Sends the client's output. In cluster deploy mode, the driver's own output is in its container's log."""
        text = tail(application.folder / "stderr", 1 << 24)
        number = job.attempts - 1
        self._logs.send({f"{job.document['driverOutputResourceUri']}.{number:09}": text.encode()})

    def _of(self, cluster: Cluster) -> Iterator[Job]:
        return (job for job in self.all.values() if job.cluster is cluster)
