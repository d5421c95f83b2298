"""Runs EMR steps: starts them in order, watches and cancels them, and sends their logs as EMR does."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from moto.core.utils import utcnow
from moto.emr.models import Cluster, emr_backends
from moto.emr.models import Step as MotoStep

from localstack.server.faults import Fault
from localstack.server.world import World
from localstack.spark.applications import Application, Applications, Logs


class Step(MotoStep):
    """A step of EMR; only the engine changes its state.

    Attributes:
        failure: FailureDetails, if it has failed.
        cancelling: The requested cancellation option; empty if nobody has cancelled it.
    """

    ENDED: ClassVar = frozenset({"COMPLETED", "FAILED", "CANCELLED", "INTERRUPTED"})

    def __init__(self, **described: Any) -> None:
        known = ("name", "hadoop_jar_step", "action_on_failure")
        super().__init__(state="PENDING", **{name: described[name] for name in known if name in described})
        self.failure: Mapping[str, str] | None = None
        self.cancelling = ""

    @property
    def arguments(self) -> list[str]:
        """Returns the arguments of its jar."""
        return [str(word) for word in self.hadoop_jar_step.get("Args") or []]

    @property
    def status(self) -> dict[str, Any]:
        """Returns the Status structure."""
        status = super().status
        status["Timeline"]["EndDateTime"] = self.end_date_time
        status["StateChangeReason"] = {}
        if self.failure:
            status["FailureDetails"] = dict(self.failure)
        return status

    def start(self) -> None:
        """Does nothing: moto calls this for a new cluster's first step, but the engine starts all steps."""

    def begin(self) -> None:
        """Sets the state to RUNNING."""
        self.state = "RUNNING"
        self.start_date_time = utcnow()

    def end(self, state: str, failure: Mapping[str, str] | None = None) -> None:
        """Sets the final state."""
        self.state = state
        self.failure = failure
        self.end_date_time = utcnow()  # type: ignore[assignment]

    def cancel(self, option: str) -> str:
        """Cancels the step; returns the reason if that is not possible, else an empty text."""
        if self.state == "PENDING":
            self.end("CANCELLED")
        elif self.state == "RUNNING":
            self.state = "CANCEL_PENDING"
            self.cancelling = option
        else:
            return f"The step cannot be cancelled: it is {self.state}."
        return ""


