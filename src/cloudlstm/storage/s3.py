"""s3:// — objects in Amazon S3, or in any service that speaks its protocol, through boto3.

The SDK's own settings hold: credentials, region, endpoint (AWS_ENDPOINT_URL) and retries (AWS_RETRY_MODE,
AWS_MAX_ATTEMPTS), from the environment or the AWS configuration files. Without AWS_MAX_ATTEMPTS a request is repeated
for a minute: the SDK's own retries are over within one or two seconds.
"""
# ruff: noqa: TID253 - this module is loaded when an s3:// URI is first used

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
    PATIENCE_S,
    WRITER,
    Fault,
    PerProcess,
    downloaded,
    fault_of,
    is_folder_marker,
    one_at_a_time,
    one_line,
    patiently,
    split,
    split_object,
    told_as_ours,
)
from cloudlstm.storage.endpoints import NothingListensError, require_listening
from cloudlstm.storage.local import disk_errors
from cloudlstm.storage.retry import retry

_CREDENTIALS = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"
_RIGHTS = "check the credentials, and that they allow it; without s3:ListBucket S3 says this of a missing object too"
_REGION = "set AWS_REGION to the bucket's region"
_SERVICE = "check the network and AWS_ENDPOINT_URL, then try again"
_GONE = "start what was there (make cloud-up), or unset AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_S3"

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
"""What the service says, where its HTTP status does not say enough."""

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
    (sdk.FlexibleChecksumError,): (errors.CorruptObjectError, "try again, and look who else writes it"),
    (
        sdk.ConnectionError,
        sdk.HTTPClientError,
        sdk.IncompleteReadError,
        sdk.ResponseStreamingError,
        ForeignAnswerError,
        ResponseParserError,
    ): (errors.StorageUnavailableError, _SERVICE),
}
"""What the SDK finds before or instead of an answer."""

_LOST_BODY = (sdk.IncompleteReadError, sdk.ResponseStreamingError, sdk.ReadTimeoutError)
_READS = 3
_CREATES = 6

_TRANSFER = TransferConfig(
    multipart_threshold=PART_BYTES,
    multipart_chunksize=PART_BYTES,
    preferred_transfer_client="classic",  # the CRT client's threads do not survive a fork
)


class _Connection(NamedTuple):
    client: Any
    patience_s: float


