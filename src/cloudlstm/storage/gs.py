"""gs:// — objects in Google Cloud Storage, through google-cloud-storage.

The settings of the SDK apply: application default credentials, and STORAGE_EMULATOR_HOST for an emulator, which needs
no credentials. Every request can be repeated: writing a whole object twice has the same result as writing it once.
"""
# ruff: noqa: TID253 - this module is imported when a gs:// URI is first used

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

import google.auth.exceptions as auth
import requests
import urllib3
from google.api_core import exceptions as api
from google.cloud import storage as sdk
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY

from cloudlstm import errors
from cloudlstm.storage.answers import describe_answer
from cloudlstm.storage.base import ObjectInfo, Progress
from cloudlstm.storage.buckets import (
    CORRUPT_TRIES,
    NO_BUCKET,
    PART_BYTES,
    RETRY_LIMIT_S,
    WRITER,
    Fault,
    PerProcess,
    downloaded,
    fault_of,
    is_folder_marker,
    one_line,
    split,
    split_object,
    translate_errors,
)
from cloudlstm.storage.endpoints import NothingListensError, require_listening
from cloudlstm.storage.local import disk_errors
from cloudlstm.storage.retry import retry

_CREDENTIALS = "run gcloud auth application-default login, or give the machine a service account"
_RIGHTS = "check the rights of the account; roles/storage.objectUser on the bucket is enough"
_SERVICE = "check the network and STORAGE_EMULATOR_HOST, then try again"
_GONE = "start the emulator (make cloud-up), or unset STORAGE_EMULATOR_HOST"

_FAULTS: dict[tuple[type[BaseException], ...], Fault] = {
    (api.NotFound,): (errors.ObjectNotFoundError, ""),
    (api.Forbidden,): (errors.AccessDeniedError, _RIGHTS),
    (api.Unauthorized, auth.DefaultCredentialsError, auth.RefreshError): (errors.AccessDeniedError, _CREDENTIALS),
    (NothingListensError,): (errors.StorageUnavailableError, _GONE),
    (DataCorruption,): (errors.CorruptObjectError, "try again"),
    (
        api.RetryError,  # the SDK has given up its own retries
        api.TooManyRequests,
        api.ServerError,
        auth.TransportError,
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
        requests.exceptions.JSONDecodeError,
        urllib3.exceptions.HTTPError,
        ConnectionError,
    ): (errors.StorageUnavailableError, _SERVICE),
    (api.GoogleAPIError, auth.GoogleAuthError, requests.RequestException, InvalidResponse): (errors.StorageError, ""),
}
"""The first entry that matches counts."""


class GSStorage:
    """Uses one client per process, shared by all threads.

    Args:
        retry_limit_s: Seconds for which the SDK repeats a request with a temporary failure.
    """

    def __init__(self, retry_limit_s: float = RETRY_LIMIT_S) -> None:
        # No project: objects belong to buckets.
        self._client: PerProcess[Any] = PerProcess(_connect)
        # Short pauses: the SDK gives up if the next pause would end after the limit.
        self._retry = DEFAULT_RETRY.with_timeout(retry_limit_s).with_delay(initial=0.5, maximum=8.0, multiplier=2.0)

    def read(self, uri: str) -> bytes:
        return self._read(uri)

    def read_range(self, uri: str, start: int, size_bytes: int) -> bytes:
        if not size_bytes:
            return b""
        try:
            return self._read(uri, start=start, end=start + size_bytes - 1)
        except errors.StorageError as error:
            if isinstance(error.__cause__, api.RequestRangeNotSatisfiable):  # `start` is behind the end
                return b""
            raise

    def _read(self, uri: str, **part: int) -> bytes:
        def get() -> bytes:
            with _sdk_errors(f"read {uri}"):
                # Raw: the stored bytes, also of an object that is marked as gzip.
                return bytes(self._blob(uri).download_as_bytes(raw_download=True, retry=self._retry, **part))

        return retry(get, errors.StorageError, when=_arrived_corrupt, tries=CORRUPT_TRIES)

    def write(self, uri: str, data: bytes, *, if_absent: bool = False) -> None:
        with _sdk_errors(f"write {uri}", only_bucket=True):
            if if_absent:
                self._create(uri, data)
            else:
                self._blob(uri).upload_from_string(data, content_type=_CONTENT_TYPE, retry=self._retry)

    def list(self, prefix: str, within: str = "") -> Iterator[ObjectInfo]:  # noqa: ARG002 - there are no links
        bucket, start = split(prefix)
        with _sdk_errors(f"list {prefix}", only_bucket=True):
            fields = "items(name,size,generation,updated),nextPageToken"
            for blob in self._client().list_blobs(bucket, prefix=start, fields=fields, retry=self._retry):
                if not is_folder_marker(blob.name):
                    yield _info(f"gs://{bucket}/{blob.name}", blob)

    def stat(self, uri: str) -> ObjectInfo:
        with _sdk_errors(f"read {uri}"):
            blob = self._blob(uri)
            blob.reload(retry=self._retry)
        return _info(uri, blob)

    def delete(self, uri: str, within: str = "") -> None:  # noqa: ARG002 - there are no links
        with _sdk_errors(f"delete {uri}"):
            try:
                self._blob(uri).delete(retry=self._retry)
            except api.NotFound as error:
                if _lacks_bucket(error):
                    raise

    def sweep(self, prefix: str) -> None:
        """Does nothing: GCS removes an unfinished upload after a week, free of charge."""

    def remove_folders(self, folder: str) -> tuple[str, ...]:  # noqa: ARG002
        """Does nothing: a bucket has no folders."""
        return ()

    def upload(self, path: Path, uri: str, progress: Progress | None = None) -> None:
        action = f"upload {path} to {uri}"
        with disk_errors(action), path.open("rb") as file, _sdk_errors(action, only_bucket=True):
            size_bytes = path.stat().st_size
            self._blob(uri, chunk_size=_part_bytes(size_bytes)).upload_from_file(
                _ReportingFile(file, progress),
                size=size_bytes,
                content_type=_CONTENT_TYPE,
                retry=self._retry,
            )

    def download(self, uri: str, path: Path, progress: Progress | None = None) -> None:
        with downloaded(uri, path, self.stat(uri).size_bytes) as file, _sdk_errors(f"download {uri}"):
            self._blob(uri).download_to_file(_ReportingFile(file, progress), raw_download=True, retry=self._retry)

    def _create(self, uri: str, data: bytes) -> None:
        blob, writer = self._blob(uri), secrets.token_hex(16)
        blob.metadata = {WRITER: writer}
        try:
            blob.upload_from_string(data, content_type=_CONTENT_TYPE, if_generation_match=0, retry=self._retry)
        except api.PreconditionFailed:
            blob.reload(retry=self._retry)
            if (blob.metadata or {}).get(WRITER) != writer:
                raise errors.ObjectExistsError(f"{uri} is already there") from None

    def _blob(self, uri: str, chunk_size: int | None = None) -> Any:
        bucket, key = split_object(uri)
        return self._client().bucket(bucket).blob(key, chunk_size=chunk_size)


