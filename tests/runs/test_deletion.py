"""cloudlstm delete and all other removals remove only objects of the run."""

from __future__ import annotations

import ast
import inspect
import itertools
import os
import pty
import time
from dataclasses import asdict
from pathlib import Path

import pytest

import cloudlstm
from cloudlstm import storage
from cloudlstm.cli import main
from cloudlstm.config import parse
from cloudlstm.errors import RunBusyError, StorageError
from cloudlstm.runs import attempts, deletion, folder, index, manifest, settings
from cloudlstm.runs.attempts import Attempt
from cloudlstm.runs.liveness import Owner
from cloudlstm.runs.manifest import Manifest, write_object
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.progress import PhaseWriter
from module_time import replace_time
from targets.kill_point import KillPoint

MARK, OLDER = "0123456789abcdef", "fedcba9876543210"


def a_run(root: str, run_id: str = "core6-1a2b") -> RunPaths:
    """A run with some of each kind of object, as a submit leaves it."""
    paths = RunPaths.of(root, run_id)
    with Attempt(paths) as attempt:
        settings.create(paths, attempt.number, parse({"market": {"source": "synthetic"}}).model_dump(mode="json"))
        index.mark(root, run_id)
        row = write_object(paths.data("clean", MARK, "bars-00000.parquet"), b"x" * 1000, kind="bars", rows=1)
        Manifest("clean", MARK, (row,), 1.0).save(paths)
        storage.write(paths.log("prepare", "driver", 1), b"a line\n")
        storage.write(paths.report("report.html"), b"<!")
    return paths


def everything(root: str) -> list[str]:
    return [item.uri.removeprefix(f"{root}/") for item in storage.list_objects(f"{root}/")]


@pytest.fixture
def place(tmp_path: Path) -> str:
    return f"file://{tmp_path}/runs"


@pytest.fixture(params=["file", "s3", "gs"])
def any_root(request: pytest.FixtureRequest) -> str:
    if request.param == "file":
        return str(request.getfixturevalue("place"))
    return str(request.getfixturevalue(f"{request.param}_root"))


def test_a_run_is_deleted_and_its_neighbours_are_not(any_root: str, capsys: pytest.CaptureFixture[str]) -> None:
    paths, other = a_run(any_root), a_run(any_root, "core6-1a2bc")
    kept = [name for name in everything(any_root) if "1a2bc" in name]
    assert main(["delete", "core6-1a2b", "--yes", f"--root={any_root}"]) == 0
    output = capsys.readouterr().out
    assert "objects, 0.0 MiB" in output
    assert "deleted run core6-1a2b" in output
    assert everything(any_root) == kept
    assert main(["runs", f"--root={any_root}"]) == 0
    assert "core6-1a2b " not in capsys.readouterr().out
    assert main(["delete", paths.uri, "--yes"]) == 2
    assert "no run core6-1a2b in" in capsys.readouterr().err
    assert main(["delete", other.uri, "--yes"]) == 0
    assert everything(any_root) == []


def test_folders_go_with_the_run_and_the_root_stays(place: str, tmp_path: Path) -> None:
    a_run(place)
    assert main(["delete", "core6-1a2b", "--yes", f"--root={place}"]) == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["index"]