class Steps:
    """All steps of all clusters. The engine calls `tick` in each turn, with the world's lock held."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._logs = Logs(world)
        self._applications = Applications(world)
        self._running: dict[str, Application] = {}
        self._left: list[tuple[str, Application]] = []
        """Applications of cancelled steps, by cluster. EMR ends only spark-submit."""
        self._idle_since: dict[str, float] = {}

    def tick(self) -> None:
        """Updates every step and cluster."""
        for cluster in _clusters():
            self._tick_cluster(cluster)

    def states(self) -> list[dict[str, object]]:
        """Returns the steps as JSON objects."""
        return [
            {"cluster": cluster.id, "step": step.id, "name": step.name, "state": step.state}
            for cluster in _clusters()
            for step in cluster.steps
        ]

    def _tick_cluster(self, cluster: Cluster) -> None:
        steps: list[Step] = cluster.steps  # type: ignore[assignment]
        if str(cluster.state).startswith("TERMINAT"):
            for step in steps:
                self._interrupt(cluster, step)
            for application in self._left_on(cluster):
                application.detached = False
                application.end()
            return
        for step in steps:
            if step.id in self._running and self._watch(cluster, step, self._running[step.id]):
                del self._running[step.id]
                if step.state == "FAILED":
                    self._after_failure(cluster, step)
        active = [step for step in steps if step.id in self._running]
        for step in steps:
            if step.state == "PENDING" and len(active) < cluster.step_concurrency_level:
                self._running[step.id] = self._begin(cluster, step)
                active.append(step)
        self._update_state(cluster, busy=bool(active or self._left_on(cluster)))

    def _left_on(self, cluster: Cluster) -> list[Application]:
        """Returns the applications of cancelled steps that still run on a cluster."""
        self._left = [(where, each) for where, each in self._left if each.running]
        return [each for where, each in self._left if where == cluster.id]

    def _begin(self, cluster: Cluster, step: Step) -> Application:
        step.begin()
        runs_here = step.jar == "command-runner.jar" and step.arguments[:1] == ["spark-submit"]
        application = self._applications.begin(
            self._world.folder / "clusters" / cluster.id / step.id,
            step.arguments[1:],
            defaults=_spark_defaults(cluster),
            rejection="" if runs_here else f"the emulator runs spark-submit by command-runner.jar, not {step.jar}",
        )
        (application.folder / "controller").write_text(f"INFO startExec '{step.jar} {' '.join(step.arguments)}'\n")
        return application

    def _watch(self, cluster: Cluster, step: Step, application: Application) -> bool:
        """Updates a running step; returns True if it has ended."""
        if step.cancelling:
            application.cancel_client(gently=step.cancelling == "SEND_INTERRUPT")
        status = application.status()
        if status is None:
            return False
        if step.cancelling:
            step.end("CANCELLED")
            self._left.append((cluster.id, application))
        elif status == 0:
            step.end("COMPLETED")
        else:
            step.end("FAILED", _failure(cluster, step, application))
        self._send_logs(cluster, step, application)
        return True

    def _send_logs(self, cluster: Cluster, step: Step, application: Application) -> None:
        base = _log_base(cluster)
        if not base:
            return
        files = {f"steps/{step.id}/{name}": application.folder / name for name in ("controller", "stderr", "stdout")}
        for container, folder in application.logs().items():
            for name in ("stderr", "stdout"):
                files[f"containers/{application.id}/{container}/{name}"] = folder / name
        self._logs.send(_compressed(base, files))

    def _interrupt(self, cluster: Cluster, step: Step) -> None:
        """Ends a step because its cluster has ended."""
        if application := self._running.pop(step.id, None):
            application.end()
            step.end("CANCELLED" if step.cancelling else "INTERRUPTED")
            self._send_logs(cluster, step, application)
        elif step.state == "PENDING":
            step.end("CANCELLED")

    def _after_failure(self, cluster: Cluster, step: Step) -> None:
        """Applies ActionOnFailure."""
        if step.action_on_failure in ("TERMINATE_CLUSTER", "TERMINATE_JOB_FLOW"):
            end_cluster(cluster, "TERMINATED_WITH_ERRORS", "STEP_FAILURE", "Shut down as step failed")
        elif step.action_on_failure == "CANCEL_AND_WAIT":
            for other in cluster.steps:
                if other.state == "PENDING":
                    other.end("CANCELLED")  # type: ignore[attr-defined]

    def _update_state(self, cluster: Cluster, *, busy: bool) -> None:
        """Updates a cluster's state; a cluster without work waits or terminates, as its settings say."""
        if busy or str(cluster.state).startswith("TERMINAT"):
            self._idle_since.pop(cluster.id, None)
            cluster.state = "RUNNING" if busy else cluster.state
            return
        cluster.state = "WAITING"
        idle_s = time.monotonic() - self._idle_since.setdefault(cluster.id, time.monotonic())
        policy = getattr(cluster, "auto_termination_policy", None) or {}
        if not cluster.keep_job_flow_alive_when_no_steps:
            end_cluster(cluster, "TERMINATED", "ALL_STEPS_COMPLETED", "Steps completed")
        elif "IdleTimeout" in policy and idle_s > policy["IdleTimeout"]:
            end_cluster(cluster, "TERMINATED", "USER_REQUEST", "Auto-terminated")


def _failure(cluster: Cluster, step: Step, application: Application) -> dict[str, str]:
    """Returns FailureDetails: the message of the fault, or the last exception in the client's output."""
    base, fault = _log_base(cluster), application.fault or Fault("step-fails")
    details = {
        "Reason": fault.reason or "Unknown Error.",
        "Message": fault.message or application.last_exception(),
        "LogFile": f"{base}/steps/{step.id}/stderr.gz" if base else "",
    }
    return {name: text for name, text in details.items() if text}


def _log_base(cluster: Cluster) -> str:
    """Returns the URI of a cluster's logs, without a final slash; empty if it keeps none."""
    return f"{cluster.log_uri.replace('s3n://', 's3://').rstrip('/')}/{cluster.id}" if cluster.log_uri else ""


def _compressed(base: str, files: dict[str, Path]) -> dict[str, bytes]:
    """Returns the existing files compressed, by the URIs at which EMR stores them."""
    return {f"{base}/{name}.gz": gzip.compress(path.read_bytes()) for name, path in files.items() if path.exists()}


def _spark_defaults(cluster: Cluster) -> dict[str, str]:
    """Returns the Spark settings of the cluster's configuration."""
    found: dict[str, str] = {}
    for each in cluster.configurations:
        if each["Classification"] == "spark-defaults":
            properties = each["Properties"]
            found |= properties.original_dict() if hasattr(properties, "original_dict") else properties
    return found


def end_cluster(cluster: Cluster, state: str, code: str, message: str) -> None:
    """Ends a cluster and its nodes, with the reason of its state."""
    cluster.terminate()
    cluster.state = state
    cluster.end_datetime = utcnow()
    cluster.last_state_change_code = code  # type: ignore[attr-defined]
    cluster.last_state_change_reason = message  # type: ignore[attr-defined]


def _clusters() -> Iterator[Cluster]:
    for account in list(emr_backends.values()):
        for backend in list(account.values()):
            yield from list(backend.clusters.values())
