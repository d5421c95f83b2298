"""Full disks at every place where a run writes: one line of error, and the next submit continues."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloudlstm.dataset import cache
from cloudlstm.dataset.sequences import Lengths
from cloudlstm.errors import StorageFullError
from cloudlstm.features import EIGHT
from cloudlstm.pipeline.spark import Spark
from cloudlstm.runs.manifest import Manifest, write_object
from cloudlstm.runs.paths import RunPaths
from pipeline.cli_runner import data_objects
from reliability.killed_runs import (
    ONE_CORE,
    PREPARE_ONLY,
    prepare_here,
    prepared,
    start,
    verify_manifest_objects,
    wait_for_exit,
)
from requirements import without

SmallDisk = Callable[[str], Path]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Mounts a disk of a given size; a second call changes its size."""
    folder = tmp_path / "disk"

    def mount(size: str) -> Path:
        options = f"size={size},remount" if folder.exists() else f"size={size}"
        folder.mkdir(exist_ok=True)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False
        )
        if done.returncode:
            without("root", "a full disk needs the right to mount a tmpfs")
        return folder

    yield mount
    if folder.exists():
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def free_bytes(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def test_the_run_folder(
    small_disk: SmallDisk, spark: Spark, config: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    folder = small_disk("600k")
    run = f"file://{folder}/run"
    with pytest.raises(StorageFullError) as caught:
        prepare_here(spark, config, run)
    assert run in caught.value.message
    assert "free some space" in caught.value.hint
    assert "\n" not in str(caught.value)
    assert list(folder.rglob("*.tmp")) == [], "what could not be finished does not keep the disk full"
    verify_manifest_objects(run)
    small_disk("64m")
    assert prepare_here(spark, config, run) == undisturbed


def test_the_cache(small_disk: SmallDisk, tmp_path: Path, spark: Spark, config: Path) -> None:
    run = f"file://{tmp_path}/run"
    prepare_here(spark, config, run)
    sequences = Manifest.load(RunPaths(run), "sequences")
    assert sequences is not None
    folder, lengths = small_disk("100k"), Lengths(window_bars=2, horizon_bars=1)
    before = free_bytes(folder)
    with pytest.raises(StorageFullError) as caught:
        cache.stage(sequences.of_kind("train"), folder, lengths, EIGHT.width)
    assert str(folder) in caught.value.message
    assert "train.cache_dir" in caught.value.hint
    assert free_bytes(folder) == before
    small_disk("64m")
    assert len(cache.stage(sequences.of_kind("train"), folder, lengths, EIGHT.width).values)


@pytest.mark.parametrize(("variable", "spare"), [("TMPDIR", 4096), ("SPARK_LOCAL_DIRS", 0)])
def test_no_space_for_temporary_files(
    small_disk: SmallDisk, config: Path, tmp_path: Path, variable: str, spare: int
) -> None:
    """Without a spare byte Python would choose another TMPDIR; the first lines of the console fill this page."""
    folder = small_disk("28k")
    (folder / "other").write_bytes(b"x" * (free_bytes(folder) - spare))
    code, output = prepared(config, f"file://{tmp_path}/run", ONE_CORE, env={variable: str(folder)})
    assert code == 1
    assert output.startswith("cloudlstm: ")
    assert output.count("\n") == 1, output
    assert f"no space is left for Spark's files in {folder}" in output
    assert "SPARK_LOCAL_DIRS" in output
    assert [path.name for path in folder.iterdir() if "spark" not in path.name] == ["other"]


def test_a_full_disk_cannot_hide_the_error(small_disk: SmallDisk, config: Path, tmp_path: Path) -> None:
    """There is no space for the failure object either: the launcher reads the error from the job's output."""
    folder = small_disk("300k")
    code, output = wait_for_exit(start(str(PREPARE_ONLY), str(config), f"file://{folder}/run", ONE_CORE))
    assert code == 1
    assert output.startswith("cloudlstm: cannot write file://"), output
    assert output.count("\n") == 1
    assert str(folder) in output
    assert "free some space" in output
    small_disk("64m")
    assert prepared(config, f"file://{folder}/run", ONE_CORE) == (0, "")
    assert data_objects(f"file://{folder}/run")


def test_enospc_anywhere_in_a_write_leaves_the_old_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every call that can fail, also when the bytes are written only at the end."""
    import errno

    uri = f"file://{tmp_path}/object"
    write_object(uri, b"old", kind="bars", rows=1)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageFullError, match=uri):
            write_object(uri, b"new", kind="bars", rows=1)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]
