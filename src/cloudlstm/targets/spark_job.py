"""A job on a cloud's Spark cluster: submitted once, found again after a launcher's crash, and watched."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from cloudlstm.errors import StorageError, TargetError, TargetUnavailableError, UsageError
from cloudlstm.runs import attempts
from cloudlstm.runs.environment import ATTEMPT
from cloudlstm.runs.own_packages import packages_of
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets.base import JobState, Request
from cloudlstm.targets.bundle.dependencies import ARCHIVE, STREAM_ARCHIVE
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.polling import INTERVALS, CloudJob, Intervals, Phases, SendFirst, in_background
from cloudlstm.targets.services import Application, SparkService, SparkWork
from cloudlstm.workers.deadline import TARGET_HOURS, too_long

if TYPE_CHECKING:
    from cloudlstm.config import RunConfig

_ENDING_S = 120.0
"""How long to wait for the end of a cancelled application."""

MARGIN_S = 600.0
"""How long after its limit an application is cancelled that does not end itself."""

_HOUR_S = 3600

TAIL_LINES = 40
"""Number of log lines shown for a failed application."""

OPENED = "${opened}"
"""Placeholder for an id of the attempt. It tells the attempt from one of a deleted run with the same name, whose
applications the service still lists. Every request has it in its name or its arguments.
"""

NAME_PREFIX = "cloudlstm "
"""Prefix of the names of cloudlstm's applications."""

DEPENDENCIES = (f"${{dependencies.uri}}#{ARCHIVE.removesuffix('.zip')}",)
"""The archive of dependencies, and the folder into which YARN unpacks it."""
STREAM_DEPENDENCIES = (*DEPENDENCIES, f"${{stream-dependencies.uri}}#{STREAM_ARCHIVE.removesuffix('.zip')}")
"""Likewise for the job "stream": it also needs the client of Kafka."""


def application_name(paths: RunPaths, job: str) -> str:
    """Returns the display name of a job's application."""
    return f"{NAME_PREFIX}{paths.run_id} {job} ${{attempt}}"


