"""Protects an HTTP server: passes on only requests whose path begins with a secret.

The server does not see the secret. Its answers contain URLs that clients follow: the header Location of a resumable
upload, and the links in an object's description. The secret is added to these URLs.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator

from localstack.network.http_messages import has_end, header, is_chunked, status, with_length, without_chunks

_END = b"\r\n\r\n"
_PIECE_BYTES = 1 << 18
_NO_BODY = (b"204", b"304")
_REFUSAL = {"error": {"code": 403, "message": "the path does not begin with the emulator's secret"}}


class RefusedError(OSError):
    """A request without the secret; the answer 403 has been sent."""


async def exchange(
    client: tuple[StreamReader, StreamWriter], server: tuple[StreamReader, StreamWriter], secret: str, url: str
) -> None:
    """Passes requests to the server and answers to the client until one side closes its connection.

    Args:
        client: Reads from and writes to the client.
        server: Reads from and writes to the server.
        secret: The beginning of the path that each request needs.
        url: The server's own URL, as its answers contain it.

    Raises:
        RefusedError: if a request lacks the secret.
        OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError: if one side has closed its
            connection or has not sent HTTP.
    """
    begin = f"/{secret}/".encode()
    while True:
        head = await client[0].readuntil(_END)
        method, path, rest = head.split(b" ", 2)
        if not hmac.compare_digest(path[: len(begin)], begin):
            await _refuse(client[1])
            raise RefusedError
        path = path[len(begin) - 1 :]
        server[1].write(b" ".join((method, path, rest)))
        sending = asyncio.ensure_future(_pass(_body(head, client[0]), server[1]))
        try:
            answer = await _answer_head(server[0], client[1])
            links = {url.encode(), b"http://" + header(head, b"Host")}
            for link in links:
                answer = answer.replace(b"\r\nLocation: " + link + b"/", b"\r\nLocation: " + link + begin)
            keeps_open = True
            if method == b"HEAD" or status(answer) in _NO_BODY:
                client[1].write(answer)
            elif b"alt=media" in path or not header(answer, b"Content-Type").startswith(b"application/json"):
                client[1].write(answer)
                keeps_open = has_end(answer)
                await _pass(_body(answer, server[0], until_closed=not keeps_open), client[1])
            else:
                body = await _content(answer, server[0])
                for link in links:
                    body = body.replace(link + b"/", link + begin)
                client[1].write(with_length(answer, len(body)) + body)
            await client[1].drain()
            await sending
            if not keeps_open:
                return
        finally:
            sending.cancel()


async def _refuse(writer: StreamWriter) -> None:
    body = json.dumps(_REFUSAL).encode()
    lines = ["HTTP/1.1 403 Forbidden", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode() + body)
    await writer.drain()


async def _answer_head(reader: StreamReader, writer: StreamWriter) -> bytes:
    """Returns the head of the server's answer; passes on 100 Continue before it."""
    while True:
        head = await reader.readuntil(_END)
        if not status(head).startswith(b"1"):
            return head
        writer.write(head)


async def _pass(pieces: AsyncIterator[bytes], writer: StreamWriter) -> None:
    async for piece in pieces:
        writer.write(piece)
        await writer.drain()


async def _body(head: bytes, reader: StreamReader, *, until_closed: bool = False) -> AsyncIterator[bytes]:
    """Yields the body of a message in pieces as they arrive; with its chunk lines if it is chunked."""
    if is_chunked(head):
        size = -1
        while size:
            line = await reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            yield line
            if size:
                async for piece in _exactly(size + 2, reader):
                    yield piece
        while line != b"\r\n":  # trailers may follow the last chunk
            line = await reader.readuntil(b"\r\n")
            yield line
    elif until_closed:
        while piece := await reader.read(_PIECE_BYTES):
            yield piece
    else:
        async for piece in _exactly(int(header(head, b"Content-Length") or 0), reader):
            yield piece


async def _exactly(count: int, reader: StreamReader) -> AsyncIterator[bytes]:
    while count:
        piece = await reader.read(min(count, _PIECE_BYTES))
        if not piece:
            raise ConnectionError("the body is not complete")
        count -= len(piece)
        yield piece


async def _content(head: bytes, reader: StreamReader) -> bytes:
    """Returns the whole body of an answer."""
    raw = b"".join([piece async for piece in _body(head, reader, until_closed=not has_end(head))])
    return without_chunks(raw) if is_chunked(head) else raw
