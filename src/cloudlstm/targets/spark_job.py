"""A job on a cloud's Spark cluster: submitted once, found again after whatever happened to its launcher, watched."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from cloudlstm.errors import StorageError, TargetError, TargetUnavailableError
from cloudlstm.runs import attempts
from cloudlstm.runs.environment import ATTEMPT
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets.base import JobState, Request
from cloudlstm.targets.bundle.dependencies import ARCHIVE
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.polling import INTERVALS, CloudJob, Intervals, Phases
from cloudlstm.targets.services import Application, SparkService

_ENDING_S = 120.0
"""How long an application may take to end when it is cancelled."""

TAIL_LINES = 40
"""How much of an application's log is told when it failed."""

OPENED = "${opened}"
"""Stands for what an attempt has to itself: a run of the same name may have been deleted, its applications are listed.

Every service's request has this in its name or its arguments.
"""

NAME_PREFIX = "cloudlstm "
"""How names of our applications begin."""

_UNPACKED = ARCHIVE.removesuffix(".zip")
DEPENDENCIES_ARCHIVE = f"${{dependencies.uri}}#{_UNPACKED}"
"""The archive of dependencies, and where YARN is to unpack it."""


def application_name(paths: RunPaths, job: str) -> str:
    """What people call the application of a job."""
    return f"{NAME_PREFIX}{paths.run_id} {job} ${{attempt}}"


def spark_conf(target: TargetConfig, environment: Mapping[str, str]) -> dict[str, str]:
    """The settings of an application on a cluster that runs by YARN, in cluster deploy mode.

    Args:
        target: Where.
        environment: What else the driver and the executors need to find in theirs.
    """
    environment = {"PYTHONPATH": f"./{_UNPACKED}", **environment, ATTEMPT: "${attempt}"}
    return {
        "spark.pyspark.python": target.spark_python_path,
        "spark.yarn.maxAppAttempts": "1",  # a second one would find its claim taken and end well
        **{f"spark.yarn.appMasterEnv.{name}": value for name, value in environment.items()},
        **{f"spark.executorEnv.{name}": value for name, value in environment.items()},
    }


def matching_applications(request: Request, run: str, service: SparkService) -> list[Application]:
    """The applications that come of this very request."""
    wanted = service.name_and_arguments(request)
    return [each for each in service.find(run) if (each.name, each.arguments) == wanted]


class SparkJob(CloudJob):
    """The one application of a run's job in this attempt.

    Args:
        job: The job's name.
        run: URI of the run.
        attempt: The attempt that it works for.
        request: Gives the exact request, with nothing left open, once what it needs is in place.
        service: The Spark service.
        intervals: The pauses between requests.
    """

    def __init__(
        self,
        job: str,
        run: str,
        attempt: int,
        request: Callable[[], Request],
        service: SparkService,
        intervals: Intervals = INTERVALS,
    ) -> None:
        self._job, self._run, self._attempt = job, run, attempt
        self._make_request, self._service = request, service
        self._request: Request = {}
        self._application: Application | None = None
        super().__init__(intervals)

    def _phases(self) -> Phases:
        yield "sending the code"
        self._request = self._make_request()
        # What an earlier attempt left would end by itself, as it finds this attempt. But the cluster may be slow.
        ours = self._find_application()
        if ours is None:
            for each in self._service.find(self._run):
                if each.state is JobState.RUNNING:
                    self._service.cancel(each.id)
                    yield from self._wait_for_end(each.id, "what an earlier attempt left is ending")
            yield "submitting"
            known = self._retry(self._submitted)
            ours = self._retry(lambda: self._service.look(known))
        while True:
            self._application = ours
            yield from self._wait_for_end(ours.id, "Spark on the cluster")
            # Of two that were submitted by a request whose answer was lost, one found its work claimed and ended well.
            other = self._find_application(JobState.RUNNING)
            if other is None:
                break
            ours = other
        self._final = self._application.state

    def _find_application(self, *states: JobState) -> Application | None:
        """The application of this attempt, if it was submitted already; one that works before one that has ended."""
        if not self._request:
            return None
        found = matching_applications(self._request, self._run, self._service)
        found = [each for each in found if not states or each.state in states]
        return min(found, key=lambda each: each.state is not JobState.RUNNING, default=None)

    def _submitted(self) -> str:
        try:
            return self._service.submit(self._request)
        except TargetUnavailableError:
            # It may have arrived all the same, and not every service knows a token that tells a repetition.
            if ours := self._find_application():
                return ours.id
            raise

    def _wait_for_end(self, application: str, phase: str) -> Phases:
        poll = self._poller(lambda: self._service.look(application))
        while True:
            seen = poll()
            if seen is not None:
                if self._application is not None:
                    self._application = seen
                if seen.state is not JobState.RUNNING:
                    return
            yield f"{phase}: {seen.told}" if seen else self.phase

    def cancel(self) -> None:
        """Asks for the application's end unless it has ended, and waits for it."""
        if self._final is not None:
            return
        self._final = JobState.CANCELLED
        with suppress(StorageError):  # the driver looks for this: some services end only what has submitted it
            attempts.cancel(RunPaths(self._run), self._attempt)
        with suppress(TargetError):  # it ends by itself when it finds a later attempt
            ours = self._find_application(JobState.RUNNING)
            if ours is None:
                return
            self._service.cancel(ours.id)
            give_up = time.monotonic() + _ENDING_S
            while time.monotonic() < give_up and self._service.look(ours.id).state is JobState.RUNNING:
                time.sleep(self._intervals.cancel_poll_s)

    def abandon(self) -> None:
        """The application is the other launcher's."""
        self._final = self._final or JobState.CANCELLED

    def explain(self) -> str:
        """How the application ended, and the end of its log."""
        if self._application is None:
            return f"{self._job} was not submitted"
        told = f"{self._job} {self._application.id} ended as {self._application.told}"
        try:
            return "\n".join([told, *self._service.log_tail(self._application.id)])
        except TargetError as error:
            return f"{told}\nits log could not be read: {error}"
