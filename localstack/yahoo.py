"""A server that stands in for Yahoo Finance: the chart protocol v8, and the cookie and the crumb that go before it.

    python localstack/yahoo.py --bars FILE [--port 8099]
    CLOUDLSTM_YAHOO_URL=http://127.0.0.1:8099 cloudlstm submit

FILE is CSV, gzipped or not, with the columns date, ticker, open, high, low, close, volume and, if there is one,
adj_close. Needs nothing but Python. Tests give it bars and faults directly, and ask it what it was asked.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import datetime as dt
import gzip
import json
import socket
import struct
import threading
import time
import zoneinfo
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

CHART = "/v8/finance/chart/"
_CRUMB = "stand.in/crumb"
_PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a reply; None stands for null.

    Attributes:
        time: Seconds since the epoch: the session's open, or of the last trade while it is open.
        values: open, high, low, close.
        adj_close: Adjusted for dividends as well.
        volume: Shares.
    """

    time: int
    values: tuple[float | None, ...]
    adj_close: float | None
    volume: int | None


@dataclass(slots=True)
class Listing:
    """A symbol that Yahoo knows.

    Attributes:
        bars: By time.
        live: The bar of a session that has not ended, which Yahoo appends to any range.
        dividends: Amount by time.
        splits: Numerator and denominator by time.
        time_zone: Of the exchange.
        recorded: A whole reply to be given as it is.
    """

    bars: list[Bar] = field(default_factory=list)
    live: Bar | None = None
    dividends: dict[int, float] = field(default_factory=dict)
    splits: dict[int, tuple[float, float]] = field(default_factory=dict)
    time_zone: str = "America/New_York"
    recorded: Any = None


@dataclass(slots=True)
class Fault:
    """What a symbol gets instead of its bars.

    Attributes:
        kind: "status", "truncated" (JSON cut in the middle), "slow", "hang-up" (the connection ends without a word) or
            "short" (it ends within a reply).
        times: For so many requests; None: always.
        status: Of kind "status".
        retry_after: Its header, if any.
        seconds: How slow.
    """

    kind: str
    times: int | None = None
    status: int = 500
    retry_after: str | None = None
    seconds: float = 1.0


def opening(date: dt.date, time_zone: str = "America/New_York") -> int:
    """Half past nine of a date, in seconds since the epoch."""
    return int(dt.datetime.combine(date, dt.time(9, 30), zoneinfo.ZoneInfo(time_zone)).timestamp())


def read_bars(path: Path) -> dict[str, Listing]:
    """Listings by symbol, from a CSV file."""
    with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as lines:
        return listings(csv.DictReader(lines))


def listings(rows: Iterable[Mapping[str, Any]]) -> dict[str, Listing]:
    """Listings by symbol, from rows with the columns of bars, each ticker's by date."""
    found: dict[str, Listing] = {}
    for row in rows:
        date = row["date"] if isinstance(row["date"], dt.date) else dt.date.fromisoformat(row["date"])
        numbers = tuple(None if row[name] in (None, "") else float(row[name]) for name in _PRICES)
        adjusted = numbers[3] if row.get("adj_close") in (None, "") else float(row["adj_close"])
        volume = None if row["volume"] in (None, "") else int(float(row["volume"]))
        found.setdefault(row["ticker"], Listing()).bars.append(Bar(opening(date), numbers, adjusted, volume))
    return found


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """A client that was killed is no news."""


class Yahoo:
    """The server, running in a thread from `with` to its end.

    Args:
        symbols: What it knows, by symbol.
        port: Where it listens on 127.0.0.1; 0: anywhere free.

    Attributes:
        faults: By symbol, one after the other; may be changed while it runs.
        asked: How often the chart of each symbol was asked for.
        paths: Every request's path, in order.
    """

    def __init__(self, symbols: Mapping[str, Listing], port: int = 0) -> None:
        self.symbols = dict(symbols)
        self.faults: dict[str, list[Fault]] = {}
        self.asked: Counter[str] = Counter()
        self.paths: list[str] = []
        self.guard = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _handler(self))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fault_of(self, symbol: str) -> Fault | None:
        """The fault that is due, which is used up by this."""
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
        """Status and document of a reply."""
        listing = self.symbols.get(symbol)
        if listing is None:
            return 404, _error("Not Found", "No data found, symbol may be delisted")
        if listing.recorded is not None:
            return 200, listing.recorded
        first, last = int(query.get("period1", 0)), int(query.get("period2", time.time()))
        bars = [bar for bar in listing.bars if first <= bar.time < last]
        if listing.live:
            bars.append(listing.live)
        if not bars:
            return 400, _error("Bad Request", f"Data doesn't exist for startDate = {first}, endDate = {last}")
        return 200, {"chart": {"result": [_result(symbol, listing, bars, (first, last))], "error": None}}


