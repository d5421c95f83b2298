"""A job that hangs is ended at its limit, also when no Python runs any more."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from cloudlstm.config import RunConfig
from cloudlstm.workers.deadline import ended_after, prepare_hours
from cloudlstm.workers.restarts import TERMINATED

PREAMBLE = """
import ctypes, signal, socket, sys
from cloudlstm.workers import deadline, job
deadline._NATIVE_GRACE_S, deadline._GRACE_S = 1.0, 1.0
signal.signal(signal.SIGTERM, job._on_sigterm)
def store(error):
    print(error, flush=True)
def hang_in_python():
    here, there = socket.socketpair()
    here.recv(1)
def hang_deaf():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    hang_in_python()
def hang_with_pythons_lock():
    ctypes.PyDLL(None).sleep(60)
with deadline.ended_after("prepare", 0.5 / 3600, store):
    print("at work", flush=True)
"""

MESSAGE = "the job prepare was ended after its 0.000138889 hours"


@pytest.mark.parametrize(
    ("how", "status", "stored"),
    [("hang_in_python", TERMINATED, True), ("hang_deaf", 1, True), ("hang_with_pythons_lock", 1, False)],
)
def test_a_hung_job_is_ended_and_says_where_it_was(how: str, status: int, stored: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{PREAMBLE}    {how}()"], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == status, done.stderr
    assert (MESSAGE in done.stdout) == stored
    assert f"in {how}" in done.stderr


def test_a_job_that_ends_in_time_is_left_alone() -> None:
    def told(error: Exception) -> None:
        raise AssertionError(error)

    with ended_after("prepare", 0.2 / 3600, told):
        pass
    with ended_after("prepare", None, told):
        pass
    time.sleep(0.4)


def test_only_a_target_has_a_limit_by_default() -> None:
    config = RunConfig()
    assert (prepare_hours(config, target=True), prepare_hours(config, target=False)) == (6.0, None)
    short = RunConfig.model_validate({"spark": {"max_hours": 2}})
    assert {prepare_hours(short, target=on_target) for on_target in (True, False)} == {2.0}
    assert short.identity() == config.identity()
