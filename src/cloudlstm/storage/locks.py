"""Locks among the processes of one machine: each is a file, and is free again once its holder has ended."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path, *, wait: bool = True, create: bool = True) -> Iterator[None]:
    """Holds the lock of the file `path` while the block lasts.

    Others may be able to write in the file's folder: a pipe, a device or a symbolic link in place of the file is never
    opened for long or followed.

    Args:
        path: The file.
        wait: Whether to wait for who has the lock.
        create: Whether to make the file where there is none.

    Raises:
        BlockingIOError: somebody else has the lock, and `wait` is off.
        OSError: `path` is no regular file, or cannot be opened.
    """
    while True:
        opened = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | (os.O_CREAT if create else 0), 0o666)
        try:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise OSError(errno.EINVAL, "is no file that can be locked", str(path))
            fcntl.flock(opened, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if _is_there(opened, path):  # who held it before may have removed it
                yield
                return
        finally:
            os.close(opened)


def _is_there(opened: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(opened), path.lstat())
    except FileNotFoundError:
        return False
