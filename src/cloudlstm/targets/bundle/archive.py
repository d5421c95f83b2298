"""Finds files shipped with the package (job scripts, requirements) and writes reproducible zip archives."""

from __future__ import annotations

import shutil
import time
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import cloudlstm
from cloudlstm.errors import MachineError
from cloudlstm.runs.own_packages import files
from cloudlstm.storage.local import disk_errors

OWN = "own.zip"
"""The archive of the user's packages."""

_PACKAGE = Path(cloudlstm.__file__).resolve().parent


def asset(kind: str, name: str = "") -> Path:
    """Returns the path of an asset, in the wheel or in the checkout of an editable install."""
    for base in (_PACKAGE / "_assets", _PACKAGE.parents[1]):
        path = base / kind / name
        if path.exists():
            return path
    raise MachineError(f"this installation lacks {kind}/{name}", hint="install cloudlstm again")


_FIRST_TIMESTAMP = (1980, 1, 1, 0, 0, 0)
"""Earliest time stamp that a zip archive can hold."""

_MODE = 0o100644 << 16
"""Regular file, readable by all: interpreters on other machines run as other users."""

_UNIX = 3

_ABANDONED_AFTER_S = 86400.0


def write_zip(file: BinaryIO, root: Path, paths: Iterable[Path], *, compress: bool) -> None:
    """Writes files below `root` into an archive, sorted by their paths relative to `root`.

    The bytes do not depend on times, permissions, owners or the order of directory entries.

    Args:
        file: Open for writing.
        root: Names in the archive are relative to this folder.
        paths: The files.
        compress: Whether to deflate; the bytes then depend on the zlib version.
    """
    named = sorted((path.relative_to(root).as_posix(), path) for path in paths)
    write_entries(file, ((name, path.read_bytes()) for name, path in named), compress=compress)


def write_entries(file: BinaryIO, entries: Iterable[tuple[str, bytes]], *, compress: bool = False) -> None:
    """Writes names and contents into an archive, in their order; the bytes depend on nothing else."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in entries:
            entry = zipfile.ZipInfo(name, _FIRST_TIMESTAMP)
            entry.create_system, entry.external_attr = _UNIX, _MODE
            entry.compress_type = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
            archive.writestr(entry, data)


def pack_own(packages: Iterable[str], path: Path) -> Path:
    """Writes the user's packages into an archive for PYTHONPATH at `path`, and returns `path`.

    Args:
        packages: Their folders or files, as of `runs.own_packages.packages_of`.
        path: The archive.

    Raises:
        UserCodeError: one of them is too large.
    """
    entries = [entry for package in packages for entry in files(Path(package))]
    with disk_errors(f"write {path}"), path.open("wb") as file:
        write_entries(file, entries)
    return path


def last_used(folder: Path, name: str) -> list[Path]:
    """Returns the archives of this name in a cache, one in each of its folders, the last used first."""
    return sorted(folder.glob(f"*/{name}"), key=lambda path: path.parent.stat().st_mtime, reverse=True)


def remove_abandoned(folder: Path, prefix: str) -> None:
    """Removes the folders of a cache, by the prefix of their names, that killed processes left a day ago or earlier."""
    for path in folder.glob(f"{prefix}*"):
        with suppress(FileNotFoundError):  # another launcher has finished
            if time.time() - path.lstat().st_mtime > _ABANDONED_AFTER_S:
                shutil.rmtree(path, ignore_errors=True)
