"""The emulators end with the tests, and show their log if they do not start."""

from __future__ import annotations

import http.client
import io
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from emulator_fixtures import GS_BUCKET
from localstack import processes


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_server_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from localstack.stores.fake_gcs import fake_gcs\n"
        "with fake_gcs(Path(sys.argv[1])) as environment:\n"
        "    print(environment['STORAGE_EMULATOR_HOST'], flush=True); time.sleep(60)"
    )
    folder = Path(processes.__file__).parents[1]
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=folder
    ) as starter:
        assert starter.stdout is not None
        url = starter.stdout.readline().strip()
        assert answers(url)
        starter.send_signal(signal.SIGKILL)
    give_up = time.monotonic() + 30
    while answers(url) and time.monotonic() < give_up:
        time.sleep(0.05)
    assert not answers(url)


def answers(url: str) -> bool:
    """Whether somebody listens there."""
    address = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((address.hostname, address.port)) == 0


def test_the_log_of_a_server_that_does_not_start_is_shown(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; print('the port is taken', file=sys.stderr); sys.exit(3)"]
    with (
        pytest.raises(RuntimeError, match=r"ended with 3; its log ends:\n.*the port is taken"),
        processes.serving(command, tmp_path, lambda: False),
    ):
        pass


class Links:
    """Plain HTTP with the GCS emulator, whose paths begin with a secret."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self.url, self.secret, self.address = url, place.path, (place.hostname, place.port)
        self.connection = http.client.HTTPConnection(*self.address, timeout=60)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the answer; all requests go through one connection."""
        self.connection.request(method, path, body, headers, encode_chunked="Transfer-Encoding" in headers)
        answer = self.connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


@pytest.fixture
def links(gs_endpoint: str) -> Iterator[Links]:
    made = Links(gs_endpoint)
    yield made
    made.connection.close()


def test_bodies_of_all_kinds_pass_the_secret_path(links: Links) -> None:
    upload = f"{links.secret}/upload/storage/v1/b/{GS_BUCKET}/o?uploadType=media&name="
    pieces = [bytes([number]) * (100_000 + number) for number in range(5)]
    chunks = {"Transfer-Encoding": "chunked", "Content-Type": "application/octet-stream"}
    assert links.ask("POST", f"{upload}chunked", iter(pieces), **chunks)[0] == 200
    media = f"{links.secret}/download/storage/v1/b/{GS_BUCKET}/o/chunked?alt=media"
    assert links.ask("GET", media)[2] == b"".join(pieces)
    assert links.ask("GET", media, Range="bytes=5-9")[2] == bytes(5)
    assert links.ask("HEAD", media)[2] == b""
    assert links.ask("GET", media)[2] == b"".join(pieces), "the connection is not in step"
    for number in range(40):
        assert links.ask("POST", f"{upload}many/{number}", b"")[0] == 200
    status, _, body = links.ask("GET", f"{links.secret}/storage/v1/b/{GS_BUCKET}/o?prefix=many/")
    assert (status, len(json.loads(body)["items"])) == (200, 40)
    assert links.ask("DELETE", f"{links.secret}/storage/v1/b/{GS_BUCKET}/o/chunked")[0] in (200, 204)
    assert links.ask("GET", media)[0] == 404


def test_a_client_may_send_the_body_after_100_continue(links: Links) -> None:
    head = (
        f"POST {links.secret}/upload/storage/v1/b/{GS_BUCKET}/o?uploadType=media&name=waited HTTP/1.1\r\n"
        "Host: here\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection(links.address, timeout=60) as connection:
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"body")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_links_in_answers_have_the_secret_and_objects_are_as_they_were(gs_endpoint: str, gs_root: str) -> None:
    """The SDK downloads by the link that it got when it uploaded, and goes on with large uploads by another."""
    from google.cloud import storage as sdk

    blob = sdk.Client(project=None).bucket(GS_BUCKET).blob(f"{gs_root.rpartition('/')[2]}/links.json")
    place = urlsplit(gs_endpoint)
    text = json.dumps({"see": f"http://{place.netloc}/storage/v1"})
    blob.upload_from_string(text, content_type="application/json")
    assert blob.media_link.startswith(f"{gs_endpoint}/download/")
    assert blob.download_as_text() == text
    blob.reload()
    assert blob.self_link.startswith(f"{gs_endpoint}/storage/")
    assert blob.download_as_text() == text
    large = sdk.Client(project=None).bucket(GS_BUCKET).blob(f"{gs_root.rpartition('/')[2]}/large", chunk_size=2**18)
    large.upload_from_file(io.BytesIO(bytes(2**20)))
    assert large.download_as_bytes() == bytes(2**20)


def test_every_request_on_a_connection_needs_the_secret(links: Links) -> None:
    listing = f"/storage/v1/b/{GS_BUCKET}/o"
    assert links.ask("GET", f"{links.secret}{listing}")[0] == 200
    status, headers, body = links.ask("GET", listing)
    assert (status, headers["Connection"], "secret" in body.decode()) == (403, "close", True)
    for path in ("/", "/x", links.secret, f"{links.secret[:-1]}{listing}", f"{links.secret}x{listing}"):
        links.connection.close()
        assert links.ask("GET", path)[0] == 403, path
