"""An HTTP service that gives prepared answers and records its requests."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from localstack.http_server import Handler, serve_http


class ForeignServer:
    """A server with prepared answers.

    Attributes:
        url: Its URL, set while it serves.
        asked: Every request: method and last part of the path, query, body (bytes if it is not JSON).
    """

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[str, dict[str, list[str]], Any]] = []
        self._answers: dict[str, list[tuple[int, Any]]] = defaultdict(list)

    def answer(self, what: str, *documents: Any, status: int = 200) -> None:
        """Adds answers to requests such as "GET ours". Each is sent once, in order; the last one is repeated.

        Documents are sent as JSON. Bytes are sent as HTML, as a proxy in front of a service does.
        """
        self._answers[what] += [(status, document) for document in documents]

    def refuse(self, what: str, status: int, message: str, reason: str = "invalid") -> None:
        """Adds an error answer in the format of Google's services."""
        errors = [{"reason": reason, "message": message, "domain": "global"}]
        self.answer(what, {"error": {"code": status, "message": message, "errors": errors}}, status=status)

    def times(self, what: str) -> int:
        """Returns how often this request came."""
        return sum(each == what for each, _, _ in self.asked)

    def _take(self, what: str) -> tuple[int, Any]:
        waiting = self._answers[what]
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serves during the block."""
        outer = self

        class Reply(Handler):
            def _reply(self) -> None:
                body = self.read_body()
                parts = urlsplit(self.path)
                what = f"{self.command} {parts.path.rsplit('/', 1)[1]}"
                outer.asked.append((what, parse_qs(parts.query), _parsed(body)))
                status, document = outer._take(what)
                raw = isinstance(document, bytes)
                data = document if raw else json.dumps(document).encode()
                self.send(status, data, {"Content-Type": "text/html" if raw else "application/json"})

            do_GET = do_POST = _reply  # noqa: N815

        with serve_http(Reply) as self.url:
            yield


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body
