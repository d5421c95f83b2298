"""The protocol that every storage backend keeps. One test suite holds them all to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cloudlstm.errors import StorageError

Progress = Callable[[int], None]
"""Called with the number of bytes moved since the last call."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a listing says of one object.

    Attributes:
        uri: The object's full URI.
        size_bytes: Its length.
        etag: Changes whenever the content does; comparable only with etags of the same backend.
        modified: When it was last written, by the clock of the store, in seconds since the epoch. Compare it only with
            the same of other objects in the same store.
    """

    uri: str
    size_bytes: int
    etag: str
    modified: float = 0.0


def object_uri(uri: str) -> str:
    """The same URI; StorageError if it is that of a folder, which ends with a slash."""
    if uri.endswith("/"):
        raise StorageError(f"{uri} is the URI of a folder, not of an object", hint="name an object in it")
    return uri


class Storage(Protocol):
    """Objects by URI.

    URIs are absolute, and that of an object does not end with a slash. Errors are StorageErrors that name the URI.
    """

    def read(self, uri: str) -> bytes:
        """The whole object; ObjectNotFoundError if there is none."""
        ...

    def write(self, uri: str, data: bytes, *, if_absent: bool = False) -> None:
        """Writes the whole object, all or nothing.

        With `if_absent` an object that is already there stays as it is and ObjectExistsError is raised; of several
        concurrent writers exactly one succeeds.
        """
        ...

    def list(self, prefix: str, within: str = "") -> Iterator[ObjectInfo]:
        """Every object whose URI begins with `prefix`, at any depth, in order of URI.

        With `within`, the URI of a folder above them, objects behind a symbolic link below that folder are left out.
        """
        ...

    def stat(self, uri: str) -> ObjectInfo:
        """Size and etag; ObjectNotFoundError if there is none."""
        ...

    def delete(self, uri: str, within: str = "") -> None:
        """Removes the object; nothing happens if there is none.

        With `within`, the URI of a folder above it, an object behind a symbolic link below that folder is not removed:
        a StorageError says so. The folder itself may lie behind a link.
        """
        ...

    def sweep(self, prefix: str) -> None:
        """Removes what writers below `prefix` have left half done when they were killed.

        No reader ever saw it. For somebody who knows that nobody else is writing there.
        """
        ...

    def remove_folders(self, folder: str) -> tuple[str, ...]:
        """Removes the folders at and below `folder` that hold nothing, where folders are more than parts of names.

        Returns:
            The URIs of what keeps the others: files, and links, which are not followed.
        """
        ...

    def upload(self, path: Path, uri: str, progress: Progress | None = None) -> None:
        """Copies a local file to `uri`, all or nothing, in parts where the service has them."""
        ...

    def download(self, uri: str, path: Path, progress: Progress | None = None) -> None:
        """Copies the object to a local file, all or nothing: `path` appears only when it is complete."""
        ...
