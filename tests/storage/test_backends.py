"""Tests that run on every backend."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cloudlstm import storage
from cloudlstm.errors import AccessDeniedError, ObjectExistsError, ObjectNotFoundError, StorageError

LARGE_BYTES = 20 * 2**20 + 7


@pytest.fixture(scope="session")
def large_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "large.bin"
    path.write_bytes(os.urandom(LARGE_BYTES))
    return path


def names(root: str, prefix: str) -> list[str]:
    return [found.uri.removeprefix(root) for found in storage.list_objects(root + prefix)]


def test_what_is_written_is_read(root: str) -> None:
    data = bytes(range(256))
    storage.write(f"{root}/a/b/object", data)
    assert storage.read(f"{root}/a/b/object") == data


def test_a_part_is_read(root: str) -> None:
    data = bytes(range(256))
    storage.write(f"{root}/object", data)
    assert storage.read_range(f"{root}/object", 0, 10) == data[:10]
    assert storage.read_range(f"{root}/object", 250, 100) == data[250:]
    assert storage.read_range(f"{root}/object", 5, 0) == b""
    assert storage.read_range(f"{root}/object", 256, 10) == b""
    assert storage.read_range(f"{root}/object", 9999, 10) == b""
    storage.write(f"{root}/empty", b"")
    assert storage.read_range(f"{root}/empty", 0, 10) == b""
    with pytest.raises(ObjectNotFoundError):
        storage.read_range(f"{root}/nothing", 0, 10)


def test_a_second_write_replaces_the_first(root: str) -> None:
    storage.write(f"{root}/object", b"a long first version")
    storage.write(f"{root}/object", b"second")
    assert storage.read(f"{root}/object") == b"second"
    assert storage.stat(f"{root}/object").size_bytes == len(b"second")


def test_json_makes_the_round_trip(root: str) -> None:
    storage.write_json(f"{root}/j.json", {"ü": [1, None, 2.5]})
    assert storage.read_json(f"{root}/j.json") == {"ü": [1, None, 2.5]}


def test_an_object_may_be_empty(root: str, tmp_path: Path) -> None:
    output: list[int] = []
    storage.write(f"{root}/written", b"")
    (tmp_path / "empty").touch()
    storage.upload(tmp_path / "empty", f"{root}/uploaded", output.append)
    assert names(root, "/") == ["/uploaded", "/written"]
    for name in ("written", "uploaded"):
        assert storage.read(f"{root}/{name}") == b""
        assert storage.stat(f"{root}/{name}").size_bytes == 0
        storage.download(f"{root}/{name}", tmp_path / name, output.append)
        assert (tmp_path / name).read_bytes() == b""
    assert sum(output) == 0


@pytest.mark.parametrize(
    "name",
    [
        "with space",
        "50% off",
        "%41",
        "#1?x=1&y=+2",
        "größe/日本/🙂",
        "a=b,c;d:e@f",
        ".hidden",
        "'quoted' (\"twice\")",
        "~*[x]",
    ],
)
def test_names_are_taken_literally(root: str, tmp_path: Path, name: str) -> None:
    uri = f"{root}/{name}"
    storage.write(uri, name.encode())
    assert [found.uri for found in storage.list_objects(root)] == [uri]
    assert storage.read(uri) == name.encode()
    assert storage.stat(uri).uri == uri
    storage.download(uri, tmp_path / "copy")
    storage.upload(tmp_path / "copy", uri + "2")
    assert storage.read(uri + "2") == name.encode()
    storage.delete(uri)
    assert not storage.exists(uri)


def test_a_create_only_write_keeps_an_existing_object(root: str) -> None:
    storage.write(f"{root}/claim", b"first", if_absent=True)
    with pytest.raises(ObjectExistsError, match=f"{root}/claim"):
        storage.write(f"{root}/claim", b"second", if_absent=True)
    assert storage.read(f"{root}/claim") == b"first"
    storage.delete(f"{root}/claim")
    storage.write(f"{root}/claim", b"third", if_absent=True)
    assert storage.read(f"{root}/claim") == b"third"


def test_one_of_several_concurrent_creates_wins(root: str) -> None:
    writers = 8
    for claim in range(3):
        start = threading.Barrier(writers)

        def create(writer: int, uri: str, start: threading.Barrier) -> int | None:
            start.wait()
            try:
                storage.write(uri, b"%d" % writer, if_absent=True)
            except ObjectExistsError:
                return None
            return writer

        uri = f"{root}/claim-{claim}"
        with ThreadPoolExecutor(writers) as pool:
            outcomes = list(pool.map(create, range(writers), [uri] * writers, [start] * writers))
        winners = [writer for writer in outcomes if writer is not None]
        assert len(winners) == 1
        assert storage.read(uri) == b"%d" % winners[0]


def test_a_listing_is_by_prefix_and_in_order(root: str) -> None:
    for name in ("ab", "a/b", "a/b/c-not", "a.txt", "a-x", "B", "z/y/x"):
        if name != "a/b/c-not" or not root.startswith("file://"):  # on a disk a file has nothing below it
            storage.write(f"{root}/{name}", name.encode())
    below = [] if root.startswith("file://") else ["/a/b/c-not"]
    everything = ["/B", "/a-x", "/a.txt", "/a/b", *below, "/ab", "/z/y/x"]
    assert names(root, "/") == everything
    assert names(root, "") == everything
    assert names(root, "/a") == ["/a-x", "/a.txt", "/a/b", *below, "/ab"]
    assert names(root, "/a/") == ["/a/b", *below]
    assert names(root, "/ab") == ["/ab"]
    assert names(root, "/z/y") == ["/z/y/x"]
    assert names(root, "/nothing") == names(root, "/nothing/here/") == []
    sizes = {found.uri: found.size_bytes for found in storage.list_objects(f"{root}/")}
    assert sizes[f"{root}/a.txt"] == len("a.txt")


def test_a_listing_may_be_long(root: str) -> None:
    count = 1050
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: storage.write(f"{root}/many/{number:05d}", b"x"), range(count)))
    assert names(root, "/many/") == [f"/many/{number:05d}" for number in range(count)]


def test_listing_and_stat_agree(root: str) -> None:
    storage.write(f"{root}/object", b"12345")
    (found,) = storage.list_objects(root)
    assert found == storage.stat(f"{root}/object")
    assert found.size_bytes == 5


def test_the_etag_changes_with_the_content(root: str) -> None:
    uri = f"{root}/object"
    etags = set()
    for content in (b"one", b"two", b"six"):
        storage.write(uri, content)
        assert storage.stat(uri).etag == storage.stat(uri).etag
        etags.add(storage.stat(uri).etag)
    assert len(etags) == 3


def test_the_time_of_the_last_write_is_known(root: str) -> None:
    uri = f"{root}/object"
    before = time.time()
    storage.write(uri, b"one")
    first = storage.stat(uri).modified
    assert before - 2 < first < time.time() + 2, "all stores of these tests have this machine's clock"
    time.sleep(1.1)  # some stores know whole seconds only
    storage.write(uri, b"two")
    (listed,) = storage.list_objects(uri)
    assert listed.modified > first


def test_objects_are_listed_and_deleted_in_the_name_of_a_folder(root: str) -> None:
    for name in ("run/a/1", "run/a/2", "run/b/1", "other/1"):
        storage.write(f"{root}/{name}", b"x")
    found = [item.uri for item in storage.list_objects(f"{root}/run/a/", within=f"{root}/run")]
    assert found == [f"{root}/run/a/1", f"{root}/run/a/2"]
    for uri in (*found, f"{root}/run/never/was"):
        storage.delete(uri, within=f"{root}/run")
    assert names(root, "") == ["/other/1", "/run/b/1"]
    assert storage.remove_folders(f"{root}/run") in ((), (f"{root}/run/b/1",))
    assert names(root, "") == ["/other/1", "/run/b/1"]


def test_delete_is_idempotent(root: str) -> None:
    storage.write(f"{root}/object", b"x")
    storage.write(f"{root}/object2", b"x")
    for _ in range(2):
        storage.delete(f"{root}/object")
        assert not storage.exists(f"{root}/object")
    storage.delete(f"{root}/never/was")
    assert names(root, "") == ["/object2"]


def test_a_missing_object_is_named(root: str, tmp_path: Path) -> None:
    uri = f"{root}/no such%20object"
    attempts = [
        lambda: storage.read(uri),
        lambda: storage.stat(uri),
        lambda: storage.download(uri, tmp_path / "new" / "target"),
    ]
    for attempt in attempts:
        with pytest.raises(ObjectNotFoundError) as caught:
            attempt()
        assert uri in caught.value.message
        assert "\n" not in str(caught.value)
    assert not storage.exists(uri)
    assert not list(tmp_path.rglob("*.tmp"))
    assert not (tmp_path / "new" / "target").exists()


def test_a_folder_is_not_an_object(root: str) -> None:
    storage.write(f"{root}/folder/object", b"x")
    assert not storage.exists(f"{root}/folder")
    with pytest.raises(ObjectNotFoundError):
        storage.read(f"{root}/folder")
    with pytest.raises(StorageError, match="URI of a folder"):
        storage.write(f"{root}/folder/", b"x")


def test_a_large_file_makes_the_round_trip(root: str, large_file: Path, tmp_path: Path) -> None:
    up: list[int] = []
    down: list[int] = []
    storage.upload(large_file, f"{root}/large", up.append)
    assert storage.stat(f"{root}/large").size_bytes == LARGE_BYTES
    storage.download(f"{root}/large", tmp_path / "new" / "folder" / "copy", down.append)
    assert (tmp_path / "new" / "folder" / "copy").read_bytes() == large_file.read_bytes()
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["copy"]
    assert sum(up) == sum(down) == LARGE_BYTES
    assert len(up) > 1
    assert len(down) > 1
    storage.write(f"{root}/large-at-once", large_file.read_bytes())
    assert storage.read(f"{root}/large-at-once") == large_file.read_bytes()


def test_download_replaces_an_existing_file(root: str, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"something old, and longer")
    storage.write(f"{root}/object", b"new")
    storage.download(f"{root}/object", target)
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o666 & ~_umask()


def test_a_failed_download_keeps_an_existing_file(root: str, tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"old")
    storage.write(f"{root}/object", b"x" * 100)

    def fail(_: int) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        storage.download(f"{root}/object", tmp_path / "target", fail)
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
    assert (tmp_path / "target").read_bytes() == b"old"


def test_a_failed_upload_leaves_no_object(root: str, large_file: Path) -> None:
    def fail(_: int) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        storage.upload(large_file, f"{root}/large", fail)
    assert names(root, "") == []


def test_a_missing_local_file_is_named(root: str, tmp_path: Path) -> None:
    with pytest.raises(ObjectNotFoundError, match="no-such-file"):
        storage.upload(tmp_path / "no-such-file", f"{root}/object")
    assert names(root, "") == []


def test_download_needs_rights_on_the_folder(root: str, open_folder: Path, without_rights: object) -> None:
    storage.write(f"{root}/object", b"x")
    target = open_folder / "target"
    target.mkdir()
    with without_rights(target), pytest.raises(AccessDeniedError) as caught:
        storage.download(f"{root}/object", target / "copy")
    assert f"{root}/object" in caught.value.message
    assert str(target) in caught.value.message
    assert list(target.iterdir()) == []


@pytest.mark.parametrize(
    ("scheme", "package", "extra"), [("s3", "boto3", "aws"), ("gs", "google.cloud.storage", "gcp")]
)
def test_without_the_sdk_the_install_line_is_shown(scheme: str, package: str, extra: str) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from cloudlstm import storage\n"
        f"try: storage.read('{scheme}://bucket/key')\n"
        "except ImportError as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.startswith("MissingExtraError")
    assert package.rpartition(".")[0] in done.stdout
    assert f"pip install 'cloudlstm[{extra}]'" in done.stdout


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
