"""Where the kernel allows no network namespace, the emulator works and warns what is open."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest
from localstack.cloud import Cloud, Options
from localstack.network import namespace

from cloudlstm.errors import MachineError
from localstack import __main__ as command_line
from localstack import background
from trainer_groups import GSBucket


def test_without_a_namespace_the_cloud_works_and_warns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> NoReturn:
        raise MachineError("this machine allows no network namespace: Operation not permitted")

    monkeypatch.setattr(namespace, "Loopback", refuse)
    with Cloud(tmp_path / "cloud", Options(cloud="gcp")) as cloud:
        cloud.make_target("open")
        bucket = GSBucket("open-data", cloud.environment["STORAGE_EMULATOR_HOST"])
        bucket.put("one", b"1")
        assert bucket.get("one") == b"1"
        exposed = cloud.control.state()["exposed"]
        assert exposed.startswith(
            "this machine allows no network namespace: Operation not permitted: while trainers work"
        )
        assert exposed in (cloud.folder / "gcp" / "log.txt").read_text()
        exported = dict(cloud.environment)
        monkeypatch.setattr(background, "start", lambda *_: exported)
        assert command_line.main(["up", f"--folder={tmp_path}"]) == 0
        output = capsys.readouterr()
        assert output.err.splitlines()[-1] == exposed
        assert output.out.splitlines() == [f"export {name}={value}" for name, value in exported.items()]
