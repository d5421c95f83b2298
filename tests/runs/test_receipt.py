"""The receipt of a finished submit is void after any change: of the inputs, of an object, or by a later attempt."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudlstm import storage
from cloudlstm.cli.unchanged import inputs_of
from cloudlstm.config import RunConfig, parse
from cloudlstm.runs import receipt
from cloudlstm.runs.attempts import Attempt
from cloudlstm.runs.manifest import Manifest, write_object
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.steps import STEPS

MARK = "0123456789abcdef"


def finish(paths: RunPaths, step: str, began: float = 1.0) -> None:
    row = write_object(paths.data(step, MARK, "one"), step.encode(), kind="bars", rows=1)
    Manifest(step, MARK, (row,), 1.0, {}, began=began).save(paths)


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    """A run that is finished, with a receipt for the inputs "a"."""
    paths = RunPaths(f"file://{tmp_path}/run")
    with Attempt(paths) as attempt:
        for step in STEPS:
            finish(paths, step.name)
        receipt.save(paths, attempt.number, "a")
    return paths


def another_attempt(paths: RunPaths) -> None:
    with Attempt(paths):
        pass


def lost_object(paths: RunPaths) -> None:
    storage.delete(paths.data("clean", MARK, "one"))


def changed_object(paths: RunPaths) -> None:
    storage.write(paths.data("clean", MARK, "one"), b"longer than before")


def step_that_ran_again(paths: RunPaths) -> None:
    finish(paths, "train", began=2.0)


def lost_manifest(paths: RunPaths) -> None:
    storage.delete(paths.manifest("evaluate"))


def torn_manifest(paths: RunPaths) -> None:
    storage.write(paths.manifest("evaluate"), b"{")


def torn_receipt(paths: RunPaths) -> None:
    storage.write(paths.receipt(1), b"[")


@pytest.mark.parametrize(
    "change",
    [another_attempt, lost_object, changed_object, step_that_ran_again, lost_manifest, torn_manifest, torn_receipt],
)
def test_a_receipt_fits_until_something_changes(paths: RunPaths, change: Callable[[RunPaths], None]) -> None:
    assert receipt.fits(paths, "a")
    assert not receipt.fits(paths, "b")
    change(paths)
    assert not receipt.fits(paths, "a")


def test_an_unfinished_run_has_no_receipt(tmp_path: Path) -> None:
    paths = RunPaths(f"file://{tmp_path}/run")
    assert not receipt.fits(paths, "a")
    with Attempt(paths) as attempt:
        finish(paths, "ingest")
        receipt.save(paths, attempt.number, "a")
    assert not storage.exists(paths.receipt(1))


def of_files(folder: Path, **settings: object) -> RunConfig:
    return parse({"market": {"source": "files", "path": str(folder / "bars")}, "universe": settings})


def test_inputs_are_the_settings_the_files_the_universe_and_the_weights(tmp_path: Path, paths: RunPaths) -> None:
    bars, names = tmp_path / "bars" / "a.csv", tmp_path / "names.txt"
    bars.parent.mkdir()
    bars.write_text("ticker,date\n")
    names.write_text("AAA\n")
    config = of_files(tmp_path, path=str(names))
    trained = config.model_copy(update={"train": config.train.model_copy(update={"weights": paths.uri})})
    seen = {inputs_of(config), inputs_of(trained)}
    assert inputs_of(config) in seen
    assert inputs_of(config.model_copy(update={"train": config.train.model_copy(update={"max_restarts": 7})})) in seen
    names.write_text("AAA\nBBB\n")
    seen.add(inputs_of(config))
    (tmp_path / "bars" / "b.csv").touch()
    seen.add(inputs_of(config))
    bars.write_text("ticker,DATE\n")
    os.utime(bars, (1, 1))
    seen.add(inputs_of(config))
    write_object(paths.data("train", MARK, "one"), b"newly trained", kind="bars", rows=1)
    row = write_object(paths.data("train", MARK, "two"), b"newly trained", kind="bars", rows=1)
    Manifest("train", MARK, (row,), 1.0).save(paths)
    seen.add(inputs_of(trained))
    assert len(seen) == 6, "each differs from all others"


def test_a_service_with_new_bars_is_asked() -> None:
    recent = {"market": {"source": "yahoo", "end": "2999-12-31"}, "universe": {"tickers": ["AAPL"]}}
    assert inputs_of(parse(recent)) is None
    recent["market"]["end"] = "2024-12-31"  # type: ignore[index]
    assert inputs_of(parse(recent))
