"""The wheelhouse of trainers: equal bytes from every build, complete, sent once, and checked."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from cloudlstm import storage
from cloudlstm.errors import MachineError
from cloudlstm.targets.bundle import archive, package, wheelhouse
from cloudlstm.targets.bundle.wheelhouse import PYTHON_ARCHIVE, Wheelhouse
from cloudlstm.targets.polling import in_background
from targets.test_bundle import wheel

PYTHON = "3.12"


def python_archive(path: Path, names: dict[str, str], *, owner: int = 0) -> str:
    """Writes an archive in the form of those of python-build-standalone; returns its URL with its hash."""
    with tarfile.open(path, "w:gz") as file:
        for name, content in names.items():
            entry = tarfile.TarInfo(name)
            entry.uid = entry.gid = owner
            entry.mtime, entry.mode = 1e9 + owner, 0o755 if "/bin/" in name else 0o644
            if content.startswith("-> "):
                entry.type, entry.linkname = tarfile.SYMTYPE, content.removeprefix("-> ")
            entry.size = 0 if entry.issym() else len(content)
            file.addfile(entry, io.BytesIO(content.encode()))
    return f"{path.as_uri()}#sha256={hashlib.sha256(path.read_bytes()).hexdigest()}"


FILES = {
    "python/lib/python3.12/os.py": "name = 'posix'\n",
    "python/bin/python3": "-> python3.12",
    "python/bin/python3.12": "#!/bin/sh\n",
}


class Place:
    """A cache, an index of the test's packages, and a bucket."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder, monkeypatch
        self.cache, self.bucket = folder / "cache", f"file://{folder}/bucket"
        self.requirements = folder / "requirements"
        self.requirements.mkdir()
        index = folder / "index"
        nowhere = {"url": "https://nowhere.invalid/python.tar.gz", "sha256": "0" * 64}
        lines = {
            "trainer-cpu.txt": wheel(index, "plain", {"plain.py": "x = 1\n"}, "py3-none-any")
            + wheel(index, "built", {"built.py": ""}, "cp312-cp312-manylinux_2_25_x86_64"),
            "uv.txt": wheel(index, "uv", {"uv-1.0.data/scripts/uv": "#!/bin/sh\n"}, "py3-none-manylinux_2_17_x86_64"),
            "trainer-python.json": json.dumps({PYTHON: nowhere}),
        }
        for name, text in lines.items():
            (self.requirements / name).write_text(text)
        monkeypatch.setattr(wheelhouse, "asset", lambda kind, name: folder / kind / name)
        for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(index), "CONFIG_FILE": os.devnull}.items():
            monkeypatch.setenv(f"PIP_{name}", value)
        self.use(self.cache, python_archive(folder / "python.tar.gz", FILES))

    def use(self, cache: Path, python: str) -> None:
        """Another cache (another launcher), another archive of Python."""
        self.monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
        self.monkeypatch.setenv(PYTHON_ARCHIVE, python)

    def bundle(self) -> package.Bundle:
        return package.Bundle(self.bucket, python=PYTHON, architecture="aarch64", accelerator="cpu")

    def forbid_building(self) -> None:
        def refuse(*_: Any) -> None:
            raise AssertionError("it is built again")

        self.monkeypatch.setattr(Wheelhouse, "_make", refuse)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


def test_it_holds_python_installer_and_wheels_of_root(place: Place) -> None:
    path, built = Wheelhouse(PYTHON, "cpu").build()
    assert built.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert built.size_bytes == path.stat().st_size
    with tarfile.open(path) as file:
        modes = {each.name: each.mode for each in file.getmembers()}
        assert {(each.uid, each.gid, each.uname, each.mtime) for each in file.getmembers()} == {(0, 0, "", 315532800)}
        assert file.getmember("python/bin/python3").linkname == "python3.12"
        content = file.extractfile("requirements.txt")
        assert content
        assert content.read() == (place.requirements / "trainer-cpu.txt").read_bytes()
    assert modes == {
        "python/bin/python3": 0o777, "python/bin/python3.12": 0o755, "python/lib/python3.12/os.py": 0o644,
        "requirements.txt": 0o644, "uv": 0o755, "wheels/plain-1.0-py3-none-any.whl": 0o644,
        "wheels/built-1.0-cp312-cp312-manylinux_2_25_x86_64.whl": 0o644,
    }  # fmt: skip


