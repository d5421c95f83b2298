"""S3 at the URL of all other services, for tools that configure buckets.

SeaweedFS stores the objects. It lacks some settings of buckets, and it enforces others: a policy that demands TLS would
deny all access here. Therefore settings go to moto, which stores but does not enforce them; versioning goes to both,
and SeaweedFS keeps the versions. Requests about objects are signed again and sent to SeaweedFS.
"""

from __future__ import annotations

import http.client
import io
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from botocore.auth import S3SigV4Auth  # noqa: TID253 - only the server imports this
from botocore.awsrequest import AWSRequest  # noqa: TID253
from botocore.credentials import Credentials  # noqa: TID253

from localstack.network.http_messages import without_chunks
from localstack.server.engine import Application

_ABOUT_OBJECTS = {"delete", "list-type", "uploads", "versions"}
_PARAMETERS = {
    "continuation-token", "delimiter", "encoding-type", "fetch-owner", "key-marker", "marker", "max-keys",
    "max-uploads", "prefix", "start-after", "upload-id-marker", "version-id-marker", "x-id",
}  # fmt: skip
_SIGNATURE = {"x-amz-content-sha256", "x-amz-date", "x-amz-security-token"}
_CHUNKED = {"x-amz-decoded-content-length", "x-amz-trailer", "x-amz-sdk-checksum-algorithm"}
_NOT_EMPTY = (
    b"<Error><Code>BucketNotEmpty</Code><Message>The bucket you tried to delete is not empty. You must delete all "
    b"versions in the bucket.</Message></Error>"
)
_KEPT = ("content-md5", "content-type", "if-match", "if-modified-since", "if-none-match", "range")


class Buckets:
    """A WSGI application for S3: settings of buckets go to moto, everything else to SeaweedFS."""

    def __init__(self, moto: Application, services: Mapping[str, str]) -> None:
        self._moto = moto
        self._address = urlsplit(services["AWS_ENDPOINT_URL_S3"]).netloc
        self._region = services["AWS_DEFAULT_REGION"]
        self._credentials = Credentials(services["AWS_ACCESS_KEY_ID"], services["AWS_SECRET_ACCESS_KEY"])

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        bucket, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
        parameters = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True).keys() - _PARAMETERS
        settings = bucket and not key and parameters - _ABOUT_OBJECTS
        if settings == {"versioning"} and environ["REQUEST_METHOD"] == "PUT":
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            self._seaweedfs(environ, body)
            return self._moto(environ | {"wsgi.input": io.BytesIO(body)}, start_response)
        if settings or (environ["REQUEST_METHOD"] == "HEAD" and not key):
            return self._moto(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        removal = bucket and not key and not parameters and environ["REQUEST_METHOD"] == "DELETE"
        if removal and self._has_versions(environ, bucket):  # SeaweedFS would delete them with the bucket
            start_response("409 Conflict", [("Content-Type", "application/xml")])
            return [_NOT_EMPTY]
        status, headers, answer = self._seaweedfs(environ, body)
        if status < 300 and bucket and not key and not parameters and environ["REQUEST_METHOD"] in ("PUT", "DELETE"):
            return self._moto(environ | {"wsgi.input": io.BytesIO(body)}, start_response)
        start_response(f"{status} {http.client.responses.get(status, '')}", headers)
        return [answer]

    def _has_versions(self, environ: Mapping[str, Any], bucket: str) -> bool:
        """True if a bucket has versions of objects or delete markers, current or not."""
        asked = {**environ, "REQUEST_METHOD": "GET", "REQUEST_URI": f"/{bucket}?versions=&max-keys=1"}
        _, _, answer = self._seaweedfs(asked, b"")
        return b"<Version>" in answer or b"<DeleteMarker>" in answer

    def _seaweedfs(self, environ: Mapping[str, Any], body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        sent = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name[:5] == "HTTP_"}
        sent |= {"content-type": environ.get("CONTENT_TYPE", "")}
        if sent.get("x-amz-content-sha256", "").startswith("STREAMING-"):
            body = without_chunks(body)
            sent = {name: value for name, value in sent.items() if name not in _CHUNKED}
        kept = {
            name: value
            for name, value in sent.items()
            if value and name not in _SIGNATURE and (name in _KEPT or name.startswith("x-amz-"))
        }
        path = environ.get("REQUEST_URI") or environ["PATH_INFO"]
        request = AWSRequest(environ["REQUEST_METHOD"], f"http://{self._address}{path}", kept, body)
        S3SigV4Auth(self._credentials, "s3", self._region).add_auth(request)
        connection = http.client.HTTPConnection(self._address, timeout=60)
        try:
            connection.request(environ["REQUEST_METHOD"], path, body, dict(request.headers.items()))
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        skipped = {"connection", "date", "server", "transfer-encoding"}
        headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in skipped]
        return answer.status, headers, text
