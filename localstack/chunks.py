"""Bodies that come in chunks, as HTTP has them and, with a signature behind each length, aws-chunked."""

from __future__ import annotations


def without_chunks(body: bytes) -> bytes:
    """The content of such a body; signatures and checksums in it are not looked at."""
    parts = []
    while body:
        line, _, body = body.partition(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        if not size:
            break
        parts.append(body[:size])
        body = body[size + 2 :]
    return b"".join(parts)
