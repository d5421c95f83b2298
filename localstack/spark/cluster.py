"""A YARN cluster on loopback: a resource manager and two nodes, started at first use.

Every user of this machine can connect to its ports. Without a secret, another user could run programs as the
emulator's user. Therefore each process that connects must have a token or know the application's secret.
"""

from __future__ import annotations

import json
import logging
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path

from cloudlstm.targets.local.java import find_java
from localstack.machines.interpreter import spark_home
from localstack.machines.nodes import Nodes
from localstack.processes import free_ports
from localstack.yarn.hadoop import HOST, Hadoop
from localstack.yarn.nodes import Node
from localstack.yarn.resource_manager import CLIENT_TOKEN, ResourceManager

NODES = 2
EXECUTOR_CORES = 1
"""Cores of each executor; an application gets one executor on each node."""

READY, FAILED = "ready", "failed"
"""Files of the cluster: it is there when the daemons answer; it says why they do not."""

_TICK_S = 0.2

# Jobs here are short: less compilation halves the processor time. A job's own settings override these.
_LIGHT_JVM = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"


class SparkCluster:
    """The daemons. They start slowly: `start` returns at once, and clients wait for the file READY.

    Attributes:
        folder: The folder of their settings and logs.
        url: The resource manager's address; empty before the first start.
        hanging: Tags of applications whose executors hang.
    """

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._hadoop: Hadoop | None = None
        self._manager: ResourceManager | None = None
        self._thread: threading.Thread | None = None
        self.folder = nodes.folder / "spark"
        self.url = ""
        self.hanging: set[str] = set()

    def start(self) -> None:
        """Starts the daemons, unless they run already."""
        if self._thread is not None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        (port,) = free_ports(1)
        self.url = f"{HOST}:{port}"
        self._write_settings()
        self._thread = threading.Thread(target=self._run, args=(port,), name="yarn", daemon=True)
        self._thread.start()

    def _run(self, port: int) -> None:
        try:
            logging.getLogger("py4j").setLevel(logging.CRITICAL)  # it reports each object that outlives the JVM
            python, java = self._nodes.spark_python, find_java()
            hadoop = self._hadoop = Hadoop(java.home / "bin" / "java", spark_home(python) / "jars", self.folder)
            nodes = []
            for number in range(1, NODES + 1):
                home = self.folder / f"node-{number}"
                nodes.append(Node(hadoop, home, self.folder / "cache", self._node_environment(home)))
            self._manager = manager = ResourceManager(hadoop, nodes, port)
            hadoop.write_tokens(self.folder / "token", b"", CLIENT_TOKEN, manager.address)
            (self.folder / READY).touch()
        except Exception:
            (self.folder / FAILED).write_text(traceback.format_exc())
            raise
        stopped = threading.Event()
        while not stopped.wait(_TICK_S):
            try:
                manager.tick()
                for tag in tuple(self.hanging):
                    manager.freeze(manager.tagged(tag))
            except Exception:  # one application must not stop the others
                traceback.print_exc()

    def application(self, tag: str) -> str:
        """Returns the id of the application with this tag; empty if it was not submitted yet."""
        return self._manager.tagged(tag) if self._manager else ""

    def running(self, tag: str) -> bool:
        """True if the application with this tag was submitted and has not ended."""
        return self._manager is not None and self._manager.running(self._manager.tagged(tag))

    def kill(self, tag: str) -> None:
        """Kills the application with this tag, if there is one."""
        if self._manager:
            self._manager.kill(self._manager.tagged(tag))

    def logs(self, tag: str) -> dict[str, Path]:
        """Returns the log folders of the application's containers, by their ids."""
        name = self.application(tag)
        folders = [each for each in self.folder.glob(f"node-*/logs/{name}/*") if name]
        return {each.name: each for each in sorted(folders, key=lambda each: each.name)}

    def environment(self, home: Path) -> dict[str, str]:
        """Returns the environment of spark-submit on the cluster's first machine."""
        environment = self._nodes.environment(home)
        return environment | {
            "HADOOP_CONF_DIR": str(self.folder / "conf"),
            "HADOOP_TOKEN_FILE_LOCATION": str(self.folder / "token"),
            "JAVA_HOME": str(find_java().home),
            "PYSPARK_PYTHON": str(self._nodes.spark_python),
            "SPARK_CONF_DIR": str(self.folder / "conf"),
            "SPARK_HOME": str(spark_home(self._nodes.spark_python)),
            "SPARK_LOCAL_DIRS": environment["TMPDIR"],
            "SPARK_LOCAL_IP": HOST,
            "SPARK_SUBMIT_OPTS": f"-Djava.io.tmpdir={environment['TMPDIR']} {_LIGHT_JVM}",
        }

    def _node_environment(self, home: Path) -> dict[str, str]:
        """Returns the environment of every container on a node, in which `python3` is the node's."""
        environment = self._nodes.environment(home)
        return environment | {
            "HADOOP_CONF_DIR": str(self.folder / "conf"),
            "JAVA_HOME": str(find_java().home),
            "PATH": f"{self._nodes.spark_python.parent}:{environment['PATH']}",
            "SPARK_HOME": str(spark_home(self._nodes.spark_python)),
            "SPARK_LOCAL_IP": HOST,
        }

    def _write_settings(self) -> None:
        """Writes the settings of YARN and Spark."""
        conf = self.folder / "conf"
        conf.mkdir(exist_ok=True)
        yarn = {
            "fs.defaultFS": "file:///",
            "yarn.application.classpath": "$HADOOP_CONF_DIR",
            "yarn.resourcemanager.address": self.url,
            "yarn.resourcemanager.hostname": HOST,
        }
        for name in ("core-site.xml", "yarn-site.xml"):
            (conf / name).write_text(_xml(yarn))
        spark = {
            "spark.authenticate": "true",
            "spark.driver.extraJavaOptions": _LIGHT_JVM,
            "spark.executor.extraJavaOptions": _LIGHT_JVM,
            "spark.ui.enabled": "false",
            "spark.yarn.am.extraJavaOptions": _LIGHT_JVM,
            "spark.yarn.jars": f"local:{spark_home(self._nodes.spark_python)}/jars/*",
            "spark.yarn.stagingDir": (self.folder / "staging").as_uri(),
        }
        (conf / "spark-defaults.conf").write_text("".join(f"{name} {value}\n" for name, value in spark.items()))


def _xml(settings: Mapping[str, str]) -> str:
    """Returns Hadoop's form of settings."""
    each = "".join(
        f"<property><name>{name}</name><value>{value}</value></property>" for name, value in settings.items()
    )
    return f"<configuration>{each}</configuration>\n"


def executors(event_log: Path) -> set[str]:
    """Returns the ids of an application's executors, from its event log."""
    events = map(json.loads, event_log.read_text().splitlines())
    return {event["Executor ID"] for event in events if event["Event"] == "SparkListenerExecutorAdded"}
