"""A later job's process starts early and waits: it does nothing before its turn, and ends with its launcher."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloudlstm import storage
from cloudlstm.errors import JobError
from cloudlstm.runs.attempts import Attempt
from cloudlstm.runs.environment import ATTEMPT
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets import JobState, Plan, launcher
from cloudlstm.targets.local.target import LocalTarget

LATER = """
import os, pathlib, sys
from cloudlstm import storage
from cloudlstm.workers import job
notes = pathlib.Path({notes!r})
def load():
    (notes / "loaded").write_text(str(os.getpid()))
    raise ImportError("is told later")
sys.exit(job.main("train", lambda context: (notes / "worked").write_text(str(os.getpid())), load=load))
"""


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    return RunPaths(f"file://{tmp_path}/run")


def process(code: str, *words: str) -> dict[str, Any]:
    return {"worker": "driver", "argv": [sys.executable, "-c", code, *words], "env": {ATTEMPT: "${attempt}"}}


def plan_of(paths: RunPaths, notes: Path, first: str) -> Plan:
    """A run whose first job is a piece of Python, which finds the folder `notes` as its argument."""
    later = process(LATER.format(notes=str(notes)), paths.uri)
    requests = (
        {"action": "settings", "uri": paths.config, "document": {}},
        {"action": "job", "job": "prepare", "processes": [process(first, str(notes))]},
        {"action": "job", "job": "train", "run": paths.uri, "max_restarts": 1, "processes": [later]},
    )
    return Plan("submit", paths.uri, requests)


WHEN_LOADED = """
import pathlib, sys, time
notes = pathlib.Path(sys.argv[1])
while not (notes / "loaded").exists(): time.sleep(0.05)
"""


def has_ended(pid: str) -> bool:
    return waits_for(lambda: not Path(f"/proc/{pid}").exists() or " Z " in Path(f"/proc/{pid}/stat").read_text())


def waits_for(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not (held := holds()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return held


def test_a_later_job_loads_early_and_claims_nothing_before_its_turn(paths: RunPaths, tmp_path: Path) -> None:
    look = f"{WHEN_LOADED}(notes / 'claims').write_text(str(list(pathlib.Path({paths.uri[7:]!r}).glob('claims/*'))))"
    launcher.carry_out(plan_of(paths, tmp_path, look), LocalTarget(), lambda _: None)
    assert (tmp_path / "claims").read_text() == "[]"
    assert (tmp_path / "worked").read_text() == (tmp_path / "loaded").read_text(), "the same process"
    assert storage.exists(paths.claim(1, "train-driver-0"))


def test_a_later_job_ends_unseen_if_an_earlier_one_fails(paths: RunPaths, tmp_path: Path) -> None:
    with pytest.raises(JobError, match="prepare failed"):
        launcher.carry_out(plan_of(paths, tmp_path, f"{WHEN_LOADED}sys.exit(1)"), LocalTarget(), lambda _: None)
    assert has_ended((tmp_path / "loaded").read_text())
    assert not (tmp_path / "worked").exists()
    assert not list(storage.list_objects(f"{paths.uri}/claims/"))
    assert not storage.exists(paths.failure("train"))


def test_a_waiting_process_ends_with_a_killed_launcher(paths: RunPaths, tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]); from targets.local.test_standby import *\n"
        "paths, notes = RunPaths(sys.argv[2]), pathlib.Path(sys.argv[3])\n"
        "launcher.carry_out(plan_of(paths, notes, 'import time; time.sleep(60)'), LocalTarget(), lambda _: None)"
    )
    words = [str(Path(__file__).parents[2]), paths.uri, str(tmp_path)]
    with subprocess.Popen([sys.executable, "-c", code, *words]) as killed:
        assert waits_for((tmp_path / "loaded").exists)
        killed.kill()
    assert has_ended((tmp_path / "loaded").read_text())
    assert not (tmp_path / "worked").exists()


def test_a_waiting_process_that_died_is_replaced(paths: RunPaths, tmp_path: Path) -> None:
    target = LocalTarget()
    with Attempt(paths) as attempt, target.standby([{}, later_job(paths, tmp_path)]):
        storage.write_json(paths.settings(attempt.number), {})
        assert waits_for((tmp_path / "loaded").exists)
        target._waiting[0]._processes[0].stop(0.0)
        job = target.start(later_job(paths, tmp_path))
        assert waits_for(lambda: job.state() is JobState.DONE)
        assert not job.restarts
        job.cancel()
    assert (tmp_path / "worked").exists()


def test_waiting_processes_of_another_request_end(paths: RunPaths, tmp_path: Path) -> None:
    target = LocalTarget()
    with Attempt(paths), target.standby([{}, later_job(paths, tmp_path)]):
        assert waits_for((tmp_path / "loaded").exists)
        job = target.start(later_job(paths, tmp_path) | {"max_restarts": 0})
        assert has_ended((tmp_path / "loaded").read_text())
        job.cancel()


def test_workers_that_others_can_reach_start_in_their_turn(paths: RunPaths, tmp_path: Path) -> None:
    request = later_job(paths, tmp_path)
    request["processes"] *= 2
    with LocalTarget().standby([{}, request | {"network": "this machine's"}]):
        time.sleep(1.0)
    assert not (tmp_path / "loaded").exists()


def later_job(paths: RunPaths, notes: Path) -> dict[str, Any]:
    request = dict(plan_of(paths, notes, "").requests[-1])
    request["processes"] = [request["processes"][0] | {"env": {ATTEMPT: "1"}}]
    return request
