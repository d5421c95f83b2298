"""A tracking server that is down or refuses, and what its error shows: never a password."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudlstm.errors import ExportError
from cloudlstm.models.mlflow_export import export, hidden, shown
from models.mlflow_model import make_model

PASSWORD = "p%40ss/x".replace("/", "%2F")


class Refusing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"error_code": "PERMISSION_DENIED", "message": "no rights for you"}'
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in http.server
        pass


@pytest.fixture
def refusing() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def unused() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def error_at(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    paths = make_model(f"file://{tmp_path}")
    with pytest.raises(ExportError) as caught:
        export(paths, f"http://ann:{PASSWORD}@127.0.0.1:{port}/?token=geheim")
    assert caught.value.__suppress_context__
    return str(caught.value)


def test_a_server_that_is_down(unused: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = error_at(unused, tmp_path, monkeypatch)
    assert text.startswith(f"MLflow at http://127.0.0.1:{unused}/ did not take model core: ")
    assert "the same command again completes the export" in text
    assert not any(secret in text for secret in (PASSWORD, "p@ss/x", "geheim", "ann"))


def test_a_server_that_refuses(refusing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = error_at(refusing, tmp_path, monkeypatch)
    assert "no rights for you" in text
    assert not any(secret in text for secret in (PASSWORD, "p@ss/x", "geheim", "ann:"))


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("https://ann:pw@mlflow.example/x", "https://mlflow.example/x"),
        ("postgresql+psycopg://ann:p@w/d@db:5432/m?password=pw", "postgresql+psycopg://db:5432/m"),
        ("sqlite:////home/a@b/mlflow.db", "sqlite:////home/a@b/mlflow.db"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
    ],
)
def test_the_uri_is_shown_without_credentials(uri: str, expected: str) -> None:
    assert shown(uri) == expected


@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P")), min_size=12))
def test_no_password_is_in_a_message(password: str) -> None:
    written = quote(password, safe="")
    for user in (f"ann:{written}", written):
        uri = f"https://{user}@mlflow.example/x?y"
        for text in (uri, f"GET https://{user}@mlflow.example/x/api failed", f"bad {password}!", f"{written} is wrong"):
            found = hidden(text, uri)
            assert password not in found
            assert written not in found
