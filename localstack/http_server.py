"""A small HTTP server in a thread: the base of the emulator's own API, of the emulated Yahoo and of test servers."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class Handler(BaseHTTPRequestHandler):
    """Handles the requests of one connection; subclasses add the methods do_GET, do_PUT, and so on."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer, written in two parts, waits 40 ms for an acknowledgement

    def log_message(self, *_: object) -> None:
        """Writes no log."""

    def read_body(self) -> bytes:
        """Returns the body of the request; empty if it has none."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def send(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """Sends an answer.

        Args:
            status: HTTP status.
            body: The body, sent without chunks.
            headers: Headers besides Content-Length, or instead of it.
        """
        try:
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | dict(headers or {})).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except OSError:  # the client has closed the connection
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """Ignores clients that were killed."""


class StandIn(ABC):
    """A server that stands in for a service while a `with` block runs.

    Args:
        port: Its port on 127.0.0.1; 0 for any free port.

    Attributes:
        url: Its base URL inside the block.
        guard: Held while its state changes; requests come in several threads.
    """

    def __init__(self, port: int = 0) -> None:
        self.url = ""
        self.guard = threading.Lock()
        self._port = port
        self._stack = ExitStack()

    @abstractmethod
    def handler(self) -> Callable[..., BaseHTTPRequestHandler]:
        """Returns the class that handles its requests."""

    def __enter__(self) -> Self:
        self.url = self._stack.enter_context(serve_http(self.handler(), self._port))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


@contextmanager
def serve_http(handler: Callable[..., BaseHTTPRequestHandler], port: int = 0) -> Iterator[str]:
    """Serves on 127.0.0.1 during the block; yields the URL.

    Args:
        handler: The class that handles requests.
        port: The port; 0 for any free port.
    """
    server = _Server(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="http", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
