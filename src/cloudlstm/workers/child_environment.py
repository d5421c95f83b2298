"""The environment of a job's processes: this process's own, without variables that belong to other installations.

A Spark in SPARK_HOME is another release than the pyspark that is installed here, and TF_CONFIG names another cluster.
Such variables stand in many shells, and a job that takes them fails with an error that does not name them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence

from cloudlstm.runs.environment import CORES

_PREFIXES = ("SPARK_", "PYSPARK_", "HADOOP_", "YARN_", "HIVE_")
_NAMES = ("TF_CONFIG", "CLASSPATH", "grpc_proxy", "GRPC_PROXY")
_KEPT = ("SPARK_LOCAL_DIRS", "SPARK_SUBMIT_OPTS", "SPARK_DAEMON_JAVA_OPTS")
"""A place on a disk and options of the JVM: they fit our Spark as well."""

_PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


def child_environment() -> dict[str, str]:
    """A copy of this process's environment without the variables that `ignored` names.

    Of PYTHONPATH only those entries go that lie below SPARK_HOME: they hold another pyspark.
    """
    dropped = set(ignored(os.environ))
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    if (home := os.environ.get("SPARK_HOME")) and "PYTHONPATH" in kept:
        entries = kept["PYTHONPATH"].split(os.pathsep)
        kept["PYTHONPATH"] = os.pathsep.join(entry for entry in entries if not entry.startswith(home))
    return kept


def ignored(environment: Mapping[str, str]) -> list[str]:
    """The names of variables in `environment` that our processes do not get, sorted."""
    return sorted(name for name in environment if name not in _KEPT and (name in _NAMES or name.startswith(_PREFIXES)))


def cores_here() -> int:
    """How many cores this process may use; CORES names them where several machines share one, as in an emulator."""
    if wanted := os.environ.get(CORES):
        return len(wanted.split(","))
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def proxies(environment: Mapping[str, str]) -> list[str]:
    """The names of variables that send requests through a proxy, sorted. Workers do not use one among themselves."""
    return sorted(name for name in _PROXIES if environment.get(name))


def worker_environment(addresses: Sequence[str], index: int) -> dict[str, str]:
    """The variables by which TensorFlow in worker `index` knows its peers, given the addresses of all in order.

    A worker without peers gets no TF_CONFIG, because TensorFlow then starts no server. That server listens on all
    interfaces and lets everybody who connects read and write files.
    """
    environment = {"TF_CPP_MIN_LOG_LEVEL": "2"}
    if len(addresses) == 1:
        return environment
    cluster = {"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": index}}
    # gRPC sends even what is for this machine through a proxy, unless it is told the hosts that have none.
    hosts = ",".join(sorted({address.rsplit(":", 1)[0] for address in addresses}))
    return environment | {"TF_CONFIG": json.dumps(cluster), "no_grpc_proxy": hosts}
