"""`--json` of doctor and down, and the page that describes the documents."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from cloudlstm.cli import cancel, main
from cloudlstm.cli.json_output import DOCUMENTS, json_values
from cloudlstm.cli.stream_status import StreamStatus
from cloudlstm.errors import TargetError
from cloudlstm.targets.services import Resource

PAGE = Path(__file__).resolve().parents[2] / "docs" / "json.md"


def keys(model: type[BaseModel]) -> Iterator[str]:
    """The keys of a document and of its parts."""
    for name, field in model.model_fields.items():
        yield name
        for part in [field.annotation, *get_args(field.annotation)]:
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from keys(part)


@pytest.mark.parametrize("model", [*DOCUMENTS, StreamStatus], ids=lambda model: model.__name__)
def test_the_page_has_every_key(model: type[BaseModel]) -> None:
    command = re.match(r"`(\w+)", model.__doc__ or "")
    assert command, f"the docstring of {model.__name__} begins with its command"
    section = PAGE.read_text().partition(f"\n## {command[1]}\n")[2].partition("\n## ")[0]
    missing = [key for key in keys(model) if f"`{key}`" not in section]
    assert not missing


def test_doctor_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["doctor", f"--root={tmp_path}", "market.source=synthetic", "--json"]
    assert main(words) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is True
    checks = {check["name"]: check for check in document["checks"]}
    assert checks["storage"]["state"] == "ok"
    (tmp_path / "file").write_text("no folder")
    assert main(["doctor", f"--root={tmp_path}/file", "market.source=synthetic", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    assert [check["name"] for check in document["checks"] if check["state"] == "fail"] == ["storage"]


class Cloud:
    """A target that works on one run, and has two resources."""

    config: Any = type("Config", (), {"endpoints": {}, "cloud": "aws", "schedule": None})

    root = "s3://data/runs"

    def checks(self, *_: object) -> dict[str, Any]:
        return {"cluster": lambda: "WAITING"}

    def end(self) -> list[str]:
        return ["ended core6-1a2b"]

    def list_resources(self) -> list[Resource]:
        return [
            Resource("bucket s3://data", "kept"), Resource("a VPC", "free"),
            Resource("Spark cluster spark: WAITING", "costs"),
        ]  # fmt: skip


def test_down_as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cancel, "open_cloud", lambda *_, **__: Cloud())
    assert main(["down", "--target=my/aws", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "ended": ["ended core6-1a2b"],
        "remaining": ["Spark cluster spark: WAITING"],
        "free": ["a VPC"],
        "bucket": ["bucket s3://data"],
        "remove": "terraform -chdir=my/aws destroy",
        "remove_bucket": "terraform -chdir=my/aws/storage apply -var force_destroy=true, "
        "then terraform -chdir=my/aws/storage destroy",
    }


def test_down_says_what_costs_money_and_that_the_bucket_stays(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cancel, "open_cloud", lambda *_, **__: Cloud())
    assert main(["down", "--target=my/aws/"]) == 0
    storage = "terraform -chdir=my/aws/storage"
    after = "to remove the bucket with all its runs, after that:"
    assert capsys.readouterr().out.splitlines() == [
        "ended core6-1a2b",
        "costs money while it exists:",
        "  Spark cluster spark: WAITING",
        "is there and costs nothing by itself:",
        "  a VPC",
        "costs money for what it holds:",
        "  bucket s3://data",
        "to remove all but the bucket of runs: terraform -chdir=my/aws/ destroy",
        f"{after} {storage} apply -var force_destroy=true, then {storage} destroy",
    ]


def examined(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, Any]:
    """Exit status and document of `doctor --target` on a cloud whose other checks are fine."""
    monkeypatch.setattr("cloudlstm.targets.cloud.open_cloud", lambda *_, **__: cloud)
    monkeypatch.setattr("cloudlstm.cli.doctor._bundle", lambda _: "built")
    status = main(["doctor", "--target=my/aws", "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_doctor_of_a_target_has_the_same_lists_as_down(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, document = examined(Cloud(), monkeypatch, capsys)
    assert (status, document["remaining"]) == (0, ["Spark cluster spark: WAITING"])
    assert (document["free"], document["bucket"]) == (["a VPC"], ["bucket s3://data"])


def test_resources_that_cannot_be_listed_are_a_failed_check_and_null(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Closed(Cloud):
        def list_resources(self) -> list[Resource]:
            raise TargetError("not allowed", hint="the account of the output submitter")

    status, document = examined(Closed(), monkeypatch, capsys)
    failed = [check for check in document["checks"] if check["state"] == "fail"]
    assert (status, [check["name"] for check in failed]) == (1, ["resources"])
    assert failed[0]["fix"] == "the account of the output submitter"
    assert document["remaining"] is document["free"] is document["bucket"] is None


def test_a_value_that_json_lacks_is_null() -> None:
    assert json_values({"loss": float("nan"), "best": float("-inf"), "epoch": 1}) == {
        "loss": None, "best": None, "epoch": 1,
    }  # fmt: skip
