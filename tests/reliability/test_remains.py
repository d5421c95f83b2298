"""The next submit removes what killed writers left, and no log line or error of a job is lost."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import cloudlstm
from cloudlstm import storage
from cloudlstm.cli.detach import detach
from cloudlstm.cli.logs import Parts
from cloudlstm.errors import StorageUnavailableError, from_record, to_mark
from cloudlstm.pipeline.spark import Spark
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.progress import read_progress
from cloudlstm.targets import Plan, launcher
from cloudlstm.targets.local.temp_dir import JobTempDir
from emulator_fixtures import make_s3_bucket
from reliability.killed_runs import prepare_here


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    return RunPaths(f"file://{tmp_path}/run")


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def submit_again(paths: RunPaths) -> None:
    launcher.carry_out(Plan("submit", paths.uri, ()), None, lambda _: None)  # type: ignore[arg-type]


def test_temporary_files_of_dead_writers_are_removed(paths: RunPaths, tmp_path: Path) -> None:
    folder = tmp_path / "run" / "data" / "clean"
    folder.mkdir(parents=True)
    mark = "0123456789abcdef"
    dead, alive, old = (folder / f".cloudlstm-{pid}-{mark}.tmp" for pid in (dead_pid(), os.getpid(), os.getppid()))
    for path in (dead, alive, old):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    (folder / ".cloudlstm-notes.tmp").write_bytes(b"somebody's own")
    submit_again(paths)
    assert {path.name for path in folder.iterdir()} == {alive.name, ".cloudlstm-notes.tmp"}


def test_unfinished_multipart_uploads_are_aborted(s3_root: str) -> None:
    bucket, prefix = s3_root.removeprefix("s3://").split("/", 1)
    client = make_s3_bucket(bucket, os.environ)
    for key in (f"{prefix}/run/data/large", f"{prefix}/other/data/large"):
        upload = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]  # type: ignore[attr-defined]
        client.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"x" * 5_242_880)  # type: ignore[attr-defined]
    assert list(storage.list_objects(s3_root)) == [], "unfinished uploads are not listed"
    submit_again(RunPaths(f"{s3_root}/run"))
    left = client.list_multipart_uploads(Bucket=bucket, Prefix=prefix).get("Uploads", [])  # type: ignore[attr-defined]
    assert [upload["Key"] for upload in left] == [f"{prefix}/other/data/large"]


def test_the_folder_of_a_killed_launcher_is_removed(tmp_path: Path) -> None:
    code = (
        "from cloudlstm.targets.local.temp_dir import JobTempDir; s = JobTempDir(); print(s.path, flush=True); input()"
    )
    env = os.environ | {"TMPDIR": str(tmp_path)}
    holders = [
        subprocess.Popen(
            [sys.executable, "-c", code], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    first, second = (Path(holder.stdout.readline().strip()) for holder in holders if holder.stdout)
    (first / "blocks").write_bytes(b"x" * 1000)
    holders[0].kill()
    holders[0].wait()
    code = "from cloudlstm.targets.local.temp_dir import JobTempDir; JobTempDir().remove()"
    subprocess.run([sys.executable, "-c", code], env=env,
                   check=True)  # fmt: skip
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == [second]
    for holder in holders:
        holder.kill()
        holder.communicate()


def test_what_strangers_put_into_the_temporary_folder_neither_hangs_nor_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody may make a folder of our name there, or a link of it to somewhere else."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    mine, base = tmp_path / "mine", tmp_path / "tmp"
    folders = {name: base / f"cloudlstm-job-{name}" for name in ("pipe", "open", "foreign", "linked-lock", "dead")}
    for folder in (mine, *folders.values()):
        folder.mkdir(parents=True, mode=0o700)
        (folder / "thesis.tex").touch()
    for folder in (mine, folders["open"], folders["foreign"], folders["dead"]):
        (folder / "launcher.lock").touch()
    os.mkfifo(folders["pipe"] / "launcher.lock")
    (folders["linked-lock"] / "launcher.lock").symlink_to(mine / "launcher.lock")
    folders["open"].chmod(0o777)
    (base / "cloudlstm-job-link").symlink_to(mine)
    (base / "cloudlstm-job-file").touch()
    if os.geteuid() == 0:
        os.chown(folders["foreign"], 65534, 65534)
    else:
        folders["foreign"].chmod(0o770)
    there = set(base.iterdir())
    JobTempDir().remove()
    assert set(base.iterdir()) == there - {folders["dead"]}
    assert all((folder / "thesis.tex").exists() for folder in (mine, *set(folders.values()) - {folders["dead"]}))


def test_the_consoles_of_detached_launchers_lie_in_the_cache_and_are_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    (tmp_path / "tmp").mkdir()
    folder = tmp_path / "cache" / "cloudlstm" / "consoles"
    folder.mkdir(parents=True)
    for number in range(60):
        (folder / f"old-{number}.txt").touch()
        os.utime(folder / f"old-{number}.txt", (number, number))
    assert detach(["version"], f"file://{tmp_path}/runs/mine", "watch") == 0, "it ended before it had the run"
    assert capsys.readouterr().err == f"cloudlstm {cloudlstm.__version__}\n"
    (new,) = folder.glob("mine-*.txt")
    assert new.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in folder.iterdir()} == {new.name} | {f"old-{number}.txt" for number in range(11, 60)}
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_scratch_folder_takes_everything_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_LOCAL_DIRS", "/large")
    scratch = JobTempDir()
    assert scratch.environment() == {"TMPDIR": str(scratch.path)}, "what the user has chosen stays"
    monkeypatch.delenv("SPARK_LOCAL_DIRS")
    assert scratch.environment()["SPARK_LOCAL_DIRS"] == str(scratch.path)
    scratch.remove()
    scratch.remove()
    assert not scratch.path.exists()


def failing_writes(patch: pytest.MonkeyPatch, paths: RunPaths, failures: int, *, arrives: bool) -> list[str]:
    """The first writes below the run's logs and progress fail; with `arrives`, only their answers are lost."""
    write, tried = storage.write, []

    def flaky(uri: str, data: bytes, *, if_absent: bool = False) -> None:
        tried.append(uri)
        if len(tried) > failures or arrives:
            write(uri, data, if_absent=if_absent)
        if len(tried) <= failures:
            raise StorageUnavailableError(f"cannot write {uri}")

    patch.setattr(storage, "write", flaky)
    return tried


