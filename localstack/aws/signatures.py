"""Checks that requests to the emulated AWS are signed with the emulator's own access key.

Every user of this machine can connect to the port. Without this check, another user could add a step, and it would run
as the emulator's user.
"""

from __future__ import annotations

import hmac
import io
import re
from collections.abc import Mapping
from typing import Any

from botocore.auth import S3SigV4Auth, SigV4Auth  # noqa: TID253 - only the server imports this
from botocore.awsrequest import AWSRequest  # noqa: TID253
from botocore.credentials import Credentials  # noqa: TID253
from botocore.exceptions import BotoCoreError  # noqa: TID253

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)/\d{8}/([^/,]+)/([^/,]+)/aws4_request,\s*"
    r"SignedHeaders=([^,\s]+),\s*Signature=([0-9a-f]{64})"
)


class NotAllowedError(Exception):
    """A request with a missing or wrong signature; `code` is that of AWS's query services."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Signatures:
    """Checks the signatures of requests.

    Args:
        services: The environment with the emulator's access key.
    """

    def __init__(self, services: Mapping[str, str]) -> None:
        self._credentials = Credentials(services["AWS_ACCESS_KEY_ID"], services["AWS_SECRET_ACCESS_KEY"])

    def check(self, environ: dict[str, Any]) -> None:
        """Returns if the request is signed with the emulator's access key.

        If the signature covers the body's digest, the body itself is not checked: other users never see a signed
        request, so they cannot use its signature with another body.

        Raises:
            NotAllowedError: if it is not signed with this key.
        """
        signed = _AUTHORIZATION.fullmatch(environ.get("HTTP_AUTHORIZATION", ""))
        if not signed:
            raise NotAllowedError("MissingAuthenticationToken", "Request is missing Authentication Token")
        key, region, service, names, signature = signed.groups()
        if not hmac.compare_digest(key.encode(), self._credentials.access_key.encode()):
            message = "The security token included in the request is invalid: it is not the emulator's own."
            raise NotAllowedError("InvalidClientTokenId", message)
        kind = _S3 if service == "s3" else _Other
        signer = kind(self._credentials, service, region)
        headers = {name: _header(environ, name) for name in names.split(";")}
        body = b"" if "x-amz-content-sha256" in headers else _body(environ)
        path = environ.get("REQUEST_URI") or environ["PATH_INFO"]
        request = AWSRequest(environ["REQUEST_METHOD"], f"http://{environ.get('HTTP_HOST', '')}{path}", headers, body)
        request.context["timestamp"] = environ.get("HTTP_X_AMZ_DATE", "")
        try:
            expected = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
        except (BotoCoreError, ValueError):
            expected = ""
        if not hmac.compare_digest(signature, expected):
            message = "The request signature we calculated does not match the signature you provided."
            raise NotAllowedError("SignatureDoesNotMatch", message)


class _SignedHeaders:
    def headers_to_sign(self, request: Any) -> Any:
        """Returns the headers that the sender has signed; the request has no others."""
        return request.headers


class _S3(_SignedHeaders, S3SigV4Auth):  # type: ignore[misc]
    """For S3: paths are signed unchanged."""


class _Other(_SignedHeaders, SigV4Auth):  # type: ignore[misc]
    """For all other services."""


def _header(environ: Mapping[str, Any], name: str) -> str:
    plain = name.upper().replace("-", "_")
    return str(environ.get(plain if plain in ("CONTENT_LENGTH", "CONTENT_TYPE") else f"HTTP_{plain}", ""))


def _body(environ: dict[str, Any]) -> bytes:
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return body
