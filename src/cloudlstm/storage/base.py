"""The protocol of a storage backend. One test suite runs on all backends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cloudlstm.errors import StorageError

Progress = Callable[[int], None]
"""Called with the number of bytes copied since the last call."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """Facts about one object.

    Attributes:
        uri: The object's full URI.
        size_bytes: Its size.
        etag: Changes whenever the content changes. Compare it only with etags of the same backend.
        modified: When it was last written, in seconds since the epoch by the clock of the store. Compare it only with
            times of the same store.
    """

    uri: str
    size_bytes: int
    etag: str
    modified: float = 0.0


def object_uri(uri: str) -> str:
    """Returns the URI; raises StorageError if it ends with a slash and so names a folder."""
    if uri.endswith("/"):
        raise StorageError(f"{uri} is the URI of a folder, not of an object", hint="name an object in the folder")
    return uri


class Storage(Protocol):
    """Reads and writes objects by URI.

    URIs are absolute. The URI of an object does not end with a slash. Errors are StorageErrors that name the URI.
    """

    def read(self, uri: str) -> bytes:
        """Returns the content of an object; ObjectNotFoundError if there is none."""
        ...

    def read_range(self, uri: str, start: int, size_bytes: int) -> bytes:
        """Returns up to `size_bytes` bytes from the byte `start` on; fewer at the end of the object, maybe none."""
        ...

    def write(self, uri: str, data: bytes, *, if_absent: bool = False) -> None:
        """Writes an object atomically.

        With `if_absent`, raises ObjectExistsError if the object exists and does not change it. Of several concurrent
        writers exactly one succeeds.
        """
        ...

    def list(self, prefix: str, within: str = "") -> Iterator[ObjectInfo]:
        """Yields all objects whose URI begins with `prefix`, at any depth, sorted by URI.

        With `within`, the URI of a parent folder, objects behind a symbolic link below that folder are left out.
        """
        ...

    def stat(self, uri: str) -> ObjectInfo:
        """Returns size, etag and time; ObjectNotFoundError if there is none."""
        ...

    def delete(self, uri: str, within: str = "") -> None:
        """Removes an object; does nothing if there is none.

        With `within`, the URI of a parent folder, raises StorageError for an object behind a symbolic link below that
        folder. The folder itself may lie behind a link.
        """
        ...

    def sweep(self, prefix: str) -> None:
        """Removes unfinished writes of killed processes below `prefix`.

        Readers never see them. The caller must know that no other process writes there.
        """
        ...

    def remove_folders(self, folder: str) -> tuple[str, ...]:
        """Removes `folder` and the folders below it if they are empty; does nothing in a bucket, which has no folders.

        Returns:
            The URIs of the files and links in the folders that are not empty. Links are not followed.
        """
        ...

    def upload(self, path: Path, uri: str, progress: Progress | None = None) -> None:
        """Copies a local file to `uri` atomically, in parts if it is large."""
        ...

    def download(self, uri: str, path: Path, progress: Progress | None = None) -> None:
        """Copies an object to a local file; `path` appears only when it is complete."""
        ...
