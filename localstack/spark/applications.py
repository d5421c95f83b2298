"""Runs Spark applications, one process each, and delivers their logs."""

from __future__ import annotations

import json
import queue
import re
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cloudlstm import storage
from localstack.machines.interpreter import minor_version
from localstack.processes import Process, tail
from localstack.server.faults import Fault
from localstack.server.world import World
from localstack.spark.cluster import EXECUTOR_CORES, WORKERS

KILLED = -1
"""The status of a client that was killed."""

_INTERRUPT_GRACE_S = 10.0


@dataclass
class Application:
    """A started application.

    Attributes:
        id: Its id in YARN's format.
        folder: The folder of its client and its driver, with their output.
        began: When it began, on the monotonic clock.
        fault: Its fault, if any.
        process: The client; None if a fault replaces it.
        kill_at: When it is to be killed, on the monotonic clock.
    """

    id: str
    folder: Path
    began: float
    fault: Fault | None = None
    process: Process | None = None
    kill_at: float | None = None

    def cancel(self, *, gently: bool) -> None:
        """Kills it now; if `gently`, sends SIGINT and kills it ten seconds later."""
        if self.kill_at is None:
            gently = gently and self.process is not None
            self.kill_at = time.monotonic() + (_INTERRUPT_GRACE_S if gently else 0)
            if gently and self.process:
                self.process.interrupt()

    def status(self) -> int | None:
        """Returns the client's exit status, or KILLED; None while it runs."""
        now = time.monotonic()
        if self.fault and self.fault.kind == "step-fails" and now >= self.began + self.fault.after_s:
            self.kill_at = now
        status = self.process.poll() if self.process else None
        if status is None and (self.kill_at is None or now < self.kill_at):
            return None
        self.end()
        return KILLED if status is None else status

    def end(self) -> None:
        """Kills it with all its descendants."""
        if self.process:
            self.process.kill()

    def reject(self, why: str) -> None:
        """Makes it fail at once, with this reason in the client's output."""
        (self.folder / "stderr").write_text(f"{why}\n")
        self.fault = Fault("step-fails")

    def last_exception(self) -> str:
        """Returns the last exception in the client's output; empty if there is none."""
        lines = re.findall(r"^(?:Exception in thread|Error:).*", tail(self.folder / "stderr"), re.MULTILINE)
        return lines[-1] if lines else ""


class Applications:
    """Starts applications on the emulator's Spark cluster."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._begun = 0

    def begin(
        self,
        folder: Path,
        since: float,
        arguments: Sequence[str],
        *,
        defaults: Mapping[str, str],
        rejection: str = "",
        joined: bool = False,
    ) -> Application:
        """Starts an application; a fault that is due may replace it.

        Args:
            folder: Its new folder.
            since: Start of its cluster, in seconds since the epoch; part of the application's id.
            arguments: The arguments of spark-submit.
            defaults: The cluster's Spark settings.
            rejection: Why it is not run; empty to run it.
            joined: True to write the client's whole output to one file, stderr.
        """
        self._begun += 1
        name = f"application_{int(since * 1000)}_{self._begun:04}"
        folder.mkdir(parents=True)
        application = Application(name, folder, time.monotonic(), self._world.faults.take("step-fails", "step-hangs"))
        fault = application.fault
        if fault and (fault.kind == "step-hangs" or fault.after_s <= 0):
            return application
        if rejection:
            application.reject(rejection)
        else:
            application.process = self._start(application, arguments, defaults, joined=joined)
        return application

    def _start(
        self, application: Application, arguments: Sequence[str], defaults: Mapping[str, str], *, joined: bool
    ) -> Process:
        spark, nodes, folder = self._world.spark, self._world.nodes, application.folder
        spark.start()
        events = folder / "events"
        events.mkdir()
        environment = spark.environment(folder)
        settings = {
            "arguments": list(arguments),
            "defaults": dict(defaults),
            "application": application.id,
            "master": spark.url,
            "web": spark.web_url,
            "python": str(nodes.spark_python),
            "python_version": minor_version(nodes.spark_python),
            "environment": environment,
            "conf": {
                "spark.cores.max": WORKERS * EXECUTOR_CORES,
                "spark.driver.bindAddress": "127.0.0.1",
                "spark.driver.host": "127.0.0.1",
                "spark.eventLog.compress": "false",
                "spark.eventLog.dir": events.as_uri(),
                "spark.eventLog.enabled": "true",
                "spark.eventLog.rolling.enabled": "false",
                "spark.executor.cores": EXECUTOR_CORES,
            },
        }
        (folder / "settings.json").write_text(json.dumps(settings, indent=1))
        return Process(
            [sys.executable, "-m", "localstack.spark.step", folder / "settings.json"],
            folder=folder,
            stdout=folder / ("stderr" if joined else "stdout"),
            stderr=folder / "stderr",
            environment=environment | {"PYTHONPATH": ":".join(filter(None, sys.path))},
        )


class Logs:
    """Writes logs to storage in its own thread, after the platform's delay."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._due: queue.SimpleQueue[tuple[float, str, bytes]] = queue.SimpleQueue()
        threading.Thread(target=self._write, name="logs", daemon=True).start()

    def send(self, logs: Mapping[str, bytes]) -> None:
        """Writes these logs, by the URIs of their objects, after the delay."""
        due = time.monotonic() + self._world.log_delay_s
        for uri, data in logs.items():
            self._due.put((due, uri, data))

    def _write(self) -> None:
        while True:
            due, uri, data = self._due.get()
            time.sleep(max(due - time.monotonic(), 0))
            try:
                storage.write(uri, data)
            except Exception as error:  # one lost log must not stop the others
                self._world.problems.append(f"log {uri}: {error}")