def test_equal_inputs_give_equal_bytes(place: Place) -> None:
    first = Wheelhouse(PYTHON, "cpu").build()[1]
    place.use(place.folder / "other cache", os.environ[PYTHON_ARCHIVE])
    assert Wheelhouse(PYTHON, "cpu").build()[1] == first


def test_it_is_sent_once_whoever_submits(place: Place) -> None:
    said: list[str] = []
    parts = place.bundle()
    parts.send_wheelhouse(said.append)
    part = parts["wheelhouse"]
    assert part.sent_bytes == storage.stat(part.uri).size_bytes
    assert part.uri == f"{place.bucket}/code/{part.sha256}/wheelhouse.tar"
    assert said[0] == "fetching Python and packages for trainers, once per release"
    assert said[-1] == "sending 0.0 GB of Python and packages for trainers, 100%; later submits send nothing"

    place.forbid_building()
    said.clear()
    again = place.bundle()
    again.send_wheelhouse(said.append)
    assert (again["wheelhouse"].uri, again["wheelhouse"].sent_bytes, said) == (part.uri, 0, [])
    place.use(place.folder / "another launcher", os.environ[PYTHON_ARCHIVE])  # which knows only what the bucket says
    other = place.bundle()
    assert (other["wheelhouse"].sha256, other.sent_bytes) == (part.sha256, 0)


@pytest.mark.parametrize("lost", ["archive", "a part of it", "pointer", "the pointer is damaged"])
def test_what_the_bucket_lost_is_sent_again(place: Place, lost: str) -> None:
    part = place.bundle()["wheelhouse"]
    (pointer,) = [item.uri for item in storage.list_objects(f"{place.bucket}/code/wheelhouses/")]
    said = storage.read(pointer)
    if lost == "archive":
        storage.delete(part.uri)
    elif lost == "a part of it":
        storage.write(part.uri, storage.read(part.uri)[:-1])
    elif lost == "pointer":
        storage.delete(pointer)
    else:
        storage.write(pointer, b"{")
        place.use(place.folder / "another launcher", os.environ[PYTHON_ARCHIVE])
    again = place.bundle()["wheelhouse"]
    assert (again.sha256, again.sent_bytes > 0) == (part.sha256, lost != "pointer")
    assert storage.stat(part.uri).size_bytes == json.loads(said)["size_bytes"]
    assert storage.read(pointer) == said


def test_the_own_build_counts_more_than_what_the_bucket_says(place: Place) -> None:
    """Whoever may write into the bucket cannot make a launcher that knows better assign another archive."""
    part = place.bundle()["wheelhouse"]
    (pointer,) = [item.uri for item in storage.list_objects(f"{place.bucket}/code/wheelhouses/")]
    storage.write(f"{place.bucket}/code/{'1' * 64}/wheelhouse.tar", b"planted")
    storage.write_json(pointer, {"sha256": "1" * 64, "size_bytes": 7})
    assert place.bundle()["wheelhouse"].sha256 == part.sha256
    assert storage.read_json(pointer)["sha256"] == part.sha256


def test_other_inputs_are_another_wheelhouse(place: Place) -> None:
    keys = {Wheelhouse(PYTHON, "cpu").key}
    for name in ("trainer-cpu.txt", "uv.txt"):
        path = place.requirements / name
        path.write_text(path.read_text() + "\n")
        keys.add(Wheelhouse(PYTHON, "cpu").key)
    place.use(place.cache, python_archive(place.folder / "newer.tar.gz", FILES | {"python/lib/new.py": ""}))
    keys.add(Wheelhouse(PYTHON, "cpu").key)
    assert len(keys) == 4


