"""This machine's Python in the form of the archives of python-build-standalone, and a smaller list of packages."""

from __future__ import annotations

import hashlib
import re
import sys
import tarfile
from pathlib import Path

from cloudlstm.targets.bundle.archive import asset

_LEFT_OUT = re.compile(
    r".*/(__pycache__|site-packages|test|tests|idlelib|tkinter|ensurepip|lib2to3|config-[^/]*|turtledemo)(/.*)?"
)

NEEDED = (
    "boto3", "botocore", "certifi", "cffi", "charset-normalizer", "cryptography", "google-api-core", "google-auth",
    "google-cloud-core", "google-cloud-storage", "google-crc32c", "google-resumable-media", "googleapis-common-protos",
    "idna", "jmespath", "opentelemetry-api", "proto-plus", "protobuf", "pyasn1", "pyasn1-modules", "pycparser",
    "python-dateutil", "requests", "s3transfer", "six", "typing-extensions", "urllib3",
)  # fmt: skip
"""Packages that storage needs, on both clouds."""


def python_archive(path: Path) -> str:
    """Writes the archive; returns its URL with its hash. It works on this machine only."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    base = Path(sys.base_prefix)
    names = [f"bin/python{version}", f"lib/python{version}"]
    names += [str(each.relative_to(base)) for each in (base / "lib").glob(f"libpython{version}*.so*")]
    with tarfile.open(path, "w", dereference=True) as archive:
        for name in names:
            archive.add(base / name, f"python/{name}", filter=lambda e: None if _LEFT_OUT.fullmatch(e.name) else e)
    return f"{path.as_uri()}#sha256={hashlib.sha256(path.read_bytes()).hexdigest()}"


def light_requirements(path: Path) -> Path:
    """Writes a shorter list of the trainers' packages: those that storage needs."""
    blocks = re.split(r"^(?=[\w.-]+==)", asset("requirements", "trainer-cpu.txt").read_text(), flags=re.MULTILINE)
    path.write_text("".join(block for block in blocks if block.partition("==")[0] in NEEDED))
    return path