@pytest.mark.parametrize("arrives", [False, True])
def test_a_journal_on_flaky_storage_loses_and_repeats_no_line(
    paths: RunPaths, monkeypatch: pytest.MonkeyPatch, arrives: bool
) -> None:
    log = logging.getLogger("cloudlstm.x")
    monkeypatch.setattr(logging.getLogger("cloudlstm"), "propagate", False)  # pytest cannot pass such a line on
    parts = Parts(paths)
    with Journal(paths, "prepare", "driver", every_s=60) as journal:
        tried = failing_writes(monkeypatch, paths, 2, arrives=arrives)
        journal.report("clean", 1, 2, "rows")
        log.info("first \udcff")
        journal.flush()
        output = [line for _, lines in parts.poll() for line in lines]
        log.info("second")
    output += [line for _, lines in parts.poll() for line in lines]
    assert [line.split(" INFO ")[1] for line in output] == ["first \\udcff", "second"]
    assert len(tried) > 2
    assert [report.done for report in read_progress(paths)] == [1]


def test_last_lines_that_cannot_be_stored_are_printed(
    paths: RunPaths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing_writes(monkeypatch, paths, 1000, arrives=False)
    with Journal(paths, "prepare", "driver", every_s=60):
        logging.getLogger("cloudlstm.x").info("the last line")
    assert "the last line" in capsys.readouterr().err


def test_an_error_that_cannot_be_stored_is_found_on_the_console() -> None:
    error = StorageUnavailableError("no answer", hint="wait")
    from cloudlstm.errors import from_mark, to_record

    found = from_mark(f"some trace\n{to_mark(error)}\nand an end")
    assert str(found) == str(error) == str(from_record(to_record(error)))
    assert from_mark("nothing here") is None


def test_the_next_submit_removes_objects_of_other_inputs(spark: Spark, config: Path, paths: RunPaths) -> None:
    """As after a kill between a step's manifest and its pruning."""
    made = prepare_here(spark, config, paths.uri)
    storage.write(paths.data("clean", "fedcba9876543210", "bars-00000.parquet"), b"old")
    assert prepare_here(spark, config, paths.uri) == made
    assert {item.uri for item in storage.list_objects(f"{paths.uri}/data/")} == {f"{paths.uri}/{uri}" for uri in made}
