"""The storage verbs as plain functions: each finds the backend by the URI's scheme."""

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
    """Puts the URI into a StorageError, so that the object can be looked at again."""
    try:
        yield
    except StorageError as error:
        error.uri = error.uri or uri
        raise


def read(uri: str) -> bytes:
    """The whole object; ObjectNotFoundError if there is none."""
    with _naming(uri):
        return storage_for(uri).read(uri)


def read_small(uri: str, most_bytes: int) -> bytes:
    """The whole object, which by its kind is small.

    Raises:
        ObjectTooLargeError: it has more than `most_bytes`; nothing of it is read.
    """
    size = stat(uri).size_bytes
    if size > most_bytes:
        raise ObjectTooLargeError(
            f"{uri} has {size} bytes, and at most {most_bytes} are read of such a file", hint="name another file"
        )
    return read(uri)


def write(uri: str, data: bytes, *, if_absent: bool = False) -> None:
    """Writes the whole object; with `if_absent`, ObjectExistsError if there is one already."""
    storage_for(uri).write(uri, data, if_absent=if_absent)


def list_objects(prefix: str, *, within: str = "") -> Iterator[ObjectInfo]:
    """Every object whose URI begins with `prefix`, in order of URI; none behind a link below the folder `within`."""
    return storage_for(prefix).list(prefix, within)


def stat(uri: str) -> ObjectInfo:
    """Size and etag; ObjectNotFoundError if there is none."""
    return storage_for(uri).stat(uri)


def exists(uri: str) -> bool:
    """Whether there is an object of this URI."""
    try:
        stat(uri)
    except ObjectNotFoundError:
        return False
    return True


def delete(uri: str, *, within: str = "") -> None:
    """Removes the object, if there is one; StorageError if it is behind a link below the folder `within`."""
    storage_for(uri).delete(uri, within)


def sweep(prefix: str) -> None:
    """Removes what killed writers have left half done below `prefix`, where nobody else is writing."""
    storage_for(prefix).sweep(prefix)


def remove_folders(folder: str) -> tuple[str, ...]:
    """Removes the folders at and below `folder` that hold nothing; the URIs of what keeps the others."""
    return storage_for(folder).remove_folders(folder)


def upload(path: Path, uri: str, progress: Progress | None = None) -> None:
    """Copies a local file to `uri`, all or nothing."""
    storage_for(uri).upload(path, uri, progress)


def download(uri: str, path: Path, progress: Progress | None = None) -> None:
    """Copies an object to a local file, all or nothing."""
    with _naming(uri):
        storage_for(uri).download(uri, path, progress)


def read_json(uri: str) -> Any:
    """The object as a JSON document; CorruptObjectError if it is none."""
    data = read(uri)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CorruptObjectError(f"{uri} is no JSON document: {error}", hint="submit again", uri=uri) from None


def write_json(uri: str, document: Any, *, if_absent: bool = False) -> None:
    """Writes a JSON document, readable and with sorted keys."""
    text = json.dumps(document, indent=1, sort_keys=True, default=str) + "\n"
    write(uri, text.encode(), if_absent=if_absent)
