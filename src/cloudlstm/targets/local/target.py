"""The launcher's own machine as a target: the driver and every worker are processes, ended with the launcher."""

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
"""How long workers may take to end, and a checkpoint to be written, when one of them was lost."""

_STOPPED_S = 10.0
"""A process that has been stopped for this long is lost."""

_STOPPED_GRACE_S = 2.0
"""What its peers get to end."""


class LocalTarget:
    """Runs jobs as processes of this machine with the interpreter that runs the launcher."""

    name = "local"
    root = None
    workers = 1

    def check(self, config: RunConfig, root: str) -> None:
        """Raises what stands in the way of several workers on this machine; the jobs say what else they lack."""
        workers = config.train.workers or self.workers
        if workers == 1 or config.train.open_ports:
            return
        danger = (
            f"train.workers={workers}: TensorFlow lets everybody who reaches this machine read and write your files"
        )
        hint = "leave train.workers at 1, which uses the cores too, or accept it with train.open_ports=true"
        if distant := [place for place in (root, config.train.weights) if place and not _is_local(place)]:
            raise UsageError(f"{danger}; that can be closed only where nothing lies elsewhere: {distant[0]}", hint=hint)
        try:
            Loopback().close()
        except MachineError as error:
            raise MachineError(f"{danger}; {error.message}", hint=hint) from None

    def at_work(self, request: Request) -> bool:  # noqa: ARG002
        """Never: local jobs end with their launcher."""
        return False

    def request(self, job: str, config: RunConfig, paths: RunPaths) -> Request:
        """The processes of a job: one driver for "prepare", one process a worker for "train"."""
        argv = [sys.executable, str(asset("jobs", f"{job}.py")), paths.uri]
        if job == "prepare":
            env = {
                "PYSPARK_PYTHON": sys.executable,
                "PYSPARK_SUBMIT_ARGS": f"--driver-memory {config.spark.driver_memory_mib}m pyspark-shell",
                "SPARK_LOCAL_IP": "127.0.0.1",
                "JAVA_HOME": "${java.home}",
                ATTEMPT: "${attempt}",
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
        """Starts all processes of a request, on ports that are free now."""
        return LocalJob(request)


def _worker_env(addresses: Sequence[str], index: int) -> dict[str, str]:
    """A worker's environment; each worker gets its share of the cores, as workers that compete are slower."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    share = cores[index % len(cores) :: len(addresses)] or [cores[index % len(cores)]]
    devices = min(max(len(cores) // len(addresses), 1), MOST_DEVICES)
    ours = {CORES: ",".join(map(str, share)), DEVICES: str(devices), ATTEMPT: "${attempt}"}
    return worker_environment(addresses, index) | ours


def _is_local(place: str) -> bool:
    return storage.scheme_of(storage.absolute(place)) == "file"


class LocalJob:
    """The processes of one job. Where the request allows restarts, the loss of one starts all again.

    A worker that ended by a signal, saved and ended after SIGTERM, lost a peer, or is stopped, ends its generation: the
    others are asked to end, and killed if they do not, at most `_ENDING_S` after the loss was seen; then all start
    as the next generation, on new ports. Any other failure fails the job, as it would come again.

    Where the request says so, all of them run in a network namespace that nothing else reaches.

    Attributes:
        restarts: Those there have been.
        phase: Nothing.
    """

    phase = ""

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
        """Starts all processes, on ports that are free now."""
        values = _values_of_placeholders(self._request)
        causes = json.dumps([restart.cause for restart in self.restarts])
        places = self._folder.environment()
        ours = {GENERATION: str(len(self.restarts)), RESTARTS: causes}
        self._processes.clear()
        self._lost = {}
        try:
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
        """How the job fares; to be asked every second or so, as this is where lost workers are seen to."""
        if self._final is None:
            for process in self._processes:
                process.poll()
            self._final = self._ending() if self._lost else self._running()
        return self._final or JobState.RUNNING

    def _running(self) -> JobState | None:
        """The final state, or None: either all is well, or a generation has begun to end."""
        if all(process.status == 0 for process in self._processes):
            return JobState.DONE
        self._lost = {p.name: p.status for p in self._processes if p.status is not None and p.status != 0}
        # A peer may have noticed first: then the one that is stopped is the cause.
        patience_s = 0.0 if self._lost else _STOPPED_S
        stopped = [process for process in self._processes if process.stopped_s > patience_s]
        self._lost |= {process.name: -signal.SIGSTOP for process in stopped}
        if not self._lost:
            return None
        if self._allowed is None or not is_retryable(self._lost.values()):
            return JobState.FAILED
        for process in self._processes:
            process.terminate()
        # Peers of a stopped worker have waited already for as long as others get to finish what they are writing.
        self._deadline = time.monotonic() + (_STOPPED_GRACE_S if stopped else _ENDING_S)
        return None

    def _ending(self) -> JobState | None:
        """Starts the next generation when all have ended or their time is up."""
        if any(process.status is None for process in self._processes) and time.monotonic() < self._deadline:
            return None
        # A worker that fails now may know the cause that the others only suffered from.
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
        """Asks the processes to end, gives them some seconds, then ends them and all that they started.

        What they printed is forgotten then: ask `explain` before.
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
        """Its processes are this launcher's and end with it."""
        self.cancel()

    def explain(self) -> str:
        """How each lost process ended, and the last lines that it printed."""
        parts = []
        for process in self._processes:
            if process.name in self._lost:
                parts += [f"{self._job}/{describe_exit(process.name, self._lost[process.name])}", *process.last_lines()]
        return "\n".join(parts)


def _values_of_placeholders(request: Request) -> dict[str, str]:
    """What the request leaves open: free ports, and where Java is."""
    values = {}
    if request["job"] == "prepare":
        values["java.home"] = str(find_java().home)
    sockets = [socket.socket() for _ in request["processes"]]
    for index, opened in enumerate(sockets):
        opened.bind(("127.0.0.1", 0))
        values[f"port.{index}"] = str(opened.getsockname()[1])
    for opened in sockets:
        opened.close()
    return values
