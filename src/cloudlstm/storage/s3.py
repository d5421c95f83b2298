"""s3:// — objects in Amazon S3 or a compatible service, through boto3.

The settings of the SDK apply: credentials, region, endpoint (AWS_ENDPOINT_URL) and retries (AWS_RETRY_MODE,
AWS_MAX_ATTEMPTS), from the environment or the AWS configuration files. Without AWS_MAX_ATTEMPTS a request is repeated
for a minute, because the SDK's own retries take only one or two seconds.
"""
# ruff: noqa: TID253 - this module is imported when an s3:// URI is first used

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import boto3
import botocore.exceptions as sdk
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.parsers import ResponseParserError
from s3transfer.exceptions import RetriesExceededError

from cloudlstm import errors
from cloudlstm.storage.answers import ForeignAnswerError, watch_aws
from cloudlstm.storage.base import ObjectInfo, Progress
from cloudlstm.storage.buckets import (
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
    retry_request,
    split,
    split_object,
    thread_safe,
    translate_errors,
)
from cloudlstm.storage.endpoints import NothingListensError, require_listening
from cloudlstm.storage.local import disk_errors
from cloudlstm.storage.retry import retry

_CREDENTIALS = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"
_RIGHTS = "check the credentials, and that they allow it; without s3:ListBucket S3 also says this of a missing object"
_REGION = "set AWS_REGION to the bucket's region"
_SERVICE = "check the network and AWS_ENDPOINT_URL, then try again"
_GONE = "start the emulator (make cloud-up), or unset AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_S3"

Result = TypeVar("Result")

_BY_CODE: dict[str, Fault] = {
    "NoSuchBucket": (errors.ObjectNotFoundError, NO_BUCKET),
    "ExpiredToken": (errors.AccessDeniedError, "renew the credentials"),
    "InvalidToken": (errors.AccessDeniedError, "renew the credentials"),
    "RequestTimeTooSkewed": (errors.AccessDeniedError, "set this machine's clock"),
    "RequestTimeout": (errors.StorageUnavailableError, _SERVICE),
    "PermanentRedirect": (errors.StorageError, _REGION),
    "AuthorizationHeaderMalformed": (errors.StorageError, _REGION),
}
"""By error code of the service; checked before the HTTP status."""

_BY_STATUS: dict[int, Fault] = {
    401: (errors.AccessDeniedError, _CREDENTIALS),
    403: (errors.AccessDeniedError, _RIGHTS),
    404: (errors.ObjectNotFoundError, ""),
    429: (errors.StorageUnavailableError, _SERVICE),
    507: (errors.StorageFullError, "free some space in the service"),
}

_BY_KIND: dict[tuple[type[BaseException], ...], Fault] = {
    (
        sdk.NoCredentialsError,
        sdk.PartialCredentialsError,
        sdk.CredentialRetrievalError,
        sdk.TokenRetrievalError,
        sdk.SSOError,
        sdk.ProfileNotFound,
    ): (errors.AccessDeniedError, _CREDENTIALS),
    (sdk.SSLError, sdk.InvalidProxiesConfigError): (
        errors.StorageError,
        "check AWS_ENDPOINT_URL, AWS_CA_BUNDLE and the proxy",
    ),
    (NothingListensError,): (errors.StorageUnavailableError, _GONE),
    (sdk.FlexibleChecksumError,): (errors.CorruptObjectError, "try again, and check whether another process writes it"),
    (
        sdk.ConnectionError,
        sdk.HTTPClientError,
        sdk.IncompleteReadError,
        sdk.ResponseStreamingError,
        ForeignAnswerError,
        ResponseParserError,
    ): (errors.StorageUnavailableError, _SERVICE),
}
"""By error of the SDK without an answer."""

_LOST_BODY = (sdk.IncompleteReadError, sdk.ResponseStreamingError, sdk.ReadTimeoutError)
_RANGE_BEHIND_THE_END = 416
"""HTTP status of a request for bytes behind the end of an object."""
_READS = 3
_CREATES = 6

