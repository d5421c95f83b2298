"""Spark on EMR: an application is a cluster step, submitted by command-runner.jar in cluster deploy mode."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from cloudlstm import storage
from cloudlstm.errors import StorageError
from cloudlstm.targets.aws.client import AwsApi
from cloudlstm.targets.aws.clusters import EmrClusters
from cloudlstm.targets.base import JobState, Request
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.polling import retry_unavailable
from cloudlstm.targets.services import Application, ClusterStatus, SparkWork
from cloudlstm.targets.spark_job import (
    NAME_PREFIX,
    OPENED,
    TAIL_LINES,
    application_name,
    spark_conf,
)

_STATES = {
    "PENDING": JobState.RUNNING,
    "RUNNING": JobState.RUNNING,
    "CANCEL_PENDING": JobState.RUNNING,
    "COMPLETED": JobState.DONE,
    "FAILED": JobState.FAILED,
    "INTERRUPTED": JobState.FAILED,  # the cluster ended
    "CANCELLED": JobState.CANCELLED,
}

CLUSTER = "${cluster}"
"""Placeholder for the id of the cluster, which may have to be started first."""

_MAX_STEPS_READ = 500
"""Number of steps that are searched for a run's steps; EMR lists the newest first, and 256 can wait or run."""

_LOGS = ("containers/[^/]+/[^/]+_000001/stdout", "containers/[^/]+/[^/]+_000001/stderr", "steps/{step}/stderr")
"""Log files to search for a cause. Spark writes both outputs of a Python driver to stdout; stderr has its own lines."""

_DIAGNOSTICS = re.compile(r"Application diagnostics message: (.*?)\n(?=\d\d/\d\d/\d\d |Exception in|\Z)", re.DOTALL)
"""In the output of spark-submit: YARN's reason, such as a container that used too much memory."""


