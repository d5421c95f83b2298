"""Commands end at once if their emulator has ended; a job waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from localstack.processes import free_ports

from cloudlstm import cli
from cloudlstm.errors import StorageUnavailableError
from cloudlstm.storage import endpoints, registry
from cloudlstm.storage.endpoints import NothingListensError, fail_when_nothing_listens, require_listening
from targets.test_requests import AWS, GCP, written

VARIABLES = [("AWS_ENDPOINT_URL", "s3"), ("AWS_ENDPOINT_URL_S3", "s3"), ("STORAGE_EMULATOR_HOST", "gs")]
COMMANDS = ["status", "logs", "runs", "report", "cancel", "predict", "submit"]


@pytest.fixture
def gone() -> str:
    """Where nothing listens any more."""
    return f"http://127.0.0.1:{free_ports(1)[0]}"


@pytest.fixture
def leading(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Sets the one variable that leads to a service, for backends that reconnect; a wait fails the test."""

    def lead(variable: str, url: str) -> None:
        for name, _ in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", variable: url}.items():
            monkeypatch.setenv(name, value)
        registry._backend.cache_clear()

    sleep = time.sleep

    def wait(seconds: float) -> None:
        if threading.current_thread() is threading.main_thread():  # others are not of this test
            raise AssertionError("it waits")
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", wait)
    yield lead
    registry._backend.cache_clear()


@pytest.mark.parametrize("verb", COMMANDS)
@pytest.mark.parametrize(("variable", "scheme"), VARIABLES)
def test_every_verb_ends_at_once_in_one_line(
    leading: Callable[[str, str], None],
    gone: str,
    variable: str,
    scheme: str,
    verb: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    leading(variable, gone)
    words = ["market.source=synthetic"] if verb == "submit" else []
    assert cli.main([verb, *words, f"--root={scheme}://bucket/runs"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 or verb == "submit", "submit first prints which run it starts"
    line = lines[-1]
    assert f"nothing answers at {gone}" in line
    assert "unset" in line
    assert variable in line


@pytest.mark.parametrize("document", [AWS, GCP], ids=["aws", "gcp"])
@pytest.mark.parametrize("verb", [*COMMANDS, "down", "doctor"])
def test_every_verb_on_a_target_of_an_ended_emulator_ends_at_once(
    gone: str, verb: str, document: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Although nothing in this shell leads there: without its endpoints the real cloud would be asked."""
    place = written(document | {"endpoints": {"emr": gone}}, tmp_path)
    assert cli.main([verb, f"--target={place}"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    hint = "start the emulator again: make cloud-up"
    assert line == f"cloudlstm: nothing answers at {gone}, an endpoint of this target (try: {hint})"


@pytest.mark.parametrize(("variable", "scheme"), VARIABLES)
def test_a_job_waits_for_the_emulator(
    leading: Callable[[str, str], None], gone: str, variable: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "_required", False)
    leading(variable, gone)
    with pytest.raises((AssertionError, StorageUnavailableError)) as caught:
        registry.storage_for(f"{scheme}://bucket/object").read(f"{scheme}://bucket/object")
    assert "it waits" in str(caught.value)


@pytest.mark.parametrize("url", ["127.0.0.1:{}", "http://127.0.0.1:{}/x", "https://localhost:{}"])
def test_all_forms_of_a_local_url_are_checked(gone: str, url: str) -> None:
    place = url.format(gone.rsplit(":", 1)[1])
    fail_when_nothing_listens()
    with pytest.raises(NothingListensError, match="nothing answers at"):
        require_listening(place)


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999", "http://services.test:1", "", "http://[::1"])
def test_other_hosts_and_invalid_urls_are_not_checked(url: str) -> None:
    fail_when_nothing_listens()
    require_listening(url)
