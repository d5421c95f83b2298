"""A Spark standalone cluster on loopback: a master and two workers, started at first use.

Every user of this machine can connect to its ports. Without a secret, another user could run programs as the
emulator's user. Therefore each process that connects must know the cluster's secret.
"""

from __future__ import annotations

import json
import secrets
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from cloudlstm.targets.local.java import find_java
from localstack.machines.interpreter import spark_home
from localstack.machines.nodes import Nodes
from localstack.processes import Process, free_ports

WORKERS = 2
EXECUTOR_CORES = 1
"""Cores of each executor; an application gets one executor on each worker."""

# Jobs here are short: less compilation halves the processor time. A job's own settings override these.
_LIGHT_JVM = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
_DEFAULTS = {
    "spark.driver.extraJavaOptions": _LIGHT_JVM,
    "spark.executor.extraJavaOptions": _LIGHT_JVM,
    # Connections need the secret. The web pages need none and can change nothing.
    "spark.authenticate": "true",
    "spark.master.rest.enabled": "false",
    "spark.master.ui.decommission.allow.mode": "DENY",
    "spark.ui.enabled": "false",
    "spark.ui.killEnabled": "false",
}

# These numbers are only for scheduling: many applications fit at the same time, as with YARN.
_WORKER_RESOURCES = ["--cores", "16", "--memory", "256g"]


class SparkCluster:
    """The daemons. They start slowly: `start` returns at once, and callers wait until `workers` counts them.

    Attributes:
        folder: The folder of their settings and logs.
        url: The master's URL; empty before the first start.
        web_url: The URL of the master's web page.
    """

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._daemons: list[Process] = []
        self.folder = nodes.folder / "spark"
        self.url = ""
        self.web_url = ""

    def start(self) -> None:
        """Starts master and workers, unless they run already."""
        if self._daemons and all(daemon.poll() is None for daemon in self._daemons):
            return
        self.stop()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write_defaults()
        port, web = free_ports(2)
        self.url, self.web_url = f"spark://127.0.0.1:{port}", f"http://127.0.0.1:{web}"
        where = ["--host", "127.0.0.1"]
        self._daemon("master", "master.Master", [*where, "--port", str(port), "--webui-port", str(web)])
        for number in range(WORKERS):
            self._daemon(
                f"worker-{number}",
                "worker.Worker",
                [*where, "--port", "0", "--webui-port", "0", *_WORKER_RESOURCES, self.url],
            )

    def stop(self) -> None:
        """Kills the daemons and all executors."""
        for daemon in self._daemons:
            daemon.kill()
        self._daemons.clear()

    def environment(self, home: Path) -> dict[str, str]:
        """Returns a node's environment with the variables that Spark needs."""
        environment = self._nodes.environment(home)
        return environment | {
            "JAVA_HOME": str(find_java().home),
            "PYSPARK_PYTHON": str(self._nodes.spark_python),
            "SPARK_CONF_DIR": str(self.folder),
            "SPARK_HOME": str(spark_home(self._nodes.spark_python)),
            "SPARK_LOCAL_DIRS": environment["TMPDIR"],
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_SUBMIT_OPTS": f"-Djava.io.tmpdir={environment['TMPDIR']}",
        }

    def _write_defaults(self) -> None:
        """Writes the settings of daemons, drivers and executors, with a new secret.

        The secret is in a file because other users can read command lines.
        """
        path = self.folder / "spark-defaults.conf"
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        settings = _DEFAULTS | {"spark.authenticate.secret": secrets.token_hex(32)}
        path.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))

    def _daemon(self, name: str, java_class: str, arguments: Sequence[str]) -> None:
        home = self.folder / name
        home.mkdir(parents=True, exist_ok=True)
        environment = self.environment(home) | {
            "SPARK_DAEMON_MEMORY": "256m",
            "SPARK_DAEMON_JAVA_OPTS": _LIGHT_JVM,
            "SPARK_WORKER_DIR": str(home / "work"),
        }
        spark_class = str(spark_home(self._nodes.spark_python) / "bin" / "spark-class")
        command = [spark_class, f"org.apache.spark.deploy.{java_class}", *arguments]
        self._daemons.append(Process(command, folder=home, stdout=home / "log.txt", environment=environment))


def workers(web_url: str) -> int:
    """Returns how many workers have registered at the master with this web URL."""
    try:
        with urllib.request.urlopen(f"{web_url}/json/", timeout=5) as answer:
            return sum(worker["state"] == "ALIVE" for worker in json.load(answer)["workers"])
    except (OSError, ValueError):
        return 0


def executors(event_log: Path) -> set[str]:
    """Returns the ids of an application's executors, from its event log."""
    events = map(json.loads, event_log.read_text().splitlines())
    return {event["Executor ID"] for event in events if event["Event"] == "SparkListenerExecutorAdded"}
