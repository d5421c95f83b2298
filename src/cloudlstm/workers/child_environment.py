"""The environment of a job's processes: that of this process without variables of other installations.

SPARK_HOME may point to another release of Spark than the installed pyspark, and TF_CONFIG to another cluster. With such
variables, which many shells set, a job fails with an error that does not name them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence

from cloudlstm.runs.environment import CORES

_PREFIXES = ("SPARK_", "PYSPARK_", "HADOOP_", "YARN_", "HIVE_")
_NAMES = ("TF_CONFIG", "CLASSPATH", "grpc_proxy", "GRPC_PROXY")
_KEPT = ("SPARK_LOCAL_DIRS", "SPARK_SUBMIT_OPTS", "SPARK_DAEMON_JAVA_OPTS")
"""A folder and options of the JVM; they also apply to the installed pyspark."""

_PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


def child_environment() -> dict[str, str]:
    """A copy of this process's environment without the variables of `ignored`.

    Entries of PYTHONPATH below SPARK_HOME are removed too, because they contain another pyspark.
    """
    dropped = set(ignored(os.environ))
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    if (home := os.environ.get("SPARK_HOME")) and "PYTHONPATH" in kept:
        entries = kept["PYTHONPATH"].split(os.pathsep)
        kept["PYTHONPATH"] = os.pathsep.join(entry for entry in entries if not entry.startswith(home))
    return kept


def ignored(environment: Mapping[str, str]) -> list[str]:
    """The names of the variables in `environment` that child processes do not get, sorted."""
    return sorted(name for name in environment if name not in _KEPT and (name in _NAMES or name.startswith(_PREFIXES)))


def cores_here() -> int:
    """Number of cores that this process may use; CORES lists them if emulated machines share one machine."""
    if wanted := os.environ.get(CORES):
        return len(wanted.split(","))
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def proxies(environment: Mapping[str, str]) -> list[str]:
    """The names of the variables that set a proxy, sorted. Workers connect to each other without it."""
    return sorted(name for name in _PROXIES if environment.get(name))


def worker_environment(addresses: Sequence[str], index: int) -> dict[str, str]:
    """The TF_CONFIG and other variables of worker `index`; `addresses` are those of all workers in order.

    A single worker gets no TF_CONFIG, so that TensorFlow starts no server. The server listens on all interfaces and
    lets any client read and write files. The evaluation computes on all cores by threads of its own (dataset/ahead.py);
    threads of OpenBLAS wait for each other in busy loops, which took 20 times as long on a busy machine.
    """
    environment = {"TF_CPP_MIN_LOG_LEVEL": "2", "OPENBLAS_NUM_THREADS": "1"}
    if len(addresses) == 1:
        return environment
    cluster = {"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": index}}
    # gRPC uses a proxy even for this machine, unless no_grpc_proxy lists the host.
    hosts = ",".join(sorted({address.rsplit(":", 1)[0] for address in addresses}))
    return environment | {"TF_CONFIG": json.dumps(cluster), "no_grpc_proxy": hosts}
