"""A target document from another user: requests and credentials go to its endpoints only with a flag."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudlstm import cli, storage
from cloudlstm.errors import ConfigError, UsageError
from cloudlstm.storage.endpoints import is_loopback
from cloudlstm.targets import open_target
from cloudlstm.targets.document import TargetConfig, load
from targets.foreign_server import ForeignServer
from targets.test_requests import AWS, GCP, written

AWAY = "services.test"
"""A host name of another machine; in these tests it resolves to this machine."""


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> Iterator[ForeignServer]:
    resolve = socket.getaddrinfo

    def to_here(host: Any, *arguments: Any, **others: Any) -> Any:
        return resolve("127.0.0.1" if host == AWAY else host, *arguments, **others)

    monkeypatch.setattr(socket, "getaddrinfo", to_here)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "precious")
    made = ForeignServer()
    with made.serving():
        yield made


def document(stranger: ForeignServer, folder: Path, cloud: dict[str, Any]) -> str:
    url = stranger.url.replace("127.0.0.1", AWAY)
    services = ("emr", "autoscaling", "sts", "ec2") if cloud is AWS else ("dataproc", "compute")
    return written(cloud | {"endpoints": dict.fromkeys(services, url)}, folder)


@pytest.mark.parametrize("cloud", [AWS, GCP], ids=["aws", "gcp"])
@pytest.mark.parametrize(
    "words",
    [["submit"], ["submit", "--detach"], ["submit", "--dry-run"], ["predict"], ["doctor"], ["down"]],
    ids=" ".join,
)
def test_no_command_sends_requests_to_untrusted_endpoints(
    stranger: ForeignServer, tmp_path: Path, words: list[str], cloud: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*words, f"--target={document(stranger, tmp_path, cloud)}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"would send your requests and credentials to {AWAY} (try: --trust-endpoints" in line
    assert stranger.asked == []


def test_cancel_sends_no_request_to_untrusted_endpoints(
    stranger: ForeignServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = f"file://{tmp_path}/runs"
    storage.write_json(f"{root}/gone/attempts/0001.json", {})
    storage.write_json(f"{root}/gone/config.json", {})
    storage.write(f"{root}/index/gone", b"")
    place = document(stranger, tmp_path, AWS)
    assert cli.main(["cancel", "gone", f"--root={root}", f"--target={place}"]) == 2
    assert f"credentials to {AWAY}" in capsys.readouterr().err
    assert stranger.asked == []


@pytest.mark.parametrize("word", ["--trust-endpoints", "--trust_endpoints", "--trust-endpoints=true"])
def test_trusted_endpoints_get_requests(
    stranger: ForeignServer, tmp_path: Path, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stranger.answer("POST ", {"message": "not here"}, status=400)
    place = document(stranger, tmp_path, AWS)
    assert cli.main(["down", word, f"--target={place}"]) == 1
    assert "not here" in capsys.readouterr().err
    assert stranger.asked


def test_the_repeated_command_line_has_the_flag(stranger: ForeignServer, tmp_path: Path) -> None:
    from cloudlstm.cli.flags import command_line

    typed = command_line("submit", ("train.epochs=1",), target="t.json", root=None, trust_endpoints=True)
    assert typed == ["cloudlstm", "submit", "--target=t.json", "--trust-endpoints", "train.epochs=1"]
    assert command_line("submit", (), trust_endpoints=False) == ["cloudlstm", "submit"]
    assert open_target(document(stranger, tmp_path, AWS), trust_endpoints=True).name == "desk"


@pytest.mark.parametrize(
    ("host", "here"),
    [("127.0.0.1", True), ("127.75.1.2", True), ("::1", True), ("localhost", True), ("127.0.0.1.evil.test", False),
     ("2130706433", False), ("0.0.0.0", False), ("10.0.0.1", False), ("169.254.169.254", False), ("", False)],
)  # fmt: skip
def test_which_hosts_are_this_machine(host: str, here: bool) -> None:
    assert is_loopback(host) is here


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1@evil.test", "http://127.0.0.1\\@evil.test", "http://127.0.0.1 .evil.test", "ftp://127.0.0.1",
     "http://127.0.0.1#@evil.test", "//127.0.0.1", "http://127.0.0.1\n", "http://", "http://127.0.0.1:1:2"],
)  # fmt: skip
def test_an_ambiguous_endpoint_is_rejected(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"endpoints\.emr"):
        load(written(AWS | {"endpoints": {"emr": url}}, tmp_path))


@pytest.mark.parametrize("region", ["evil.test/", "evil.test#", "eu-central-1.evil.test", ""])
def test_a_region_cannot_contain_a_host(region: str, tmp_path: Path) -> None:
    """The hosts of Google Cloud services begin with the region."""
    with pytest.raises(ConfigError, match="region"):
        load(written(GCP | {"region": region}, tmp_path))


def test_the_error_names_each_foreign_host_once() -> None:
    endpoints = {"emr": "http://b.test:1", "ec2": "https://a.test/x", "sts": "http://b.test:2", "s3": "http://[::1]:3"}
    assert TargetConfig.model_validate(AWS | {"endpoints": endpoints}).foreign_hosts() == ["a.test", "b.test"]


def test_endpoints_on_this_machine_need_no_flag(tmp_path: Path, stranger: ForeignServer) -> None:
    place = written(AWS | {"endpoints": {"emr": stranger.url}}, tmp_path)
    assert open_target(place).name == "desk"
    with pytest.raises(UsageError, match="known clouds are"):
        open_target(written(AWS | {"cloud": "azure"}, tmp_path))


def test_the_flag_does_not_take_the_next_word(
    stranger: ForeignServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = document(stranger, tmp_path, AWS)
    assert cli.main(["submit", f"--target={place}", "--dry-run", "--trust-endpoints", "train.epochs=3"]) == 0
    assert '"epochs": 3' in capsys.readouterr().out