def spark_conf(target: TargetConfig, work: SparkWork, environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the Spark configuration of an application on YARN in cluster deploy mode.

    Args:
        target: The target document.
        work: What is submitted.
        environment: Further environment variables of the driver and the executors.
    """
    path = ":".join(f"./{each.partition('#')[2]}" for each in work.dependencies)
    environment = {"PYTHONPATH": path, **environment, ATTEMPT: "${attempt}"}
    return {
        "spark.pyspark.python": target.spark_python_path,
        "spark.yarn.maxAppAttempts": "1",  # a second one would find the claim taken and exit with 0
        **{f"spark.yarn.appMasterEnv.{name}": value for name, value in environment.items()},
        **{f"spark.executorEnv.{name}": value for name, value in environment.items()},
    }


def work_of_run(job: str, config: RunConfig, paths: RunPaths) -> SparkWork:
    """What is submitted for a job of a run. The user's packages are on the path if there are any."""
    files = ("${package.uri}", *(("${own.uri}",) if packages_of(config) else ()))
    return SparkWork(job, paths, config.spark.driver_memory_mib, files, DEPENDENCIES)


def matching_applications(request: Request, run: str, service: SparkService) -> list[Application]:
    """Returns the applications that this exact request has started."""
    wanted = service.name_and_arguments(request)
    return [each for each in service.find(run) if (each.name, each.arguments) == wanted]


def cancel_driver(application: Application) -> None:
    """Marks the attempt of an application as cancelled, if it is one of ours and its run has such an attempt.

    The driver reads that and ends. EMR's cancellation ends only spark-submit.
    """
    run, number = "".join(application.arguments[-1:]), application.name.rpartition(" ")[2]
    paths = RunPaths(run)
    with suppress(StorageError, UsageError):  # UsageError: somebody else's application, without the URI of a run
        if number.isdecimal() and int(number) <= attempts.latest_attempt(paths):
            attempts.cancel(paths, int(number))


class SparkJob(CloudJob):
    """The application of a run's job in one attempt.

    Args:
        job: The job's name.
        run: URI of the run.
        attempt: Number of the attempt.
        request: Uploads what the request needs and returns it without placeholders.
        service: The Spark service.
        intervals: The pauses between requests.
        hours: How long the application may take. It ends itself then; if it cannot, this job cancels it later.
        send_first: Sends what takes minutes; None if there is no such thing.
        ready: Waits until the cluster takes jobs; None if it does.
    """

    def __init__(
        self,
        job: str,
        run: str,
        attempt: int,
        request: Callable[[], Request],
        service: SparkService,
        intervals: Intervals = INTERVALS,
        *,
        hours: float = TARGET_HOURS,
        send_first: SendFirst | None = None,
        ready: Callable[[], Phases] | None = None,
    ) -> None:
        self._hours, self._send_first, self._ready = hours, send_first, ready
        self._job, self._run, self._attempt = job, run, attempt
        self._make_request, self._service = request, service
        self._request: Request = {}
        self._application: Application | None = None
        super().__init__(intervals)

    def _phases(self) -> Phases:
        yield "sending the code"
        if self._send_first:
            yield from in_background(self._send_first)
        self._request = self._make_request()
        # Applications of an earlier attempt end when they see this attempt; cancelling them frees the cluster sooner.
        ours = self._find_application()
        if ours is None:
            for each in self._service.find(self._run):
                if each.state is JobState.RUNNING:
                    self._service.cancel(each.id)
                    yield from self._wait_for_end(each.id, "waiting for the end of an earlier attempt")
            self.working_since = time.time()
            if self._ready:
                yield from self._ready()
            yield "submitting"
            known = self._retry(self._submitted)
            ours = self._retry(lambda: self._service.look(known))
        self.working_since = self.working_since or time.time()
        while True:
            self._application = ours
            yield from self._wait_for_end(ours.id, "Spark on the cluster")
            # If a lost answer led to two submissions, one found its work claimed and ended without a Spark context,
            # which YARN counts as failed: follow the other.
            done = self._application.state is JobState.DONE
            other = self._find_application(JobState.RUNNING, *(() if done else (JobState.DONE,)))
            if other is None:
                break
            ours = other
        self._final = self._application.state

    def _find_application(self, *states: JobState) -> Application | None:
        """Returns this attempt's application if it was submitted; prefers a running one, then a successful one."""
        if not self._request:
            return None
        found = matching_applications(self._request, self._run, self._service)
        found = [each for each in found if not states or each.state in states]
        wanted = (JobState.RUNNING, JobState.DONE)
        return min(found, key=lambda each: [each.state is not state for state in wanted], default=None)

    def _submitted(self) -> str:
        try:
            return self._service.submit(self._request)
        except TargetUnavailableError:
            # The request may have arrived, and not every service recognises a repeated request.
            if ours := self._find_application():
                return ours.id
            raise

    def _wait_for_end(self, application: str, phase: str) -> Phases:
        poll = self._poller(lambda: self._service.look(application))
        give_up = time.monotonic() + self._hours * _HOUR_S + MARGIN_S
        while True:
            if time.monotonic() > give_up:
                raise too_long(self._job, self._hours)
            seen = poll()
            if seen is not None:
                if self._application is not None:
                    self._application = seen
                if seen.state is not JobState.RUNNING:
                    return
            yield f"{phase}: {seen.details}" if seen else self.phase

    def cancel(self) -> None:
        """Cancels the application unless it has ended, and waits for its end."""
        if self._final is not None:
            return
        self._final = JobState.CANCELLED
        with suppress(StorageError):  # see cancel_driver
            attempts.cancel(RunPaths(self._run), self._attempt)
        with suppress(TargetError):  # the application ends when it sees a later attempt
            ours = self._find_application(JobState.RUNNING)
            if ours is None:
                return
            self._service.cancel(ours.id)
            give_up = time.monotonic() + _ENDING_S
            while time.monotonic() < give_up and self._service.look(ours.id).state is JobState.RUNNING:
                time.sleep(self._intervals.cancel_poll_s)

    def abandon(self) -> None:
        """The application continues for the other launcher."""
        self._final = self._final or JobState.CANCELLED

    def explain(self) -> str:
        """Returns how the application ended, and the last lines of its log."""
        if self._application is None:
            return f"{self._job} was not submitted"
        summary = f"{self._job} {self._application.id} ended as {self._application.details}"
        try:
            return "\n".join([summary, *self._service.log_tail(self._application.id)])
        except TargetError as error:
            return f"{summary}\nits log could not be read: {error}"
