"""The environment of a job's processes: this process's own, without variables that belong to other installations.

A Spark in SPARK_HOME is another release than the pyspark that is installed here, and TF_CONFIG names another cluster.
Such variables stand in many shells, and a job that takes them fails with an error that does not name them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

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


def proxies(environment: Mapping[str, str]) -> list[str]:
    """The names of variables that send requests through a proxy, sorted. Workers do not use one among themselves."""
    return sorted(name for name in _PROXIES if environment.get(name))
