"""The methods of a storage backend as functions; each finds the backend by the scheme of the URI."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError, ObjectTooLargeError, StorageError
from cloudlstm.storage.base import ObjectInfo, Progress
from cloudlstm.storage.registry import storage_for


@contextmanager
def _naming(uri: str) -> Iterator[None]:
    """Adds the URI to a StorageError, so that the caller knows the object."""
    try:
        yield
    except StorageError as error:
        error.uri = error.uri or uri
        raise


def read(uri: str) -> bytes:
    """Returns the content of an object; ObjectNotFoundError if there is none."""
    with _naming(uri):
        return storage_for(uri).read(uri)


def read_range(uri: str, start: int, size_bytes: int) -> bytes:
    """Returns up to `size_bytes` bytes of an object from the byte `start` on; none behind its end."""
    with _naming(uri):
        return storage_for(uri).read_range(uri, start, size_bytes)


def read_small(uri: str, most_bytes: int) -> bytes:
    """Returns the content of an object that should be small.

    Raises:
        ObjectTooLargeError: It has more than `most_bytes`; it is not read.
    """
    size = stat(uri).size_bytes
    if size > most_bytes:
        raise ObjectTooLargeError(
            f"{uri} has {size} bytes, and at most {most_bytes} are read of such a file", hint="name another file"
        )
    return read(uri)


def write(uri: str, data: bytes, *, if_absent: bool = False) -> None:
    """Writes an object atomically; with `if_absent`, ObjectExistsError if it exists."""
    storage_for(uri).write(uri, data, if_absent=if_absent)


def list_objects(prefix: str, *, within: str = "") -> Iterator[ObjectInfo]:
    """Yields all objects whose URI begins with `prefix`, sorted by URI; none behind a link below `within`."""
    return storage_for(prefix).list(prefix, within)


def stat(uri: str) -> ObjectInfo:
    """Returns size, etag and time; ObjectNotFoundError if there is none."""
    return storage_for(uri).stat(uri)


def exists(uri: str) -> bool:
    """True if the object exists."""
    try:
        stat(uri)
    except ObjectNotFoundError:
        return False
    return True


def delete(uri: str, *, within: str = "") -> None:
    """Removes an object if it exists; StorageError if it is behind a link below the folder `within`."""
    storage_for(uri).delete(uri, within)


def sweep(prefix: str) -> None:
    """Removes unfinished writes of killed processes below `prefix`; no other process may write there."""
    storage_for(prefix).sweep(prefix)


def remove_folders(folder: str) -> tuple[str, ...]:
    """Removes `folder` and the folders below it if empty; returns the URIs of files and links that remain."""
    return storage_for(folder).remove_folders(folder)


def upload(path: Path, uri: str, progress: Progress | None = None) -> None:
    """Copies a local file to `uri` atomically."""
    storage_for(uri).upload(path, uri, progress)


def download(uri: str, path: Path, progress: Progress | None = None) -> None:
    """Copies an object to a local file; the file appears only when it is complete."""
    with _naming(uri):
        storage_for(uri).download(uri, path, progress)


def read_json(uri: str) -> Any:
    """Reads a JSON document; CorruptObjectError if the object is not JSON."""
    data = read(uri)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CorruptObjectError(f"{uri} is not a JSON document: {error}", hint="submit again", uri=uri) from None


def write_json(uri: str, document: Any, *, if_absent: bool = False) -> None:
    """Writes a JSON document, indented and with sorted keys."""
    text = json.dumps(document, indent=1, sort_keys=True, default=str) + "\n"
    write(uri, text.encode(), if_absent=if_absent)
