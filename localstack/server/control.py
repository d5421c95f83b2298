"""The emulator's own HTTP API: faults and state.

    GET    /state     services, steps, machines, and errors inside the emulator
    GET    /faults    the faults that can still happen
    PUT    /faults    adds a fault: a JSON object with the attributes of faults.Fault
    DELETE /faults    removes all faults
    GET    /clock     {"now": TIME}, the time of schedules
    DELETE /clock     lets it go with this machine's clock again
    PUT    /clock     {"now": TIME} moves the clock of schedules forward, to stand still there; with "group", a pattern,
                      for the schedules of these groups only

Wrong requests get status 400 and {"error": reason}. Every user of this machine can connect, so each path begins with a
secret, which the URL contains.
"""

from __future__ import annotations

import hmac
import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from localstack.http_server import Handler, serve_http
from localstack.server.faults import Fault, Faults


@contextmanager
def serve_control(
    port: int,
    faults: Faults,
    state: Callable[[], dict[str, Any]],
    preempt: Callable[[Fault], None],
    clock: Callable[[str | None, str], datetime],
) -> Iterator[str]:
    """Serves the API on 127.0.0.1 during the block; yields its URL.

    Args:
        port: The port; 0 for any free port.
        faults: The faults that can happen.
        state: Returns the state as a JSON object.
        preempt: Takes a machine back; raises ValueError if there is no such machine.
        clock: Moves the clock of schedules to a time, if there is one, and returns its time; raises ValueError if it
            cannot be moved there.
    """

    secret = f"/{secrets.token_hex(16)}"

    class ControlHandler(Handler):
        def parse_request(self) -> bool:
            """Reads the request; answers 403 here if its path lacks the secret."""
            if not super().parse_request():
                return False
            if not hmac.compare_digest(self.path[: len(secret)].encode(), secret.encode()):
                self.send_error(403, "the path does not begin with the emulator's secret")
                return False
            self.path = self.path[len(secret) :]
            return True

        def _answer(self, status: int, document: object) -> None:
            body = json.dumps(document, default=str).encode()
            self.send(status, body, {"Content-Type": "application/json"})

        def do_GET(self) -> None:
            if self.path == "/state":
                self._answer(200, state())
            elif self.path == "/faults":
                self._answer(200, faults.waiting())
            elif self.path == "/clock":
                self._answer(200, {"now": clock(None, "*").isoformat()})
            else:
                self._answer(404, {"error": "there are /state, /faults and /clock"})

        def do_PUT(self) -> None:
            body = self.read_body()
            try:
                request = json.loads(body)
                if not isinstance(request, dict):
                    raise ValueError("a fault is a JSON object, and so is a time")
                if self.path == "/clock":
                    moved = clock(str(request.get("now")), str(request.get("group", "*")))
                    self._answer(200, {"now": moved.isoformat()})
                    return
                if self.path != "/faults":
                    raise ValueError("faults are put to /faults")
                fault = faults.add(request)
                if fault.kind == "preempted":
                    preempt(fault)
            except ValueError as error:
                self._answer(400, {"error": str(error)})
            else:
                self._answer(200, {"id": fault.id, "kind": fault.kind})

        def do_DELETE(self) -> None:
            if self.path == "/clock":
                clock("", "*")
            else:
                faults.clear()
            self._answer(200, [])

    with serve_http(ControlHandler, port) as url:
        yield url + secret


class Control:
    """A client of this API."""

    def __init__(self, url: str) -> None:
        self.url = url

    def fault(self, kind: str, **attributes: Any) -> None:
        """Adds a fault; see faults.Fault.

        Raises:
            ValueError: if the emulator rejects it.
        """
        self._request("PUT", "/faults", {"kind": kind, **attributes})

    def faults(self) -> list[dict[str, Any]]:
        """Returns the faults that can still happen."""
        waiting: list[dict[str, Any]] = self._request("GET", "/faults")
        return waiting

    def clear(self) -> None:
        """Removes all faults."""
        self._request("DELETE", "/faults")

    def move_clock(self, when: datetime, group: str = "*") -> None:
        """Moves the clock of schedules forward to a moment, where it stands still.

        Schedules of groups that the pattern `group` does not match do not follow.

        Raises:
            ValueError: if it has been moved to a later one, or the moment has no zone.
        """
        self._request("PUT", "/clock", {"now": when.isoformat(), "group": group})

    def clock(self) -> datetime:
        """Returns the time of schedules."""
        return datetime.fromisoformat(self._request("GET", "/clock")["now"])

    def reset_clock(self) -> None:
        """Lets the clock of schedules go with this machine's again."""
        self._request("DELETE", "/clock")

    def state(self) -> dict[str, Any]:
        """Returns the state of services, steps and machines."""
        state: dict[str, Any] = self._request("GET", "/state")
        return state

    def _request(self, method: str, path: str, document: object = None) -> Any:
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(self.url + path, body, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(json.load(error)["error"]) from None
