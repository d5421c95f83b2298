"""Reads the heads and the bodies of HTTP messages."""

from __future__ import annotations

import re


def without_chunks(body: bytes) -> bytes:
    """Returns the content of a chunked body; ignores signatures and checksums (aws-chunked) between the chunks."""
    parts = []
    while body:
        line, _, body = body.partition(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        if not size:
            break
        parts.append(body[:size])
        body = body[size + 2 :]
    return b"".join(parts)


def with_length(head: bytes, count: int) -> bytes:
    lines = [line for line in head.split(b"\r\n") if not re.match(rb"(?i)(content-length|transfer-encoding):", line)]
    return b"\r\n".join([*lines[:-2], b"Content-Length: %d" % count, b"", b""])


def header(head: bytes, name: bytes) -> bytes:
    """Returns a header's value; empty if it is missing."""
    found = re.search(rb"(?i)\r\n" + name + rb":[ \t]*([^\r]*)", head)
    return found[1].strip() if found else b""


def is_chunked(head: bytes) -> bool:
    return b"chunked" in header(head, b"Transfer-Encoding").lower()


def has_end(head: bytes) -> bool:
    """True if the head says where the body ends. Otherwise the body ends with the connection."""
    return is_chunked(head) or bool(header(head, b"Content-Length"))


def status(head: bytes) -> bytes:
    return head.split(b" ", 2)[1]
