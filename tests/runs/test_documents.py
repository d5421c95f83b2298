"""Documents of another release, and invalid documents."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, JobError, from_record, to_record
from cloudlstm.runs import documents, manifest
from cloudlstm.runs.liveness import Beat, Owner
from cloudlstm.runs.manifest import Manifest, ManifestRow, write_object
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.progress import Progress
from cloudlstm.workers import assignment, job
from cloudlstm.workers.assignment import Assignment
from cloudlstm.workers.rendezvous import Generation

KINDS = [
    Owner("host", 1, 2.0, "boot", "namespace", 3),
    Beat(1.0, ended=True),
    Progress("train", "worker-0", 1, 2, "windows", 3.0, 4.0, facts={"epoch": 1}),
    Generation(2, 1, ("a:1", "b:2"), ((1.0, "why"),), {"used": 1}, devices=2),
    Manifest("clean", "f" * 16, (ManifestRow("data/x", "bars", 1, 2, "a" * 64, {"k": 1}),), 1.0, {"kept": 3}, 2.0),
]
NOT_DOCUMENTS: list[Any] = [None, 7, "text", [], [1], {}, {"unknown": 1}]


@pytest.mark.parametrize("known", KINDS, ids=lambda known: type(known).__name__)
def test_a_document_comes_back_also_with_what_a_newer_release_adds(known: object) -> None:
    document = asdict(known) | {"added": {"by": ["a newer release"]}}  # type: ignore[call-overload]
    assert documents.built(type(known), document, "x") == known


@pytest.mark.parametrize("known", KINDS, ids=lambda known: type(known).__name__)
@pytest.mark.parametrize("found", NOT_DOCUMENTS, ids=str)
def test_what_is_no_document_of_the_kind_is_named(known: object, found: object) -> None:
    with pytest.raises(CorruptObjectError, match=r"^file:///where/it/lies is not a valid "):
        documents.built(type(known), found, "file:///where/it/lies")


def test_deep_nesting_is_damage() -> None:
    storage.write("memory://documents/deep", b"[" * 100_000)
    with pytest.raises(CorruptObjectError, match="memory://documents/deep"):
        documents.read(Owner, "memory://documents/deep")


def test_an_assignment_of_a_newer_release() -> None:
    uri = "memory://documents/assignment.json"
    storage.write_json(uri, {"run": "memory://r", "attempt": 2, "workers": 3, "port": 8470, "version": 9, "new": [1]})
    assert assignment.read(uri) == Assignment("memory://r", 2, 3, 8470)


@pytest.mark.parametrize("record", [*NOT_DOCUMENTS, {"kind": 3, "message": None}])
def test_a_failure_that_is_no_record_is_a_failure_all_the_same(record: object) -> None:
    assert isinstance(from_record(record), JobError)


def test_a_damaged_failure_gives_way_to_the_next_one() -> None:
    paths = RunPaths("memory://documents/failed")
    storage.write_json(paths.failure("train"), [])
    job._store_error(paths, "train", JobError("the cause"), 1)
    assert storage.read_json(paths.failure("train"))["message"] == "the cause"


def test_an_error_keeps_the_uri_of_its_object() -> None:
    error = CorruptObjectError("damaged", uri="s3://bucket/object")
    assert from_record(to_record(error)).uri == "s3://bucket/object"


ODD = [
    {"uri": "../../../etc/passwd"}, {"uri": "/etc/passwd"}, {"uri": "data/../../x"}, {"uri": "s3://other/x"},
    {"uri": "file:///etc/passwd"}, {"uri": "data//x"}, {"uri": "data/x/.."}, {"uri": ""}, {"uri": "."}, {"uri": 7},
    {"uri": None}, {"uri": "data/\0"}, {"rows": -1}, {"rows": "many"}, {"size_bytes": -1}, {"sha256": "short"},
    {"sha256": 5}, {"extra": 5},
]  # fmt: skip


@pytest.mark.parametrize("change", ODD, ids=str)
def test_a_manifest_names_objects_of_its_run_alone(change: dict[str, object]) -> None:
    paths = RunPaths("memory://documents/run")
    row = write_object(paths.data("clean", "a" * 16, "bars"), b"shard", kind="bars", rows=1)
    Manifest("clean", "a" * 16, (row,), 1.0).save(paths)
    found = Manifest.load(paths, "clean")
    assert found is not None
    assert found.objects == (row,)
    document = storage.read_json(paths.manifest("clean"))
    document["objects"][0] |= change
    storage.write_json(paths.manifest("clean"), document)
    with pytest.raises(CorruptObjectError, match=r"manifests/clean\.json is not a valid manifest"):
        Manifest.load(paths, "clean")
    assert manifest.finished(paths, "clean", "a" * 16) is None, "the step is done again"
