"""The launcher's own machine as a target: the driver and every worker are processes, ended with the launcher."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cloudlstm.assets import asset
from cloudlstm.steps import ATTEMPT, CORES, PARENT_PIPE
from cloudlstm.storage.local import disk_errors
from cloudlstm.targets.base import JobState, Request
from cloudlstm.targets.java import find_java
from cloudlstm.targets.scratch import Scratch

if TYPE_CHECKING:
    from cloudlstm.config import RunConfig
    from cloudlstm.layout import RunLayout

_GRACE_S = 10.0


class LocalTarget:
    """Runs jobs as processes of this machine with the interpreter that runs the launcher."""

    name = "local"

    def request(self, job: str, config: RunConfig, layout: RunLayout) -> Request:
        """The processes of a job: one driver for "prepare", one process a worker for "train"."""
        argv = [sys.executable, str(asset("jobs", f"{job}.py")), layout.uri]
        if job == "prepare":
            env = {
                "PYSPARK_PYTHON": sys.executable,
                "PYSPARK_SUBMIT_ARGS": f"--driver-memory {config.spark.driver_memory_mib}m pyspark-shell",
                "SPARK_LOCAL_IP": "127.0.0.1",
                "JAVA_HOME": "${java.home}",
                ATTEMPT: "${attempt}",
            }
            return {"job": job, "processes": [{"worker": "driver", "argv": argv, "env": env}]}
        workers = config.train.workers
        addresses = [f"127.0.0.1:${{port.{index}}}" for index in range(workers)]
        return {
            "job": job,
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
    cluster = {"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": index}}
    return {
        "TF_CONFIG": json.dumps(cluster),
        "TF_CPP_MIN_LOG_LEVEL": "2",
        CORES: ",".join(map(str, share)),
        ATTEMPT: "${attempt}",
    }


class LocalJob:
    """The processes of one job. Each has a process group of its own, so that nothing of it is left behind."""

    def __init__(self, request: Request) -> None:
        self._job = str(request["job"])
        self._folder = Scratch()
        self._console = self._folder.path
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        values = _values_of_placeholders(request)
        try:
            for process in request["processes"]:
                self._spawn(process, values)
        except BaseException:
            self.cancel()
            raise

    def _spawn(self, process: Mapping[str, Any], values: Mapping[str, str]) -> None:
        env = {key: _filled(text, values) for key, text in process["env"].items()}
        told = self._console / f"{process['worker']}.txt"
        with disk_errors(f"start {self._job} with {told}"), told.open("wb") as console:
            self._processes[process["worker"]] = subprocess.Popen(
                process["argv"],
                env=os.environ | self._folder.environment() | env | {PARENT_PIPE: "1", "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.PIPE,  # closes when this launcher dies, however it dies
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def state(self) -> JobState:
        """Failed as soon as one process has failed: its peers cannot go on without it."""
        codes = [process.poll() for process in self._processes.values()]
        if any(code not in (None, 0) for code in codes):
            return JobState.FAILED
        return JobState.DONE if all(code == 0 for code in codes) else JobState.RUNNING

    def cancel(self) -> None:
        """Asks the processes to end, gives them some seconds, then ends them and all that they started.

        What they printed is forgotten then: ask `explain` before.
        """
        for process in self._processes.values():
            _signal(process, signal.SIGTERM, group=False)
        deadline = time.monotonic() + _GRACE_S
        for process in self._processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(deadline - time.monotonic(), 0.1))
            _signal(process, signal.SIGKILL, group=True)
            process.wait()
            if process.stdin:
                process.stdin.close()
        self._folder.remove()

    def explain(self) -> str:
        """The last lines that the failed processes printed."""
        parts = []
        for worker, process in self._processes.items():
            if process.poll() not in (None, 0):
                lines = (self._console / f"{worker}.txt").read_text(errors="replace").splitlines()
                how = f"signal {-process.returncode}" if process.returncode < 0 else f"status {process.returncode}"
                parts += [f"{self._job}/{worker} ended with {how}", *lines[-40:]]
        return "\n".join(parts)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals, *, group: bool) -> None:
    with suppress(ProcessLookupError):
        if group:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)


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


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    return text
