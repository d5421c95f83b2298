"""The emulator's own small API, beside those it emulates: what goes wrong, and what is going on.

    GET    /state     services, steps, machines and what failed inside the emulator
    GET    /faults    the faults that can still happen
    PUT    /faults    one more, a JSON object with the attributes of faults.Fault
    DELETE /faults    none any more

Wrong requests are answered with 400 and {"error": why}. All paths begin with a secret, which the URL has, because every
user of this machine can connect.
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from localstack.server.faults import Fault, Faults


@contextmanager
def serve_control(
    port: int, faults: Faults, state: Callable[[], dict[str, Any]], preempt: Callable[[Fault], None]
) -> Iterator[str]:
    """Serves the API on 127.0.0.1 while the block lasts; yields its URL.

    Args:
        port: Where to listen; 0 for any free port.
        faults: What is to go wrong.
        state: Tells what is going on.
        preempt: Takes a machine back; ValueError when there is none.
    """

    secret = f"/{secrets.token_hex(16)}"

    class Handler(BaseHTTPRequestHandler):
        def parse_request(self) -> bool:
            """Reads the request; without the secret it is answered here."""
            if not super().parse_request():
                return False
            if not hmac.compare_digest(self.path[: len(secret)].encode(), secret.encode()):
                self.send_error(403, "the path does not begin with the emulator's secret")
                return False
            self.path = self.path[len(secret) :]
            return True

        def log_message(self, *_: object) -> None:
            """Nobody reads these."""

        def _answer(self, status: int, document: object) -> None:
            body = json.dumps(document, default=str).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            if self.path == "/state":
                self._answer(200, state())
            elif self.path == "/faults":
                self._answer(200, faults.waiting())
            else:
                self._answer(404, {"error": "there are /state and /faults"})

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                if self.path != "/faults":
                    raise ValueError("faults are put to /faults")
                request = json.loads(body)
                if not isinstance(request, dict):
                    raise ValueError("a fault is a JSON object")
                fault = faults.add(request)
                if fault.kind == "preempted":
                    preempt(fault)
            except ValueError as error:
                self._answer(400, {"error": str(error)})
            else:
                self._answer(200, {"id": fault.id, "kind": fault.kind})

        def do_DELETE(self) -> None:
            faults.clear()
            self._answer(200, [])

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="control", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{secret}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Control:
    """A client of that API."""

    def __init__(self, url: str) -> None:
        self.url = url

    def fault(self, kind: str, **attributes: Any) -> None:
        """Makes something go wrong; see faults.Fault.

        Raises:
            ValueError: when the emulator refuses it.
        """
        self._ask("PUT", "/faults", {"kind": kind, **attributes})

    def faults(self) -> list[dict[str, Any]]:
        """What can still go wrong."""
        waiting: list[dict[str, Any]] = self._ask("GET", "/faults")
        return waiting

    def clear(self) -> None:
        """Nothing is to go wrong any more."""
        self._ask("DELETE", "/faults")

    def state(self) -> dict[str, Any]:
        """What is going on."""
        state: dict[str, Any] = self._ask("GET", "/state")
        return state

    def _ask(self, method: str, path: str, document: object = None) -> Any:
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(self.url + path, body, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(json.load(error)["error"]) from None
