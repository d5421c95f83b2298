"""A run takes finished steps of another run, if they are whole; then neither needs the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cloudlstm import storage
from cloudlstm.config import parse
from cloudlstm.runs.context import RunContext
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.manifest import Manifest, ManifestRow, read_object, write_object
from cloudlstm.runs.paths import RunPaths

MARK, OTHER = "0123456789abcdef", "fedcba9876543210"
NAMES = ("bars-00000.parquet", "snapshots/a/b.json")


@pytest.fixture
def parent(tmp_path: Path) -> RunPaths:
    """A run with the finished steps clean and train."""
    paths = RunPaths(f"file://{tmp_path}/parent")
    for step in ("clean", "train"):
        rows = [write_object(paths.data(step, MARK, name), name.encode(), kind="bars", rows=3) for name in NAMES]
        Manifest(step, MARK, tuple(rows), 9.0, {"rows": 3}, began=1.0).save(paths)
    return paths


@pytest.fixture
def context(parent: RunPaths) -> RunContext:
    """A run that takes what it can from `parent`."""
    paths = RunPaths(f"{parent.root}/child")
    settings = parse({"market": {"source": "synthetic"}, "prepare": {"reuse": parent.uri}})
    return RunContext(paths, settings, 0, Journal(paths, "prepare", "driver"))


def test_a_step_is_copied_and_stays_when_the_other_run_is_deleted(parent: RunPaths, context: RunContext) -> None:
    taken = context.step("clean", MARK).finished()
    for item in list(storage.list_objects(f"{parent.uri}/")):
        storage.delete(item.uri)
    again = context.step("clean", MARK).finished()
    assert taken == again == context.load_manifest("clean")
    assert again
    assert [read_object(row).decode() for row in again.objects] == list(NAMES)
    assert again.facts == {"rows": 3, "reused": parent.uri}
    assert again.began > 1.0
    assert again.seconds < 9.0, "what copying took"


def test_other_inputs_and_other_jobs_are_not_taken(context: RunContext) -> None:
    assert context.step("clean", OTHER).finished() is None
    assert context.step("features", MARK).finished() is None
    assert context.step("train", MARK).finished() is None, "only the steps of the job prepare"
    assert list(storage.list_objects(f"{context.paths.uri}/")) == []


def damaged(parent: RunPaths) -> None:
    storage.write(parent.data("clean", MARK, NAMES[0]), b"x" * len(NAMES[0]))


def incomplete(parent: RunPaths) -> None:
    storage.delete(parent.data("clean", MARK, NAMES[1]))


def of_another_step(parent: RunPaths) -> None:
    known = Manifest.load(parent, "train")
    assert known
    Manifest("clean", MARK, known.objects, 1.0).save(parent)


def torn(parent: RunPaths) -> None:
    storage.write(parent.manifest("clean"), b"{")


def gone(parent: RunPaths) -> None:
    for item in list(storage.list_objects(f"{parent.uri}/")):
        storage.delete(item.uri)


@pytest.mark.parametrize("change", [damaged, incomplete, of_another_step, torn, gone])
def test_a_step_that_is_not_whole_is_computed(
    parent: RunPaths, context: RunContext, change: Callable[[RunPaths], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloudlstm.runs.manifest._PAUSE_S", 0.0)
    change(parent)
    assert context.step("clean", MARK).finished() is None
    assert context.load_manifest("clean") is None


def test_an_own_result_comes_first(parent: RunPaths, context: RunContext) -> None:
    row: ManifestRow = write_object(context.paths.data("clean", MARK, "own"), b"own", kind="bars", rows=1)
    context.save_manifest(Manifest("clean", MARK, (row,), 1.0))
    known = context.step("clean", MARK).finished()
    assert known
    assert known.objects == (row,)
