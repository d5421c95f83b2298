"""file://: rights, full disks, and killed writers."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from cloudlstm import storage
from cloudlstm.errors import (
    AccessDeniedError,
    CorruptObjectError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    StorageError,
    StorageFullError,
    UsageError,
)
from requirements import without

Rights = Callable[[Path], AbstractContextManager[None]]


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        without("root", "only root can mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_writing_needs_rights(open_folder: Path, without_rights: Rights) -> None:
    uri = f"file://{open_folder}"
    storage.write(f"{uri}/object", b"old")
    attempts = [
        lambda: storage.write(f"{uri}/object", b"new"),
        lambda: storage.write(f"{uri}/new", b"new", if_absent=True),
        lambda: storage.write(f"{uri}/folder/new", b"new"),
        lambda: storage.upload(open_folder / "object", f"{uri}/new"),
        lambda: storage.delete(f"{uri}/object"),
    ]
    with without_rights(open_folder):
        for attempt in attempts:
            with pytest.raises(AccessDeniedError, match=uri):
                attempt()
        assert storage.read(f"{uri}/object") == b"old"
    assert names(open_folder) == ["object"]


def test_reading_needs_rights(open_folder: Path, without_rights: Rights) -> None:
    closed = open_folder / "closed"
    uri = f"file://{closed}/object"
    storage.write(uri, b"x")
    attempts = [
        lambda: storage.read(uri),
        lambda: storage.download(uri, open_folder / "copy"),
    ]
    (closed / "object").chmod(0)
    with without_rights(open_folder):
        for attempt in attempts:
            with pytest.raises(AccessDeniedError, match=uri):
                attempt()
        assert storage.exists(uri)
    closed.chmod(0)
    attempts += [lambda: storage.stat(uri), lambda: list(storage.list_objects(f"file://{open_folder}/"))]
    with without_rights(open_folder):
        for attempt in attempts:
            with pytest.raises(AccessDeniedError, match=f"file://{open_folder}"):
                attempt()
    closed.chmod(0o755)


def test_a_full_disk_keeps_the_old_object(small_disk: Path, tmp_path: Path) -> None:
    uri = f"file://{small_disk}/object"
    storage.write(uri, b"old")
    large = tmp_path / "large"
    large.write_bytes(b"x" * 2**21)
    attempts = [
        lambda: storage.write(uri, large.read_bytes()),
        lambda: storage.write(f"{uri}2", large.read_bytes(), if_absent=True),
        lambda: storage.upload(large, uri),
        lambda: storage.download(f"file://{large}", small_disk / "object"),
    ]
    for attempt in attempts:
        with pytest.raises(StorageFullError, match=str(small_disk)) as caught:
            attempt()
        assert "space" in caught.value.hint
        assert names(small_disk) == ["object"]
        assert storage.read(uri) == b"old"


def test_a_limit_on_file_sizes_is_a_full_disk(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(StorageFullError, match="object"):
            storage.write(f"file://{tmp_path}/object", b"x" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == []


def test_a_killed_writer_leaves_no_partial_object(tmp_path: Path) -> None:
    """Neither while it writes nor after its death is there anything but the old object."""
    root = f"file://{tmp_path}/root"
    (tmp_path / "large").write_bytes(b"x" * 2**22)
    storage.write(f"{root}/old", b"old")
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom cloudlstm import storage\n"
        "def wait(_): print('half', flush=True); time.sleep(20)\n"
        "storage.upload(Path(sys.argv[1]), sys.argv[2], wait)"
    )
    for name in ("old", "new"):
        command = [sys.executable, "-c", code, str(tmp_path / "large"), f"{root}/{name}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"half\n"
            for _ in range(2):
                (remains,) = (path.name for path in (tmp_path / "root").iterdir() if path.name != "old")
                assert remains.startswith(f".cloudlstm-{writer.pid}-")
                assert [found.uri for found in storage.list_objects(root)] == [f"{root}/old"]
                assert storage.read(f"{root}/old") == b"old"
                writer.send_signal(signal.SIGKILL)
                writer.wait()
        (tmp_path / "root" / remains).unlink()


def test_a_folder_is_not_overwritten(tmp_path: Path) -> None:
    storage.write(f"file://{tmp_path}/folder/object", b"x")
    attempts = [
        lambda: storage.write(f"file://{tmp_path}/folder", b"x"),
        lambda: storage.write(f"file://{tmp_path}/folder", b"x", if_absent=True),
        lambda: storage.write(f"file://{tmp_path}/folder/object/below", b"x"),
        lambda: storage.write(f"file://{tmp_path}/folder/object/far/below", b"x"),
        lambda: storage.delete(f"file://{tmp_path}/folder"),
    ]
    for attempt in attempts:
        with pytest.raises(StorageError, match=f"file://{tmp_path}/folder"):
            attempt()
    assert names(tmp_path) == ["folder/object"]
    assert storage.read(f"file://{tmp_path}/folder/object") == b"x"


def test_links_are_followed_to_files_and_not_into_folders(tmp_path: Path) -> None:
    storage.write(f"file://{tmp_path}/real/object", b"x")
    (tmp_path / "real" / "loop").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "nowhere").symlink_to(tmp_path / "gone")
    (tmp_path / "real" / "same").symlink_to(tmp_path / "real" / "object")
    (tmp_path / "root").symlink_to(tmp_path / "real")
    uri = f"file://{tmp_path}/root"
    assert [found.uri for found in storage.list_objects(f"{uri}/")] == [f"{uri}/object", f"{uri}/same"]


def test_the_path_must_be_absolute() -> None:
    for uri in ("file://relative/path", "file://", "file:///nul\0"):
        with pytest.raises(UsageError, match="file://"):
            storage.read(uri)
    with pytest.raises(ObjectNotFoundError):
        storage.read("file:///no/such/object")


def test_pipes_and_devices_are_not_objects_and_do_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        for reading in (
            lambda uri: storage.read(uri),
            lambda uri: storage.stat(uri),
            lambda uri: storage.download(uri, tmp_path / "copy"),
        ):
            with pytest.raises(ObjectNotFoundError, match="is a pipe or a device, not a file"):
                reading(f"file://{path}")
    assert not list(storage.list_objects(f"file://{tmp_path}/"))


def test_an_object_above_the_limit_is_not_read(tmp_path: Path) -> None:
    uri = f"file://{tmp_path}/large"
    storage.write(uri, b"x" * 10)
    assert storage.read_small(uri, 10) == b"x" * 10
    os.truncate(tmp_path / "large", 1 << 40)  # a hole: reading it would take a tebibyte of memory
    with pytest.raises(ObjectTooLargeError, match=f"{uri} has {1 << 40} bytes, and at most 10 are read"):
        storage.read_small(uri, 10)


def test_deeply_nested_json_is_not_a_document(tmp_path: Path) -> None:
    uri = f"file://{tmp_path}/nested.json"
    storage.write(uri, b"[" * 100_000)
    with pytest.raises(CorruptObjectError, match="is not a JSON document"):
        storage.read_json(uri)