def _error(code: str, description: str) -> Any:
    return {"chart": {"result": None, "error": {"code": code, "description": description}}}


def _result(symbol: str, listing: Listing, bars: list[Bar], span: tuple[int, int]) -> Any:
    events: dict[str, Any] = {}
    dividends = {when: amount for when, amount in listing.dividends.items() if span[0] <= when < span[1]}
    splits = {when: ratio for when, ratio in listing.splits.items() if span[0] <= when < span[1]}
    if dividends:
        events["dividends"] = {str(when): {"amount": amount, "date": when} for when, amount in dividends.items()}
    if splits:
        ratios = ({"date": when, "numerator": up, "denominator": down} for when, (up, down) in splits.items())
        events["splits"] = {str(ratio["date"]): ratio for ratio in ratios}
    quote: dict[str, Any] = {name: [bar.values[at] for bar in bars] for at, name in enumerate(_PRICES)}
    quote["volume"] = [bar.volume for bar in bars]
    meta = {
        "currency": "USD",
        "symbol": symbol,
        "exchangeName": "NMS",
        "instrumentType": "EQUITY",
        "firstTradeDate": listing.bars[0].time if listing.bars else None,
        "exchangeTimezoneName": listing.time_zone,
        "dataGranularity": "1d",
    }
    return {
        "meta": meta,
        "timestamp": [bar.time for bar in bars],
        **({"events": events} if events else {}),
        "indicators": {"quote": [quote], "adjclose": [{"adjclose": [bar.adj_close for bar in bars]}]},
    }


def _handler(yahoo: Yahoo) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else each reply, written in two parts, waits 40 ms for an acknowledgement

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            path = unquote(parts.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            with yahoo.guard:
                yahoo.paths.append(path)
            if path == "/":  # fc.yahoo.com: no page, but a cookie
                self._send(404, b"", {"Set-Cookie": "A3=stand-in; Path=/; Max-Age=31557600"})
            elif path == "/v1/test/getcrumb":
                allowed = "A3=stand-in" in (self.headers.get("Cookie") or "")
                self._send(200 if allowed else 401, _CRUMB.encode() if allowed else b"")
            elif path.startswith(CHART):
                self._chart(path.removeprefix(CHART), query)
            else:
                self._send(404, b"<html></html>")

        def _chart(self, symbol: str, query: Mapping[str, str]) -> None:
            with yahoo.guard:
                yahoo.asked[symbol] += 1
            if query.get("crumb", _CRUMB) != _CRUMB:
                self._send_json(401, {"finance": {"result": None, "error": {"code": "Unauthorized"}}})
                return
            fault = yahoo.fault_of(symbol)
            if fault is None or fault.kind == "slow":
                time.sleep(fault.seconds if fault else 0.0)
                self._send_json(*yahoo.chart(symbol, query))
            elif fault.kind == "status":
                header = {"Retry-After": fault.retry_after} if fault.retry_after else {}
                body = b"Too Many Requests\r\n" if fault.status == 429 else b"<html>error</html>"
                self._send(fault.status, body, header)
            else:
                text = json.dumps(yahoo.chart(symbol, query)[1]).encode()
                if fault.kind == "truncated":
                    self._send(200, text[: len(text) // 2], {"Content-Type": "application/json"})
                elif fault.kind == "short":
                    self._send(200, text[: len(text) // 2], {"Content-Length": str(len(text))})
                    self.close_connection = True
                else:
                    self._hang_up()

        def _hang_up(self) -> None:
            """Resets the connection instead of closing it in good order."""
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()

        def _send_json(self, status: int, document: Any) -> None:
            self._send(status, json.dumps(document).encode(), {"Content-Type": "application/json"})

        def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
            try:
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | dict(headers or {})).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
            except OSError:  # whoever asked has not waited
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def main() -> None:
    words = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    words.add_argument("--bars", type=Path, required=True, help="CSV file, gzipped or not")
    words.add_argument("--port", type=int, default=8099)
    given = words.parse_args()
    with Yahoo(read_bars(given.bars), given.port) as yahoo, contextlib.suppress(KeyboardInterrupt):
        print(f"{len(yahoo.symbols)} symbols at {yahoo.url}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
