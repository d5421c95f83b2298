"""Passes connections between the machine's network and the network of an emulated cloud.

Usage: python -m localstack.network.relay SETTINGS.json; namespace.py writes that file.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from localstack.network.secret_path import exchange
from localstack.network.sockets import Sockets

Counts = dict[str, dict[str, dict[str, int]]]
"""Name of a route -> network of the client -> bytes "sent" by clients and "received" by them."""

_PIECE_BYTES = 1 << 18
_COUNT_S = 0.2


async def serve(settings: dict[str, Any]) -> None:
    """Passes connections on until it is killed; creates the file `ready` once it listens."""
    sockets, counts = Sockets(settings["enter"]), Counts()
    for route in settings["routes"]:
        for network in route["listens"]:
            listening = sockets.make(inside=network == "cloud")
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a fixed port may be used again at once
            listening.bind(("127.0.0.1", route["port"]))
            count = counts.setdefault(route["name"], {}).setdefault(network, {"sent": 0, "received": 0})
            handler = _handler_of(route, sockets, count)
            await asyncio.start_server(handler, sock=listening, backlog=128, limit=_PIECE_BYTES)
    await _write_counts(Path(settings["counts"]), counts, Path(settings["ready"]))


async def _write_counts(path: Path, counts: Counts, ready: Path) -> None:
    """Writes the counts whenever they change, for ever."""
    written = ""
    while True:
        if (text := json.dumps(counts)) != written:
            fresh = path.with_suffix(".new")
            fresh.write_text(text)
            fresh.replace(path)
            written = text
            ready.touch()
        await asyncio.sleep(_COUNT_S)


class _Counted:
    """A writer that counts the bytes that it writes."""

    def __init__(self, writer: asyncio.StreamWriter, count: dict[str, int], direction: str) -> None:
        self._writer, self._count, self._direction = writer, count, direction

    def write(self, data: bytes) -> None:
        self._count[self._direction] += len(data)
        self._writer.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)


def _handler_of(
    route: dict[str, Any], sockets: Sockets, count: dict[str, int]
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Returns the handler of this route's connections."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            outgoing = sockets.make(inside=route["inside"])
            try:
                await asyncio.get_running_loop().sock_connect(outgoing, ("127.0.0.1", route["to"]))
            except OSError:
                outgoing.close()
                raise
            answers, connected = await asyncio.open_connection(sock=outgoing, limit=_PIECE_BYTES)
            out = cast("asyncio.StreamWriter", _Counted(connected, count, "sent"))
            back = cast("asyncio.StreamWriter", _Counted(writer, count, "received"))
            try:
                if route["secret"]:
                    url = f"http://127.0.0.1:{route['port']}"
                    await exchange((reader, back), (answers, out), route["secret"], url)
                else:
                    await _both(_bytes(reader, out), _bytes(answers, back))
            finally:
                out.close()
        writer.close()

    return handle


async def _both(*directions: Awaitable[None]) -> None:
    """Waits until both directions have ended or one has failed."""
    tasks = [asyncio.ensure_future(each) for each in directions]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def _bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_PIECE_BYTES):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


if __name__ == "__main__":
    asyncio.run(serve(json.loads(Path(sys.argv[1]).read_text())))
