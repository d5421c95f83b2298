"""A submit writes only into a new folder or the folder of its run, and changes no other file."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from cloudlstm import storage
from cloudlstm.cli import main
from cloudlstm.cli.plans import submit_plan
from cloudlstm.config import RunConfig
from cloudlstm.errors import UsageError
from cloudlstm.runs import attempts, settings
from cloudlstm.runs.attempts import Attempt
from cloudlstm.runs.environment import ATTEMPT
from cloudlstm.runs.liveness import Owner
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets import Plan, launcher
from cloudlstm.targets.local.job import LocalJob
from targets.kill_point import KillPoint

SYNTHETIC = "market.source=synthetic"


class Noting:
    """A target whose jobs are this release's frame around a job that prints a setting."""

    name = "noting"
    root = None
    workers = 1

    def __init__(self) -> None:
        self.at_work_for: int | None = None

    def request(self, job: str, _config: RunConfig, paths: RunPaths) -> dict[str, Any]:
        return {"job": job, "run": paths.uri, "attempt": "${attempt}"}

    def at_work(self, request: dict[str, Any]) -> bool:
        return self.at_work_for == int(request["attempt"])

    def standby(self, _requests: object) -> AbstractContextManager[None]:
        return nullcontext()

    def start(self, request: dict[str, Any]) -> LocalJob:
        code = (
            "import sys\nfrom cloudlstm.workers import job; from cloudlstm import storage\n"
            "def work(context):\n"
            "    storage.write_json(context.paths.report('seen.json'), context.config.train.max_restarts)\n"
            f"sys.exit(job.main({request['job']!r}, work))"
        )
        argv = [sys.executable, "-c", code, request["run"]]
        worker = {"worker": "driver", "argv": argv, "env": {ATTEMPT: request["attempt"]}}
        return LocalJob({"job": request["job"], "processes": [worker]})


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    return RunPaths(f"file://{tmp_path}/root/stocks")


def plan_of(paths: RunPaths, *words: str) -> Plan:
    return submit_plan(  # type: ignore[arg-type]
        Noting(), config=None, overrides=[SYNTHETIC, *words], root=paths.root, run=paths.run_id
    )


def submitted(paths: RunPaths, *words: str) -> None:
    launcher.carry_out(plan_of(paths, *words), Noting(), lambda _: None)  # type: ignore[arg-type]


def tree(paths: RunPaths) -> dict[str, bytes]:
    """Everything below the root, links as they are."""
    root = Path(paths.root.removeprefix("file://"))
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def somebodys_project(paths: RunPaths) -> None:
    """A user's folder with file names like ours, but other content."""
    for name in ("config.json", "data/clean/prices_2020.csv", "data/features/mine.parquet", "report/report.html"):
        storage.write(f"{paths.uri}/{name}", b"{}")


def older_release(paths: RunPaths) -> None:
    with Attempt(paths):
        storage.write_json(paths.config, {"market": {"source": "synthetic"}, "retired": {"key": 1}})


def torn(paths: RunPaths) -> None:
    with Attempt(paths):
        storage.write(paths.config, b'{"market": ')


def no_object(paths: RunPaths) -> None:
    with Attempt(paths):
        storage.write_json(paths.config, ["market"])


def another_configuration(paths: RunPaths) -> None:
    submitted(paths, "train.seed=2", "model.units=64", "dataset.window_bars=20", "name=other")


def taken_marker(paths: RunPaths) -> None:
    storage.write(f"{paths.root}/index/{paths.run_id}", b"my notes about stocks\n")


def taken_marker_of_json(paths: RunPaths) -> None:
    storage.write_json(f"{paths.root}/index/{paths.run_id}", {"run": "another"})


