"""File locks between the processes of one machine; the kernel frees a lock when its holder ends."""

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
    """Holds the lock of the file `path` during the block.

    Other users may write in the folder, so a pipe, a device or a symbolic link in place of the file raises OSError.

    Args:
        path: The lock file.
        wait: Whether to wait while another process holds the lock.
        create: Whether to create the file if it does not exist.

    Raises:
        BlockingIOError: Another process holds the lock, and `wait` is false.
        OSError: `path` is not a regular file, or cannot be opened.
    """
    while True:
        opened = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | (os.O_CREAT if create else 0), 0o666)
        try:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise OSError(errno.EINVAL, "is not a regular file", str(path))
            fcntl.flock(opened, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if _is_there(opened, path):  # the previous holder may have removed it
                yield
                return
        finally:
            os.close(opened)


def _is_there(opened: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(opened), path.lstat())
    except FileNotFoundError:
        return False
