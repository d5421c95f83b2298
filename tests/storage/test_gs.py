"""gs://: faults of the service and of the network."""

from __future__ import annotations

import gc
import gzip
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudlstm.errors import (
    AccessDeniedError,
    CorruptObjectError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageError,
    StorageUnavailableError,
)
from cloudlstm.storage import registry
from emulator_fixtures import GS_BUCKET
from fault_proxy import Answer, Request, Responder, cut, lose, once, run_fault_proxy
from reliability.switchable_faults import flip_beside_checksum
from storage.faults import check_all_operations

# When a download is refused and tried again, the SDK drops the answer without closing its connection.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

RETRY_LIMIT_S = 3.0
TWO_AND_A_HALF_PARTS = 20 * 2**20


@pytest.fixture(autouse=True)
def _drop_connections() -> Iterator[None]:
    """Collects the SDK's unclosed connections here, where their warnings are ignored."""
    yield
    gc.collect()


def fresh() -> registry.Storage:
    """A backend that reconnects with the current environment, and gives up soon."""
    from cloudlstm.storage.gs import GSStorage

    return GSStorage(retry_limit_s=RETRY_LIMIT_S)


def test_missing_bucket(gs_endpoint: str, tmp_path: Path) -> None:
    error = check_all_operations(fresh(), "gs://no-such-bucket-here", tmp_path, ObjectNotFoundError)
    assert "no such bucket" in error.message
    assert "create the bucket" in error.hint


def test_nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")
    with pytest.raises(StorageUnavailableError, match="gs://bucket/object") as caught:
        fresh().read("gs://bucket/object")
    assert "STORAGE_EMULATOR_HOST" in caught.value.hint
    with pytest.raises(StorageUnavailableError, match="gs://bucket/object"):
        fresh().write("gs://bucket/object", b"x")


def test_no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    assert "gcloud auth" in check_all_operations(fresh(), "gs://bucket", tmp_path, AccessDeniedError).hint


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, AccessDeniedError), (403, AccessDeniedError), (503, StorageUnavailableError), (418, StorageError)],
)
def test_faults_of_the_service(
    gs_endpoint: str, monkeypatch: pytest.MonkeyPatch, status: int, kind: type[StorageError]
) -> None:
    with run_fault_proxy(gs_endpoint, lambda _: Answer(status, b"as the test wants")) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        attempts = [lambda: fresh().read("gs://bucket/object"), lambda: fresh().write("gs://bucket/object", b"x")]
        for attempt in attempts:
            with pytest.raises(kind, match="gs://bucket/object") as caught:
                attempt()
            assert type(caught.value) is kind


