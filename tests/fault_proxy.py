"""An HTTP proxy between an SDK and an emulator that changes chosen answers, as networks and busy services do."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from localstack.http_server import Handler, serve_http


@dataclass(frozen=True)
class Answer:
    """An answer to a request. With `cut_at`, the connection ends after that many bytes of the body."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut_at: int | None = None


@dataclass(frozen=True)
class Request:
    """A request to the proxy; `forward` sends it to the service and returns the service's answer."""

    method: str
    path: str
    forward: Callable[[], Answer]


Responder = Callable[[Request], Answer | None]
"""Returns the answer that the SDK gets; None closes the connection without an answer."""


@contextmanager
def run_fault_proxy(upstream: str, respond: Responder) -> Iterator[str]:
    """Runs a proxy during the block; yields its URL.

    Args:
        upstream: URL of the service.
        respond: Gives the answer to each request.
    """

    class FaultProxy(Handler):
        url = ""

        def handle_one_request(self) -> None:
            self.raw_requestline = b""
            with suppress(ConnectionError):  # the client has closed the connection
                self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            if self.headers.get("Expect", "").lower() == "100-continue":
                self.handle_expect_100()
            try:
                body = self.read_body()
            except ConnectionError:
                self.close_connection = True
                return
            answer = respond(Request(self.command, self.path, lambda: self._forward(body)))
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
            except ConnectionError:  # the client has closed the connection
                self.close_connection = True
            self.close_connection = self.close_connection or answer.cut_at is not None

        def _forward(self, body: bytes) -> Answer:
            service = urlsplit(upstream)  # its path is an emulator's secret; links in its answers contain it already
            has_secret = service.path and self.path.startswith(service.path)
            path = self.path if has_secret else service.path + self.path
            connection = http.client.HTTPConnection(service.netloc, timeout=30)
            connection.request(self.command, path, body, dict(self.headers))
            found = connection.getresponse()
            drop = {"transfer-encoding", "connection"} | ({"content-length"} if self.command != "HEAD" else set())
            # The client continues a resumable upload at the URL in Location, which must lead to this proxy.
            headers = {n: v.replace(upstream, self.url) for n, v in found.getheaders() if n.lower() not in drop}
            answer = Answer(found.status, found.read(), headers)
            connection.close()
            return answer

    with serve_http(FaultProxy) as FaultProxy.url:
        yield FaultProxy.url


def once(applies: Callable[[Request], bool], respond: Responder) -> tuple[Responder, list[Request]]:
    """Uses `respond` for the first request to which it applies and forwards all others.

    Returns:
        The responder, and the list of the requests so far.
    """
    seen: list[Request] = []
    done = threading.Event()

    def answer(request: Request) -> Answer | None:
        seen.append(request)
        if not done.is_set() and applies(request):
            done.set()
            return respond(request)
        return request.forward()

    return answer, seen


def lose(request: Request) -> Answer | None:
    """The service carries out the request, but its answer is lost."""
    request.forward()


def cut(request: Request) -> Answer:
    """The connection ends in the middle of the answer."""
    answer = request.forward()
    return replace(answer, cut_at=len(answer.body) // 2)
