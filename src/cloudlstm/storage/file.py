"""file:// — objects are files on a local or mounted disk.

Paths are literal, without percent-encoding: `file:///data/50% off #1.csv` is that file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat as file_modes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from cloudlstm.errors import ObjectExistsError, ObjectNotFoundError, StorageError, UsageError
from cloudlstm.storage import links
from cloudlstm.storage.base import ObjectInfo, Progress, object_uri
from cloudlstm.storage.local import copy, disk_errors, is_abandoned, is_temporary, new_file

_SCHEME = "file://"


class FileStorage:
    """Writes a temporary file in the same folder and then renames it."""

    def read(self, uri: str) -> bytes:
        with _reading(uri, f"read {uri}") as file:
            return file.read()

    def read_range(self, uri: str, start: int, size_bytes: int) -> bytes:
        with _reading(uri, f"read {uri}") as file:
            file.seek(start)
            return file.read(size_bytes)

    def write(self, uri: str, data: bytes, *, if_absent: bool = False) -> None:
        place = partial(_place_if_absent, uri) if if_absent else Path.replace
        with disk_errors(f"write {uri}"), new_file(_path(uri), place) as file:
            file.write(data)

    def list(self, prefix: str, within: str = "") -> Iterator[ObjectInfo]:
        """Does not follow symbolic links to folders below the prefix, or between `within` and the prefix.

        Without `within`, the prefix itself may contain links.
        """
        folder, slash, start = _literal(prefix).rpartition("/")
        with disk_errors(f"list {prefix}"):
            if not (within and links.crosses_link(_literal(within), folder)):
                yield from _walk(folder + slash, start)

    def stat(self, uri: str) -> ObjectInfo:
        path = _path(uri)
        with disk_errors(f"read {uri}"):
            found = path.stat()
        _require_regular(uri, found)
        return _info(uri, found)

    def delete(self, uri: str, within: str = "") -> None:
        with disk_errors(f"delete {uri}"), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if within:
                links.unlink(_literal(within), str(_path(uri)))
            else:
                _path(uri).unlink()

    def sweep(self, prefix: str) -> None:
        """Removes temporary files whose writer has ended or that are an hour old."""
        folder = Path(_literal(prefix).rpartition("/")[0] or "/")
        with disk_errors(f"sweep {prefix}"):
            for path in folder.rglob(".cloudlstm-*.tmp"):
                with contextlib.suppress(FileNotFoundError):
                    if is_abandoned(path):
                        path.unlink()

    def remove_folders(self, folder: str) -> tuple[str, ...]:
        with disk_errors(f"remove the empty folders in {folder}"):
            return tuple(_SCHEME + path for path in links.remove_folders(_literal(folder).rstrip("/")))

    def upload(self, path: Path, uri: str, progress: Progress | None = None) -> None:
        with disk_errors(f"upload {path} to {uri}"), path.open("rb") as source, new_file(_path(uri)) as target:
            copy(source, target, progress)

    def download(self, uri: str, path: Path, progress: Progress | None = None) -> None:
        with _reading(uri, f"download {uri} to {path}") as source, new_file(path) as target:
            copy(source, target, progress)


def _literal(uri: str) -> str:
    path = uri.removeprefix(_SCHEME)
    if not path.startswith("/") or "\0" in path:
        raise UsageError(f"{uri!r} is not the URI of a local file", hint="write file:// and an absolute path")
    return path


def _path(uri: str) -> Path:
    path = Path(_literal(uri))
    object_uri(uri)
    return path


@contextmanager
def _reading(uri: str, action: str) -> Iterator[BinaryIO]:
    with disk_errors(action):
        # Without O_NONBLOCK, opening a pipe without a writer would wait for ever.
        opened = os.open(_path(uri), os.O_RDONLY | os.O_NONBLOCK)
        try:
            _require_regular(uri, os.fstat(opened))
        except BaseException:
            os.close(opened)
            raise
        with os.fdopen(opened, "rb") as file:
            yield file


def _require_regular(uri: str, found: os.stat_result) -> None:
    """Raises ObjectNotFoundError for a folder, as in a bucket, and for a pipe or a device, which has no end."""
    if file_modes.S_ISDIR(found.st_mode):
        raise ObjectNotFoundError(f"{uri} is a folder, not an object", hint="name an object in the folder")
    if not file_modes.S_ISREG(found.st_mode):
        raise ObjectNotFoundError(f"{uri} is a pipe or a device, not a file", hint="store it as a file first")


def _place_if_absent(uri: str, temporary: Path, path: Path) -> None:
    # A hard link is the only POSIX call that gives a finished file a name only if the name is free.
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise ObjectExistsError(f"{uri} is already there") from None
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        raise StorageError(
            f"cannot create {uri}: its file system has no hard links",
            hint="choose a root on another disk, or in a bucket",
        ) from error


def _walk(folder: str, start: str = "") -> Iterator[ObjectInfo]:
    """Yields the objects in `folder` (ends with a slash) whose path in it begins with `start`, sorted by URI."""
    try:
        with os.scandir(folder) as entries:
            found = [
                entry.name + ("/" if entry.is_dir(follow_symlinks=False) else "")
                for entry in entries
                if entry.name.startswith(start) and not is_temporary(entry.name)
            ]
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in sorted(found):  # a folder sorts with its slash, as in a URI
        path = folder + name
        if name.endswith("/"):
            yield from _walk(path)
            continue
        try:
            info = Path(path).stat()
        except FileNotFoundError:
            continue  # deleted meanwhile, or a broken link
        if file_modes.S_ISREG(info.st_mode):
            yield _info(_SCHEME + path, info)


def _info(uri: str, found: os.stat_result) -> ObjectInfo:
    etag = f"{found.st_mtime_ns:x}-{found.st_size:x}-{found.st_ino:x}"
    return ObjectInfo(uri, found.st_size, etag, found.st_mtime)
