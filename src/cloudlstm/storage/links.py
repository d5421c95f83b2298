"""Removes files without following symbolic links below a folder.

A run folder may be shared, and may contain a link, for example to another disk. The files behind such a link must not
be removed. The folder itself may lie behind links.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from cloudlstm.errors import StorageError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def crosses_link(base: str, folder: str) -> bool:
    """True if `folder`, or a folder between `base` and it, is a symbolic link; both are absolute paths."""
    path = base.rstrip("/")
    for part in _parts(base, folder):
        path = f"{path}/{part}"
        if os.path.islink(path):  # noqa: PTH114 - paths are str in this module
            return True
    return False


def unlink(base: str, path: str) -> None:
    """Removes the file at `path`, unless a symbolic link lies between `base` and it.

    Each folder is opened relative to its parent, so a link that is created meanwhile is not followed.

    Raises:
        StorageError: There is such a link.
        OSError: The file does not exist or cannot be removed.
    """
    *folders, name = _parts(base, path)
    opened = os.open(base, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for folder in folders:
            if stat.S_ISLNK(os.stat(folder, dir_fd=opened, follow_symlinks=False).st_mode):
                raise StorageError(
                    f"cannot delete file://{path}: {folder!r} is a symbolic link, and the files behind it may not be "
                    "of this run",
                    hint="replace the link by a folder",
                )
            inner = os.open(folder, _FOLDER, dir_fd=opened)
            os.close(opened)
            opened = inner
        os.unlink(name, dir_fd=opened)
    finally:
        os.close(opened)


def remove_folders(base: str) -> Iterator[str]:
    """Removes `base` and the folders below it if they are empty.

    Returns:
        The paths of all files and links in the folders that remain.
    """
    for at, folders, files in os.walk(base, topdown=False):
        found = [f"{at}/{name}" for name in files]
        for name in folders:
            if os.path.islink(f"{at}/{name}"):  # noqa: PTH114
                found.append(f"{at}/{name}")
            else:
                _remove_if_empty(f"{at}/{name}")
        yield from sorted(found)
    _remove_if_empty(base)


def _remove_if_empty(folder: str) -> None:
    try:
        os.rmdir(folder)  # noqa: PTH106
    except OSError:
        return  # not empty, a link, or already removed


def _parts(base: str, path: str) -> list[str]:
    """The names of the path from `base` to `path`; StorageError if `path` is not below `base`."""
    start = base.rstrip("/") + "/"
    parts = path.removeprefix(start).split("/") if path != base.rstrip("/") else []
    if parts and (not path.startswith(start) or any(part in ("", ".", "..") for part in parts)):
        raise StorageError(f"{path} is not below {base}")
    return parts
