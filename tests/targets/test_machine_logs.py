"""What machines store about their failures ends the launcher's wait, and is in the log of the run."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from cloudlstm import storage
from cloudlstm.errors import CapacityError, StorageUnavailableError
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets.machine_logs import MachineLogs
from targets.kill_point import KillPoint
from targets.launcher_process import Launcher
from targets.scripted_cloud import Engine

FAILURE = "Traceback (most recent call last):\nImportError: libcudart.so.12: cannot open shared object file\n"
GIVES_UP = "this machine gives up: the agent failed 4 times in 21 s\n"
WHY = "ImportError: libcudart.so.12: cannot open shared object file / the agent failed 4 times in 21 s"


def store(base: str, machine: str, text: str) -> None:
    storage.write(f"{base}/machines/{machine}.log", text.encode())


def run_log(paths: RunPaths) -> str:
    return "".join(storage.read(item.uri).decode() for item in storage.list_objects(paths.logs))


def test_only_a_machine_that_gives_up_during_this_run_is_an_error(tmp_path: Path) -> None:
    base, paths = f"file://{tmp_path}/trainers/group", RunPaths(f"file://{tmp_path}/runs/one")
    store(base, "i-old", f"of an earlier run\n{GIVES_UP}")
    logs = MachineLogs(base, paths)
    logs.read()
    assert (logs.gave_up(), logs.tail, run_log(paths)) == (None, "", "")
    store(base, "i-1", FAILURE)
    for _ in range(2):
        logs.read()
    assert logs.gave_up() is None
    assert logs.tail.endswith("libcudart.so.12: cannot open shared object file")
    assert run_log(paths).count("machine i-1 could not work") == 1
    assert "    ImportError: libcudart.so.12" in run_log(paths)
    store(base, "i-1", FAILURE + GIVES_UP)
    logs.read()
    error = logs.gave_up()
    assert isinstance(error, CapacityError)
    assert error.message.startswith("machine i-1 gave up: ")
    assert error.message.endswith(WHY)
    assert error.hint == f"see {base}/machines/i-1.log"
    assert "this machine gives up" in run_log(paths)


def test_an_old_log_never_passes_for_a_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, paths = f"file://{tmp_path}/trainers/group", RunPaths(f"file://{tmp_path}/runs/one")
    store(base, "i-old", GIVES_UP)

    def away(_: str) -> None:
        raise StorageUnavailableError("away")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "list_objects", away)
        with pytest.raises(StorageUnavailableError):
            MachineLogs(base, paths)
    logs = MachineLogs(base, paths)
    with monkeypatch.context() as patch:
        patch.setattr(storage, "list_objects", away)
        logs.read()
    logs.read()
    assert logs.gave_up() is None


def test_a_launcher_does_not_wait_for_machines_that_gave_up(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    launcher = Launcher(engine, KillPoint())
    give_up = time.monotonic() + 60
    while not engine.group["machines"] and launcher.status is None and time.monotonic() < give_up:
        engine.tick()
        time.sleep(0.004)
    assert len(engine.group["machines"]) == 2, launcher.output
    store(f"file://{tmp_path}/bucket/trainers/group", "m-0", FAILURE + GIVES_UP)
    while launcher.status is None and time.monotonic() < give_up:
        time.sleep(0.004)
    assert launcher.status == 1, launcher.output
    assert WHY in launcher.output
    assert engine.group["size"] == 0
