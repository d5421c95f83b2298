"""An HTTP server between an SDK and an emulator that spoils chosen answers, as networks and busy services do."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """An answer to a request; with `cut_at`, the connection ends after so many bytes of the body."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut_at: int | None = None


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    forward: Callable[[], Answer]
    """Asks the service behind; nobody else does."""


Meddle = Callable[[Request], Answer | None]
"""The answer that the SDK gets; None hangs up without one."""


@contextmanager
def meddler(behind: str, meddle: Meddle) -> Iterator[str]:
    """The URL of a server which answers as `meddle` says."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.raw_requestline = b""
            with suppress(ConnectionError):  # the client has gone
                self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            if self.headers.get("Expect", "").lower() == "100-continue":
                self.handle_expect_100()
            try:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            except ConnectionError:
                self.close_connection = True
                return
            answer = meddle(Request(self.command, self.path, lambda: self._forward(body)))
            if answer is None:
                self.close_connection = True
                return
            self.send_response_only(answer.status)
            length = {"Content-Length": str(len(answer.body))} if self.command != "HEAD" else {}
            for name, value in (length | answer.headers).items():
                self.send_header(name, value)
            try:
                self.end_headers()
                self.wfile.write(answer.body[: answer.cut_at])
            except ConnectionError:  # the client has gone
                self.close_connection = True
            self.close_connection = self.close_connection or answer.cut_at is not None

        def _forward(self, body: bytes) -> Answer:
            place = urlsplit(behind)  # its path is an emulator's secret, which links in its answers have already
            path = self.path if place.path and self.path.startswith(place.path) else place.path + self.path
            connection = http.client.HTTPConnection(place.netloc, timeout=30)
            connection.request(self.command, path, body, dict(self.headers))
            found = connection.getresponse()
            drop = {"content-length", "transfer-encoding", "connection"} - (
                {"content-length"} if self.command == "HEAD" else set()
            )
            # A resumable upload goes on at the URL in Location, which must not lead past us.
            headers = {n: v.replace(behind, url) for n, v in found.getheaders() if n.lower() not in drop}
            answer = Answer(found.status, found.read(), headers)
            connection.close()
            return answer

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def once(spoilt: Callable[[Request], bool], meddle: Meddle) -> tuple[Meddle, list[Request]]:
    """Meddles with the first request that is to be spoilt and forwards all others; also the requests seen so far."""
    seen: list[Request] = []
    done = threading.Event()

    def answer(request: Request) -> Answer | None:
        seen.append(request)
        if not done.is_set() and spoilt(request):
            done.set()
            return meddle(request)
        return request.forward()

    return answer, seen


def lose(request: Request) -> Answer | None:
    """Lets the service do what was asked, and loses its answer."""
    request.forward()


def cut(request: Request) -> Answer:
    """Sends half of the answer."""
    answer = request.forward()
    return replace(answer, cut_at=len(answer.body) // 2)
