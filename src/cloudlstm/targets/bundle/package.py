"""The code for cloud machines: package, job scripts, the user's packages, dependencies, wheelhouse.

Unchanged parts are not uploaded again.

The URI of each part has the sha256 of its content: <bucket>/code/<sha256>/<file name>. So an existing object is
the right one, and machines verify what they download. The wheelhouse and the dependencies are large, and a launcher
that never built them does not know their hashes: <bucket>/code/wheelhouses/<hash of its inputs>.json and
<bucket>/code/dependencies/<hash of their inputs>.json, written after them, say them. So a machine without pip can
submit.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cloudlstm
from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError
from cloudlstm.runs.paths import join
from cloudlstm.storage.local import disk_errors
from cloudlstm.targets.base import Request, fill_placeholders
from cloudlstm.targets.bundle import wheelhouse
from cloudlstm.targets.bundle.archive import OWN, asset, pack_own, write_entries, write_zip
from cloudlstm.targets.bundle.dependencies import ARCHIVE, STREAM_ARCHIVE, dependencies, is_built, key_of
from cloudlstm.targets.bundle.wheelhouse import Built, Report, Wheelhouse

PACKAGE = "cloudlstm.zip"
LAUNCHER_PACKAGE = "launcher.zip"

_KINDS = ("uri", "sha256")
_PACKAGE = Path(cloudlstm.__file__).resolve().parent
_ASSETS = "_assets"
_REQUIREMENTS = (
    "launcher.txt", "spark.txt", "trainer-cpu.txt", "trainer-cuda.txt", "trainer-python.json", "uv.txt"
)  # fmt: skip
_SHA256 = re.compile("[0-9a-f]{64}")
_GB = 1e9


@dataclass(frozen=True, slots=True)
class Part:
    """One object of a bundle.

    Attributes:
        uri: Its URI.
        sha256: Hash of its content.
        sent_bytes: Bytes uploaded for it; 0 if it existed.
    """

    uri: str
    sha256: str
    sent_bytes: int


class Bundle:
    """The parts of one submit, each built and uploaded at first use.

    Args:
        bucket_uri: The bucket.
        python: Minor version of the interpreter on Spark nodes, and of that in the wheelhouse.
        architecture: Processor of Spark nodes, as in wheel tags.
        accelerator: Accelerator of trainers, "cpu" or "cuda"; or wheelhouse.LAUNCHER, for machines that only launch.
    """

    def __init__(self, bucket_uri: str, *, python: str, architecture: str, accelerator: str) -> None:
        self._bucket_uri = bucket_uri
        self._python, self._architecture = python, architecture
        self._accelerator = accelerator
        self._parts: dict[str, Part] = {}

    @property
    def sent_bytes(self) -> int:
        """Total bytes uploaded."""
        return sum(part.sent_bytes for part in self._parts.values())

    def __getitem__(self, name: str) -> Part:
        """Returns "package", "launcher", "dependencies", "stream-dependencies", "wheelhouse", or a job's script."""
        if name not in self._parts:
            if name in _PACKERS:
                with tempfile.TemporaryDirectory(prefix="cloudlstm-bundle-") as folder:
                    self._parts[name] = self._send(_PACKERS[name](Path(folder)))
            elif name == "dependencies":
                self._parts[name] = self._dependencies(ARCHIVE)
            elif name == "stream-dependencies":
                self._parts[name] = self._dependencies(STREAM_ARCHIVE)
            elif name == "wheelhouse":
                self.send_wheelhouse()
            else:
                self._parts[name] = self._send(asset("jobs", f"{name}.py"))
        return self._parts[name]

    def own(self, packages: Sequence[str]) -> Part:
        """The user's packages, by the folders or files that they are in now."""
        with tempfile.TemporaryDirectory(prefix="cloudlstm-bundle-") as folder:
            part = self._send(pack_own(packages, Path(folder) / OWN))
        known = self._parts.get(f"own {part.sha256}")
        return self._parts.setdefault(f"own {part.sha256}", known or part)

    def filled(self, request: Request, known: Mapping[str, str], packages: Sequence[str]) -> dict[str, Any]:
        """A request with the URIs and hashes of this bundle, whose missing parts are uploaded.

        Args:
            request: With placeholders such as `${package.uri}`.
            known: The values of other placeholders.
            packages: The user's packages, the part "own".
        """
        own = self.own(packages) if packages else None

        def value_of(name: str) -> str | None:
            part, _, kind = name.partition(".")
            if kind not in _KINDS:
                return known.get(name)
            return str(getattr(own if part == "own" else self[part], kind))

        filled: dict[str, Any] = fill_placeholders(request, value_of)
        return filled

    def send_wheelhouse(self, report: Report = lambda _: None) -> None:
        """Builds and uploads the wheelhouse if the bucket lacks it; `report` receives what is being done.

        Raises:
            MachineError: it cannot be built here.
        """
        if "wheelhouse" in self._parts:
            return
        house = Wheelhouse(self._python, self._accelerator)
        pointer = join(self._bucket_uri, "code", "wheelhouses", f"{house.key}.json")
        said = _read_pointer(pointer)
        known = house.built() or said
        if known and _size(self._wheelhouse_uri(known)) == known.size_bytes:
            self._parts["wheelhouse"] = Part(self._wheelhouse_uri(known), known.sha256, 0)
        else:
            path, known = house.build(report)
            storage.upload(path, self._wheelhouse_uri(known), _Share(known.size_bytes, report).add)
            self._parts["wheelhouse"] = Part(self._wheelhouse_uri(known), known.sha256, known.size_bytes)
        if said != known:
            storage.write_json(pointer, asdict(known))

    def _dependencies(self, name: str) -> Part:
        """Sends an archive of dependencies, unless this machine never built it and the bucket has it."""
        chosen = self._python, self._architecture, name
        pointer = join(self._bucket_uri, "code", "dependencies", f"{key_of(*chosen)}.json")
        said = _read_pointer(pointer)
        if said and not is_built(*chosen):
            uri = join(self._bucket_uri, "code", said.sha256, name)
            if _size(uri) == said.size_bytes:
                return Part(uri, said.sha256, 0)
        path = dependencies(*chosen)
        part = self._send(path)
        known = Built(part.sha256, path.stat().st_size)
        if said != known:
            storage.write_json(pointer, asdict(known))
        return part

    def _wheelhouse_uri(self, built: Built) -> str:
        return join(self._bucket_uri, "code", built.sha256, wheelhouse.ARCHIVE)

    def _send(self, path: Path) -> Part:
        with disk_errors(f"read {path}"), path.open("rb") as file:
            digest, size_bytes = hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size
        uri = join(self._bucket_uri, "code", digest, path.name)
        if storage.exists(uri):
            return Part(uri, digest, 0)
        storage.upload(path, uri)
        return Part(uri, digest, size_bytes)


