"""The code for cloud machines: the package, job scripts and dependencies. Unchanged parts are not uploaded again.

The URI of each part has the sha256 of its content: <bucket>/code/<sha256>/<file name>. So an existing object is
the right one, and machines verify what they download.
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
        python: Minor version of the interpreter on Spark nodes.
        architecture: Processor of Spark nodes, as in wheel tags.
        accelerator: Accelerator of trainers: "cpu" or "cuda".
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
        """Returns the part "package", "dependencies", "requirements", or a job's script by the job's name."""
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
    """Writes the package without its assets as an archive for PYTHONPATH into `folder`."""
    package = Path(cloudlstm.__file__).resolve().parent
    files = [
        path
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.relative_to(package).parts[0] not in _ASSETS
    ]
    path = folder / PACKAGE
    with disk_errors(f"write {path}"), path.open("wb") as file:
        write_zip(file, package.parent, files, compress=False)  # so that the bytes do not depend on zlib
    return path