_TRANSFER = TransferConfig(
    multipart_threshold=PART_BYTES,
    multipart_chunksize=PART_BYTES,
    preferred_transfer_client="classic",  # the CRT client's threads do not survive a fork
)


class _Connection(NamedTuple):
    client: Any
    retry_limit_s: float


class S3Storage:
    """Uses one boto3 client per process, shared by all threads.

    Args:
        retry_limit_s: Seconds for which a request is repeated, unless the user has set the number of attempts.
    """

    def __init__(self, retry_limit_s: float = RETRY_LIMIT_S) -> None:
        self._connection = PerProcess(lambda: _connect(retry_limit_s))

    def _client(self) -> Any:
        return self._connection().client

    def _do(self, action: str, work: Callable[[], Result]) -> Result:
        """Calls `work` again while the service fails; `action` is part of the error message."""

        def once() -> Result:
            with _sdk_errors(action):
                return work()

        with _sdk_errors(action):
            retry_limit_s = self._connection().retry_limit_s
        return retry_request(once, retry_limit_s)

    def read(self, uri: str) -> bytes:
        return self._read(uri)

    def read_range(self, uri: str, start: int, size_bytes: int) -> bytes:
        if not size_bytes:
            return b""
        try:
            return self._read(uri, Range=f"bytes={start}-{start + size_bytes - 1}")
        except errors.StorageError as error:
            if isinstance(error.__cause__, sdk.ClientError) and _status(error.__cause__) == _RANGE_BEHIND_THE_END:
                return b""
            raise

    def _read(self, uri: str, **arguments: str) -> bytes:
        bucket, key = split_object(uri)

        def get() -> bytes:
            return bytes(self._client().get_object(Bucket=bucket, Key=key, **arguments)["Body"].read())

        # The SDK repeats a request, but not the reading of the answer's body.
        return self._do(f"read {uri}", lambda: retry(get, _LOST_BODY, tries=_READS, first_pause_s=0.0))

    def write(self, uri: str, data: bytes, *, if_absent: bool = False) -> None:
        bucket, key = split_object(uri)
        writer = secrets.token_hex(16)

        def put() -> None:
            if if_absent:
                self._create(uri, data, writer)
            else:
                self._client().put_object(Bucket=bucket, Key=key, Body=data)

        self._do(f"write {uri}", put)

    def list(self, prefix: str, within: str = "") -> Iterator[ObjectInfo]:  # noqa: ARG002 - there are no links
        bucket, start = split(prefix)

        def pages() -> list[Any]:
            found = self._client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=start)
            return [item for page in found for item in page.get("Contents", ())]

        # S3 lists in sorted order; SeaweedFS and directory buckets of S3 do not.
        for item in sorted(self._do(f"list {prefix}", pages), key=lambda item: str(item["Key"])):
            if not is_folder_marker(item["Key"]):
                yield _info(f"s3://{bucket}/{item['Key']}", item["Size"], item)

    def stat(self, uri: str) -> ObjectInfo:
        bucket, key = split_object(uri)
        head = self._do(f"read {uri}", lambda: self._client().head_object(Bucket=bucket, Key=key))
        return _info(uri, head["ContentLength"], head)

    def delete(self, uri: str, within: str = "") -> None:  # noqa: ARG002 - there are no links
        bucket, key = split_object(uri)
        self._do(f"delete {uri}", lambda: self._client().delete_object(Bucket=bucket, Key=key))

    def sweep(self, prefix: str) -> None:
        """Aborts unfinished multipart uploads; S3 would keep their parts, and bill them, for ever."""
        bucket, start = split(prefix)

        def abort() -> None:
            client = self._client()
            for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=start):
                for upload in page.get("Uploads", ()):
                    client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])

        self._do(f"sweep {prefix}", abort)

    def remove_folders(self, folder: str) -> tuple[str, ...]:  # noqa: ARG002
        """Does nothing: a bucket has no folders."""
        return ()

    def upload(self, path: Path, uri: str, progress: Progress | None = None) -> None:
        """Uploads a file; if a multipart upload fails, the SDK aborts it and no parts remain."""
        bucket, key = split_object(uri)
        action = f"upload {path} to {uri}"
        # Opened here, because the SDK's upload_file leaves the file open when it fails.
        with disk_errors(action), path.open("rb") as file, _sdk_errors(action):
            self._client().upload_fileobj(file, bucket, key, Callback=thread_safe(progress), Config=_TRANSFER)

    def download(self, uri: str, path: Path, progress: Progress | None = None) -> None:
        bucket, key = split_object(uri)
        with downloaded(uri, path, self.stat(uri).size_bytes) as file, _sdk_errors(f"download {uri}"):
            self._client().download_fileobj(bucket, key, file, Callback=thread_safe(progress), Config=_TRANSFER)

    def _create(self, uri: str, data: bytes, writer: str) -> None:
        bucket, key = split_object(uri)
        client = self._client()

        def put() -> None:
            client.put_object(Bucket=bucket, Key=key, Body=data, IfNoneMatch="*", Metadata={WRITER: writer})

        try:
            # 409: another request on this key is running, perhaps a delete; the result is open.
            retry(put, sdk.ClientError, when=lambda error: _status(error) == 409, tries=_CREATES, first_pause_s=0.1)
        except sdk.ClientError as error:
            if _status(error) != 412:
                raise
            if client.head_object(Bucket=bucket, Key=key)["Metadata"].get(WRITER) != writer:
                raise errors.ObjectExistsError(f"{uri} is already there") from None