def test_a_create_succeeds_if_only_its_answer_was_lost(
    gs_endpoint: str, gs_root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    respond, seen = once(lambda request: request.method == "POST", lose)
    with run_fault_proxy(gs_endpoint, respond) as url, monkeypatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", url)
        gs = fresh()
        gs.write(f"{gs_root}/claim", b"mine", if_absent=True)
        assert [request.method for request in seen] == ["POST", "POST", "GET"]
        with pytest.raises(ObjectExistsError):
            gs.write(f"{gs_root}/claim", b"mine", if_absent=True)
    assert fresh().read(f"{gs_root}/claim") == b"mine"


def test_a_write_is_repeated(gs_endpoint: str, gs_root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    respond, seen = once(lambda request: request.method == "POST", lambda _: Answer(503))
    with run_fault_proxy(gs_endpoint, respond) as url, monkeypatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", url)
        fresh().write(f"{gs_root}/object", b"mine")
    assert [request.method for request in seen] == ["POST", "POST"]
    assert fresh().read(f"{gs_root}/object") == b"mine"


@pytest.mark.parametrize("fault", [lambda _: Answer(503), lambda _: None], ids=["refused", "hung up"])
def test_an_upload_continues_after_a_fault(
    gs_endpoint: str, gs_root: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: Responder
) -> None:
    (tmp_path / "large").write_bytes(bytes(range(256)) * (TWO_AND_A_HALF_PARTS // 256))
    output: list[int] = []
    parts = iter(range(100))
    respond, seen = once(lambda r: r.method == "PUT" and next(parts) == 1, fault)
    with run_fault_proxy(gs_endpoint, respond) as url, monkeypatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", url)
        fresh().upload(tmp_path / "large", f"{gs_root}/large", output.append)
    assert [request.method for request in seen].count("PUT") > 3
    assert fresh().read(f"{gs_root}/large") == (tmp_path / "large").read_bytes()
    assert sum(output) == TWO_AND_A_HALF_PARTS
    assert all(size_bytes > 0 for size_bytes in output)


def test_progress_counts_repeated_reads_once() -> None:
    """As when the service has kept only a part of what was sent, and the SDK goes back."""
    from cloudlstm.storage.gs import _ReportingFile

    output: list[int] = []
    file = _ReportingFile(io.BytesIO(b"x" * 100), output.append)
    file.read(60)
    file.seek(20)
    file.read(30)
    file.read()
    assert file.tell() == sum(output) == 100
    assert all(size_bytes > 0 for size_bytes in output)


def test_an_incomplete_answer_is_requested_again(
    gs_endpoint: str, gs_root: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = bytes(range(256)) * 100
    fresh().write(f"{gs_root}/object", data)
    output: list[int] = []
    respond, _ = once(lambda request: "alt=media" in request.path, cut)
    with run_fault_proxy(gs_endpoint, respond) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        fresh().download(f"{gs_root}/object", tmp_path / "target", output.append)
    assert (tmp_path / "target").read_bytes() == data
    assert sum(output) == len(data)


@pytest.mark.parametrize("verb", ["read", "stat"])
def test_an_error_with_an_incomplete_answer_is_requested_again(
    gs_endpoint: str, gs_root: str, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    respond, seen = once(lambda _: True, cut)
    with run_fault_proxy(gs_endpoint, respond) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        with pytest.raises(ObjectNotFoundError):
            getattr(fresh(), verb)(f"{gs_root}/missing")
    assert [request.method for request in seen] == ["GET", "GET"]


@pytest.mark.parametrize("spoilt", [3, 4])
def test_an_object_that_arrives_corrupt_is_requested_four_times(
    gs_endpoint: str, gs_root: str, monkeypatch: pytest.MonkeyPatch, spoilt: int
) -> None:
    fresh().write(f"{gs_root}/object", b"x" * 1000)
    seen: list[str] = []

    def spoil(request: Request) -> Answer:
        seen.append(request.method)
        return flip_beside_checksum(request) if len(seen) <= spoilt else request.forward()

    with run_fault_proxy(gs_endpoint, spoil) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        if spoilt < 4:
            assert fresh().read(f"{gs_root}/object") == b"x" * 1000
        else:
            with pytest.raises(CorruptObjectError, match=f"{gs_root}/object"):
                fresh().read(f"{gs_root}/object")
    assert seen == ["GET"] * 4


def test_a_corrupt_body_is_detected(
    gs_endpoint: str, gs_root: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fresh().write(f"{gs_root}/object", b"x" * 1000)

    def spoil(request: Request) -> Answer:
        answer = request.forward()
        if "alt=media" not in request.path:
            return answer
        return Answer(answer.status, b"y" + answer.body[1:], answer.headers)

    with run_fault_proxy(gs_endpoint, spoil) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        with pytest.raises(CorruptObjectError, match=f"{gs_root}/object"):
            fresh().read(f"{gs_root}/object")
        with pytest.raises(CorruptObjectError, match=f"{gs_root}/object"):
            fresh().download(f"{gs_root}/object", tmp_path / "target")
    assert list(tmp_path.iterdir()) == []


def test_a_body_shorter_than_the_object(
    gs_endpoint: str, gs_root: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fresh().write(f"{gs_root}/object", b"x" * 1000)

    def shorten(request: Request) -> Answer:
        answer = request.forward()
        if "alt=media" not in request.path:
            return answer
        return Answer(answer.status, answer.body[:600], {})  # and without checksums

    with run_fault_proxy(gs_endpoint, shorten) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        with pytest.raises(CorruptObjectError, match=f"{gs_root}/object has 1000 bytes, but 600 arrived"):
            fresh().download(f"{gs_root}/object", tmp_path / "target")
    assert list(tmp_path.iterdir()) == []


def test_the_stored_bytes_are_returned(gs_root: str, tmp_path: Path) -> None:
    """Also where another program has marked an object as compressed, which the SDK would undo on the way."""
    from google.cloud import storage as sdk

    data = gzip.compress(b"x" * 1000)
    blob = sdk.Client(project=None).bucket(GS_BUCKET).blob(f"{gs_root.removeprefix(f'gs://{GS_BUCKET}/')}/object.gz")
    blob.content_encoding = "gzip"
    blob.upload_from_string(data)
    assert fresh().read(f"{gs_root}/object.gz") == data
    fresh().download(f"{gs_root}/object.gz", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == data