class EmrSpark:
    """Steps of the target's EMR cluster."""

    def __init__(self, target: TargetConfig) -> None:
        self._target = target
        self._emr = AwsApi("emr", target)
        self._clusters = EmrClusters(target, self._emr)
        self._where: dict[str, str] = {}  # step -> its cluster

    def cluster(self) -> ClusterStatus:
        return self._clusters.look()

    def start(self) -> None:
        self._clusters.start()

    def request(self, work: SparkWork) -> Request:
        """Returns the exact request AddJobFlowSteps; `submit` fills in the id of the cluster."""
        conf = spark_conf(self._target, work, {"AWS_DEFAULT_REGION": self._target.region})
        conf["spark.yarn.tags"] = f"cloudlstm-{OPENED}"  # distinguishes it from a step of a deleted run
        if work.jars:
            conf["spark.jars"] = ",".join(work.jars)
        name = application_name(work.paths, work.job)
        words = [
            "spark-submit",
            "--deploy-mode", "cluster",
            "--name", name,
            "--driver-memory", f"{work.driver_memory_mib}m",
            "--py-files", ",".join(work.python_files),
            "--archives", ",".join(work.dependencies),
            *(word for setting, value in conf.items() for word in ("--conf", f"{setting}={value}")),
            f"${{{work.job}.uri}}",
            *work.words,
            work.paths.uri,
        ]  # fmt: skip
        step = {
            "Name": name,
            "ActionOnFailure": "CONTINUE",
            "HadoopJarStep": {"Jar": "command-runner.jar", "Args": words},
        }
        return {
            "service": "emr",
            "call": "AddJobFlowSteps",
            "arguments": {"JobFlowId": CLUSTER, "Steps": [step]},
        }

    def name_and_arguments(self, request: Request) -> tuple[str, tuple[str, ...]]:
        (step,) = request["arguments"]["Steps"]
        return step["Name"], tuple(step["HadoopJarStep"]["Args"])

    def submit(self, request: Request) -> str:
        cluster = self._clusters.current() or self._target.spark_cluster
        answer = self._emr.call(request["call"], **request["arguments"] | {"JobFlowId": cluster})
        step = str(answer["StepIds"][0])
        self._where[step] = cluster
        return step

    def find(self, run: str | None) -> list[Application]:
        return [each for cluster in retry_unavailable(self._clusters.ids) for each in self._on(cluster, run)]

    def _on(self, cluster: str, run: str | None) -> list[Application]:
        """Returns the applications of a cluster, as `find` does."""
        found: list[Application] = []
        seen = 0
        more: dict[str, str] = {"ClusterId": cluster}
        while more and seen < _MAX_STEPS_READ:
            page = retry_unavailable(partial(self._emr.call, "ListSteps", **more))
            steps = [_application(step) for step in page.get("Steps", ())]
            found += [
                each for each in steps if each.name.startswith(NAME_PREFIX) and run in (None, *each.arguments[-1:])
            ]
            seen += len(steps)
            more = more | {"Marker": page["Marker"]} if page.get("Marker") else {}
        self._where |= dict.fromkeys((each.id for each in found), cluster)
        return found

    def look(self, application: str) -> Application:
        answer = self._emr.call("DescribeStep", ClusterId=self._cluster_of(application), StepId=application)
        return _application(answer["Step"])

    def _cluster_of(self, application: str) -> str:
        return self._where.get(application) or self._clusters.current() or self._target.spark_cluster

    def cancel(self, application: str) -> None:
        arguments = {"ClusterId": self._cluster_of(application), "StepIds": [application]}
        retry_unavailable(lambda: self._emr.call("CancelSteps", StepCancellationOption="SEND_INTERRUPT", **arguments))

    def log_tail(self, application: str) -> list[str]:
        """Returns the end of the log; EMR uploads logs minutes late, so there may be none yet."""
        base = f"{self._target.log_uri.rstrip('/')}/{self._cluster_of(application)}"
        where = f"{base}/steps/{application}/"
        try:
            keys = [item.uri for item in storage.list_objects(f"{base}/")]
            client = f"{where}stderr.gz"
            text = _text(client) if client in keys else ""
            reason = [line for found in _DIAGNOSTICS.findall(text) for line in found.splitlines()]
            ours = _containers(text, keys)
            for pattern in _LOGS:
                wanted = re.compile(f"{re.escape(base)}/{pattern.format(step=re.escape(application))}\\.gz")
                for uri in filter(wanted.fullmatch, ours if pattern.startswith("containers") else keys):
                    lines = _text(uri).splitlines()[-TAIL_LINES:]
                    if any(lines):  # the last line becomes part of the message: Python's, or else YARN's reason
                        told = [*reason, *lines] if uri.endswith("/stdout.gz") else [*lines, *reason]
                        return [f"full log: {uri}", *told]
        except (StorageError, OSError, EOFError) as error:
            return [f"EMR's log could not be read: {error}"]
        return [f"EMR's log will be in {where} some minutes after the end", *reason]


def _text(uri: str) -> str:
    """Returns a log; EMR compresses each."""
    return gzip.decompress(storage.read(uri)).decode(errors="replace")


def _containers(client: str, keys: list[str]) -> list[str]:
    """Returns the logs of the step's own containers: the output of spark-submit names the YARN application."""
    names = set(re.findall(r"application_\d+_\d+", client))
    return [key for key in keys if any(f"/{name}/" in key for name in names)]


def _application(step: Mapping[str, Any]) -> Application:
    status = step["Status"]
    failure = status.get("FailureDetails") or {}
    reasons = [failure.get("Reason"), failure.get("Message"), (status.get("StateChangeReason") or {}).get("Message")]
    details = ": ".join(dict.fromkeys(str(each).strip() for each in [status["State"], *reasons] if each))
    arguments = tuple((step.get("Config") or {}).get("Args") or ())
    return Application(step["Id"], step["Name"], arguments, _STATES.get(status["State"], JobState.RUNNING), details)
