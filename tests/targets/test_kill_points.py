"""kill -9 of the launcher at any operation: the next submit finishes the run, and no paid resource stays.

`make soak` does the same at CLOUDLSTM_KILL_POINTS=1000 points.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloudlstm import storage
from cloudlstm.runs import attempts
from cloudlstm.runs.paths import RunPaths
from targets.kill_point import KillPoint
from targets.launcher_process import Launcher
from targets.scripted_cloud import AWS, GCP, CloudKind, Engine

POINTS = int(os.environ.get("CLOUDLSTM_KILL_POINTS", "40"))
BATCHES = 2
LIVENESS_S = 120.0


def moved_on_until_ended(engine: Engine, launcher: Launcher) -> int:
    give_up = time.monotonic() + LIVENESS_S
    while (status := launcher.status) is None:
        assert time.monotonic() < give_up, "the launcher hangs"
        engine.tick()
        time.sleep(0.004)
    return status


def moved_on_until(engine: Engine, launcher: Launcher, true: Callable[[], Any]) -> None:
    give_up = time.monotonic() + LIVENESS_S
    while not true():
        assert launcher.status is None, launcher.output
        assert time.monotonic() < give_up
        engine.tick()
        time.sleep(0.004)


def layout_of(engine: Engine) -> RunPaths:
    return RunPaths(f"file://{engine.folder}/bucket/runs/scripted")


def finished(engine: Engine) -> None:
    """Checks the state after a successful submit."""
    run = layout_of(engine).uri
    assert storage.exists(layout_of(engine).report("report.json"))
    assert engine.group["size"] == 0
    states = [step["state"] for step in engine.steps(run)]
    assert "RUNNING" not in states
    assert engine.trained[run] == 1


@pytest.fixture(scope="module", params=[AWS, GCP], ids=["aws", "gcp"])
def kind(request: pytest.FixtureRequest) -> CloudKind:
    found: CloudKind = request.param
    return found


@pytest.fixture(scope="module")
def operations(kind: CloudKind, tmp_path_factory: pytest.TempPathFactory) -> int:
    """Number of operations of an undisturbed launcher, roughly."""
    engine = Engine(tmp_path_factory.mktemp("undisturbed"), kind)
    launcher = Launcher(engine, KillPoint())
    assert moved_on_until_ended(engine, launcher) == 0, launcher.output
    finished(engine)
    assert engine.prepared == {layout_of(engine).uri: 1}
    assert "deadline" not in engine.group
    return int(launcher.output.split()[-1])


@pytest.mark.parametrize("batch", range(BATCHES))
def test_a_run_of_a_killed_launcher_continues(operations: int, kind: CloudKind, batch: int, tmp_path: Path) -> None:
    for point in range(batch, POINTS, BATCHES):
        killed_once(operations, point, Engine(tmp_path / str(point), kind))


def killed_once(operations: int, point: int, engine: Engine) -> None:
    dice = random.Random(point)
    kill_point = KillPoint(dice.randint(1, operations), after=dice.random() < 0.5)
    first = Launcher(engine, kill_point, lost=0.3, seed=point)
    status = moved_on_until_ended(engine, first)
    assert status in (0, -signal.SIGKILL), first.output
    engine.tick()  # the platform carries out the last request
    for _ in range(dice.choice([0, 0, 3, 12, 40])):  # the next submit comes at a random time
        engine.tick()
    if dice.random() < 0.3:  # or when the deadline has passed
        engine.late_s = 2 * 3600
        engine.tick()
        assert engine.group["size"] == 0, f"point {point}: machines after their deadline"
        assert engine.group["machines"] == []
        engine.late_s = 0
    second = Launcher(engine, KillPoint(), lost=0.3, seed=point + 1)
    assert moved_on_until_ended(engine, second) == 0, f"point {point}: {second.output}"
    run = layout_of(engine).uri
    assert storage.exists(layout_of(engine).report("report.json"))
    assert engine.group["size"] == 0, f"point {point}: machines after the end"
    names = [step["name"] for step in engine.steps(run)]
    assert len(names) == len(set(names)), f"point {point}: a step was submitted twice: {names}"
    number = attempts.latest_attempt(layout_of(engine))
    # Prepared once for each attempt at most; a second attempt is opened only where nothing of the first one is at work.
    assert engine.prepared[run] <= number, f"point {point}: a doubled step"
    assert number <= 2


def test_a_deleted_run_starts_from_the_beginning(kind: CloudKind, tmp_path: Path) -> None:
    """The platform still lists the step of the deleted run, with the same name and attempt, as done."""
    engine = Engine(tmp_path, kind)
    paths = layout_of(engine)
    for times in (1, 2):
        launcher = Launcher(engine, KillPoint())
        assert moved_on_until_ended(engine, launcher) == 0, launcher.output
        assert (engine.prepared, engine.trained) == ({paths.uri: times}, {paths.uri: times})
        for item in list(storage.list_objects(f"{paths.uri}/")):
            storage.delete(item.uri)
    first, second = engine.steps(paths.uri)
    assert first["name"] == second["name"]


@pytest.mark.parametrize("woken", ["while the step works", "while the machines work"])
def test_a_suspended_launcher_leaves_the_run_to_its_successor(tmp_path: Path, woken: str) -> None:
    """A launcher is suspended during the step, replaced, and resumed: it changes nothing."""
    engine = Engine(tmp_path)
    paths = layout_of(engine)
    first = Launcher(engine, KillPoint())
    moved_on_until(engine, first, lambda: engine.working)
    os.kill(first.pid, signal.SIGSTOP)
    owner = storage.read_json(paths.attempt(1))
    storage.write_json(paths.attempt(1), owner | {"host": "another machine"})
    storage.write_json(paths.heartbeat(1), {"time": time.time() - 3600, "ended": False})
    second = Launcher(engine, KillPoint())
    if woken == "while the step works":
        give_up = time.monotonic() + LIVENESS_S
        while not storage.exists(paths.heartbeat(1, 2)):  # the step does not advance until a launcher calls the engine
            assert time.monotonic() < give_up, second.output
            time.sleep(0.01)
        os.kill(first.pid, signal.SIGCONT)
        while first.status is None:
            assert time.monotonic() < give_up, first.output
            time.sleep(0.01)
    else:
        moved_on_until(engine, second, lambda: engine.group["size"])
        os.kill(first.pid, signal.SIGCONT)
        moved_on_until_ended(engine, first)
    assert first.status == 1
    assert moved_on_until_ended(engine, second) == 0, second.output
    finished(engine)
    assert engine.prepared == {paths.uri: 1}
    assert [step["state"] for step in engine.steps(paths.uri)] == ["COMPLETED"]
