"""Writes files on a local disk atomically, and turns disk errors into StorageErrors."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cloudlstm.errors import AccessDeniedError, ObjectNotFoundError, StorageError, StorageFullError
from cloudlstm.storage.base import Progress

_RIGHTS = "check who may read and write there"
_SPACE = "free some space there, or choose another place"

_FAULTS: dict[int, tuple[type[StorageError], str]] = {
    errno.ENOENT: (ObjectNotFoundError, ""),
    errno.ENOTDIR: (ObjectNotFoundError, ""),
    errno.EISDIR: (StorageError, "name an object, not a folder"),
    errno.EEXIST: (StorageError, "choose a name that is not below a file"),
    errno.ENAMETOOLONG: (StorageError, "use a shorter name"),
    errno.EACCES: (AccessDeniedError, _RIGHTS),
    errno.EPERM: (AccessDeniedError, _RIGHTS),
    errno.EROFS: (AccessDeniedError, "choose a place that is not mounted read-only"),
    errno.ENOSPC: (StorageFullError, _SPACE),
    errno.EDQUOT: (StorageFullError, _SPACE),
    errno.EFBIG: (StorageFullError, "raise the limit on file sizes, or choose another place"),
}

_TEMPORARY = re.compile(r"\.cloudlstm-(?P<pid>\d+)-[0-9a-f]{16}\.tmp")
_ABANDONED_AFTER_S = 3600.0
_CHUNK_BYTES = 1 << 20


def user_cache(*names: str) -> Path:
    """A folder of cloudlstm in the user's cache; it may not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().joinpath("cloudlstm", *names)


@contextmanager
def disk_errors(action: str) -> Iterator[None]:
    """Turns an OSError into a StorageError; `action` says what the block does, such as "read file:///a/b"."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        kind, hint = _FAULTS.get(error.errno or 0, (StorageError, ""))
        raise kind(f"cannot {action}: {error.strerror or error}", hint=hint) from error


@contextmanager
def new_file(path: Path, place: Callable[[Path, Path], object] = Path.replace) -> Iterator[BinaryIO]:
    """Opens a temporary file that becomes `path` when the block ends, and is removed when the block fails.

    Creates folders as needed. The content is on the disk before the name, so a power cut never leaves a partial file.
    `place` is called with the temporary and the final path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".cloudlstm-{os.getpid()}-{secrets.token_hex(8)}.tmp"
    try:
        with temporary.open("x+b") as file:  # not mkstemp: its mode 0600 excludes other users of the folder
            yield file
            file.flush()
            os.fsync(file.fileno())
        place(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def is_temporary(name: str) -> bool:
    """True if the name is that of a temporary file of `new_file`."""
    return _TEMPORARY.fullmatch(name) is not None


def is_abandoned(path: Path) -> bool:
    """True for a temporary file whose writer has ended: its process does not exist here, or the file is an hour old."""
    found = _TEMPORARY.fullmatch(path.name)
    if not found:
        return False
    if time.time() - path.stat().st_mtime > _ABANDONED_AFTER_S:
        return True
    try:
        os.kill(int(found["pid"]), 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return False


def copy(source: BinaryIO, target: BinaryIO, progress: Progress | None) -> None:
    """Copies the rest of `source` to `target`, and reports each chunk to `progress`."""
    while chunk := source.read(_CHUNK_BYTES):
        target.write(chunk)
        if progress:
            progress(len(chunk))
