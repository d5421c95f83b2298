"""The life of EMR steps: started in their order, watched, cancelled, and told of as EMR does."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from moto.core.utils import utcnow
from moto.emr.models import Cluster, emr_backends

from localstack.aws.logs import Logs, log_base
from localstack.aws.step import Step
from localstack.aws.world import World
from localstack.faults import Fault
from localstack.interpreter import minor_version
from localstack.processes import Process, tail
from localstack.spark import EXECUTOR_CORES, WORKERS

_INTERRUPT_GRACE_S = 10.0


@dataclass
class _Run:
    """A step that has begun; one without a process does nothing, by a fault."""

    step: Step
    folder: Path
    application: str
    began: float
    process: Process | None = None
    fault: Fault | None = None
    kill_at: float | None = None


class Steps:
    """All steps of all clusters; `tick` is called again and again, with the world's lock held."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._logs = Logs(world)
        self._runs: dict[str, _Run] = {}
        self._applications = 0
        self._idle_since: dict[str, float] = {}

    def tick(self) -> None:
        """Moves every step on as far as it goes."""
        for cluster in _clusters():
            self._tick_cluster(cluster)

    def states(self) -> list[dict[str, object]]:
        """The steps, as JSON objects."""
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
            return
        for step in steps:
            if step.id in self._runs and self._watch(cluster, self._runs[step.id]):
                del self._runs[step.id]
                if step.state == "FAILED":
                    self._after_failure(cluster, step)
        active = [step for step in steps if step.id in self._runs]
        for step in steps:
            if step.state == "PENDING" and len(active) < cluster.step_concurrency_level:
                self._runs[step.id] = self._begin(cluster, step)
                active.append(step)
        self._rest(cluster, busy=bool(active))

    def _begin(self, cluster: Cluster, step: Step) -> _Run:
        step.begin()
        self._applications += 1
        since = int(cluster.creation_datetime.timestamp() * 1000)
        application = f"application_{since}_{self._applications:04}"
        run = _Run(step, self._world.folder / "clusters" / cluster.id / step.id, application, time.monotonic())
        run.folder.mkdir(parents=True)
        (run.folder / "controller").write_text(f"INFO startExec '{step.jar} {' '.join(step.words)}'\n")
        run.fault = self._world.faults.take("step-fails", "step-hangs")
        if run.fault and (run.fault.kind == "step-hangs" or run.fault.after_s <= 0):
            return run
        if step.jar != "command-runner.jar" or step.words[:1] != ["spark-submit"]:
            (run.folder / "stderr").write_text(
                f"the emulator runs spark-submit by command-runner.jar, not {step.jar}\n"
            )
            run.fault = Fault("step-fails")
            return run
        run.process = self._start(run)
        return run

    def _start(self, run: _Run) -> Process:
        spark, nodes = self._world.spark, self._world.nodes
        spark.start()
        events = run.folder / "events"
        events.mkdir()
        environment = spark.environment(run.folder)
        order = {
            "words": run.step.words[1:],
            "application": run.application,
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
        (run.folder / "order.json").write_text(json.dumps(order, indent=1))
        return Process(
            [sys.executable, "-m", "localstack.step", run.folder / "order.json"],
            folder=run.folder,
            stdout=run.folder / "stdout",
            stderr=run.folder / "stderr",
            environment=environment | {"PYTHONPATH": ":".join(filter(None, sys.path))},
        )

    def _watch(self, cluster: Cluster, run: _Run) -> bool:
        """Looks after a step that has begun; whether it has ended."""
        now = time.monotonic()
        if run.step.cancelling and run.kill_at is None:
            gentle = run.step.cancelling == "SEND_INTERRUPT" and run.process is not None
            run.kill_at = now + (_INTERRUPT_GRACE_S if gentle else 0)
            if gentle and run.process:
                run.process.interrupt()
        if run.fault and run.fault.kind == "step-fails" and now >= run.began + run.fault.after_s:
            run.kill_at = now
        status = run.process.poll() if run.process else None
        if status is None and (run.kill_at is None or now < run.kill_at):
            return False
        if run.process:
            run.process.kill()
        if run.step.cancelling:
            run.step.end("CANCELLED")
        elif status == 0:
            run.step.end("COMPLETED")
        else:
            run.step.end("FAILED", self._failure(cluster, run))
        self._send_logs(cluster, run)
        return True

    def _failure(self, cluster: Cluster, run: _Run) -> dict[str, str]:
        """FailureDetails: the fault's words, else the last exception that the client printed."""
        base = log_base(cluster.log_uri, cluster.id)
        told = re.findall(r"^(?:Exception in thread|Error:).*", tail(run.folder / "stderr"), re.MULTILINE)
        fault = run.fault or Fault("step-fails")
        details = {
            "Reason": fault.reason or "Unknown Error.",
            "Message": fault.message or (told[-1] if told else ""),
            "LogFile": f"{base}/steps/{run.step.id}/stderr.gz" if base else "",
        }
        return {name: text for name, text in details.items() if text}

    def _send_logs(self, cluster: Cluster, run: _Run) -> None:
        container = f"{run.application.replace('application', 'container')}_01_000001"
        files = {f"steps/{run.step.id}/{name}": run.folder / name for name in ("controller", "stderr", "stdout")}
        for name in ("stderr", "stdout"):
            files[f"containers/{run.application}/{container}/{name}"] = run.folder / "driver" / name
        self._logs.send(log_base(cluster.log_uri, cluster.id), files)

    def _interrupt(self, cluster: Cluster, step: Step) -> None:
        """What the end of its cluster means for a step."""
        if run := self._runs.pop(step.id, None):
            if run.process:
                run.process.kill()
            step.end("CANCELLED" if step.cancelling else "INTERRUPTED")
            self._send_logs(cluster, run)
        elif step.state == "PENDING":
            step.end("CANCELLED")

    def _after_failure(self, cluster: Cluster, step: Step) -> None:
        """ActionOnFailure."""
        if step.action_on_failure in ("TERMINATE_CLUSTER", "TERMINATE_JOB_FLOW"):
            _end_cluster(cluster, "TERMINATED_WITH_ERRORS", "STEP_FAILURE", "Shut down as step failed")
        elif step.action_on_failure == "CANCEL_AND_WAIT":
            for other in cluster.steps:
                if other.state == "PENDING":
                    other.end("CANCELLED")  # type: ignore[attr-defined]

    def _rest(self, cluster: Cluster, *, busy: bool) -> None:
        """A cluster without work waits, ends, or ends after a while, as it was told to."""
        if busy or str(cluster.state).startswith("TERMINAT"):
            self._idle_since.pop(cluster.id, None)
            cluster.state = "RUNNING" if busy else cluster.state
            return
        cluster.state = "WAITING"
        idle_s = time.monotonic() - self._idle_since.setdefault(cluster.id, time.monotonic())
        policy = getattr(cluster, "auto_termination_policy", None) or {}
        if not cluster.keep_job_flow_alive_when_no_steps:
            _end_cluster(cluster, "TERMINATED", "ALL_STEPS_COMPLETED", "Steps completed")
        elif "IdleTimeout" in policy and idle_s > policy["IdleTimeout"]:
            _end_cluster(cluster, "TERMINATED", "USER_REQUEST", "Auto-terminated")


def _end_cluster(cluster: Cluster, state: str, code: str, message: str) -> None:
    cluster.state = state
    cluster.end_datetime = utcnow()
    cluster.last_state_change_code = code  # type: ignore[attr-defined]
    cluster.last_state_change_reason = message  # type: ignore[attr-defined]


def _clusters() -> Iterator[Cluster]:
    for account in list(emr_backends.values()):
        for backend in list(account.values()):
            yield from list(backend.clusters.values())
