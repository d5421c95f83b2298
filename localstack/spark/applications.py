"""Runs Spark applications, one process each, and delivers their logs."""

from __future__ import annotations

import json
import queue
import re
import secrets
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
from localstack.spark.cluster import EXECUTOR_CORES, NODES, SparkCluster

KILLED = -1
"""The status of a client that was killed."""

_TERM_GRACE_S = 10.0


@dataclass
class Application:
    """A started application.

    Attributes:
        cluster: The cluster's daemons.
        tag: Its tag in YARN.
        folder: The folder of its client, with its output.
        began: When it began, on the monotonic clock.
        fault: Its fault, if any.
        process: The client; None if a fault replaces it.
        kill_at: When its client is to be killed, on the monotonic clock.
        detached: True if YARN's application goes on when the client has been killed.
    """

    cluster: SparkCluster
    tag: str
    folder: Path
    began: float
    fault: Fault | None = None
    process: Process | None = None
    kill_at: float | None = None
    detached: bool = False

    @property
    def id(self) -> str:
        """Its id in YARN; empty before the client has submitted it."""
        return self.cluster.application(self.tag)

    @property
    def running(self) -> bool:
        """True if YARN runs it."""
        return self.cluster.running(self.tag)

    def cancel_client(self, *, gently: bool) -> None:
        """Kills the client now; if `gently`, sends SIGTERM and kills it ten seconds later. YARN does not notice."""
        if self.kill_at is None:
            gently = gently and self.process is not None
            self.kill_at, self.detached = time.monotonic() + (_TERM_GRACE_S if gently else 0), True
            if gently and self.process:
                self.process.terminate()

    def cancel(self) -> None:
        """Kills YARN's application; the client notices its end."""
        if self.kill_at is None:
            submitted = bool(self.id)
            self.kill_at = time.monotonic() + (_TERM_GRACE_S if submitted else 0)
            self.cluster.kill(self.tag)

    def status(self) -> int | None:
        """Returns the client's exit status, or KILLED; None while it runs."""
        now = time.monotonic()
        self._link_driver()
        if self.fault and self.fault.kind == "step-fails" and now >= self.began + self.fault.after_s:
            self.kill_at, self.detached = now, False
        status = self.process.poll() if self.process else None
        if status is None and (self.kill_at is None or now < self.kill_at):
            return None
        self.end()
        return KILLED if status is None else status

    def end(self) -> None:
        """Kills the client with all its descendants, and YARN's application unless it is detached."""
        if self.process:
            self.process.kill()
        if not self.detached:
            self.cluster.kill(self.tag)

    def logs(self) -> dict[str, Path]:
        """Returns the log folders of its containers by their ids; the driver's is the first in cluster deploy mode."""
        return self.cluster.logs(self.tag)

    def _link_driver(self) -> None:
        """Makes `driver` in its folder a link to the logs of its first container."""
        link = self.folder / "driver"
        if not link.is_symlink() and (logs := self.logs()):
            link.symlink_to(next(iter(logs.values())))

    def reject(self, why: str) -> None:
        """Makes it fail at once, with this reason in the client's output."""
        (self.folder / "stderr").write_text(f"{why}\n")
        self.fault = Fault("step-fails")

    def last_exception(self) -> str:
        """Returns the last exception in the client's output; empty if there is none."""
        lines = re.findall(r"^(?:Exception in thread|Error:).*", tail(self.folder / "stderr", 1 << 16), re.MULTILINE)
        return lines[-1] if lines else ""


class Applications:
    """Starts applications on the emulator's Spark cluster."""

    def __init__(self, world: World) -> None:
        self._world = world

    def begin(
        self,
        folder: Path,
        arguments: Sequence[str],
        *,
        defaults: Mapping[str, str],
        rejection: str = "",
        joined: bool = False,
    ) -> Application:
        """Starts an application; a fault that is due may replace it.

        Args:
            folder: Its new folder.
            arguments: The arguments of spark-submit.
            defaults: The cluster's Spark settings.
            rejection: Why it is not run; empty to run it.
            joined: True to write the client's whole output to one file, stderr.
        """
        folder.mkdir(parents=True)
        fault = self._world.faults.take("step-fails", "step-hangs", "executors-hang")
        tag = f"emulated_{secrets.token_hex(8)}"
        application = Application(self._world.spark, tag, folder, time.monotonic(), fault)
        if fault and (fault.kind == "step-hangs" or (fault.kind == "step-fails" and fault.after_s <= 0)):
            return application
        if rejection:
            application.reject(rejection)
        else:
            if fault and fault.kind == "executors-hang":
                self._world.spark.hanging.add(tag)
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
            "daemons": str(spark.folder),
            "python": str(nodes.spark_python),
            "python_version": minor_version(nodes.spark_python),
            "environment": environment,
            "conf": {
                "spark.dynamicAllocation.enabled": "false",
                "spark.eventLog.compress": "false",
                "spark.eventLog.dir": events.as_uri(),
                "spark.eventLog.enabled": "true",
                "spark.eventLog.rolling.enabled": "false",
                "spark.executor.cores": str(EXECUTOR_CORES),
                "spark.executor.instances": str(NODES),
                "spark.yarn.tags": application.tag,
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
