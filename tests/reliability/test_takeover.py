"""A launcher or job that was stopped for too long finds the run taken over and ends."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from cloudlstm import storage
from cloudlstm.config import parse
from cloudlstm.errors import RunBusyError, StorageUnavailableError
from cloudlstm.runs import attempts, manifest
from cloudlstm.runs.context import RunContext
from cloudlstm.runs.environment import ATTEMPT
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.liveness import Owner
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths
from reliability.killed_runs import processes_end, start, wait_for_exit

LAUNCHER = """
import sys
from cloudlstm.targets import launcher as launch
from cloudlstm.errors import CloudLSTMError
from cloudlstm.targets import Plan
from cloudlstm.targets.local.job import LocalJob

class Sleeps:
    name = "sleeps"
    def start(self, request):
        argv = [sys.executable, "-c", "import os; os.read(0, 1)", sys.argv[1]]
        worker = {"worker": "worker-0", "env": {}, "argv": argv}
        return LocalJob({"job": "train", "processes": [worker]})

try:
    launch.carry_out(Plan("submit", sys.argv[1], ({"action": "job", "job": "train"},)), Sleeps(), lambda _: None)
except CloudLSTMError as error:
    sys.stderr.write(f"cloudlstm: {type(error).__name__}: {error}")
    sys.exit(error.exit_code)
"""

JOB = """
import sys, time
from cloudlstm.runs import attempts
from cloudlstm.workers import job
attempts.HEARTBEAT_EVERY_S = 0.2
def work(context):
    print("at work", flush=True)
    time.sleep(600)
sys.exit(job.main("train", work))
"""


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    return RunPaths(f"file://{tmp_path}/run")


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A launcher that is stopped is watched for two seconds before it counts as dead."""
    monkeypatch.setattr(attempts, "HEARTBEAT_DEAD_AFTER_S", 2.0)


def launcher(paths: RunPaths) -> subprocess.Popen[str]:
    """A launcher that works on the run's first attempt."""
    process = start("-c", LAUNCHER, paths.uri)
    while not storage.exists(paths.heartbeat(1)):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    return process


def test_a_launcher_that_was_stopped_finds_its_run_taken_over(paths: RunPaths) -> None:
    first = launcher(paths)
    with pytest.raises(RunBusyError), attempts.Attempt(paths):
        pass
    os.kill(first.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, first.pid, os.WSTOPPED | os.WNOWAIT)  # a signal takes a moment
    with attempts.Attempt(paths) as second:
        assert second.number == 2
        os.kill(first.pid, signal.SIGCONT)
        code, output = wait_for_exit(first)
        assert code == 1
        assert output.startswith("cloudlstm: RunBusyError: run run was taken over by process")
        assert f"process {os.getpid()}" in output
        assert processes_end(f"os.read(0, 1) {paths.uri}"), "its job ends with it"
        second.require_held()


def test_a_job_ends_when_a_later_attempt_has_its_run(paths: RunPaths) -> None:
    storage.write_json(paths.config, {"market": {"source": "synthetic"}})
    storage.write_json(paths.attempt(1), asdict(Owner.me()))
    job = start("-c", JOB, paths.uri, env={ATTEMPT: "1"})
    assert job.stdout is not None
    assert job.stdout.readline() == "at work\n"
    storage.write_json(paths.attempt(2), asdict(Owner.me()))
    code, _ = wait_for_exit(job)
    assert code == 128 + signal.SIGTERM
    late = start("-c", JOB, paths.uri, env={ATTEMPT: "1", "CLOUDLSTM_GENERATION": "1"})
    code, output = wait_for_exit(late)
    assert code == 1
    assert "taken over" in output


def test_a_superseded_attempt_saves_no_manifest(paths: RunPaths) -> None:
    made = Manifest("clean", "print", (), 1.0)
    context = RunContext(paths, parse({"market": {"source": "synthetic"}}), 1, Journal(paths, "prepare", "driver"))
    context.save_manifest(made)
    storage.write_json(paths.attempt(2), asdict(Owner.me()))
    with pytest.raises(RunBusyError, match="taken over"):
        context.save_manifest(replace(made, fingerprint="late"))
    assert manifest.finished(paths, "clean", "print") == made


def test_a_zombie_launcher_counts_as_dead(paths: RunPaths) -> None:
    first = launcher(paths)
    first.kill()
    os.waitid(os.P_PID, first.pid, os.WEXITED | os.WNOWAIT)  # it is a zombie now, and stays one
    with attempts.Attempt(paths) as second:
        assert second.number == 2
    wait_for_exit(first)


def test_a_failed_heartbeat_write_does_not_end_the_attempt(paths: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without storage no other launcher can take over; when it answers again, the check for a later attempt decides."""
    monkeypatch.setattr(attempts, "HEARTBEAT_EVERY_S", 0.01)
    with attempts.Attempt(paths) as attempt:
        with monkeypatch.context() as patch:

            def silent(*_: object, **__: object) -> None:
                raise StorageUnavailableError("no answer")

            for verb in ("write_json", "exists", "stat", "read_json"):
                patch.setattr(storage, verb, silent)
            time.sleep(0.1)
            attempt.require_held()
            assert not attempt.cancelled()
        before, deadline = storage.stat(paths.heartbeat(1)).etag, time.monotonic() + 60
        while storage.stat(paths.heartbeat(1)).etag == before:
            assert time.monotonic() < deadline, "the heartbeat continues"
            time.sleep(0.05)


@pytest.mark.parametrize("broken", ["attempt", "heartbeat"])
def test_a_truncated_bookkeeping_object_blocks_no_launcher(paths: RunPaths, broken: str) -> None:
    elsewhere = replace(Owner.me(), host="another-machine", boot="another")
    storage.write_json(paths.attempt(1), asdict(elsewhere))
    storage.write_json(paths.heartbeat(1), {"time": time.time() - 3600, "ended": False})
    storage.write(getattr(paths, broken)(1), b'{"host": "anoth')
    with attempts.Attempt(paths) as second:
        assert second.number == 2
