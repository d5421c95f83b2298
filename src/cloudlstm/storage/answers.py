"""Detects answers that do not come from the service, such as the page of a proxy or of a captive portal.

SDKs take any page with status 200 for success: an object would count as written, a bucket as empty, a machine group as
resized. Such an answer raises ForeignAnswerError, and the request is repeated like one without an answer.
"""

from __future__ import annotations

import json
import re
from typing import Any

_ROOT = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*\?>)?\s*(?:<!--.*?-->\s*)*<(?:[\w.-]+:)?([\w.-]+)", re.DOTALL)
_TITLE = re.compile(rb"<title[^>]*>([^<]{1,80})", re.IGNORECASE)

_WITH_ETAG = ("GetObject", "HeadObject", "PutObject", "UploadPart")
_WITH_XML = ("CompleteMultipartUpload", "CreateMultipartUpload", "ListMultipartUploads", "ListObjectsV2")


class ForeignAnswerError(Exception):
    """The answer to a request does not come from the service."""


def watch_aws(client: Any) -> None:
    """Makes a boto3 client raise ForeignAnswerError for answers that do not come from its service."""
    model = client.meta.service_model
    is_json = "json" in model.resolved_protocol

    def check(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
        status, headers, body = response_dict["status_code"], response_dict["headers"], response_dict["body"]
        if status >= 500:
            return  # the SDK repeats the request
        text = body.strip() if isinstance(body, bytes) else None  # None: the bytes of an object, not read yet
        if model.service_name == "s3":
            valid = _is_of_s3(operation_model.name, status, headers, text)
        else:
            valid = status < 300 or status >= 400
            valid &= _is_json(text or b"", status) if is_json else _root(text or b"").endswith("response")
        if not valid:
            if text is None:
                body.close()
            raise ForeignAnswerError(describe_answer(status, str(headers.get("Content-Type", "")), text or b""))

    client.meta.events.register("before-parse", check)


def describe_answer(status: int, content_type: str, body: bytes) -> str:
    """Describes an answer that does not come from the service."""
    title = _TITLE.search(body)
    shown = f" {title[1].decode(errors='replace').strip()!r}" if title else ""
    return f"the answer does not come from the service: HTTP {status}, {content_type or 'no content type'}{shown}"


def _is_of_s3(action: str, status: int, headers: Any, text: bytes | None) -> bool:
    if text:
        return _root(text) not in ("", "html")
    if status < 300:
        return "ETag" in headers if action in _WITH_ETAG else action not in _WITH_XML
    return status >= 400 or status == 304 or "x-amz-request-id" in headers


def _root(text: bytes) -> str:
    """The name of the root element of an XML document, in lower case; empty if the text is not XML."""
    found = _ROOT.match(text)
    return found[1].decode(errors="replace").lower() if found else ""


def _is_json(text: bytes, status: int) -> bool:
    """True if the text is a JSON object, or empty in an answer that may be empty."""
    if not text:
        return status != 200
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
