"""The code that a cloud's machines run: the package, the jobs, the dependencies. Nothing unchanged goes up twice.

Every part is an object whose URI holds the sha256 of its content: <bucket>/code/<sha256>/<file name>. So a part that
is there is the right one, and machines check what they fetch.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cloudlstm
from cloudlstm import storage
from cloudlstm.runs.paths import join
from cloudlstm.storage.local import disk_errors
from cloudlstm.targets.bundle.archive import asset, write_zip
from cloudlstm.targets.bundle.dependencies import dependencies

PACKAGE = "cloudlstm.zip"

_ASSETS = ("_assets",)


@dataclass(frozen=True, slots=True)
class Part:
    """One object of a bundle.

    Attributes:
        uri: Where it lies.
        sha256: Of its content.
        sent_bytes: What had to be uploaded for it.
    """

    uri: str
    sha256: str
    sent_bytes: int


class Bundle:
    """The parts of one submit, each made and uploaded when it is first asked for.

    Args:
        bucket_uri: The bucket.
        python: Minor version of the interpreter on Spark nodes.
        architecture: Of Spark nodes, as in wheel tags.
        accelerator: Of trainers: "cpu" or "cuda".
    """

    def __init__(self, bucket_uri: str, *, python: str, architecture: str, accelerator: str) -> None:
        self._bucket_uri = bucket_uri
        self._python, self._architecture = python, architecture
        self._accelerator = accelerator
        self._parts: dict[str, Part] = {}

    @property
    def sent_bytes(self) -> int:
        """What has been uploaded."""
        return sum(part.sent_bytes for part in self._parts.values())

    def __getitem__(self, name: str) -> Part:
        """The part called "package", "dependencies", "requirements" or like a job."""
        if name not in self._parts:
            if name == "package":
                with tempfile.TemporaryDirectory(prefix="cloudlstm-bundle-") as folder:
                    self._parts[name] = self._send(pack(Path(folder)))
            elif name == "dependencies":
                self._parts[name] = self._send(dependencies(self._python, self._architecture))
            elif name == "requirements":
                self._parts[name] = self._send(asset("requirements", f"trainer-{self._accelerator}.txt"))
            else:
                self._parts[name] = self._send(asset("jobs", f"{name}.py"))
        return self._parts[name]

    def _send(self, path: Path) -> Part:
        with disk_errors(f"read {path}"), path.open("rb") as file:
            digest, size_bytes = hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size
        uri = join(self._bucket_uri, "code", digest, path.name)
        if storage.exists(uri):
            return Part(uri, digest, 0)
        storage.upload(path, uri)
        return Part(uri, digest, size_bytes)


def pack(folder: Path) -> Path:
    """The package as an archive in `folder`, ready for PYTHONPATH: its files as they are, without its assets."""
    package = Path(cloudlstm.__file__).resolve().parent
    files = [
        path
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.relative_to(package).parts[0] not in _ASSETS
    ]
    path = folder / PACKAGE
    with disk_errors(f"write {path}"), path.open("wb") as file:
        write_zip(file, package.parent, files, compress=False)  # so that no version of zlib shows in it
    return path