@pytest.mark.parametrize(
    ("made", "output"),
    [
        (somebodys_project, "is not the folder of a run and holds other files, such as config.json"),
        (older_release, "config.json holds no settings that this release can read: unknown key 'retired'"),
        (torn, "config.json is not a JSON document"),
        (no_object, "config.json holds no settings that this release can read: it is not a JSON object"),
        (another_configuration, "run stocks has other settings: dataset.window_bars 20 -> 50, model.units 64 -> 128"),
        (another_configuration, "name other -> synthetic, and 1 more (try: another --run, or cloudlstm delete file:"),
        (taken_marker, "index/stocks is not a marker, but has the name of the marker of run stocks"),
        (taken_marker_of_json, "index/stocks is not a marker"),
    ],
)  # fmt: skip
def test_a_folder_of_others_is_rejected_before_any_write(
    paths: RunPaths, made: Callable[[RunPaths], None], output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made(paths)
    before = tree(paths)
    assert main(["submit", SYNTHETIC, f"--root={paths.root}", f"--run={paths.run_id}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert output in line
    with pytest.raises(UsageError):  # another caller runs the plan
        submitted(paths)
    assert tree(paths) == before


def test_the_default_id_is_looked_at_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["submit", SYNTHETIC, f"--root={tmp_path}"]
    assert main([*words, "--dry-run"]) == 0
    run = json.loads(capsys.readouterr().out)["run"]
    storage.write(f"{run}/notes.txt", b"mine")
    assert main(words) == 2
    assert "holds other files, such as notes.txt" in capsys.readouterr().err


def test_no_run_takes_the_place_of_the_list_of_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["submit", SYNTHETIC, f"--root={tmp_path}", "--run=index"]) == 2
    assert "no run can be called index" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_incidental_settings_change_from_submit_to_submit_and_take_effect(paths: RunPaths) -> None:
    seen = []
    for allowed in (3, 5):
        submitted(paths, f"train.max_restarts={allowed}")
        seen.append(storage.read_json(paths.report("seen.json")))
    assert seen == [3, 5], "what the jobs of each attempt have read"
    assert storage.read_json(paths.config)["train"]["max_restarts"] == 3, "written once"
    assert settings.read(paths, 1).train.max_restarts == 3
    assert settings.read(paths, 2).train.max_restarts == 5


def test_a_run_of_an_older_release_has_settings_of_its_own_alone(paths: RunPaths) -> None:
    """Older releases had only config.json, and every submit overwrote it."""
    submitted(paths, "train.max_restarts=4")
    storage.delete(paths.settings(1))
    assert settings.read(paths, 1).train.max_restarts == 4
    submitted(paths, "train.max_restarts=6")
    assert settings.read(paths, 2).train.max_restarts == 6


@pytest.mark.parametrize(("words", "goes_on"), [((), True), (("train.max_restarts=5",), False)])
@pytest.mark.parametrize("older", [False, True], ids=["own settings", "of an older release"])
def test_a_launcher_goes_on_with_a_lost_one_whose_jobs_have_the_same_settings(
    paths: RunPaths, words: tuple[str, ...], goes_on: bool, older: bool
) -> None:
    submitted(paths, "train.max_restarts=3")
    if older:
        storage.delete(paths.settings(1))
    lost(paths, 1)
    target = Noting()
    target.at_work_for = 1
    launcher.carry_out(plan_of(paths, "train.max_restarts=3", *words), target, lambda _: None)  # type: ignore[arg-type]
    assert attempts.latest_attempt(paths) == (1 if goes_on else 2)
    assert storage.exists(paths.attempt(1, 2)) == goes_on


def lost(paths: RunPaths, attempt: int) -> None:
    """Makes the attempt that of a launcher of this machine which died."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    owner = asdict(Owner.me()) | {"pid": process.pid}
    storage.write_json(paths.attempt(attempt), owner)
    beat = storage.read_json(paths.heartbeat(attempt))
    storage.write_json(paths.heartbeat(attempt), beat | {"ended": False})
    for claim in list(storage.list_objects(f"{paths.uri}/claims/")):
        storage.delete(claim.uri)


def test_of_two_submits_with_other_settings_at_the_same_moment_one_is_refused(
    paths: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another launcher ran and ended after the folder was checked and before the attempt was created."""
    enter = Attempt.__enter__

    def later(self: Attempt) -> Attempt:
        monkeypatch.setattr(Attempt, "__enter__", enter)
        submitted(paths, "train.seed=2")
        return enter(self)

    monkeypatch.setattr(Attempt, "__enter__", later)
    with pytest.raises(UsageError, match=r"train\.seed 2 -> 1"):
        submitted(paths)
    assert storage.read_json(paths.config)["train"]["seed"] == 2
    submitted(paths, "train.seed=2")


def test_a_submit_that_dies_before_its_first_job_is_finished_by_the_next(
    paths: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at each of its operations in turn."""
    monkeypatch.setattr(launcher, "_run_job", lambda *_: None)
    for operation in itertools.count(1):
        child = os.fork()
        if child == 0:
            KillPoint(operation).over_storage("read", "write", "stat", "delete", "list_objects")
            submitted(paths)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) == 0:
            break
        submitted(paths)
        number = attempts.latest_attempt(paths)
        assert settings.read(paths, number).identity() == settings.read(paths, 0).identity()
        assert storage.read_json(f"{paths.root}/index/{paths.run_id}")["run"] == paths.run_id
        for item in list(storage.list_objects(f"{paths.root}/")):
            storage.delete(item.uri)
    assert operation > 15
