"""Requests to Google Cloud by REST: what becomes of answers, errors and missing services."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cloudlstm.errors import TargetError, TargetUnavailableError
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.gcp import rest
from targets.test_requests import GCP

DOING = "read the job j of Cloud Scheduler"


class Service:
    """A service that gives one answer to every request, and keeps what was asked."""

    def __init__(self) -> None:
        self.status, self.body = 200, "{}"
        self.asked: list[tuple[str, str, Any]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                service.asked.append((self.command, self.path, json.loads(text) if text else None))
                body = service.body.encode()
                self.send_response(service.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        url = f"http://127.0.0.1:{self.server.server_port}"
        self.target = TargetConfig.model_validate(GCP | {"endpoints": {"scheduler": url}})

    def call(self, **more: Any) -> dict[str, Any]:
        hints = {404: "terraform apply"}
        return rest.call(self.target, "scheduler", "/v1/j", scope="cloud-platform", doing=DOING, hints=hints, **more)


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def test_a_document_is_posted_and_its_answer_is_returned(service: Service) -> None:
    service.body = '{"state": "ENABLED"}'
    assert service.call() == service.call(document={"a": 1}) == {"state": "ENABLED"}
    assert service.asked == [("GET", "/v1/j", None), ("POST", "/v1/j", {"a": 1})]


@pytest.mark.parametrize(
    ("status", "body", "error", "message", "hint"),
    [
        (404, '{"error": {"message": "no j"}}', TargetError, "no j (404)", "terraform apply"),
        (403, '{"error": {"message": "no"}}', TargetError, "no (403)", "the rights of desk-submitter"),
        (401, '{"error": {"message": "who"}}', TargetError, "who (401)", "gcloud auth"),
        (404, "<html>", TargetError, "does not come from Google Cloud (404)", "terraform apply"),
        (400, '{"error": "odd"}', TargetError, "does not come from Google Cloud (400)", "desk-submitter"),
        (503, "<html>", TargetUnavailableError, "does not come from Google Cloud (503)", "try again"),
        (429, '{"error": {"message": "slow"}}', TargetUnavailableError, "slow (429)", "try again"),
        (200, "<html>Sign in", TargetUnavailableError, "does not come from Google Cloud (200)", "try again"),
        (200, "[]", TargetUnavailableError, "does not come from Google Cloud (200)", "try again"),
    ],
)
def test_what_is_no_good_answer(
    service: Service, status: int, body: str, error: type[TargetError], message: str, hint: str
) -> None:
    service.status, service.body = status, body
    with pytest.raises(error) as caught:
        service.call()
    assert type(caught.value) is error
    assert caught.value.message.startswith(f"cannot {DOING}: ")
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_an_emulated_target_without_the_service_reaches_no_real_cloud(service: Service) -> None:
    with pytest.raises(TargetError, match="the target desk names endpoints"):
        rest.call(service.target, "monitoring", "/v3", scope="monitoring.write", doing="send")