class _Share:
    """Tells how much of the wheelhouse has been sent."""

    def __init__(self, size_bytes: int, report: Report) -> None:
        self._size_bytes, self._report, self._sent_bytes = size_bytes, report, 0
        self.add(0)

    def add(self, sent_bytes: int) -> None:
        self._sent_bytes += sent_bytes
        share = min(self._sent_bytes / max(self._size_bytes, 1), 1.0)
        self._report(
            f"sending {self._size_bytes / _GB:.1f} GB of Python and packages for trainers, {share:.0%}; "
            "later submits send nothing"
        )


def _read_pointer(uri: str) -> Built | None:
    """Returns what the bucket knows of a wheelhouse; None if there is none or it is damaged."""
    with suppress(ObjectNotFoundError, CorruptObjectError, TypeError):
        built = Built(**storage.read_json(uri))
        if _SHA256.fullmatch(built.sha256):
            return built
    return None


def _size(uri: str) -> int:
    """Returns the size of an object; -1 if there is none."""
    try:
        return storage.stat(uri).size_bytes
    except ObjectNotFoundError:
        return -1


def pack(folder: Path) -> Path:
    """Writes the package without its assets as an archive for PYTHONPATH into `folder`."""
    path = folder / PACKAGE
    with disk_errors(f"write {path}"), path.open("wb") as file:
        # Not compressed, so that the bytes do not depend on zlib.
        write_zip(file, _PACKAGE.parent, _sources(), compress=False)
    return path


def pack_launcher(folder: Path) -> Path:
    """Writes the package with the assets of a submit as an archive to be unpacked, into `folder`.

    What is unpacked packs to the same bytes as here (`pack`), so a launcher finds its bundle in the bucket.
    """
    entries = [(path.relative_to(_PACKAGE.parent).as_posix(), path) for path in _sources()]
    entries += [(f"{_PACKAGE.name}/{_ASSETS}/jobs/{path.name}", path) for path in asset("jobs").glob("*.py")]
    for name in _REQUIREMENTS:
        entries.append((f"{_PACKAGE.name}/{_ASSETS}/requirements/{name}", asset("requirements", name)))
    path = folder / LAUNCHER_PACKAGE
    with disk_errors(f"write {path}"), path.open("wb") as file:
        write_entries(file, ((name, each.read_bytes()) for name, each in sorted(entries)))
    return path


def _sources() -> list[Path]:
    """The files of the package, without caches and assets."""
    return [
        path
        for path in _PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.relative_to(_PACKAGE).parts[0] != _ASSETS
    ]


_PACKERS = {"package": pack, "launcher": pack_launcher}
