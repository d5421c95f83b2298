"""The wheelhouse: what trainers, or launchers, need to make their environment without package index, as one archive.

It holds a relocatable Python, uv, and the pinned wheels of the trainers' packages:

    python/             from the archive that requirements/trainer-python.json names
    requirements.txt    the pinned packages, with hashes
    uv                  the installer
    wheels/             the packages

It is built on the launcher's machine and cached there under a hash of its inputs. Equal inputs give equal bytes. The
environment variable CLOUDLSTM_PYTHON_ARCHIVE names another place for the archive of Python, such as a mirror.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO, cast

from cloudlstm.errors import MachineError
from cloudlstm.storage.local import disk_errors, new_file, user_cache
from cloudlstm.storage.retry import retry
from cloudlstm.targets.bundle.archive import asset, last_used, remove_abandoned
from cloudlstm.targets.bundle.pip import run_pip

ARCHIVE = "wheelhouse.tar"
LAUNCHER = "launcher"
"""The kind of machines that come by a schedule."""
PYTHON_ARCHIVE = "CLOUDLSTM_PYTHON_ARCHIVE"
"""Variable with the URL of the archive of Python. `#sha256=…` at its end replaces the pinned hash."""

Report = Callable[[str], None]
"""Receives what is being done, some times a second; an error that it raises ends the work."""

_ARCHITECTURE = "x86_64"
_PYTHONS = "trainer-python.json"
_INSTALLER = "uv.txt"
_BUILT = "built.json"

_FORMAT = 1
"""Part of the hash: increase it when the archive of the same inputs changes."""

_TIME = 315532800
"""Time of all files: 1980-01-01, the earliest that a zip archive of them could hold."""

_MAX_ARCHIVES = 2
_SCRATCH = ".scratch-"
_TIMEOUT_S = 60.0
_TRIES = 4
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Built:
    """What is known of a wheelhouse that was built.

    Attributes:
        sha256: Hash of the archive.
        size_bytes: Its size.
    """

    sha256: str
    size_bytes: int


def python_builds() -> dict[str, dict[str, str]]:
    """Returns the archives of Python that are known: minor version -> `url` and `sha256`."""
    known: dict[str, dict[str, str]] = json.loads(asset("requirements", _PYTHONS).read_text())
    return known


class Wheelhouse:
    """The wheelhouse for one kind of machines.

    Args:
        python: Minor version of their Python.
        accelerator: The accelerator of trainers, "cpu" or "cuda"; LAUNCHER for machines that launch and do not train.

    Raises:
        MachineError: there is no archive of this Python.
    """

    def __init__(self, python: str, accelerator: str) -> None:
        builds = python_builds()
        if python not in builds:
            raise MachineError(
                f"there is no archive of Python {python} for trainers",
                hint=f"spark_python in Terraform: {', '.join(builds)}; or an image with all packages (trainer_python)",
            )
        self._python = python
        self._url, self._sha256 = _source(builds[python])
        name = LAUNCHER if accelerator == LAUNCHER else f"trainer-{accelerator}"
        self._requirements = asset("requirements", f"{name}.txt")
        self._installer = asset("requirements", _INSTALLER)
        texts = [path.read_text() for path in (self._requirements, self._installer)]
        inputs = [_FORMAT, python, self._sha256, _ARCHITECTURE, *texts]
        self.key = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:32]
        """Hash of the inputs: equal keys mean equal content."""
        self._cache = user_cache("wheelhouses")
        self._folder = self._cache / self.key

    def built(self) -> Built | None:
        """What this machine knows of this wheelhouse from an earlier build; None if it never built it."""
        with suppress(OSError, ValueError, TypeError):
            return Built(**json.loads((self._folder / _BUILT).read_text()))
        return None

    def build(self, report: Report = lambda _: None) -> tuple[Path, Built]:
        """Returns the archive, from the cache if it is there.

        Raises:
            MachineError: pip or the archive of Python cannot be had; the message says why.
            StorageFullError: the disk is full.
        """
        path, known = self._folder / ARCHIVE, self.built()
        if known and path.exists():
            os.utime(self._folder)
            return path, known
        with disk_errors(f"build {path}"):
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=self._cache) as scratch:
                known = self._make(Path(scratch), path, report)
            with new_file(self._folder / _BUILT) as file:
                file.write(json.dumps(asdict(known)).encode())
            _remove_old(self._cache)
        return path, known

    def _make(self, scratch: Path, path: Path, report: Report) -> Built:
        def turn() -> None:
            report("fetching Python and packages for trainers, once per release")

        self._fetch_python(scratch / "python.tar.gz", turn)
        for requirements, folder in ((self._installer, "installer"), (self._requirements, "wheels")):
            action = ["download", "--dest", str(scratch / folder)]
            run_pip(action, requirements, self._python, _ARCHITECTURE, "trainers", turn)
        with new_file(path) as file:
            hashed = _Hashed(file, turn)
            with tarfile.open(
                fileobj=cast("BinaryIO", hashed), mode="w|", bufsize=_PIECE_BYTES, format=tarfile.GNU_FORMAT
            ) as archive:
                self._fill(archive, scratch)
            return Built(hashed.digest.hexdigest(), hashed.size_bytes)

    def _fill(self, archive: tarfile.TarFile, scratch: Path) -> None:
        names = set()
        with tarfile.open(scratch / "python.tar.gz") as source:
            for member in sorted(source.getmembers(), key=lambda each: each.name):
                names.add(member.name)
                _add_member(archive, source, member)
        if f"python/bin/python{self._python}" not in names:
            raise MachineError(f"{self._url} holds no python/bin/python{self._python}")
        with self._requirements.open("rb") as file:
            _add(archive, "requirements.txt", file, self._requirements.stat().st_size, 0o644)
        (wheel,) = (scratch / "installer").iterdir()
        with zipfile.ZipFile(wheel) as files:
            (program,) = (name for name in files.namelist() if name.endswith(".data/scripts/uv"))
            content = files.read(program)
        _add(archive, "uv", io.BytesIO(content), len(content), 0o755)
        for wheel in sorted((scratch / "wheels").iterdir()):
            with wheel.open("rb") as file:
                _add(archive, f"wheels/{wheel.name}", file, wheel.stat().st_size, 0o644)

    def _fetch_python(self, path: Path, turn: Callable[[], None]) -> None:
        def fetch() -> str:
            digest = hashlib.sha256()
            with urllib.request.urlopen(self._url, timeout=_TIMEOUT_S) as answer, path.open("wb") as file:
                while piece := answer.read(_PIECE_BYTES):
                    turn()
                    digest.update(piece)
                    file.write(piece)
                received, announced = file.tell(), answer.headers["Content-Length"]
            if announced and received != int(announced):  # Python's client says nothing of a connection that breaks
                raise OSError(f"{received:,} of {int(announced):,} bytes were received")
            return digest.hexdigest()

        try:
            found = retry(
                fetch, (OSError, HTTPException), tries=_TRIES, first_pause_s=1.0, before_pause=lambda _: turn()
            )
        except (OSError, HTTPException, ValueError) as error:
            raise MachineError(
                f"the archive of Python for trainers could not be fetched from {self._url}: {error}",
                hint=f"check the network, or name a copy of it: {PYTHON_ARCHIVE}=https://… or file://…",
            ) from None
        if found != self._sha256:
            raise MachineError(
                f"{self._url} has sha256 {found}, and {self._sha256} was expected",
                hint=f"fetch it again; if it is another archive: {PYTHON_ARCHIVE}=URL#sha256=…",
            )


def _source(build: dict[str, str]) -> tuple[str, str]:
    """Returns the URL and the hash of the archive of Python."""
    url, _, sha256 = os.environ.get(PYTHON_ARCHIVE, "").partition("#sha256=")
    return url or build["url"], sha256 or build["sha256"]


class _Hashed:
    """A file for writing that counts and hashes what is written.

    Args:
        file: Open for writing.
        turn: Called for each piece.
    """

    def __init__(self, file: BinaryIO, turn: Callable[[], None]) -> None:
        self._file, self._turn = file, turn
        self.digest, self.size_bytes = hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        self._turn()
        self.digest.update(data)
        self.size_bytes += len(data)
        return self._file.write(data)


def _add_member(archive: tarfile.TarFile, source: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    """Adds a file or a symbolic link of the archive of Python; folders come with their files."""
    if member.issym():
        entry = _entry(member.name, 0o777)
        entry.type, entry.linkname = tarfile.SYMTYPE, member.linkname
        archive.addfile(entry)
    elif content := source.extractfile(member):  # of a hard link: that of its target
        data = content.read()
        _add(archive, member.name, io.BytesIO(data), len(data), 0o755 if member.mode & 0o100 else 0o644)


def _add(archive: tarfile.TarFile, name: str, content: BinaryIO, size_bytes: int, mode: int) -> None:
    entry = _entry(name, mode)
    entry.size = size_bytes
    archive.addfile(entry, content)


def _entry(name: str, mode: int) -> tarfile.TarInfo:
    """Returns an entry of root, whatever the owner and the time of the original."""
    entry = tarfile.TarInfo(name)
    entry.mode, entry.mtime = mode, _TIME
    return entry


def _remove_old(folder: Path) -> None:
    """Removes the least recently used archives but not what is known of them, and what killed processes left."""
    for path in last_used(folder, ARCHIVE)[_MAX_ARCHIVES:]:
        path.unlink(missing_ok=True)
    remove_abandoned(folder, _SCRATCH)
