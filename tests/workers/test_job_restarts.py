"""Restarts of a job: which exits are retryable, how often, and that no process is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudlstm import errors, storage
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.progress import read_progress
from cloudlstm.targets import JobState, Plan, launcher
from cloudlstm.targets.local import job as local_job
from cloudlstm.targets.local.job import LocalJob
from cloudlstm.workers import job, processes
from cloudlstm.workers.restarts import PEER_LOST, TERMINATED, UNEXPECTED, Restarts, is_retryable

PREAMBLE = "import os, signal, sys, time; generation = int(os.environ['CLOUDLSTM_GENERATION'])\n"
DIE = "os.kill(os.getpid(), signal.SIGKILL)"
SLEEP = "time.sleep(60)"


def request(paths: RunPaths, *codes: str, allowed: int = 3) -> dict[str, object]:
    """Processes that run these pieces of Python; each knows its generation."""
    processes = [
        {"worker": f"worker-{index}", "argv": [sys.executable, "-I", "-c", PREAMBLE + code], "env": {}}
        for index, code in enumerate(codes)
    ]
    return {"action": "job", "job": "train", "run": paths.uri, "max_restarts": allowed, "processes": processes}


def until(true: Callable[[], object], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def ended(started: LocalJob) -> JobState:
    until(lambda: started.state() is not JobState.RUNNING)
    state = started.state()
    started.cancel()
    return state


def has_gone(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def pids_of(started: LocalJob) -> list[int]:
    return [process._process.pid for process in started._processes]


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    return RunPaths(f"file://{tmp_path}/run")


@pytest.mark.parametrize(
    ("statuses", "retryable"),
    [
        ([-9, PEER_LOST], True), ([TERMINATED, TERMINATED], True), ([PEER_LOST, PEER_LOST], True),
        ([-signal.SIGSTOP], True), ([-6, UNEXPECTED], True), ([1, PEER_LOST], False), ([1, -6], False), ([2], False),
        ([UNEXPECTED], False), ([UNEXPECTED, PEER_LOST], False), ([0, 0], False), ([0, -9], True),
    ],
)  # fmt: skip
def test_which_exits_are_retryable(statuses: list[int], retryable: bool) -> None:
    assert is_retryable(statuses) == retryable


def test_only_progress_resets_the_count(paths: RunPaths) -> None:
    restarts = Restarts(paths, "train", allowed=2)
    assert [restarts.take_restart([-9]) for _ in range(2)] == [True, True]
    storage.write(paths.checkpoint("f", 100, "a" * 64), b"")
    assert [restarts.take_restart([-9]) for _ in range(3)] == [True, True, True]
    storage.write(paths.checkpoint("f", 90, "a" * 64), b"")
    storage.write(paths.checkpoint("f", 100, "b" * 64), b"again")
    assert not restarts.take_restart([-9]), "no step further"
    storage.write(paths.manifest("train"), b"{}")
    assert restarts.take_restart([-9])
    assert not Restarts(paths, "train", allowed=0).take_restart([-9])


def test_a_restart_without_a_death_is_not_counted(paths: RunPaths) -> None:
    """A worker that took a slow peer for lost ends with PEER_LOST, and so do the others."""
    restarts = Restarts(paths, "train", allowed=1)
    assert [restarts.take_restart([PEER_LOST, PEER_LOST, 0]) for _ in range(10)] == [True] * 10
    assert restarts.take_restart([-9, PEER_LOST]), "the budget is untouched"
    resumed = Restarts(paths, "train", 1, restarts.state)
    assert not resumed.take_restart([PEER_LOST]), "restarts after a lost peer are limited too"
    storage.write(paths.checkpoint("f", 100, "a" * 64), b"")
    assert resumed.take_restart([PEER_LOST])


def test_existing_objects_are_not_progress(paths: RunPaths) -> None:
    storage.write(paths.checkpoint("f", 100, "a" * 64), b"")
    restarts = Restarts(paths, "train", allowed=1)
    assert [restarts.take_restart([-9]) for _ in range(2)] == [True, False]


def test_all_processes_start_again_when_one_is_killed(paths: RunPaths, tmp_path: Path) -> None:
    started = LocalJob(request(paths, f"generation or {SLEEP}", f"generation or {DIE}"))
    before = pids_of(started)
    assert ended(started) is JobState.DONE
    assert [restart.cause for restart in started.restarts] == ["worker-1 killed by signal 9 (SIGKILL)"]
    assert all(has_gone(pid) for pid in before)


def test_a_job_without_progress_is_given_up(paths: RunPaths) -> None:
    code = f"print('last words', flush=True); {DIE}"
    plan = Plan("submit", paths.uri, (request(paths, code, allowed=2),))
    with pytest.raises(errors.JobError, match=r"killed by signal 9.*last words \(after 2 restarts"):
        launcher.carry_out(plan, Started(), lambda _: None)
    lines = [storage.read(item.uri).decode() for item in storage.list_objects(paths.logs) if "launcher" in item.uri]
    assert ["as generation 1" in lines[0], "as generation 2" in lines[1], len(lines)] == [True, True, 2]
    assert all("last words" in line for line in lines)


class Started:
    """A target that starts the processes of the request unchanged."""

    name = "started"
    root = None

    def start(self, asked: dict[str, object]) -> LocalJob:
        return LocalJob(asked)


def test_a_known_cause_is_not_tried_again_although_a_peer_ended_first(paths: RunPaths) -> None:
    record = errors.to_record(errors.DataError("too little of it")) | {"generation": 0}
    path = Path(paths.failure("train").removeprefix("file://"))
    note = f"os.makedirs({str(path.parent)!r}); open({str(path)!r}, 'w').write({json.dumps(record)!r})"
    peer = f"signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1); {note}; sys.exit(1)"
    plan = Plan("submit", paths.uri, (request(paths, f"time.sleep(0.5); sys.exit({PEER_LOST})", peer),))
    with pytest.raises(errors.DataError, match="too little of it"):
        launcher.carry_out(plan, Started(), lambda _: None)


def test_the_failure_of_an_earlier_generation_is_not_shown(paths: RunPaths) -> None:
    """As when a worker of an earlier generation, on another machine, writes late."""
    record = errors.to_record(errors.DataError("of long ago")) | {"generation": 0}
    code = f"generation or {DIE}; time.sleep(2); os.kill(os.getpid(), signal.SIGSEGV)"
    plan = Plan("submit", paths.uri, (request(paths, code, allowed=1),))

    def late(_: object) -> None:
        if list(storage.list_objects(f"{paths.uri}/logs/train/launcher/")):
            storage.write_json(paths.failure("train"), record)

    with pytest.raises(errors.JobError, match=r"SIGSEGV"):
        launcher.carry_out(plan, Started(), late)
    assert storage.exists(paths.failure("train")), "otherwise the next assertion proves nothing"


def test_the_first_cause_outlives_consequences_and_earlier_generations(paths: RunPaths) -> None:
    def recorded() -> str:
        return str(storage.read_json(paths.failure("train"))["message"])

    output = [
        (errors.PeerLostError("a peer"), 0, "a peer"), (errors.DataError("bad"), 0, "bad"),
        (errors.PeerLostError("a peer"), 0, "bad"), (errors.JobError("NaN"), 0, "bad"),
        (errors.PeerLostError("another"), 1, "another"),
    ]  # fmt: skip
    for error, generation, expected in output:
        job._store_error(paths, "train", error, generation)
        assert recorded() == expected


def test_a_process_that_stays_stopped_is_lost(paths: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_job, "_STOPPED_S", 1.0)
    started = LocalJob(request(paths, f"generation or {SLEEP}", f"generation or {SLEEP}"))
    stopped = pids_of(started)[1]
    os.kill(stopped, signal.SIGSTOP)
    assert ended(started) is JobState.DONE
    assert [restart.cause for restart in started.restarts] == ["worker-1 stopped (SIGSTOP)"]
    assert has_gone(stopped)


def test_a_resumed_process_is_not_lost(paths: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    started = LocalJob(request(paths, SLEEP))
    [process] = started._processes
    os.kill(process._process.pid, signal.SIGSTOP)
    until(lambda: started.state() and process.stopped_s > 0)
    clock = time.monotonic
    monkeypatch.setattr(processes.time, "monotonic", lambda: clock() + 3600.0)
    assert started.state() is JobState.RUNNING, "an hour went by, but not one in which the launcher was awake"
    assert 0 < process.stopped_s < local_job._STOPPED_S
    os.kill(process._process.pid, signal.SIGCONT)
    until(lambda: started.state() and process.stopped_s == 0)
    assert not started.restarts
    started.cancel()


def test_cancelling_while_a_generation_ends_leaves_nothing_behind(
    paths: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = f"signal.signal(signal.SIGTERM, lambda *_: None); print('deaf', flush=True); {SLEEP}; {SLEEP}"
    started = LocalJob(request(paths, deaf, f"time.sleep(0.5); {DIE}"))
    pids = pids_of(started)
    until(lambda: started.state() and started._lost)
    assert started.state() is JobState.RUNNING, "worker-0 has some seconds to end"
    assert not has_gone(pids[0])
    monkeypatch.setattr(local_job, "_GRACE_S", 0.2)
    started.cancel()
    assert started.state() is JobState.CANCELLED
    assert all(has_gone(pid) for pid in pids)


def test_a_killed_launcher_takes_stopped_workers_with_it(paths: RunPaths) -> None:
    worker = "from cloudlstm.workers import job; job.end_with_parent(); print('up', flush=True); " + SLEEP
    code = (
        "import json, sys, time; from cloudlstm.targets.local.job import LocalJob\n"
        "job = LocalJob(json.loads(sys.argv[1])); [process] = job._processes\n"
        "while 'up' not in process.last_lines(): time.sleep(0.02)\n"
        "print(process._process.pid, flush=True); time.sleep(60)"
    )
    asked = request(paths, worker)
    asked["processes"][0]["argv"].remove("-I")  # type: ignore[index]
    launcher = subprocess.Popen([sys.executable, "-c", code, json.dumps(asked)], stdout=subprocess.PIPE, text=True)
    assert launcher.stdout
    pid = int(launcher.stdout.readline())
    os.kill(pid, signal.SIGSTOP)
    launcher.kill()
    launcher.communicate()
    until(lambda: has_gone(pid))


def test_phases_before_the_first_count_are_no_part_of_the_rate(paths: RunPaths) -> None:
    journal = Journal(paths, "train", "worker-0")
    journal.report("train", 0, 0, "windows", phase="starting TensorFlow")
    began = time.time()
    time.sleep(0.1)
    journal.report("train", 500, 1000, "windows")
    journal.report("train", 600, 1000, "windows")
    journal.flush()
    report = read_progress(paths)[0]
    assert (report.resumed, report.started > began + 0.05) == (500, True)
