"""A service whose answers are given beforehand; it remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from localstack.processes import free_ports


class Answering:
    """A server at a loopback address while its block lasts.

    Attributes:
        url: Where it is.
        asked: Every request: method and last part of the path, its query, its body (bytes if it is no JSON).
    """

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[str, dict[str, list[str]], Any]] = []
        self._answers: dict[str, list[tuple[int, Any]]] = defaultdict(list)

    def answer(self, what: str, *documents: Any, status: int = 200) -> None:
        """Answers requests such as "GET ours" one after the other; the last one again and again.

        Documents are sent as JSON, and bytes as they are, as HTML: what something between us and a service says.
        """
        self._answers[what] += [(status, document) for document in documents]

    def refuse(self, what: str, status: int, message: str, reason: str = "invalid") -> None:
        """Answers with an error as Google's services write it."""
        errors = [{"reason": reason, "message": message, "domain": "global"}]
        self.answer(what, {"error": {"code": status, "message": message, "errors": errors}}, status=status)

    def times(self, what: str) -> int:
        """How often this was asked."""
        return sum(each == what for each, _, _ in self.asked)

    def _take(self, what: str) -> tuple[int, Any]:
        waiting = self._answers[what]
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    @contextmanager
    def serving(self) -> Iterator[None]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def _reply(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                parts = urlsplit(self.path)
                what = f"{self.command} {parts.path.rsplit('/', 1)[1]}"
                outer.asked.append((what, parse_qs(parts.query), _parsed(body)))
                status, document = outer._take(what)
                raw = isinstance(document, bytes)
                data = document if raw else json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/html" if raw else "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = _reply  # noqa: N815

        server = ThreadingHTTPServer(("127.0.0.1", free_ports(1)[0]), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body
