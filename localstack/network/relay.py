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
from typing import Any

from localstack.network.secret_path import exchange
from localstack.network.sockets import Sockets

_PIECE_BYTES = 1 << 18


async def serve(settings: dict[str, Any]) -> None:
    """Passes connections on until it is killed; creates the file `ready` once it listens."""
    sockets = Sockets(settings["enter"])
    for route in settings["routes"]:
        for network in route["listens"]:
            listening = sockets.make(inside=network == "cloud")
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a fixed port may be used again at once
            listening.bind(("127.0.0.1", route["port"]))
            await asyncio.start_server(_handler_of(route, sockets), sock=listening, backlog=128, limit=_PIECE_BYTES)
    Path(settings["ready"]).touch()
    await asyncio.Event().wait()


def _handler_of(
    route: dict[str, Any], sockets: Sockets
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
            answers, out = await asyncio.open_connection(sock=outgoing, limit=_PIECE_BYTES)
            try:
                if route["secret"]:
                    url = f"http://127.0.0.1:{route['port']}"
                    await exchange((reader, writer), (answers, out), route["secret"], url)
                else:
                    await _both(_bytes(reader, out), _bytes(answers, writer))
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
