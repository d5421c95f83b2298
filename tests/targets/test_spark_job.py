"""The launcher's view of an application: which one counts if there are two, and when it gives up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cloudlstm import storage
from cloudlstm.errors import JobError
from cloudlstm.runs import attempts
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets import JobState, spark_job
from cloudlstm.targets.cloud import CloudTarget
from cloudlstm.targets.polling import Intervals
from cloudlstm.targets.services import Application, GroupStatus
from cloudlstm.targets.spark_job import SparkJob
from targets.launcher_process import DOCUMENT, UnlimitedAccount

QUICK = Intervals(first_poll_s=0.0, longest_poll_s=0.0, cancel_poll_s=0.0)


class Cluster:
    """A Spark service with these applications, all of one request; each look takes the next state."""

    def __init__(self, **states: Sequence[JobState]) -> None:
        self.states = {name: list(each) for name, each in states.items()}
        self.cancelled: list[str] = []

    def _seen(self, name: str) -> Application:
        states = self.states[name]
        state = states.pop(0) if len(states) > 1 else states[0]
        return Application(name, "cloudlstm", (), state, state.name)

    applications: tuple[Application, ...] = ()
    """What `find` returns for all runs."""

    def name_and_arguments(self, _request: Any) -> tuple[str, tuple[str, ...]]:
        return "cloudlstm", ()

    def find(self, run: str | None) -> list[Application]:
        return (
            list(self.applications)
            if run is None
            else [Application(name, "cloudlstm", (), each[0], "") for name, each in self.states.items()]
        )

    def look(self, application: str) -> Application:
        return self._seen(application)

    def cancel(self, application: str) -> None:
        self.cancelled.append(application)
        self.states[application] = [JobState.CANCELLED]


def job(cluster: Cluster, hours: float = 1.0) -> SparkJob:
    request = {"submit": "it"}
    return SparkJob("prepare", "memory://root/run", 1, lambda: request, cluster, QUICK, hours=hours)  # type: ignore[arg-type]


def ended(started: SparkJob) -> JobState:
    for _ in range(20):
        if (state := started.state()) is not JobState.RUNNING:
            return state
    raise AssertionError("it did not end")


def test_the_application_that_found_its_work_claimed_does_not_count() -> None:
    """YARN counts it as failed, whatever its exit status: it had no Spark context."""
    claimed, worked = [JobState.RUNNING, JobState.FAILED], [JobState.DONE]
    assert ended(job(Cluster(claimed=claimed, worked=worked))) is JobState.DONE
    assert ended(job(Cluster(claimed=claimed, worked=[JobState.RUNNING, JobState.RUNNING, JobState.DONE]))) is (
        JobState.DONE
    )
    assert ended(job(Cluster(claimed=claimed, worked=[JobState.FAILED]))) is JobState.FAILED


def test_an_application_that_does_not_end_itself_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark_job, "MARGIN_S", 0.0)
    cluster = Cluster(hung=[JobState.RUNNING])
    started = job(cluster, hours=1e-9)
    with pytest.raises(JobError, match="the job prepare was ended after its 1e-09 hours"):
        ended(started)
    started.cancel()
    assert cluster.cancelled == ["hung"]


class NoGroup:
    """A trainer group of no machines."""

    def look(self) -> GroupStatus:
        return GroupStatus(0, 0, ())


def test_down_tells_the_drivers_because_emr_ends_only_spark_submit(tmp_path: Path) -> None:
    bucket = f"file://{tmp_path}"
    mine, other = f"{bucket}/runs/mine", f"{bucket}/runs/other"
    storage.write_json(RunPaths(mine).attempt(3, 1), {})
    cluster = Cluster(a=[JobState.RUNNING], b=[JobState.RUNNING], c=[JobState.RUNNING], d=[JobState.RUNNING])
    cluster.applications = (
        Application("a", "cloudlstm mine prepare 3", ("x", mine), JobState.RUNNING, ""),
        Application("b", "cloudlstm other prepare 1", ("x", other), JobState.RUNNING, ""),
        Application("c", "cloudlstm 1", (), JobState.RUNNING, ""),
        Application("d", "cloudlstm by hand 1", ("hdfs://x/y",), JobState.RUNNING, ""),
    )
    config = DOCUMENT.model_copy(update={"bucket_uri": bucket})
    target = CloudTarget(config, cluster, NoGroup(), UnlimitedAccount(), intervals=QUICK)  # type: ignore[arg-type]
    said = [f"cancelled {each.name} ({each.id})" for each in cluster.applications]
    assert (target.end(), cluster.cancelled) == (said, ["a", "b", "c", "d"])
    assert attempts.is_cancelled(RunPaths(mine), 3)
    assert not attempts.is_cancelled(RunPaths(other), 1), "no such run"
