"""Symbolic links below a folder that must not be followed where files are removed.

A run folder may be shared, and somebody may have put a link into it, for example to move a part of it to another disk.
What removes files of the run must not remove those that such a link leads to. The folder itself may lie behind links.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from cloudlstm.errors import StorageError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def between(base: str, folder: str) -> bool:
    """Whether a symbolic link lies below `base` on the way to `folder`, `folder` included; both are absolute paths."""
    path = base.rstrip("/")
    for part in _parts(base, folder):
        path = f"{path}/{part}"
        if os.path.islink(path):  # noqa: PTH114 - the path is text everywhere here
            return True
    return False


def unlink(base: str, path: str) -> None:
    """Removes the file at `path` unless a symbolic link lies between `base` and it.

    Each folder is opened from the one above it, so no link can be put in place between the look and the removal.

    Raises:
        StorageError: There is such a link.
        OSError: The file cannot be removed, or is not there.
    """
    *folders, name = _parts(base, path)
    opened = os.open(base, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for folder in folders:
            if stat.S_ISLNK(os.stat(folder, dir_fd=opened, follow_symlinks=False).st_mode):
                raise StorageError(
                    f"cannot delete file://{path}: {folder!r} is a symbolic link, and what it leads to may not be ours",
                    hint="put a folder in place of the link",
                )
            inner = os.open(folder, _FOLDER, dir_fd=opened)
            os.close(opened)
            opened = inner
        os.unlink(name, dir_fd=opened)
    finally:
        os.close(opened)


def remove_folders(base: str) -> Iterator[str]:
    """Removes the empty folders at and below `base`.

    Returns:
        The paths of all files and links in the others.
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
        return  # it holds something, is a link, or is gone already


def _parts(base: str, path: str) -> list[str]:
    """The names that lead from `base` to `path`; StorageError if they lead out of it."""
    start = base.rstrip("/") + "/"
    parts = path.removeprefix(start).split("/") if path != base.rstrip("/") else []
    if parts and (not path.startswith(start) or any(part in ("", ".", "..") for part in parts)):
        raise StorageError(f"{path} does not lie in {base}")
    return parts
