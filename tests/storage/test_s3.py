"""s3://: faults of the service and of the network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cloudlstm.errors import (
    AccessDeniedError,
    CorruptObjectError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageError,
    StorageUnavailableError,
    UsageError,
)
from cloudlstm.storage import registry
from emulator_fixtures import S3_OUTSIDE, make_s3_bucket
from fault_proxy import Answer, Request, cut, lose, once, run_fault_proxy
from storage.faults import check_all_operations

TWO_AND_A_HALF_PARTS = 20 * 2**20


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment to change, in which nothing but the tests' own settings holds."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    return monkeypatch


def fresh() -> registry.Storage:
    """A backend that reconnects with the current environment."""
    from cloudlstm.storage.s3 import S3Storage

    return S3Storage()


def fault(status: int, code: str) -> Answer:
    body = f"<Error><Code>{code}</Code><Message>as the test wants</Message></Error>".encode()
    return Answer(status, body, {"Content-Type": "application/xml"})


@pytest.mark.skipif(bool(S3_OUTSIDE), reason="the given service may not check credentials")
def test_wrong_credentials(s3_root: str, settings: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    assert "credentials" in check_all_operations(fresh(), s3_root, tmp_path, AccessDeniedError).hint
    settings.setenv("AWS_ACCESS_KEY_ID", "unknown")
    check_all_operations(fresh(), s3_root, tmp_path, AccessDeniedError)


def test_no_credentials(s3_root: str, settings: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings.delenv("AWS_ACCESS_KEY_ID")
    settings.delenv("AWS_SECRET_ACCESS_KEY")
    assert "AWS_PROFILE" in check_all_operations(fresh(), s3_root, tmp_path, AccessDeniedError).hint
    settings.setenv("AWS_PROFILE", "no-such-profile")
    with pytest.raises(AccessDeniedError, match="no-such-profile"):
        fresh().read(f"{s3_root}/object")


def test_missing_bucket(s3_endpoint: str, tmp_path: Path) -> None:
    error = check_all_operations(fresh(), "s3://no-such-bucket-here", tmp_path, ObjectNotFoundError)
    assert "create the bucket" in error.hint


def test_nothing_listens(settings: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings.setenv("AWS_ACCESS_KEY_ID", "x")
    settings.setenv("AWS_SECRET_ACCESS_KEY", "x")
    settings.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    settings.setenv("AWS_MAX_ATTEMPTS", "1")
    assert "AWS_ENDPOINT_URL" in check_all_operations(fresh(), "s3://bucket", tmp_path, StorageUnavailableError).hint


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (503, "SlowDown", StorageUnavailableError),
        (500, "InternalError", StorageUnavailableError),
        (403, "AccessDenied", AccessDeniedError),
        (400, "ExpiredToken", AccessDeniedError),
        (400, "AuthorizationHeaderMalformed", StorageError),
        (418, "Unheard", StorageError),
    ],
)
def test_faults_of_the_service(
    s3_endpoint: str, settings: pytest.MonkeyPatch, status: int, code: str, kind: type[StorageError]
) -> None:
    settings.setenv("AWS_MAX_ATTEMPTS", "1")
    with run_fault_proxy(s3_endpoint, lambda _: fault(status, code)) as url:
        settings.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(kind, match=f"s3://bucket/object.*{code}") as caught:
            fresh().read("s3://bucket/object")
        assert type(caught.value) is kind


def test_the_users_number_of_attempts_counts(s3_endpoint: str, settings: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[str] = []

    def busy(request: Request) -> Answer:
        seen.append(request.path)
        return fault(503, "SlowDown")

    with run_fault_proxy(s3_endpoint, busy) as url:
        settings.setenv("AWS_ENDPOINT_URL", url)
        for attempts in (1, 2):
            seen.clear()
            settings.setenv("AWS_MAX_ATTEMPTS", str(attempts))
            with pytest.raises(StorageUnavailableError):
                fresh().read("s3://bucket/object")
            assert len(seen) == attempts
        settings.delenv("AWS_MAX_ATTEMPTS")
        (tmp_path / "config").write_text("[default]\nmax_attempts = 1\n")
        seen.clear()
        with pytest.raises(StorageUnavailableError):
            fresh().read("s3://bucket/object")
        assert len(seen) == 1


def test_a_create_succeeds_if_only_its_answer_was_lost(
    s3_endpoint: str, s3_root: str, settings: pytest.MonkeyPatch
) -> None:
    respond, seen = once(lambda request: request.method == "PUT", lose)
    with run_fault_proxy(s3_endpoint, respond) as url:
        settings.setenv("AWS_ENDPOINT_URL", url)
        s3 = fresh()
        s3.write(f"{s3_root}/claim", b"mine", if_absent=True)
        assert [request.method for request in seen] == ["PUT", "PUT", "HEAD"]
        with pytest.raises(ObjectExistsError):
            s3.write(f"{s3_root}/claim", b"mine", if_absent=True)
        assert s3.read(f"{s3_root}/claim") == b"mine"


def test_a_conflict_is_retried(s3_endpoint: str, s3_root: str, settings: pytest.MonkeyPatch) -> None:
    respond, seen = once(lambda _: True, lambda _: fault(409, "ConditionalRequestConflict"))
    with run_fault_proxy(s3_endpoint, respond) as url:
        settings.setenv("AWS_ENDPOINT_URL", url)
        fresh().write(f"{s3_root}/claim", b"mine", if_absent=True)
        assert [request.method for request in seen] == ["PUT", "PUT"]
        assert fresh().read(f"{s3_root}/claim") == b"mine"


def test_an_incomplete_answer_is_requested_again(
    s3_endpoint: str, s3_root: str, settings: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fresh().write(f"{s3_root}/object", b"x" * 1000)
    for attempt in ("read", "download"):
        respond, seen = once(lambda request: request.method == "GET", cut)
        with run_fault_proxy(s3_endpoint, respond) as url:
            settings.setenv("AWS_ENDPOINT_URL", url)
            if attempt == "read":
                assert fresh().read(f"{s3_root}/object") == b"x" * 1000
            else:
                fresh().download(f"{s3_root}/object", tmp_path / "target")
                assert (tmp_path / "target").read_bytes() == b"x" * 1000
        assert [request.method for request in seen].count("GET") == 2


def test_answers_are_always_incomplete(
    s3_endpoint: str, s3_root: str, settings: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fresh().write(f"{s3_root}/object", b"x" * 1000)
    with run_fault_proxy(
        s3_endpoint, lambda request: cut(request) if request.method == "GET" else request.forward()
    ) as url:
        settings.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(StorageUnavailableError, match=f"{s3_root}/object"):
            fresh().read(f"{s3_root}/object")
        with pytest.raises(StorageUnavailableError, match=f"{s3_root}/object"):
            fresh().download(f"{s3_root}/object", tmp_path / "target")
    assert list(tmp_path.iterdir()) == []


def test_a_body_shorter_than_the_object(
    s3_endpoint: str, s3_root: str, settings: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fresh().write(f"{s3_root}/object", b"x" * 1000)

    def shorten(request: Request) -> Answer:
        answer = request.forward()
        headers = {name: value for name, value in answer.headers.items() if "checksum" not in name.lower()}
        return Answer(answer.status, answer.body[:600], headers)

    with run_fault_proxy(s3_endpoint, shorten) as url:
        settings.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(CorruptObjectError, match=f"{s3_root}/object has 1000 bytes, but 600 arrived"):
            fresh().download(f"{s3_root}/object", tmp_path / "target")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_upload_leaves_no_parts(
    s3_endpoint: str, s3_root: str, settings: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "large").write_bytes(b"x" * TWO_AND_A_HALF_PARTS)

    def refuse_second_part(request: Request) -> Answer:
        return fault(403, "AccessDenied") if "partNumber=2" in request.path else request.forward()

    with run_fault_proxy(s3_endpoint, refuse_second_part) as url:
        settings.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(AccessDeniedError, match=f"{s3_root}/large"):
            fresh().upload(tmp_path / "large", f"{s3_root}/large")
    settings.undo()
    bucket, prefix = s3_root.removeprefix("s3://").split("/", 1)
    client = plain_client(bucket)
    assert client.list_multipart_uploads(Bucket=bucket, Prefix=prefix).get("Uploads", []) == []
    assert list(fresh().list(s3_root)) == []


def test_a_large_file_goes_up_in_parts(s3_root: str, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * TWO_AND_A_HALF_PARTS)
    fresh().upload(tmp_path / "large", f"{s3_root}/large")
    assert re.fullmatch(r"[0-9a-f]{32}-3", fresh().stat(f"{s3_root}/large").etag)


def test_folder_markers_are_not_listed(s3_root: str) -> None:
    bucket, prefix = s3_root.removeprefix("s3://").split("/", 1)
    plain_client(bucket).put_object(Bucket=bucket, Key=f"{prefix}/folder/", Body=b"")
    fresh().write(f"{s3_root}/folder/object", b"x")
    assert [found.uri for found in fresh().list(s3_root)] == [f"{s3_root}/folder/object"]


def test_a_forked_process_has_its_own_client(s3_root: str) -> None:
    code = f"""
import os, sys
from cloudlstm import storage
root = {s3_root!r}
def work(who):
    for n in range(30):
        storage.write(f"{{root}}/{{who}}", b"%d-%d" % (who, n))
        assert storage.read(f"{{root}}/{{who}}") == b"%d-%d" % (who, n)
work(0)
children = []
for who in range(1, 4):
    child = os.fork()
    if not child:
        try:
            work(who)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    children.append(child)
work(0)
sys.exit(any(os.waitpid(child, 0)[1] for child in children))
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    from cloudlstm.storage.s3 import S3Storage

    s3 = S3Storage()
    assert s3._client() is s3._client()


def test_a_uri_needs_a_bucket(s3_endpoint: str) -> None:
    for uri in ("s3:///key", "s3://", "s3://-bad-/key"):
        with pytest.raises(UsageError, match="has no bucket"):
            fresh().read(uri + "/object")


def plain_client(bucket: str) -> Any:
    return make_s3_bucket(bucket, os.environ)
