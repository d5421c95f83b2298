"""The launcher's machine as a target: the driver and every worker are child processes that end with the launcher.

The workers of the job "train" start together with the job "prepare": they import TensorFlow, which takes seconds, and
then wait.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from cloudlstm import storage
from cloudlstm.errors import CloudLSTMError, MachineError, UsageError
from cloudlstm.runs.environment import ATTEMPT, CORES, DEVICES, FORECASTS_ONLY, MOST_DEVICES
from cloudlstm.targets.base import JobState, Request, StreamWork, Target, own_packages
from cloudlstm.targets.bundle.archive import asset
from cloudlstm.targets.local.job import LocalJob
from cloudlstm.workers import jvm
from cloudlstm.workers.child_environment import worker_environment
from cloudlstm.workers.loopback import Loopback

if TYPE_CHECKING:
    from cloudlstm.config import RunConfig
    from cloudlstm.runs.paths import RunPaths


_JAVA = {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1", "JAVA_HOME": "${java.home}"}
"""The environment of a process that starts Spark."""

_CLASS_ARCHIVE: Request = {
    "job": "classes",
    "processes": [
        {
            "worker": "driver",
            "argv": [sys.executable, "-m", "cloudlstm.pipeline.class_archive"],
            "env": _JAVA | {"PYSPARK_SUBMIT_ARGS": "--driver-memory 512m pyspark-shell"},
        }
    ],
}
"""Makes the archive of Java classes with which the next Spark starts faster (workers/jvm.py)."""


class LocalTarget(Target):
    """Runs jobs as processes of this machine with the interpreter that runs the launcher."""

    name = "local"
    root = None
    workers = 1

    def __init__(self) -> None:
        self._waiting: list[LocalJob] = []
        self._beside: list[LocalJob] | None = None

    def check(self, config: RunConfig, root: str) -> None:
        """Checks that several workers can run safely on this machine; the jobs check everything else."""
        workers = config.train.workers or self.workers
        if workers == 1 or config.train.open_ports:
            return
        danger = (
            f"train.workers={workers}: TensorFlow lets everybody who reaches this machine read and write your files"
        )
        hint = "leave train.workers at 1, which uses the cores too, or accept it with train.open_ports=true"
        if distant := [place for place in (root, config.train.weights) if place and not _is_local(place)]:
            raise UsageError(
                f"{danger}; its ports can be closed only if root and weights are on this machine, not at {distant[0]}",
                hint=hint,
            )
        try:
            Loopback().close()
        except MachineError as error:
            raise MachineError(f"{danger}; {error.message}", hint=hint) from None

    def at_work(self, request: Request) -> bool:  # noqa: ARG002
        """Returns False: local jobs end with their launcher."""
        return False

    def request(self, job: str, config: RunConfig, paths: RunPaths) -> Request:
        """Returns the processes of a job: one driver for "prepare", one process a worker for "train"."""
        argv = [sys.executable, str(asset("jobs", f"{job}.py")), paths.uri]
        own = own_packages(config)
        if job == "prepare":
            env = {ATTEMPT: "${attempt}"}
            if config.prepare.engine == "spark":
                heap = f"--driver-memory {config.spark.driver_memory_mib}m"
                env |= _JAVA | {"PYSPARK_SUBMIT_ARGS": f"{heap} pyspark-shell"}
            return {"job": job, **own, "processes": [{"worker": "driver", "argv": argv, "env": env}]}
        workers = config.train.workers or self.workers
        addresses = [f"127.0.0.1:${{port.{index}}}" for index in range(workers)]
        only = {} if config.train.epochs else {FORECASTS_ONLY: "1"}
        return {
            "job": job,
            "run": paths.uri,
            **own,
            "max_restarts": config.train.max_restarts,
            "network": "loopback only" if workers > 1 and not config.train.open_ports else "this machine's",
            "processes": [
                {"worker": f"worker-{index}", "argv": argv, "env": _worker_env(addresses, index) | only}
                for index in range(workers)
            ],
        }

    def stream_request(self, work: StreamWork) -> Request:
        """Returns the process of the job "stream", which ends with the launcher."""
        argv = [sys.executable, str(asset("jobs", "stream.py")), *work.words, work.paths.uri]
        jars = f"--jars {','.join(work.jars)} " if work.jars else ""
        submit = {"PYSPARK_SUBMIT_ARGS": f"{jars}--driver-memory {work.driver_memory_mib}m pyspark-shell"}
        process = {"worker": "driver", "argv": argv, "env": {ATTEMPT: "${attempt}"} | _JAVA | submit}
        return {"job": "stream", "run": work.paths.uri, **work.own, "processes": [process]}

    @contextmanager
    def standby(self, requests: Sequence[Request]) -> Iterator[None]:
        """Starts the processes of all jobs but the first at once; they load their packages and wait for `start`."""
        self._beside = []
        try:
            for request in requests[1:]:
                if _opens_ports(request):
                    continue  # a port that is free now may be taken by then
                with suppress(CloudLSTMError):  # `start` tries again, and says what is wrong
                    self._waiting.append(LocalJob(request, waits=True))
            yield
        finally:
            for job in (*self._waiting, *self._beside):
                job.cancel()
            self._waiting, self._beside = [], None

    def start(self, request: Request) -> LocalJob:
        """Starts all processes of a request on free ports, or lets those go on that wait for it."""
        if request["job"] == "train" and self._beside == [] and jvm.is_asked_for():
            with suppress(CloudLSTMError):
                self._beside.append(LocalJob(_CLASS_ARCHIVE))
        for job in [each for each in self._waiting if each.job == request["job"]]:
            self._waiting.remove(job)
            if job.begin(request):
                return job
            job.cancel()
        return LocalJob(request)


def make_class_archive() -> None:
    """Makes the archive of Java classes for Spark, if there is none yet; raises MachineError without a Java."""
    job = LocalJob(_CLASS_ARCHIVE)
    try:
        while job.state() is JobState.RUNNING:
            job.wait(1.0)
    finally:
        job.cancel()


def _worker_env(addresses: Sequence[str], index: int) -> dict[str, str]:
    """Returns a worker's environment with its share of the cores; competing workers are slower."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    share = cores[index % len(cores) :: len(addresses)] or [cores[index % len(cores)]]
    devices = min(max(len(cores) // len(addresses), 1), MOST_DEVICES)
    ours = {CORES: ",".join(map(str, share)), DEVICES: str(devices), ATTEMPT: "${attempt}"}
    return worker_environment(addresses, index) | ours


def _opens_ports(request: Request) -> bool:
    return len(request["processes"]) > 1 and request.get("network") != "loopback only"


def _is_local(place: str) -> bool:
    return storage.scheme_of(storage.absolute(place)) == "file"
