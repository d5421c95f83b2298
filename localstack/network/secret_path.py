"""HTTP for a server that takes requests from anybody: only those whose path begins with a secret are passed on to it.

The server does not see the secret. Where its answers tell URLs of its own, the secret is put into them, because clients
follow these URLs: the header Location of an upload in parts, and the links in the description of an object.
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
    """A request without the secret; it has been answered."""


async def exchange(
    client: tuple[StreamReader, StreamWriter], server: tuple[StreamReader, StreamWriter], secret: str, url: str
) -> None:
    """Passes requests to the server and its answers back, until one side closes its connection.

    Args:
        client: What the client sends, and what it gets.
        server: The same of the server.
        secret: What the path of each request has to begin with.
        url: The server's own, as it tells it where it does not take the request's.

    Raises:
        RefusedError: for a request without the secret.
        OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError: when one side has gone, or has
            sent something else than HTTP.
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
            lasts = True
            if method == b"HEAD" or status(answer) in _NO_BODY:
                client[1].write(answer)
            elif b"alt=media" in path or not header(answer, b"Content-Type").startswith(b"application/json"):
                client[1].write(answer)
                lasts = has_end(answer)
                await _pass(_body(answer, server[0], to_the_end=not lasts), client[1])
            else:
                body = await _content(answer, server[0])
                for link in links:
                    body = body.replace(link + b"/", link + begin)
                client[1].write(with_length(answer, len(body)) + body)
            await client[1].drain()
            await sending
            if not lasts:
                return
        finally:
            sending.cancel()


async def _refuse(writer: StreamWriter) -> None:
    body = json.dumps(_REFUSAL).encode()
    lines = ["HTTP/1.1 403 Forbidden", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode() + body)
    await writer.drain()


async def _answer_head(reader: StreamReader, writer: StreamWriter) -> bytes:
    """The head of the server's answer; what it says before, that it waits for the body, is passed on."""
    while True:
        head = await reader.readuntil(_END)
        if not status(head).startswith(b"1"):
            return head
        writer.write(head)


async def _pass(pieces: AsyncIterator[bytes], writer: StreamWriter) -> None:
    async for piece in pieces:
        writer.write(piece)
        await writer.drain()


async def _body(head: bytes, reader: StreamReader, *, to_the_end: bool = False) -> AsyncIterator[bytes]:
    """The body behind a head, in pieces, as it comes: in chunks if the head says so."""
    if is_chunked(head):
        size = -1
        while size:
            line = await reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            yield line
            if size:
                async for piece in _exactly(size + 2, reader):
                    yield piece
        while line != b"\r\n":  # lines may come behind the last chunk
            line = await reader.readuntil(b"\r\n")
            yield line
    elif to_the_end:
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
    """The whole body of an answer."""
    raw = b"".join([piece async for piece in _body(head, reader, to_the_end=not has_end(head))])
    return without_chunks(raw) if is_chunked(head) else raw