def _part_bytes(size_bytes: int) -> int:
    """Size of an upload's parts for a file of this size: about 16 parts, each a request that waits for the last one."""
    return min(max(size_bytes // 16 & -_PART_UNIT, PART_BYTES), _MOST_PART_BYTES)


def _connect() -> Any:
    if emulator := os.environ.get("STORAGE_EMULATOR_HOST"):
        require_listening(emulator)
    client = sdk.Client(project=None)
    client._http.hooks["response"].append(_require_google_answer)
    return client


def _require_google_answer(response: requests.Response, **_: Any) -> None:
    """Raises ConnectionError, which the SDK retries, for an answer that does not come from Google.

    Errors are not checked, because Google's own errors may be HTML pages too.
    """
    content_type = response.headers.get("Content-Type", "")
    if response.status_code >= 400:
        response.content  # noqa: B018 - read it, because the SDK leaves the connection of a refused download open
        return
    if 300 <= response.status_code < 400:
        valid = response.status_code in (304, 308)  # GCS sends no others; 308: it has received a part of an upload
    elif "alt=media" in (response.request.url or ""):  # the bytes of an object, not read yet
        named = "X-Goog-Hash" in response.headers or "X-Goog-Generation" in response.headers
        valid = named or not _PAGE.search(content_type)
    else:
        valid = "json" in content_type or not (response.request.method == "GET" or response.content.strip())
    if not valid:
        response.close()
        raise requests.ConnectionError(describe_answer(response.status_code, content_type, b""))


_CONTENT_TYPE = "application/octet-stream"
_PART_UNIT = 1 << 20
"""Parts are a multiple of this; GCS asks for a multiple of 256 KiB."""
_MOST_PART_BYTES = 64 << 20
"""A part is kept in memory while it is sent."""
_PAGE = re.compile("text/|html|xml|json")
"""Content types of pages and messages; GCS sends an object of such a type with its own headers."""


class _ReportingFile:
    """A file that reports progress; parts that are read or written again are not counted."""

    def __init__(self, file: BinaryIO, progress: Progress | None) -> None:
        self._file, self._progress = file, progress
        self._furthest = 0

    def read(self, size_bytes: int = -1) -> bytes:
        data = self._file.read(size_bytes)
        self._report()
        return data

    def write(self, data: bytes) -> int:
        size_bytes = self._file.write(data)
        self._report()
        return size_bytes

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def _report(self) -> None:
        at = self._file.tell()
        if self._progress and at > self._furthest:
            self._progress(at - self._furthest)
        self._furthest = max(at, self._furthest)


def _info(uri: str, blob: Any) -> ObjectInfo:
    return ObjectInfo(uri, blob.size, str(blob.generation), blob.updated.timestamp())


def _sdk_errors(action: str, *, only_bucket: bool = False) -> AbstractContextManager[None]:
    """Turns errors of the SDK into StorageErrors; with `only_bucket`, not found means the bucket."""

    def explain(error: BaseException) -> tuple[Fault, str]:
        kind, hint = fault_of(error, _FAULTS)
        if not isinstance(error, api.NotFound):
            return (kind, hint), one_line(getattr(error, "cause", None) or error)
        # The SDK's own message is an encoded URL.
        if only_bucket or _lacks_bucket(error):
            return (kind, NO_BUCKET), "there is no such bucket"
        return (kind, hint), "there is no such object"

    return translate_errors(action, tuple(kind for kinds in _FAULTS for kind in kinds), explain)


def _arrived_corrupt(error: errors.StorageError) -> bool:
    """True if an answer arrived corrupt or incomplete; the SDK retries all other temporary failures."""
    cut = isinstance(error.__cause__, requests.exceptions.ChunkedEncodingError)
    return cut or isinstance(error, errors.CorruptObjectError)


def _lacks_bucket(error: api.NotFound) -> bool:
    return "bucket does not exist" in str(error)