def test_a_damaged_archive_of_python_is_not_used(place: Place) -> None:
    url = os.environ[PYTHON_ARCHIVE].partition("#")[0]
    place.use(place.cache, url)  # the pinned hash counts
    with pytest.raises(MachineError, match=r"has sha256 .* and 0000.* was expected"):
        Wheelhouse(PYTHON, "cpu").build()
    place.use(place.cache, python_archive(place.folder / "empty.tar.gz", {"python/bin/python3.11": ""}))
    with pytest.raises(MachineError, match=r"empty.tar.gz holds no python/bin/python3.12"):
        Wheelhouse(PYTHON, "cpu").build()
    assert not [path for path in (place.cache / "cloudlstm/wheelhouses").rglob("*") if path.is_file()]


def test_a_missing_archive_of_python_names_the_way_out(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheelhouse, "_TRIES", 1)
    place.use(place.cache, f"file://{place.folder}/none.tar.gz")
    with pytest.raises(MachineError, match=r"could not be fetched from file://.*none.tar.gz") as caught:
        Wheelhouse(PYTHON, "cpu").build()
    assert "CLOUDLSTM_PYTHON_ARCHIVE=" in caught.value.hint
    with pytest.raises(MachineError, match=r"no archive of Python 3.14 for trainers") as caught:
        Wheelhouse("3.14", "cpu")
    assert "spark_python in Terraform: 3.12" in caught.value.hint


def test_a_download_that_breaks_off_is_repeated(place: Place) -> None:
    content, sent = (place.folder / "python.tar.gz").read_bytes(), []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            sent.append(self.wfile.write(content[: None if sent else 100]))

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/python.tar.gz"
        place.use(place.cache, f"{url}#sha256={hashlib.sha256(content).hexdigest()}")
        Wheelhouse(PYTHON, "cpu").build()
        server.shutdown()
    assert sent == [100, len(content)]


def test_few_archives_stay_in_the_cache(place: Place) -> None:
    houses = []
    for number in range(4):
        (place.requirements / "uv.txt").write_text((place.requirements / "uv.txt").read_text() + f"# {number}\n")
        houses.append(Wheelhouse(PYTHON, "cpu"))
        houses[-1].build()
    left = {path.parent.name for path in (place.cache / "cloudlstm/wheelhouses").glob("*/wheelhouse.tar")}
    assert left == {house.key for house in houses[-2:]}
    assert all(house.built() for house in houses), "what was sent is still known"


def test_every_supported_python_has_a_pinned_archive() -> None:
    builds = json.loads(archive.asset("requirements", "trainer-python.json").read_text())
    assert list(builds) == ["3.11", "3.12", "3.13"]
    for minor, build in builds.items():
        name = build["url"].rsplit("/", 1)[1]
        assert name.startswith(f"cpython-{minor}.")
        assert name.endswith("-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz")
        assert len(build["sha256"]) == 64
    assert len({build["sha256"] for build in builds.values()}) == 3


def test_work_in_the_background_reports_and_fails() -> None:
    go_on = threading.Event()

    def work(report: Callable[[str], None]) -> None:
        report("half")
        go_on.wait(30)
        raise MachineError("the disk is full")

    phases = in_background(work)
    while next(phases) != "half":
        pass
    go_on.set()
    with pytest.raises(MachineError, match="the disk is full"):
        list(phases)


def test_work_in_the_background_ends_when_it_is_no_longer_wanted() -> None:
    ended = threading.Event()

    def work(report: Callable[[str], None]) -> None:
        try:
            while True:
                report("sending")
        finally:
            ended.set()

    phases = in_background(work)
    next(phases)
    phases.close()
    assert ended.is_set()