def _info(uri: str, size_bytes: int, answer: Any) -> ObjectInfo:
    # A listing has fractions of a second, head_object has none.
    return ObjectInfo(uri, size_bytes, answer["ETag"].strip('"'), float(int(answer["LastModified"].timestamp())))


def _connect(retry_limit_s: float) -> _Connection:
    session = boto3.session.Session()
    retries: dict[str, Any] = {}
    profile = session._session.get_scoped_config()
    if not (os.environ.get("AWS_RETRY_MODE") or profile.get("retry_mode")):
        retries["mode"] = "standard"  # the default of older SDKs, "legacy", does not retry S3's SlowDown
    if os.environ.get("AWS_MAX_ATTEMPTS") or profile.get("max_attempts"):
        retry_limit_s = 0.0
    else:
        retries["total_max_attempts"] = 4
    config = Config(retries=retries, max_pool_connections=32, connect_timeout=10, read_timeout=30)
    client = session.client("s3", config=config)
    watch_aws(client)
    require_listening(client.meta.endpoint_url)
    return _Connection(client, retry_limit_s)


def _sdk_errors(action: str) -> AbstractContextManager[None]:
    ours = (ForeignAnswerError, NothingListensError)
    kinds = (sdk.ClientError, sdk.BotoCoreError, RetriesExceededError, ResponseParserError, *ours)
    return translate_errors(action, kinds, _explain)


def _explain(error: BaseException) -> tuple[Fault, str]:
    cause = error.last_exception if isinstance(error, RetriesExceededError) else error
    return _fault(cause), _reason(cause)


def _fault(error: BaseException) -> Fault:
    if isinstance(error, sdk.ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        status = _status(error)
        other = (errors.StorageUnavailableError, _SERVICE) if status >= 500 else (errors.StorageError, "")
        return _BY_CODE.get(code) or _BY_STATUS.get(status, other)
    return fault_of(error, _BY_KIND)


def _status(error: sdk.ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _reason(error: BaseException) -> str:
    if isinstance(error, sdk.ClientError):
        details = error.response.get("Error", {})
        return f"{details.get('Message', 'no reason given')} ({details.get('Code', 'no code')})"
    return one_line(error)