def test_files_that_are_not_the_runs_stay_and_are_named(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    paths = a_run(place)
    own = ("notes.txt", "data/clean/mine.csv", "report/.DS_Store", f"data/clean/{MARK}.csv", "report/figure.png",
           "manifests/clean (copy).json", "logs/run.log", "checkpoints/best.npz", "data/.gitkeep")  # fmt: skip
    for name in own:
        storage.write(f"{paths.uri}/{name}", b"somebody's own")
    assert main(["delete", "core6-1a2b", "--yes", f"--root={place}"]) == 0
    output = capsys.readouterr().out
    assert "9 other files in its folder stay" in output
    assert everything(paths.uri) == sorted(own)
    for name in own:
        assert f"left    {paths.uri}/{name}\n" in output


def test_what_links_lead_to_stays(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    victim = RunPaths(f"file://{tmp_path}/victim")
    names = [victim.data("features", OLDER, "bars-0.parquet"), f"{victim.uri}/{OLDER}/1.jpg", f"{victim.uri}/x.html"]
    for uri in names:
        storage.write(uri, b"mine")
    paths = a_run(place)
    folder, there = Path(paths.uri.removeprefix("file://")), tmp_path / "victim"
    (folder / "data" / "features").symlink_to(there / "data" / "features")
    (folder / "data" / "train").symlink_to(there)
    (folder / "data" / "clean" / OLDER).symlink_to(there)
    for step in ("features", "train", "clean"):
        manifest.prune(paths, step, MARK)
        assert all(storage.exists(uri) for uri in names), step
    assert not caplog.records, "there is nothing to remove there, and nothing to complain about"
    assert main(["delete", "core6-1a2b", "--yes", f"--root={place}"]) == 0
    assert all(storage.exists(uri) for uri in names)
    output = capsys.readouterr().out
    assert f"left    {paths.uri}/data/features\n" in output
    assert f"left    {paths.uri}/data/clean/{OLDER}\n" in output


def test_a_run_folder_and_a_root_may_lie_behind_links(place: str, tmp_path: Path) -> None:
    a_run(place)
    (tmp_path / "disk").mkdir()
    (tmp_path / "runs" / "core6-1a2b").rename(tmp_path / "disk" / "moved")
    (tmp_path / "runs" / "core6-1a2b").symlink_to(tmp_path / "disk" / "moved")
    (tmp_path / "alias").symlink_to(tmp_path / "runs")
    paths = RunPaths(f"file://{tmp_path}/alias/core6-1a2b")
    storage.write(paths.data("clean", OLDER, "bars-0"), b"old")
    manifest.prune(paths, "clean", MARK)
    assert not storage.exists(paths.data("clean", OLDER, "bars-0"))
    assert main(["delete", "core6-1a2b", "--yes", f"--root={tmp_path}/alias"]) == 0
    assert list((tmp_path / "disk" / "moved").iterdir()) == []
    assert everything(place) == []


def test_a_failure_behind_a_link_is_an_error_and_not_a_surprise(place: str, tmp_path: Path) -> None:
    paths = a_run(place)
    storage.write(f"file://{tmp_path}/victim/train.json", b"mine")
    (tmp_path / "runs" / "core6-1a2b" / "failures").symlink_to(tmp_path / "victim")
    with pytest.raises(StorageError, match="'failures' is a symbolic link"):
        storage.delete(paths.failure("train"), within=paths.uri)
    assert storage.exists(f"file://{tmp_path}/victim/train.json")


def test_a_run_at_work_is_refused(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    paths = a_run(place)
    with Attempt(paths):
        before = everything(place)
        assert main(["delete", "core6-1a2b", "--yes", f"--root={place}"]) == 1
        assert f"is being worked on by process {os.getpid()}" in capsys.readouterr().err
        assert everything(place) == before


def test_jobs_that_outlive_their_launcher_keep_a_run(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    paths = a_run(place)
    with Attempt(paths):
        pass
    gone = asdict(Owner.me()) | {"ticks": 1, "started": time.time() - 3600}  # its process id has another process now
    storage.write_json(paths.attempt(2), gone)
    storage.write_json(paths.heartbeat(2), {"time": time.time() - 3600, "ended": False})
    os.utime(paths.heartbeat(2).removeprefix("file://"), (time.time() - 3600,) * 2)
    storage.write_json(paths.progress("train", "worker-0"), {})
    assert main(["delete", "core6-1a2b", "--yes", f"--root={place}"]) == 1
    assert "its jobs on a cloud are still running" in capsys.readouterr().err
    attempts.cancel(paths, 2)
    assert main(["delete", "core6-1a2b", "--yes", f"--root={place}"]) == 0
    assert "waiting" not in capsys.readouterr().out, "it was no cloud: no phase was noted"


def test_jobs_on_a_cloud_get_time_to_see_that_they_have_to_end(
    place: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A launcher that was lost before its job reported anything."""
    paths = a_run(place)
    gone = asdict(Owner.me()) | {"ticks": 1, "started": time.time() - 3600}  # its process id has another process now
    storage.write_json(paths.attempt(2), gone)
    PhaseWriter(paths, 2, "prepare").write("Spark on the cluster: RUNNING")
    seen = []

    def noticed(seconds: float) -> None:
        seen.append((seconds, storage.exists(paths.attempt(3)), storage.exists(paths.config)))

    replace_time(monkeypatch, deletion, sleep=noticed)
    assert main(["delete", "core6-1a2b", "--yes", f"--root={place}"]) == 0
    assert seen == [(30.0, True, True)], "with a later attempt in place, and before anything is removed"
    assert "waiting 30 s" in capsys.readouterr().out
    assert everything(place) == []


def test_nobody_can_submit_while_a_run_is_deleted(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    paths, refused = a_run(place), []
    remove = folder.remove

    def meanwhile(*arguments: object) -> None:
        try:
            with Attempt(paths):
                pass
        except RunBusyError:
            refused.append(True)
        remove(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(deletion, "remove", meanwhile)
    monkeypatch.setattr(deletion, "_remove_attempts", lambda *_: None)
    deletion.delete(paths)
    assert refused == [True, True], "no submit is accepted before deletion has checked for late writes"


def test_a_submit_after_the_deletion_keeps_what_it_writes(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = a_run(place)
    newest = attempts.latest_attempt(paths) + 1
    last = deletion._remove_attempts

    def just_before(*arguments: object) -> None:
        with Attempt(paths) as attempt:
            assert attempt.number == newest + 1
        last(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(deletion, "_remove_attempts", just_before)
    deletion.delete(paths)
    left = {paths.attempt_of(item.uri) for item in storage.list_objects(paths.attempts)}
    assert left == {newest + 1}


def test_an_entry_whose_folder_is_gone_is_deleted(any_root: str, capsys: pytest.CaptureFixture[str]) -> None:
    storage.write_json(f"{any_root}/index/core6-1a2b", {"run": "core6-1a2b"})
    assert main(["runs", f"--root={any_root}"]) == 0
    assert "no runs in" in capsys.readouterr().out
    assert main(["delete", "core6-1a2b", "--yes", f"--root={any_root}"]) == 0
    assert "only its entry in the index" in capsys.readouterr().out
    assert everything(any_root) == []


def test_an_entry_does_not_make_somebodys_folder_a_run(place: str) -> None:
    storage.write_json(f"{place}/index/stocks", {"run": "stocks"})
    own = [f"data/clean/{MARK}/prices.csv", "config.json", "report/report.html"]
    for name in own:
        storage.write(f"{place}/stocks/{name}", b"mine")
    assert main(["delete", "stocks", "--yes", f"--root={place}"]) == 0
    assert everything(place) == sorted(f"stocks/{name}" for name in own)


def test_somebodys_own_file_in_the_index_stays(place: str) -> None:
    paths = a_run(place)
    storage.write(f"{place}/index/core6-1a2b", b"my notes\n")
    assert main(["delete", paths.uri, "--yes"]) == 0
    assert everything(place) == ["index/core6-1a2b"]


@pytest.mark.parametrize(("words", "status"), [((), 2), (("core6-1a2b",), 2), (("1a2b", "--yes"), 2), (("x",), 2)])
def test_nothing_is_deleted_by_mistake(
    place: str, words: tuple[str, ...], status: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    a_run(place)
    before = everything(place)
    assert main(["delete", *words, f"--root={place}"]) == status
    assert everything(place) == before
    hints = {
        (): "(try: cloudlstm runs)",
        ("core6-1a2b",): "core6-1a2b --yes)",
        ("1a2b", "--yes"): "the complete id, core",
    }
    assert hints.get(words, "no run x") in capsys.readouterr().err


@pytest.mark.parametrize(("typed", "status"), [("y\n", 0), ("yes\n", 0), ("n\n", 1), ("\n", 1)])
def test_a_terminal_is_asked(
    place: str, typed: str, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    a_run(place)
    keyboard, terminal = pty.openpty()
    with os.fdopen(terminal, "r") as stdin, os.fdopen(keyboard, "w") as keys:
        monkeypatch.setattr("sys.stdin", stdin)
        keys.write(typed)
        keys.flush()
        assert main(["delete", "1a2b", f"--root={place}"]) == status
    assert "delete run core6-1a2b? [y/N]" in capsys.readouterr().out
    assert bool(everything(place)) == bool(status)


def test_a_killed_deletion_can_be_repeated(place: str) -> None:
    """Killed at each write, deletion and listing; other commands then still work on the remains."""
    for operations in itertools.count(1):
        paths = a_run(place)
        child = os.fork()
        if child == 0:
            KillPoint(operations).over_storage("write", "delete", "list_objects", "remove_folders")
            deletion.delete(paths)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) == 0:
            break
        for verb in ("runs", "status", "report"):
            assert main([verb, f"--root={place}"]) in (0, 2)
        if everything(place):
            assert main(["delete", paths.run_id, "--yes", f"--root={place}"]) == 0, operations
        assert everything(place) == [], operations
    assert operations > 15


def test_every_report_that_is_written_is_removed_with_its_run() -> None:
    paths, named = RunPaths("file:///runs/run-1"), set()
    for path in Path(cloudlstm.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("paths.report"):
                named |= {each.value for each in node.args if isinstance(each, ast.Constant)}
    assert named >= {"report.json", "report.html"}
    assert [name for name in named if not paths.is_ours(paths.report(name))] == []


SAMPLES = {"name": "bars-00000.parquet", "step": "clean", "job": "train", "worker": "worker-0", "fingerprint": MARK,
           "place": MARK, "address": "10.0.0.11", "sha256": MARK * 4}  # fmt: skip
"""Values for the parts of names; numbers are 1."""


def test_every_name_of_the_layout_is_one_that_is_removed_with_a_run() -> None:
    """A new kind of object needs a line in the table of names in runs/paths.py."""
    paths, built = RunPaths("file:///runs/run-1"), []
    for name, member in inspect.getmembers(RunPaths):
        if isinstance(member, property):
            built.append(getattr(paths, name))
        elif not name.startswith("_") and inspect.isfunction(member) and not name.startswith(("is_", "attempt_of")):
            parameters = list(inspect.signature(member).parameters.values())[1:]
            values = [1 if each.annotation == "int" else SAMPLES[each.name] for each in parameters]
            if name == "report":
                values = ["report.html"]
            if name == "claim":
                values = [1, "train-worker-0-0"]
            built.append(getattr(paths, name)(*values))
    objects = [uri for uri in built if "." in uri.removeprefix(paths.uri).rpartition("/")[2]]
    assert len(objects) > 15
    assert [uri for uri in objects if not paths.is_ours(uri)] == []
    assert not paths.is_ours("file:///runs/run-2/config.json")


def test_all_that_removes_objects_says_in_which_folder() -> None:
    """Outside run folders only objects with our names are removed: leases, assignments, probes."""
    package = Path(cloudlstm.__file__).parent
    free = {"targets/cloud.py", "targets/trainer_job.py", "targets/lease.py", "targets/preflight.py"}
    found = []
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and "storage.delete" in map(ast.unparse, (node.func, *node.args)):
                name = str(path.relative_to(package))
                if name not in free and not any(word.arg == "within" for word in node.keywords):
                    found.append(f"{name}:{node.lineno}")
    assert found == []
