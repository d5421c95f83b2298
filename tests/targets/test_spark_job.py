"""The launcher's view of an application: which one counts if there are two, and when it gives up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from cloudlstm.errors import JobError
from cloudlstm.targets import JobState, spark_job
from cloudlstm.targets.polling import Intervals
from cloudlstm.targets.services import Application
from cloudlstm.targets.spark_job import SparkJob

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

    def name_and_arguments(self, _request: Any) -> tuple[str, tuple[str, ...]]:
        return "cloudlstm", ()

    def find(self, _run: str | None) -> list[Application]:
        return [Application(name, "cloudlstm", (), each[0], "") for name, each in self.states.items()]

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
    monkeypatch.setattr(spark_job, "_MARGIN_S", 0.0)
    cluster = Cluster(hung=[JobState.RUNNING])
    started = job(cluster, hours=1e-9)
    with pytest.raises(JobError, match="the job prepare was ended after its 1e-09 hours"):
        ended(started)
    started.cancel()
    assert cluster.cancelled == ["hung"]
