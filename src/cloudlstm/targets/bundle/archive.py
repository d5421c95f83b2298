"""Files that travel with the package (job scripts, examples, requirements), and zip archives with fixed bytes."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import cloudlstm
from cloudlstm.errors import MachineError

_PACKAGE = Path(cloudlstm.__file__).resolve().parent


def asset(kind: str, name: str = "") -> Path:
    """The path of an asset: from the wheel, or from the checkout that an editable install points to."""
    for base in (_PACKAGE / "_assets", _PACKAGE.parents[1]):
        path = base / kind / name
        if path.exists():
            return path
    raise MachineError(f"this installation lacks {kind}/{name}", hint="install cloudlstm again")


_FIRST_TIMESTAMP = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip archive can tell."""

_MODE = 0o100644 << 16
"""An ordinary file, which all may read: interpreters on other machines belong to other users."""

_UNIX = 3


def write_zip(file: BinaryIO, root: Path, paths: Iterable[Path], *, compress: bool) -> None:
    """Writes files below `root` into an archive, under their paths from there, in the order of these.

    Times, rights, owners and the order of a folder's entries leave no trace.

    Args:
        file: Open for writing.
        root: What the names in the archive begin after.
        paths: The files.
        compress: Whether to deflate them; archives of different zlib versions are then alike in content only.
    """
    named = sorted((path.relative_to(root).as_posix(), path) for path in paths)
    with zipfile.ZipFile(file, "w") as archive:
        for name, path in named:
            entry = zipfile.ZipInfo(name, _FIRST_TIMESTAMP)
            entry.create_system, entry.external_attr = _UNIX, _MODE
            entry.compress_type = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
            archive.writestr(entry, path.read_bytes())
