"""An emulated Yahoo Finance: the chart protocol v8 and news, with the cookie and the crumb that clients need first.

    python localstack/yahoo.py --bars FILE [--port 8099]
    CLOUDLSTM_YAHOO_URL=http://127.0.0.1:8099 cloudlstm submit

FILE is CSV, gzipped or not, with the columns date, ticker, open, high, low, close, volume and, optionally, adj_close.
Needs only Python. Tests set bars and faults directly, and read which requests came.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

if not __package__:  # run as a script: imports start at the repository's root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from localstack.http_server import Handler, StandIn
from localstack.yahoo_chart import Bar, Listing, chart_reply, listings, opening, read_bars

__all__ = ["Bar", "Fault", "Listing", "Yahoo", "listings", "opening", "read_bars"]

CHART = "/v8/finance/chart/"
NEWS = "/xhr/ncp"
"""Answers a POST with the newest entries about a symbol."""

_CRUMB = "stand.in/crumb"


@dataclass(slots=True)
class Fault:
    """An answer that a symbol gets instead of its bars.

    Attributes:
        kind: "status", "truncated" (JSON cut in the middle), "slow", "hang-up" (the connection is reset)
            or "short" (it ends within an answer).
        times: How often it happens; None for every request.
        status: HTTP status, for kind "status".
        retry_after: Its header Retry-After, if any.
        seconds: Delay, for kind "slow".
    """

    kind: str
    times: int | None = None
    status: int = 500
    retry_after: str | None = None
    seconds: float = 1.0


class Yahoo(StandIn):
    """The server; it runs in a thread during the `with` block.

    A fault of "news of SYM" is one of the answers about the news of SYM.

    Args:
        symbols: Listings by symbol.
        port: The port on 127.0.0.1; 0 for any free port.

    Attributes:
        url: Its URL.
        faults: Faults by symbol, in the order in which they happen; may be changed while the server runs.
        asked: The number of chart requests of each symbol.
        news: Entries by symbol, as `news_entry` makes them, the newest first; may be changed while the server runs.
        paths: The path of every request, in order.
    """

    def __init__(self, symbols: Mapping[str, Listing], port: int = 0) -> None:
        super().__init__(port)
        self.symbols = dict(symbols)
        self.faults: dict[str, list[Fault]] = {}
        self.asked: Counter[str] = Counter()
        self.news: dict[str, list[dict[str, Any]]] = {}
        self.paths: list[str] = []

    def handler(self) -> Callable[..., BaseHTTPRequestHandler]:
        return _handler(self)

    def take_fault(self, symbol: str) -> Fault | None:
        """Returns the next fault of a symbol and counts it as happened; None if there is none."""
        with self.guard:
            due = self.faults.get(symbol, [])
            if not due:
                return None
            fault = due[0]
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    due.pop(0)
            return fault

    def chart(self, symbol: str, query: Mapping[str, str]) -> tuple[int, Any]:
        """Returns status and document of the answer to a request for a chart."""
        return chart_reply(self.symbols.get(symbol), symbol, query)


def news_entry(title: str, published: str, changed: str = "", number: int = 0) -> dict[str, Any]:
    """Returns an entry about a symbol in Yahoo's form.

    Args:
        title: The headline.
        published: The time of its publication, in ISO format with Z.
        changed: The time of the last change; empty for entries without one.
        number: Tells apart entries.
    """
    content = {"id": f"{number:08x}", "contentType": "STORY", "title": title, "summary": "", "pubDate": published}
    return {
        "id": f"{number:08x}",
        "content": {**content, "displayTime": changed, "provider": {"displayName": "Stand-in"}},
    }


def _handler(yahoo: Yahoo) -> type[Handler]:
    class YahooHandler(Handler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            path = unquote(parts.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            with yahoo.guard:
                yahoo.paths.append(path)
            if path == "/":  # fc.yahoo.com sends no page, only a cookie
                self.send(404, b"", {"Set-Cookie": "A3=stand-in; Path=/; Max-Age=31557600"})
            elif path == "/v1/test/getcrumb":
                allowed = "A3=stand-in" in (self.headers.get("Cookie") or "")
                self.send(200 if allowed else 401, _CRUMB.encode() if allowed else b"")
            elif path.startswith(CHART):
                self._chart(path.removeprefix(CHART), query)
            else:
                self.send(404, b"<html></html>")

        def do_POST(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            body = self.read_body()
            with yahoo.guard:
                yahoo.paths.append(parts.path)
            known = (query.get("queryRef"), query.get("serviceKey")) == ("latestNews", "ncp_fin")
            if parts.path != NEWS or not known:
                self.send(404, b"<html></html>")
                return
            if query.get("crumb", _CRUMB) != _CRUMB:
                self._send_json(401, {"finance": {"result": None, "error": {"code": "Unauthorized"}}})
                return
            asked = json.loads(body)["serviceConfig"]
            fault = yahoo.take_fault(f"news of {asked['s'][0]}")
            if fault is None:
                stream = yahoo.news.get(asked["s"][0], [])[: asked["snippetCount"]]
                self._send_json(200, {"data": {"tickerStream": {"nextPage": False, "stream": stream}}, "status": "OK"})
            elif fault.kind == "status":
                self.send(fault.status, b"Too Many Requests\r\n" if fault.status == 429 else b"<html>error</html>")
            else:
                self._hang_up()

        def _chart(self, symbol: str, query: Mapping[str, str]) -> None:
            with yahoo.guard:
                yahoo.asked[symbol] += 1
            if query.get("crumb", _CRUMB) != _CRUMB:
                self._send_json(401, {"finance": {"result": None, "error": {"code": "Unauthorized"}}})
                return
            fault = yahoo.take_fault(symbol)
            if fault is None or fault.kind == "slow":
                time.sleep(fault.seconds if fault else 0.0)
                self._send_json(*yahoo.chart(symbol, query))
            elif fault.kind == "status":
                header = {"Retry-After": fault.retry_after} if fault.retry_after else {}
                body = b"Too Many Requests\r\n" if fault.status == 429 else b"<html>error</html>"
                self.send(fault.status, body, header)
            else:
                text = json.dumps(yahoo.chart(symbol, query)[1]).encode()
                if fault.kind == "truncated":
                    self.send(200, text[: len(text) // 2], {"Content-Type": "application/json"})
                elif fault.kind == "short":
                    self.send(200, text[: len(text) // 2], {"Content-Length": str(len(text))})
                    self.close_connection = True
                else:
                    self._hang_up()

        def _hang_up(self) -> None:
            """Resets the connection instead of closing it."""
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()

        def _send_json(self, status: int, document: Any) -> None:
            self.send(status, json.dumps(document).encode(), {"Content-Type": "application/json"})

    return YahooHandler


def main() -> None:
    """Runs the server until it is interrupted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bars", type=Path, required=True, help="CSV file, gzipped or not")
    parser.add_argument("--port", type=int, default=8099)
    arguments = parser.parse_args()
    with Yahoo(read_bars(arguments.bars), arguments.port) as yahoo, contextlib.suppress(KeyboardInterrupt):
        print(f"{len(yahoo.symbols)} symbols at {yahoo.url}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
