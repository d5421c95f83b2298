"""What S3 and GCS have in common: how a URI reads, clients that survive a fork, and small helpers."""

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
"""Files of more than this go up in parts of this size."""

WRITER = "cloudlstm-writer"
"""Metadata of an object made by a create-only write: a random mark of the write that made it.

An SDK repeats a request whose answer was lost. If the first one did arrive, the second one is refused because the
object exists, and only this mark tells the writer that it has won.
"""

NO_BUCKET = "create the bucket, or correct its name"

PATIENCE_S = 60.0
"""How long a request is repeated that fails for a reason that may pass."""

SPOILT_TRIES = 4
"""How often an object is asked for that arrives spoilt."""

_URI = re.compile(r"[a-z0-9]+://(?P<bucket>[A-Za-z0-9](?:[\w.:-]*[A-Za-z0-9])?)(?:/(?P<key>.*))?", re.DOTALL)


def split(uri: str) -> tuple[str, str]:
    """Bucket and key of a URI; the key may be empty."""
    found = _URI.fullmatch(uri)
    if not found:
        raise UsageError(f"{uri!r} names no bucket", hint="write it as in s3://bucket/folder/name")
    return found["bucket"], found["key"] or ""


def split_object(uri: str) -> tuple[str, str]:
    """Bucket and key of an object's URI."""
    bucket_and_key = split(uri)
    object_uri(uri)
    return bucket_and_key


def is_folder_marker(key: str) -> bool:
    """Whether this is one of the empty objects that consoles put where they show a folder."""
    return key.endswith("/")


class PerProcess(Generic[Client]):
    """A client made when first asked for, once in each process.

    A client's connections must not be shared with a forked child, such as a PySpark worker. There is no lock, which
    a fork could leave closed for ever: threads that race make one client too many, and all but one are dropped.
    """

    def __init__(self, make: Callable[[], Client]) -> None:
        self._make = make
        self._made: dict[int, Client] = {}

    def __call__(self) -> Client:
        process = os.getpid()
        return self._made.get(process) or self._made.setdefault(process, self._make())


def patiently(work: Callable[[], Result], patience_s: float) -> Result:
    """The result of `work`, repeated while its errors are such as pass.

    A service that does not answer is asked again until `patience_s` seconds are over; an object that arrives spoilt is
    asked for a few times more, as it may be spoilt where it lies.
    """
    return retry(
        lambda: retry(work, CorruptObjectError, tries=SPOILT_TRIES), StorageUnavailableError, limit_s=patience_s
    )


def one_at_a_time(progress: Progress | None) -> Progress | None:
    """`progress` for callers in several threads."""
    if progress is None:
        return None
    guard = threading.Lock()

    def told(size_bytes: int) -> None:
        with guard:
            progress(size_bytes)

    return told


@contextmanager
def downloaded(uri: str, path: Path, size_bytes: int) -> Iterator[BinaryIO]:
    """An open file that becomes `path` when the block has written the object of `size_bytes` to it.

    Raises:
        CorruptObjectError: less or more was written.
    """
    with disk_errors(f"download {uri} to {path}"), new_file(path) as file:
        yield file
        file.seek(0, os.SEEK_END)
        if file.tell() != size_bytes:
            raise CorruptObjectError(
                f"{uri} has {size_bytes} bytes, but {file.tell()} arrived",
                hint="try again, and look who else writes it",
            )


Fault = tuple[type[StorageError], str]
"""What an SDK's error is with us, and the hint."""


def fault_of(error: BaseException, table: Mapping[tuple[type[BaseException], ...], Fault]) -> Fault:
    """The first entry of `table` that fits the error; a plain StorageError where none does."""
    return next((fault for kinds, fault in table.items() if isinstance(error, kinds)), (StorageError, ""))


@contextmanager
def told_as_ours(
    doing: str, kinds: tuple[type[BaseException], ...], explained: Callable[[BaseException], tuple[Fault, str]]
) -> Iterator[None]:
    """Turns an SDK's errors into StorageErrors that say what was being done, as in "read s3://a/b", and the reason."""
    try:
        yield
    except StorageError:
        raise
    except kinds as error:
        (kind, hint), reason = explained(error)
        raise kind(f"cannot {doing}: {reason}", hint=hint) from error


def one_line(error: BaseException) -> str:
    """An SDK's message without its line breaks."""
    return " ".join(str(error).split()) or type(error).__name__
