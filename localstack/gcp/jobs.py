"""The life of Dataproc jobs: received, set up, run, cancelled or tried again, and told of as Dataproc does."""

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
_AT_ONCE = 5
"""Jobs that a small cluster runs at a time; more wait, although they count as running."""


@dataclass
class Cluster:
    """What jobs need to know of their cluster.

    Attributes:
        name: Its name.
        uuid: Its id.
        since: When it was made, in epoch seconds.
        bucket: The staging bucket.
        defaults: Its Spark properties.
        gone: Whether it is no more, or stopped.
    """

    name: str
    uuid: str
    since: float
    bucket: str
    defaults: dict[str, str]
    gone: bool = False


@dataclass
class Job:
    """A job.

    Attributes:
        document: As Dataproc tells of it.
        words: What spark-submit gets.
        cluster: Where it runs.
        request: The id of the request that submitted it; empty for none.
        asked: What was submitted.
        attempts: How often it was begun.
        application: What runs now.
    """

    document: Document
    words: list[str]
    cluster: Cluster
    request: str
    asked: Document
    attempts: int = 0
    application: Application | None = None

    @property
    def id(self) -> str:
        return str(self.document["reference"]["jobId"])

    @property
    def state(self) -> str:
        return str(self.document["status"]["state"])

    def enter(self, state: str, details: str = "", substate: str = "") -> None:
        """It is in this state from now on."""
        status = {"state": state, "stateStartTime": now()}
        status |= {"details": details} if details else {}
        status |= {"substate": substate} if substate else {}
        self.document["statusHistory"] = [*self.document.get("statusHistory", []), self.document["status"]]
        self.document |= {"status": status, "done": state in ENDED}


class Jobs:
    """All jobs of all clusters; `tick` is called again and again, with the world's lock held."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._logs = Logs(world)
        self._applications = Applications(world)
        self.all: dict[str, Job] = {}

    def submit(self, asked: Document, words: list[str], cluster: Cluster, request: str) -> Job:
        """Takes a job in; the one of the same request when it came before.

        Raises:
            Refusal: when there is another job of this id.
        """
        name = asked["reference"]["jobId"]
        same = [each for each in self.all.values() if request and each.request == request]
        # Dataproc answers a repeated request without a look at its job; here another job is told, as it is a mistake.
        if same and same[0].asked == asked:
            return same[0]
        if same or name in self.all:
            raise Refusal(
                409, f"Already exists: Failed to submit job: Job projects/{PROJECT}/regions/{REGION}/jobs/{name}"
            )
        folder = f"gs://{cluster.bucket}/google-cloud-dataproc-metainfo/{cluster.uuid}/jobs/{name}/"
        document = asked | {
            "placement": asked["placement"] | {"clusterUuid": cluster.uuid},
            "status": {"state": "PENDING", "stateStartTime": now()},
            "jobUuid": str(uuid.uuid4()),
            "driverControlFilesUri": folder,
            "driverOutputResourceUri": f"{folder}driveroutput",
        }
        self.all[name] = Job(document, words, cluster, request, asked)
        return self.all[name]

    def cancel(self, name: str) -> None:
        """Takes a cancellation.

        Raises:
            Refusal: for a job that cannot be cancelled as it is.
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
        """Moves every job on as far as it goes."""
        for job in list(self.all.values()):
            if job.state in ENDED:
                continue
            if job.cluster.gone:
                self._abandon(job)
            else:
                self._move(job)

    def states(self) -> list[dict[str, object]]:
        """The jobs, as JSON objects."""
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
                job.application.cancel(gently=True)
            else:
                job.enter("CANCELLED")
        elif job.application is None:
            self._begin(job)
        else:
            self._watch(job, job.application)

    def _begin(self, job: Job) -> None:
        status = job.document["status"]
        at_work = sum(each.application is not None for each in self._of(job.cluster))
        if at_work >= _AT_ONCE:
            status |= {"substate": "QUEUED", "details": "The job waits: the cluster has no room for its driver."}
            return
        for name in ("substate", "details"):
            status.pop(name, None)
        job.attempts += 1
        folder = self._world.folder / "clusters" / job.cluster.name / job.id
        job.application = self._applications.begin(
            folder if job.attempts == 1 else folder.with_name(f"{job.id}.{job.attempts}"),
            job.cluster.since,
            job.words,
            defaults=job.cluster.defaults,
            joined=True,
        )
        self._tell(job, "RUNNING", 0.1)

    def _watch(self, job: Job, application: Application) -> None:
        status = application.status()
        if status is None:
            return
        done, cancelled = status == 0, job.state == "CANCEL_STARTED"
        self._tell(job, "FINISHED" if done else "KILLED" if cancelled else "FAILED", 1.0)
        self._send_output(job, application)
        job.application = None
        if done:
            job.enter("DONE")
        elif cancelled:
            job.enter("CANCELLED")
        elif job.attempts <= self._restarts(job):
            job.enter("ATTEMPT_FAILURE", self._explained(job, application))
        else:
            job.enter("ERROR", self._explained(job, application))

    def _abandon(self, job: Job) -> None:
        """What the end of its cluster means for a job."""
        if job.application:
            job.application.end()
            self._send_output(job, job.application)
            job.application = None
        job.enter("ERROR", "Job aborted: the cluster was stopped or deleted.")

    def _restarts(self, job: Job) -> int:
        """How often a driver that fails is started again."""
        wanted = job.asked.get("scheduling", {})
        return max(int(wanted.get("maxFailuresTotal", 0)), int(wanted.get("maxFailuresPerHour", 0)))

    def _explained(self, job: Job, application: Application) -> str:
        """status.details: what is known of the failure, and where the driver's output is."""
        fault = application.fault
        told = application.last_exception().removeprefix('Exception in thread "main" ')
        if fault and (fault.reason or fault.message):
            told = " ".join(filter(None, (fault.reason, fault.message)))
        begin = (
            f"Job failed with message [{told}]. Additional details can be found at:"
            if told
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

    def _tell(self, job: Job, state: str, progress: float) -> None:
        """Adds the application to those of the job, or tells its new state."""
        assert job.application
        name = job.application.id
        told = {each["trackingUrl"]: each for each in job.document.get("yarnApplications", [])}
        url = f"http://{job.cluster.name}-m:8088/proxy/{name}/"
        program = job.words[job.words.index("--name") + 1]
        told[url] = {"name": program, "state": state, "progress": progress, "trackingUrl": url}
        job.document["yarnApplications"] = list(told.values())

    def _send_output(self, job: Job, application: Application) -> None:
        """What the client printed; in cluster deploy mode the driver's own words are in its container's log."""
        text = tail(application.folder / "stderr", 1 << 24)
        number = job.attempts - 1
        self._logs.send({f"{job.document['driverOutputResourceUri']}.{number:09}": text.encode()})

    def _of(self, cluster: Cluster) -> Iterator[Job]:
        return (job for job in self.all.values() if job.cluster is cluster)
