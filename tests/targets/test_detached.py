"""Starting a job that outlives its launcher: when the launcher leaves, and what it does if the job fails."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from cloudlstm import storage
from cloudlstm.errors import DataError, JobError, to_record
from cloudlstm.runs import attempts
from cloudlstm.runs.liveness import Owner
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets.base import JobState, Request
from cloudlstm.targets.detached import carry_out


class Job:
    """A job whose states are scripted; before each look, `happens` is called with the number of the look."""

    restarts = ()
    working_since = None

    def __init__(self, states: list[JobState], happens: Callable[[int], object]) -> None:
        self._states, self._happens, self._looks = states, happens, 0
        self.ended = ""

    @property
    def phase(self) -> str:
        return f"look {self._looks}"

    def state(self) -> JobState:
        self._looks += 1
        self._happens(self._looks)
        return self._states.pop(0) if len(self._states) > 1 else self._states[0]

    def wait(self, seconds: float) -> None:
        """It costs no time to see the next state."""

    def cancel(self) -> None:
        self.ended = self.ended or "cancelled"

    def abandon(self) -> None:
        self.ended = self.ended or "abandoned"

    def explain(self) -> str:
        return "stream s-1 ended as FAILED\nits last line"


class Place:
    """A target with one job.

    Args:
        job: The job.
        working: Requests of attempts whose job is at work.
    """

    def __init__(self, job: Job, *working: int) -> None:
        self._job, self._working = job, working
        self.started: list[Request] = []

    def at_work(self, request: Request) -> bool:
        return int(request["attempt"]) in self._working

    def start(self, request: Request) -> Job:
        self.started.append(request)
        return self._job


@pytest.fixture
def folder(tmp_path: Path) -> RunPaths:
    return RunPaths(f"file://{tmp_path}/streams/live")


def run(folder: RunPaths, place: Place, *, stays: bool, said: list[str] | None = None) -> int:
    request = {"job": "stream", "run": folder.uri, "attempt": "${attempt}"}
    tell = (said if said is not None else []).append
    target: Any = place
    return carry_out(request, target, lambda: None, tell, stays=stays, poll_s=0.0)


def test_the_launcher_leaves_once_the_job_works(folder: RunPaths) -> None:
    said: list[str] = []
    with ExitStack() as driver:

        def happens(look: int) -> None:
            if look == 3:
                driver.enter_context(attempts.continued(folder, 1))

        job = Job([JobState.RUNNING], happens)
        assert run(folder, place := Place(job), stays=False, said=said) == 1
        assert (job.ended, said) == ("abandoned", ["look 1", "look 2"])
        assert place.started == [{"job": "stream", "run": folder.uri, "attempt": "1"}]
        assert attempts.is_alive(folder, 1), "the job holds the attempt now"
    assert not attempts.is_alive(folder, 1)


def test_a_launcher_that_stays_waits_for_the_end(folder: RunPaths) -> None:
    with ExitStack() as driver:
        job = Job([JobState.RUNNING] * 3 + [JobState.DONE], lambda look: look == 1 and driver.enter_context(
            attempts.continued(folder, 1)))  # fmt: skip
        assert run(folder, Place(job), stays=True) == 1
    assert job.ended == "cancelled", "it frees what it has"


def test_the_error_of_a_job_is_told_and_kept_until_the_next(folder: RunPaths) -> None:
    def fails(_look: int) -> None:
        storage.write_json(folder.failure("stream"), to_record(DataError("no bars")) | {"generation": 0})

    with pytest.raises(DataError, match="no bars"):
        run(folder, Place(Job([JobState.FAILED], fails)), stays=False)
    with pytest.raises(
        JobError, match="job stream failed: stream s-1 ended as FAILED, its last line was: its last line"
    ):
        run(folder, Place(Job([JobState.FAILED], lambda _: None)), stays=False)
    assert attempts.latest_attempt(folder) == 2


def test_a_cancelled_launcher_cancels_its_job(folder: RunPaths) -> None:
    def happens(look: int) -> None:
        if look == 2:
            attempts.cancel(folder, 1)

    job = Job([JobState.RUNNING], happens)
    with pytest.raises(JobError, match="the job of live was cancelled"):
        run(folder, Place(job), stays=False)
    assert job.ended == "cancelled"


@pytest.mark.parametrize(("working", "number"), [((1,), 1), ((), 2)])
def test_the_job_of_a_lost_launcher_is_followed(folder: RunPaths, working: tuple[int, ...], number: int) -> None:
    lost = replace(Owner.me(), pid=2**22 + 1, ticks=1)
    storage.write_json(folder.attempt(1), asdict(lost))
    job = Job([JobState.DONE], lambda _: None)
    assert run(folder, Place(job, *working), stays=True) == number
    assert storage.exists(folder.attempt(1, 2)) == (number == 1)