class S3Storage:
    """One boto3 client per process, which all threads share.

    Args:
        patience_s: How long a request is repeated, unless the user has set the number of attempts.
    """

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._connection = PerProcess(lambda: _connect(patience_s))

    def _client(self) -> Any:
        return self._connection().client

    def _do(self, doing: str, work: Callable[[], Result]) -> Result:
        """`work`, repeated while the service is at fault; its errors say that they came of `doing`."""

        def once() -> Result:
            with _sdk_errors(doing):
                return work()

        with _sdk_errors(doing):
            patience_s = self._connection().patience_s
        return patiently(once, patience_s)

    def read(self, uri: str) -> bytes:
        bucket, key = split_object(uri)

        def get() -> bytes:
            return bytes(self._client().get_object(Bucket=bucket, Key=key)["Body"].read())

        # The SDK repeats a request, but not the reading of its answer.
        return self._do(f"read {uri}", lambda: retry(get, _LOST_BODY, tries=_READS, first_pause_s=0.0))

    def write(self, uri: str, data: bytes, *, if_absent: bool = False) -> None:
        bucket, key = split_object(uri)
        mark = secrets.token_hex(16)

        def put() -> None:
            if if_absent:
                self._create(uri, data, mark)
            else:
                self._client().put_object(Bucket=bucket, Key=key, Body=data)

        self._do(f"write {uri}", put)

    def list(self, prefix: str, within: str = "") -> Iterator[ObjectInfo]:  # noqa: ARG002 - there are no links
        bucket, start = split(prefix)

        def pages() -> list[Any]:
            found = self._client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=start)
            return [item for page in found for item in page.get("Contents", ())]

        # S3 lists in order; SeaweedFS and S3's directory buckets do not.
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
        """Ends the uploads in parts that nobody will complete; S3 would keep their parts, and bill them, for ever."""
        bucket, start = split(prefix)

        def abort() -> None:
            client = self._client()
            for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=start):
                for upload in page.get("Uploads", ()):
                    client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])

        self._do(f"sweep {prefix}", abort)

    def remove_folders(self, folder: str) -> tuple[str, ...]:  # noqa: ARG002
        """There are no folders: a key is only a name."""
        return ()

    def upload(self, path: Path, uri: str, progress: Progress | None = None) -> None:
        """A file that goes up in parts leaves none behind when it fails: the SDK aborts the upload."""
        bucket, key = split_object(uri)
        doing = f"upload {path} to {uri}"
        # We open the file, because the SDK's upload_file leaves it open when it fails.
        with disk_errors(doing), path.open("rb") as file, _sdk_errors(doing):
            self._client().upload_fileobj(file, bucket, key, Callback=one_at_a_time(progress), Config=_TRANSFER)

    def download(self, uri: str, path: Path, progress: Progress | None = None) -> None:
        bucket, key = split_object(uri)
        with downloaded(uri, path, self.stat(uri).size_bytes) as file, _sdk_errors(f"download {uri}"):
            self._client().download_fileobj(bucket, key, file, Callback=one_at_a_time(progress), Config=_TRANSFER)

    def _create(self, uri: str, data: bytes, mark: str) -> None:
        bucket, key = split_object(uri)
        client = self._client()

        def put() -> None:
            client.put_object(Bucket=bucket, Key=key, Body=data, IfNoneMatch="*", Metadata={WRITER: mark})

        try:
            # 409 is no answer yet: somebody else was at work on this key, and may have been deleting it.
            retry(put, sdk.ClientError, when=lambda error: _status(error) == 409, tries=_CREATES, first_pause_s=0.1)
        except sdk.ClientError as error:
            if _status(error) != 412:
                raise
            if client.head_object(Bucket=bucket, Key=key)["Metadata"].get(WRITER) != mark:
                raise errors.ObjectExistsError(f"{uri} is already there") from None


def _info(uri: str, size_bytes: int, answer: Any) -> ObjectInfo:
    # A listing has the time with fractions of a second and a look at one object without: whole seconds agree.
    return ObjectInfo(uri, size_bytes, answer["ETag"].strip('"'), float(int(answer["LastModified"].timestamp())))


def _connect(patience_s: float) -> _Connection:
    session = boto3.session.Session()
    retries: dict[str, Any] = {}
    profile = session._session.get_scoped_config()
    if not (os.environ.get("AWS_RETRY_MODE") or profile.get("retry_mode")):
        retries["mode"] = "standard"  # older SDKs default to "legacy", which does not know S3's SlowDown
    if os.environ.get("AWS_MAX_ATTEMPTS") or profile.get("max_attempts"):
        patience_s = 0.0
    else:
        retries["total_max_attempts"] = 4
    config = Config(retries=retries, max_pool_connections=32, connect_timeout=10, read_timeout=30)
    client = session.client("s3", config=config)
    watch_aws(client)
    require_listening(client.meta.endpoint_url)
    return _Connection(client, patience_s)


def _sdk_errors(doing: str) -> AbstractContextManager[None]:
    ours = (ForeignAnswerError, NothingListensError)
    kinds = (sdk.ClientError, sdk.BotoCoreError, RetriesExceededError, ResponseParserError, *ours)
    return told_as_ours(doing, kinds, _explained)


def _explained(error: BaseException) -> tuple[Fault, str]:
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
        said = error.response.get("Error", {})
        return f"{said.get('Message', 'no reason given')} ({said.get('Code', 'no code')})"
    return one_line(error)
