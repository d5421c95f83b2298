"""The launcher's machine as a target: the driver and every worker are child processes that end with the launcher."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cloudlstm import storage
from cloudlstm.errors import MachineError, UsageError
from cloudlstm.runs.environment import ATTEMPT, CORES, DEVICES, GENERATION, MOST_DEVICES, RESTARTS
from cloudlstm.runs.paths import RunPaths
from cloudlstm.storage.local import disk_errors
from cloudlstm.targets.base import JobState, Request, Restart, fill_placeholders
from cloudlstm.targets.bundle.archive import asset
from cloudlstm.targets.local.java import find_java
from cloudlstm.targets.local.temp_dir import JobTempDir
from cloudlstm.workers.child_environment import worker_environment
from cloudlstm.workers.loopback import Loopback
from cloudlstm.workers.processes import Process
from cloudlstm.workers.restarts import TERMINATED, Restarts, describe_exit, describe_exits, is_retryable

if TYPE_CHECKING:
    from cloudlstm.config import RunConfig

_GRACE_S = 10.0
"""How long processes may take to end when the job is cancelled."""

_ENDING_S = 10.0
"""How long workers may take to write a checkpoint and end after one of them was lost."""

_STOPPED_S = 10.0
"""A process that was stopped (SIGSTOP) for this long counts as lost."""

_STOPPED_GRACE_S = 2.0
"""How long the peers of a stopped worker may take to end."""


class LocalTarget:
    """Runs jobs as processes of this machine with the interpreter that runs the launcher."""

    name = "local"
    root = None
    workers = 1

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
        if job == "prepare":
            env = {ATTEMPT: "${attempt}"}
            if config.prepare.engine == "spark":
                env |= {
                    "PYSPARK_PYTHON": sys.executable,
                    "PYSPARK_SUBMIT_ARGS": f"--driver-memory {config.spark.driver_memory_mib}m pyspark-shell",
                    "SPARK_LOCAL_IP": "127.0.0.1",
                    "JAVA_HOME": "${java.home}",
                }
            return {"job": job, "processes": [{"worker": "driver", "argv": argv, "env": env}]}
        workers = config.train.workers or self.workers
        addresses = [f"127.0.0.1:${{port.{index}}}" for index in range(workers)]
        return {
            "job": job,
            "run": paths.uri,
            "max_restarts": config.train.max_restarts,
            "network": "loopback only" if workers > 1 and not config.train.open_ports else "this machine's",
            "processes": [
                {"worker": f"worker-{index}", "argv": argv, "env": _worker_env(addresses, index)}
                for index in range(workers)
            ],
        }

    def start(self, request: Request) -> LocalJob:
        """Starts all processes of a request on free ports."""
        return LocalJob(request)


def _worker_env(addresses: Sequence[str], index: int) -> dict[str, str]:
    """Returns a worker's environment with its share of the cores; competing workers are slower."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    share = cores[index % len(cores) :: len(addresses)] or [cores[index % len(cores)]]
    devices = min(max(len(cores) // len(addresses), 1), MOST_DEVICES)
    ours = {CORES: ",".join(map(str, share)), DEVICES: str(devices), ATTEMPT: "${attempt}"}
    return worker_environment(addresses, index) | ours


def _is_local(place: str) -> bool:
    return storage.scheme_of(storage.absolute(place)) == "file"


class LocalJob:
    """The processes of one job. If the request allows restarts, the loss of one restarts all.

    A generation ends when a worker is killed by a signal, exits after SIGTERM, loses a peer, or is stopped. The others
    get SIGTERM, and SIGKILL at most `_ENDING_S` later; then all start as the next generation on new ports. Any other
    failure is not retryable and fails the job.

    If the request says so, the processes run in an isolated network namespace.

    Attributes:
        restarts: The restarts so far.
        phase: Always empty.
    """

    phase = ""
    working_since = None

    def __init__(self, request: Request) -> None:
        self._request = request
        self._job = str(request["job"])
        self._folder = JobTempDir()
        self._processes: list[Process] = []
        self._loopback: Loopback | None = None
        self._allowed = (
            Restarts(RunPaths(request["run"]), self._job, request["max_restarts"])
            if "max_restarts" in request
            else None
        )
        self._lost: dict[str, int] = {}
        self._deadline = 0.0
        self._final: JobState | None = None
        self.restarts: list[Restart] = []
        self._start()

    def _start(self) -> None:
        """Starts all processes on free ports."""
        causes = json.dumps([restart.cause for restart in self.restarts])
        places = self._folder.environment()
        ours = {GENERATION: str(len(self.restarts)), RESTARTS: causes}
        self._processes.clear()
        self._lost = {}
        try:
            values = _values_of_placeholders(self._request)
            if self._request.get("network") == "loopback only" and self._loopback is None:
                self._loopback = Loopback()
            for process in self._request["processes"]:
                argv = self._loopback.command(process["argv"]) if self._loopback else process["argv"]
                env = fill_placeholders(process["env"], values.get)
                name = str(process["worker"])
                console = self._folder.path / f"{name}.txt"
                with disk_errors(f"start {self._job} with {console}"):
                    self._processes.append(Process(name, argv, places | env | ours, console))
        except BaseException:
            self.cancel()
            raise

    def state(self) -> JobState:
        """Returns the state and handles lost workers; call it about once a second."""
        if self._final is None:
            for process in self._processes:
                process.poll()
            self._final = self._ending() if self._lost else self._running()
        return self._final or JobState.RUNNING

    def _running(self) -> JobState | None:
        """Returns the final state; None while workers run, or when a generation has begun to end."""
        if all(process.status == 0 for process in self._processes):
            return JobState.DONE
        self._lost = {p.name: p.status for p in self._processes if p.status is not None and p.status != 0}
        # If a peer failed first because of a stopped worker, the stopped one is the cause.
        patience_s = 0.0 if self._lost else _STOPPED_S
        stopped = [process for process in self._processes if process.stopped_s > patience_s]
        self._lost |= {process.name: -signal.SIGSTOP for process in stopped}
        if not self._lost:
            return None
        if self._allowed is None or not is_retryable(self._lost.values()):
            return JobState.FAILED
        for process in self._processes:
            process.terminate()
        # Peers of a stopped worker have already had the time to finish writing.
        self._deadline = time.monotonic() + (_STOPPED_GRACE_S if stopped else _ENDING_S)
        return None

    def _ending(self) -> JobState | None:
        """Starts the next generation when all processes have ended or the deadline has passed."""
        if any(process.status is None for process in self._processes) and time.monotonic() < self._deadline:
            return None
        # A worker that fails now may have the root cause.
        statuses = {p.name: p.status or 0 for p in self._processes}
        self._lost |= {name: status for name, status in statuses.items() if status > 0 and status != TERMINATED}
        for process in self._processes:
            process.stop(0.0)
        if (
            not is_retryable(self._lost.values())
            or self._allowed is None
            or not self._allowed.take_restart(self._lost.values())
        ):
            return JobState.FAILED
        self.restarts.append(Restart(time.time(), describe_exits(self._lost), self.explain()))
        self._start()
        return None

    def cancel(self) -> None:
        """Sends SIGTERM, then SIGKILL after some seconds, to the processes and their descendants.

        This removes their output: call `explain` before.
        """
        self._final = self._final or JobState.CANCELLED
        for process in self._processes:
            process.terminate()
        deadline = time.monotonic() + _GRACE_S
        for process in self._processes:
            process.stop(deadline)
        if self._loopback:
            self._loopback.close()
        self._folder.remove()

    def abandon(self) -> None:
        """Cancels the job: its processes belong to this launcher."""
        self.cancel()

    def explain(self) -> str:
        """Returns how each lost process ended, and its last lines of output."""
        parts = []
        for process in self._processes:
            if process.name in self._lost:
                parts += [f"{self._job}/{describe_exit(process.name, self._lost[process.name])}", *process.last_lines()]
        return "\n".join(parts)


def _values_of_placeholders(request: Request) -> dict[str, str]:
    """Returns the values of the request's placeholders: free ports, and Java's home."""
    values = {}
    if any("JAVA_HOME" in process["env"] for process in request["processes"]):
        values["java.home"] = str(find_java().home)
    sockets = [socket.socket() for _ in request["processes"]]
    for index, opened in enumerate(sockets):
        opened.bind(("127.0.0.1", 0))
        values[f"port.{index}"] = str(opened.getsockname()[1])
    for opened in sockets:
        opened.close()
    return values
