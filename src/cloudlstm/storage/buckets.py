"""Shared code of S3 and GCS: parts of a URI, clients that survive a fork, retries and error translation."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

from cloudlstm.errors import CorruptObjectError, StorageError, StorageUnavailableError, UsageError
from cloudlstm.storage.base import Progress, object_uri
from cloudlstm.storage.local import disk_errors, new_file
from cloudlstm.storage.retry import retry

Client = TypeVar("Client")
Result = TypeVar("Result")

PART_BYTES = 8 << 20
"""Larger files are uploaded in parts of this size."""

WRITER = "cloudlstm-writer"
"""Metadata key of a create-only write: its value is a random id of the writer.

An SDK repeats a request whose answer was lost. If the first request did arrive, the second fails because the object
exists. The id then shows that this writer created the object.
"""

NO_BUCKET = "create the bucket, or correct its name"

RETRY_LIMIT_S = 60.0
"""A request with a temporary failure is repeated for this many seconds."""

CORRUPT_TRIES = 4
"""An object that arrives corrupt is requested this many times."""

_URI = re.compile(r"[a-z0-9]+://(?P<bucket>[A-Za-z0-9](?:[\w.:-]*[A-Za-z0-9])?)(?:/(?P<key>.*))?", re.DOTALL)


def split(uri: str) -> tuple[str, str]:
    """Bucket and key of a URI; the key may be empty."""
    found = _URI.fullmatch(uri)
    if not found:
        raise UsageError(f"{uri!r} has no bucket", hint="write it as s3://bucket/folder/name")
    return found["bucket"], found["key"] or ""


def split_object(uri: str) -> tuple[str, str]:
    """Bucket and key of an object's URI."""
    bucket_and_key = split(uri)
    object_uri(uri)
    return bucket_and_key


def is_folder_marker(key: str) -> bool:
    """True for the empty objects by which web consoles show a folder."""
    return key.endswith("/")


class PerProcess(Generic[Client]):
    """Creates a client on first use, once in each process.

    The connections of a client must not be shared with a forked child, such as a PySpark worker. There is no lock,
    because a fork could leave it locked for ever. Threads that race create one client too many, and drop it.
    """

    def __init__(self, make: Callable[[], Client]) -> None:
        self._make = make
        self._made: dict[int, Client] = {}

    def __call__(self) -> Client:
        process = os.getpid()
        return self._made.get(process) or self._made.setdefault(process, self._make())


def retry_request(work: Callable[[], Result], limit_s: float) -> Result:
    """Calls `work` again after temporary failures; returns its result.

    A service that does not answer is asked again for `limit_s` seconds. An object that arrives corrupt is requested
    only a few times, because it may be stored corrupt.
    """
    return retry(lambda: retry(work, CorruptObjectError, tries=CORRUPT_TRIES), StorageUnavailableError, limit_s=limit_s)


def thread_safe(progress: Progress | None) -> Progress | None:
    """Returns `progress` guarded by a lock, for callers in several threads."""
    if progress is None:
        return None
    guard = threading.Lock()

    def guarded(size_bytes: int) -> None:
        with guard:
            progress(size_bytes)

    return guarded


@contextmanager
def downloaded(uri: str, path: Path, size_bytes: int) -> Iterator[BinaryIO]:
    """Opens a file for the content of an object; it becomes `path` when the block ends.

    Raises:
        CorruptObjectError: The block has not written exactly `size_bytes`.
    """
    with disk_errors(f"download {uri} to {path}"), new_file(path) as file:
        yield file
        file.seek(0, os.SEEK_END)
        if file.tell() != size_bytes:
            raise CorruptObjectError(
                f"{uri} has {size_bytes} bytes, but {file.tell()} arrived",
                hint="try again, and check whether another process writes it",
            )


Fault = tuple[type[StorageError], str]
"""The StorageError of an SDK's error, and its hint."""


def fault_of(error: BaseException, table: Mapping[tuple[type[BaseException], ...], Fault]) -> Fault:
    """The first entry of `table` that matches the error; a plain StorageError if none does."""
    return next((fault for kinds, fault in table.items() if isinstance(error, kinds)), (StorageError, ""))


@contextmanager
def translate_errors(
    action: str, kinds: tuple[type[BaseException], ...], explain: Callable[[BaseException], tuple[Fault, str]]
) -> Iterator[None]:
    """Turns an SDK's errors into StorageErrors.

    Args:
        action: What the block does, such as "read s3://a/b"; part of the message.
        kinds: The SDK's errors.
        explain: Returns the StorageError, the hint and the reason for an error of the SDK.
    """
    try:
        yield
    except StorageError:
        raise
    except kinds as error:
        (kind, hint), reason = explain(error)
        raise kind(f"cannot {action}: {reason}", hint=hint) from error


def one_line(error: BaseException) -> str:
    """The message of an error without line breaks."""
    return " ".join(str(error).split()) or type(error).__name__
