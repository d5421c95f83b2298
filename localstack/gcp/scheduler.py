"""Cloud Scheduler: jobs that call Compute Engine at the times of a cron expression, in the name of a service account.

The only request that a job can make here is the resize of a group, because this project has no other. What the service
refuses is refused: names, times and zones that are invalid, a token for a host that is not Google's, and an account
of another project.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from localstack.gcp.api import Call, Document, Method, Refusal, page
from localstack.gcp.provider import PROJECT, REGION
from localstack.gcp.trainers import Groups
from localstack.server.clock import Clock, Recurrence

_URL = "/v1/projects/<project>/locations/<region>/jobs"
_NAME = re.compile(r"[a-zA-Z\d_-]{1,500}")
_ACCOUNT = re.compile(rf"[a-z]([a-z0-9-]*[a-z0-9])?@{PROJECT}\.iam\.gserviceaccount\.com")
_HOST = re.compile(r"([a-z0-9-]+\.)+googleapis\.com")
_RESIZE = re.compile(r"/compute/v1/projects/([^/]+)/regions/([^/]+)/instanceGroupManagers/([^/]+)/resize")
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass
class Job:
    """A job.

    Attributes:
        document: As it was created, with its full name.
        times: When it runs.
        paused: Whether it is paused.
        last: The time of its last attempt; empty if there was none.
        status: The error of its last attempt; empty if it succeeded.
    """

    document: Document
    times: Recurrence
    paused: bool = False
    last: str = ""
    status: Document = field(default_factory=dict)

    def shown(self) -> Document:
        """Returns a Job of the API."""
        return self.document | {
            "state": "PAUSED" if self.paused else "ENABLED",
            "scheduleTime": self.times.next.strftime(_FORMAT),
            **({"lastAttemptTime": self.last} if self.last else {}),
            **({"status": self.status} if self.status else {}),
        }


class Scheduler:
    """All jobs; answers requests about them.

    Args:
        clock: The clock of schedules.
        groups: The instance groups that jobs resize.
    """

    def __init__(self, clock: Clock, groups: Groups) -> None:
        self._clock, self._groups = clock, groups
        self._jobs: dict[str, Job] = {}

    def methods(self) -> Iterator[Method]:
        def of(action: str, verb: str, url: str, answer: Any) -> Method:
            return Method("scheduler", action, verb, _URL + url, answer)

        yield of("CreateJob", "POST", "", self._create)
        yield of("ListJobs", "GET", "", self._list)
        yield of("GetJob", "GET", "/<name>", lambda call: self._job(call).shown())
        yield of("DeleteJob", "DELETE", "/<name>", self._delete)
        yield of("RunJob", "POST", "/<name>:run", self._run_now)
        yield of("PauseJob", "POST", "/<name>:pause", lambda call: self._pause(call, paused=True))
        yield of("ResumeJob", "POST", "/<name>:resume", lambda call: self._pause(call, paused=False))

    def tick(self) -> None:
        """Runs the jobs whose time has come."""
        for job in list(self._jobs.values()):
            found = _RESIZE.fullmatch(urlsplit(job.document["httpTarget"]["uri"]).path)
            if not self._clock.follows(found[3] if found else ""):
                continue
            if job.times.due() is not None and not job.paused:
                self._attempt(job)

    def _job(self, call: Call) -> Job:
        name = self._full(call, call["name"])
        if name not in self._jobs:
            raise Refusal(404, "Job not found.")
        return self._jobs[name]

    def _full(self, call: Call, name: str) -> str:
        if call["project"] != PROJECT:
            raise Refusal(403, f"Cloud Scheduler API has not been used in project {call['project']} before.")
        if call["region"] != REGION:
            raise Refusal(404, f"Location {call['region']} is not found or access is unauthorized.")
        return f"projects/{PROJECT}/locations/{REGION}/jobs/{name}"

    def _create(self, call: Call) -> Document:
        full = str(call.body.get("name", ""))
        name = full.rpartition("/")[2]
        if full != self._full(call, name) or not _NAME.fullmatch(name):
            raise Refusal(
                400, f"Job name must be formatted: projects/<PROJECT>/locations/<LOCATION>/jobs/<JOB>: {full}"
            )
        if full in self._jobs:
            raise Refusal(409, f"Job {full} already exists.")
        _check_target(call.body.get("httpTarget") or {})
        try:
            times = Recurrence(str(call.body.get("schedule", "")), str(call.body.get("timeZone") or "UTC"), self._clock)
        except ValueError as error:
            raise Refusal(400, f"Schedule or time zone is invalid: {error}.") from None
        self._jobs[full] = Job(dict(call.body), times)
        return self._jobs[full].shown()

    def _list(self, call: Call) -> Document:
        self._full(call, "")
        found, token = page([job.shown() for job in self._jobs.values()], call, "pageSize", 500)
        return {"jobs": found, **({"nextPageToken": token} if token else {})}

    def _delete(self, call: Call) -> Document:
        del self._jobs[str(self._job(call).document["name"])]
        return {}

    def _run_now(self, call: Call) -> Document:
        job = self._job(call)
        self._attempt(job)
        return job.shown()

    def _pause(self, call: Call, *, paused: bool) -> Document:
        job = self._job(call)
        job.paused = paused
        return job.shown()

    def _attempt(self, job: Job) -> None:
        """Sends the request of a job. An answer that is an error becomes its status, as with the service."""
        url = urlsplit(job.document["httpTarget"]["uri"])
        found = _RESIZE.fullmatch(url.path)
        job.last, job.status = self._clock.now().strftime(_FORMAT), {}
        if url.netloc != "compute.googleapis.com" or found is None:
            job.status = {"code": 5, "message": "the emulator carries out no other request than a resize"}
            return
        place = {"project": found[1], "region": found[2], "name": found[3]}
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        try:
            self._groups.resize(Call(place, query, {}))
        except Refusal as refusal:
            job.status = {"code": 9, "message": str(refusal)}


def _check_target(target: Document) -> None:
    """Raises Refusal for a request that the service does not accept."""
    url = urlsplit(str(target.get("uri", "")))
    if url.scheme not in ("http", "https") or not url.netloc:
        raise Refusal(400, "The HTTP target needs a URI.")
    if str(target.get("httpMethod", "POST")) != "POST":
        raise Refusal(400, "The emulator knows the method POST only.")
    token = target.get("oauthToken")
    if token is None:
        raise Refusal(400, "Compute Engine answers 401 to a request without an OAuth token.")
    if url.scheme != "https" or not _HOST.fullmatch(url.netloc):
        raise Refusal(400, f"OAuth tokens are for hosts of googleapis.com only, not for {url.netloc}.")
    account = str(token.get("serviceAccountEmail", ""))
    if not _ACCOUNT.fullmatch(account):
        raise Refusal(403, f"The principal lacks IAM permission iam.serviceAccounts.actAs for the resource {account}.")
    if str(token.get("scope") or _SCOPE) != _SCOPE:
        raise Refusal(400, f"The emulator knows the scope {_SCOPE} only.")
