"""Answers that do not come from the service: no verb accepts a page, and each continues when the service answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cloudlstm.errors import AccessDeniedError, StorageUnavailableError
from cloudlstm.storage.base import Storage
from fault_proxy import Answer, Request, run_fault_proxy

HTML = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>to the Wi-Fi</body></html>"
XHTML = b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>Sign in</title></head></html>'
PAGES = {
    "page": (200, HTML, "text/html"),
    "well-formed page": (200, XHTML, "application/xhtml+xml"),
    "words": (200, b"please sign in", "text/plain"),
    "nothing": (200, b"", "text/html"),
    "redirect": (302, HTML, "text/html"),
    "bare redirect": (302, b"", "text/html"),
    "half": (200, b'<?xml version="1.0"?><ListBucketResult><Conte', "application/xml"),
    "busy proxy": (503, b"upstream connect error", "text/plain"),
}


@pytest.fixture(params=["s3", "gs"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def place(request: pytest.FixtureRequest, scheme: str) -> tuple[str, str]:
    """An endpoint and a root there."""
    return request.getfixturevalue(f"{scheme}_endpoint"), request.getfixturevalue(f"{scheme}_root")


@pytest.fixture
def at(scheme: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Storage]:
    """Makes a backend for a URL, which gives up after some time."""

    def make(url: str, retry_limit_s: float = 0.0) -> Storage:
        monkeypatch.setenv("AWS_ENDPOINT_URL" if scheme == "s3" else "STORAGE_EMULATOR_HOST", url)
        from cloudlstm.storage.gs import GSStorage
        from cloudlstm.storage.s3 import S3Storage

        return (S3Storage if scheme == "s3" else GSStorage)(retry_limit_s)

    return make


def verbs(backend: Storage, uri: str, tmp_path: Path) -> dict[str, Callable[[], object]]:
    (tmp_path / "local").write_bytes(b"x")
    return {
        "stat": lambda: backend.stat(uri),
        "read": lambda: backend.read(uri),
        "list": lambda: list(backend.list(uri)),
        "write": lambda: backend.write(uri, b"x"),
        "create": lambda: backend.write(uri, b"x", if_absent=True),
        "upload": lambda: backend.upload(tmp_path / "local", uri),
        "download": lambda: backend.download(uri, tmp_path / "target"),
    }


@pytest.mark.parametrize("kind", PAGES)
def test_no_verb_accepts_a_page_as_an_answer(
    place: tuple[str, str], at: Callable[..., Storage], kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    status, page, content_type = PAGES[kind]

    def answer(request: Request) -> Answer:
        return Answer(status, b"" if request.method == "HEAD" else page, {"Content-Type": content_type})

    with run_fault_proxy(place[0], answer) as url:
        for name, verb in verbs(at(url), f"{place[1]}/object", tmp_path).items():
            with pytest.raises(StorageUnavailableError) as caught:
                verb()
            assert f"{place[1]}/object" in caught.value.message, name
            assert "\n" not in caught.value.message
            if kind == "page" and name not in ("stat", "download"):
                assert "the answer does not come from the service: HTTP 200, text/html" in caught.value.message
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("verb", ["stat", "read", "list", "write", "create"])
def test_the_request_is_repeated_until_the_service_answers(
    place: tuple[str, str], at: Callable[..., Storage], verb: str, tmp_path: Path
) -> None:
    """As on a train, where the network's own page comes now and then."""
    pages = [200, 302]
    seen: list[str] = []

    def answer(request: Request) -> Answer:
        seen.append(request.method)
        if pages:
            return Answer(pages.pop(), b"" if request.method == "HEAD" else HTML, {"Content-Type": "text/html"})
        return request.forward()

    uri = f"{place[1]}/object"
    if verb != "create":
        at(place[0]).write(uri, b"content")
    with run_fault_proxy(place[0], answer) as url:
        found = verbs(at(url, 30.0), uri, tmp_path)[verb]()
    assert len(seen) > 2
    if verb == "read":
        assert found == b"content"
    elif verb == "list":
        assert found == [at(place[0]).stat(uri)]
    else:
        assert at(place[0]).read(uri) == (b"content" if verb == "stat" else b"x")


def test_a_deletion_answered_by_a_page_is_repeated(place: tuple[str, str], at: Callable[..., Storage]) -> None:
    uri, pages = f"{place[1]}/object", [200]
    at(place[0]).write(uri, b"x")

    def answer(request: Request) -> Answer:
        return Answer(pages.pop(), HTML, {"Content-Type": "text/html"}) if pages else request.forward()

    with run_fault_proxy(place[0], answer) as url:
        at(url, 30.0).delete(uri)
    assert list(at(place[0]).list(uri)) == []


def test_an_error_of_the_service_itself_is_kept(place: tuple[str, str], at: Callable[..., Storage]) -> None:
    body = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
    with (
        run_fault_proxy(place[0], lambda _: Answer(403, body, {"Content-Type": "application/xml"})) as url,
        pytest.raises(AccessDeniedError),
    ):
        at(url).read(f"{place[1]}/object")
