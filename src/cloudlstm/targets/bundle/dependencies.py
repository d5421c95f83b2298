"""The dependency archive of Spark nodes: pinned packages for their Python version and processor.

The nodes have only an interpreter and pyspark. pip lays the wheels out here, for the nodes' platform; files that
executors never load are left out. The archive is cached per user under a hash of its inputs.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cloudlstm.storage.local import disk_errors, new_file, user_cache
from cloudlstm.targets.bundle.archive import asset, last_used, remove_abandoned, write_zip
from cloudlstm.targets.bundle.pip import run_pip

ARCHIVE, STREAM_ARCHIVE = "deps.zip", "kafka.zip"
"""The packages of all jobs on the nodes, and those that the job "stream" needs beside them."""
REQUIREMENTS = {ARCHIVE: "spark.txt", STREAM_ARCHIVE: "stream.txt"}
"""The list of packages of each archive."""

_EXCLUDED = re.compile(
    r"""
    .*/(tests|__pycache__)/.* | .*\.(pyc|pyi|pyx|pxd|pxi|h|hpp|c|cc|cpp|a)
    | [^/]*\.dist-info/(?!METADATA|entry_points|licenses|LICEN[CS]E|NOTICE).*  # RECORD names this machine's paths
    | bin/.* | (rich|pygments|fire|markdown_it|mdurl|termcolor)/.*             # the command line's
    | pyarrow/(include|src)/.* | pyarrow/(_flight|_s3fs|libarrow_(python_)?flight|libarrow_s3)[^/]*
    | botocore/data/(?!(s3|sts|sso|sso-oidc|signin)/)[^/]+/.*                  # API models of 400 services
    """,
    re.VERBOSE,
)
"""Paths of files that executors and drivers never load."""

_FORMAT = 1
"""Part of the hash: increase it when the archive of the same requirements changes."""

_MAX_ARCHIVES = 4
_LAYOUT = ".layout-"


def key_of(python: str, architecture: str, name: str = ARCHIVE) -> str:
    """Returns the hash of what an archive is made of: equal keys mean equal packages."""
    requirements = asset("requirements", REQUIREMENTS[name])
    inputs = [_FORMAT, python, architecture, _EXCLUDED.pattern, requirements.read_text()]
    return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:16]


def is_built(python: str, architecture: str, name: str = ARCHIVE) -> bool:
    """True if this machine has the archive."""
    return (user_cache("dependencies") / key_of(python, architecture, name) / name).exists()


def dependencies(python: str, architecture: str, name: str = ARCHIVE) -> Path:
    """Returns the archive for nodes with this Python ("3.11") and processor ("x86_64", "aarch64"); builds it once.

    Args:
        python: Minor version of Python on the nodes.
        architecture: Their processor, as in wheel tags.
        name: ARCHIVE or STREAM_ARCHIVE.

    Raises:
        MachineError: pip is missing or cannot fetch the packages; the message has its last error.
        StorageFullError: the disk is full.
    """
    requirements = asset("requirements", REQUIREMENTS[name])
    folder = user_cache("dependencies")
    path = folder / key_of(python, architecture, name) / name
    if path.exists():
        os.utime(path.parent)
        return path
    with disk_errors(f"lay out dependencies in {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=_LAYOUT, dir=folder) as scratch:
            action = ["install", "--no-compile", "--target", scratch]
            run_pip(action, requirements, python, architecture, "Spark nodes")
            with new_file(path) as file:
                write_zip(file, Path(scratch), _included_files(Path(scratch)), compress=True)
        _remove_old(folder, name)
    return path


def _remove_old(folder: Path, name: str) -> None:
    """Removes the least recently used archives of a name, and folders left by killed processes."""
    for path in last_used(folder, name)[_MAX_ARCHIVES:]:
        shutil.rmtree(path.parent, ignore_errors=True)
    remove_abandoned(folder, _LAYOUT)


def _included_files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and not _EXCLUDED.fullmatch(path.relative_to(folder).as_posix()):
            yield path
