"""Stands in for Yahoo's WebSocket of live ticks: each connection sends its ticks, then ends in the way that it is told.

It needs `websockets` and the message types of yfinance.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

End = Literal["close", "abort", "silent"]


@dataclass(frozen=True, slots=True)
class Connection:
    """What a connection does after its first subscription.

    Attributes:
        messages: What it sends, as `tick` makes it.
        end: "close" closes it as a WebSocket should, with 1000; "abort" cuts it; "silent" keeps it and sends nothing.
    """

    messages: Sequence[str]
    end: End = "silent"


@dataclass(slots=True)
class Ticks:
    """A running server.

    Attributes:
        url: Its address.
        subscribed: The tickers of each subscription, by connection.
    """

    url: str
    subscribed: list[list[list[str]]] = field(default_factory=list)


def tick(ticker: str, time_s: float, price: float, day_volume: int, market_hours: int = 1) -> str:
    """A message with a trade in Yahoo's form."""
    from yfinance.pricing_pb2 import PricingData

    data = PricingData(
        id=ticker, time=round(time_s * 1000), price=price, day_volume=day_volume, market_hours=market_hours
    )
    return json.dumps({"type": "pricing", "message": base64.b64encode(data.SerializeToString()).decode()})


@contextmanager
def serving_ticks(connections: Sequence[Connection]) -> Iterator[Ticks]:
    """Runs the server in threads during the block; connections beyond those that are given are silent."""
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.server import ServerConnection, serve

    guard, ended = threading.Lock(), threading.Event()
    left, running = iter(connections), Ticks("")

    def handle(socket: ServerConnection) -> None:
        with guard:
            mine = next(left, Connection(()))
            asked: list[list[str]] = []
            running.subscribed.append(asked)
        with suppress(ConnectionClosed):
            asked.append(json.loads(socket.recv())["subscribe"])
            for message in mine.messages:
                socket.send(message)
            if mine.end == "abort":
                _cut(socket)
            while mine.end == "silent" and not ended.is_set():
                with suppress(TimeoutError):
                    asked.append(json.loads(socket.recv(timeout=0.05))["subscribe"])

    with serve(handle, "127.0.0.1", 0) as server:
        running.url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield running
        finally:
            ended.set()
            server.shutdown()
            thread.join()


def _cut(socket: Any) -> None:
    """Ends the connection without a word of the protocol."""
    import socket as sockets

    with suppress(OSError):
        socket.socket.shutdown(sockets.SHUT_RDWR)
