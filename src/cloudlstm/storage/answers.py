"""Tells a service's answers from those of something in between: a proxy's page, a captive portal's, half an answer.

SDKs take a page that comes with status 200 for success: an object would count as written, a bucket as empty, a group of
machines as resized. A service can do nothing about it, so such an answer is one that the service did not give.
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
    """An answer that came instead of the service's."""


def watch_aws(client: Any) -> None:
    """Lets a boto3 client raise ForeignAnswerError for answers that are none of its service's."""
    model = client.meta.service_model
    is_json = "json" in model.resolved_protocol

    def check(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
        status, headers, body = response_dict["status_code"], response_dict["headers"], response_dict["body"]
        if status >= 500:
            return  # the SDK's own affair: it asks again
        text = body.strip() if isinstance(body, bytes) else None  # None: an object's bytes, yet to be read
        if model.service_name == "s3":
            sound = _is_of_s3(operation_model.name, status, headers, text)
        else:
            sound = status < 300 or status >= 400
            sound &= _is_json(text or b"", status) if is_json else _root(text or b"").endswith("response")
        if not sound:
            if text is None:
                body.close()
            raise ForeignAnswerError(described(status, str(headers.get("Content-Type", "")), text or b""))

    client.meta.events.register("before-parse", check)


def described(status: int, content_type: str, body: bytes) -> str:
    """What came instead, in words."""
    title = _TITLE.search(body)
    shown = f" {title[1].decode(errors='replace').strip()!r}" if title else ""
    return f"something else than the service answered: HTTP {status}, {content_type or 'no type of content'}{shown}"


def _is_of_s3(action: str, status: int, headers: Any, text: bytes | None) -> bool:
    if text:
        return _root(text) not in ("", "html")
    if status < 300:
        return "ETag" in headers if action in _WITH_ETAG else action not in _WITH_XML
    return status >= 400 or status == 304 or "x-amz-request-id" in headers


def _root(text: bytes) -> str:
    """The name of an XML document's first element, in lower case; empty if the text is none."""
    found = _ROOT.match(text)
    return found[1].decode(errors="replace").lower() if found else ""


def _is_json(text: bytes, status: int) -> bool:
    """Whether this is a JSON object; an action without a result, and an error, may have no text."""
    if not text:
        return status != 200
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
