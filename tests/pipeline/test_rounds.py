"""One round makes several steps: the same bytes, manifests and refusals as one step after the other."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cloudlstm import storage
from cloudlstm.config import RunConfig, load
from cloudlstm.errors import DataError, QualityGateError
from cloudlstm.market.sources.base import open_source
from cloudlstm.market.sources.synthetic import SyntheticSource
from cloudlstm.pipeline.local_engine import LocalEngine
from cloudlstm.pipeline.prepare import run_on
from cloudlstm.pipeline.stages import Chain
from cloudlstm.runs.context import RunContext
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths
from pipeline.cli_runner import SMALL, data_objects, write_config

STEPS = ("ingest", "clean", "features", "sequences")


class Recorder(LocalEngine):
    """Runs in this process, and keeps the steps that each round has made."""

    def __init__(self) -> None:
        super().__init__(1)
        self.rounds: list[list[str]] = []

    def map(self, function: Callable[[Any], Any], items: Sequence[Any], **options: Any) -> list[Any]:
        if isinstance(function, Chain):
            self.rounds.append([stage.data.step for stage in function.stages])
        return super().map(function, items, **options)


def config_of(folder: Path, *words: str) -> RunConfig:
    return load(str(write_config(folder, SMALL)), list(words))


def prepare(paths: RunPaths, config: RunConfig) -> list[list[str]]:
    """Runs the job; returns the steps of each round."""
    engine = Recorder()
    with Journal(paths, "prepare", "driver") as journal:
        run_on(engine, RunContext(paths, config, 0, journal))
    return engine.rounds


def manifests(paths: RunPaths) -> dict[str, Manifest]:
    return {step: found for step in STEPS if (found := Manifest.load(paths, step))}


def forget(paths: RunPaths, *steps: str) -> None:
    for step in steps:
        storage.delete(paths.manifest(step))


def written(paths: RunPaths) -> set[str]:
    return {item.uri.removeprefix(f"{paths.uri}/") for item in storage.list_objects(f"{paths.uri}/data/")}


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    return RunPaths(f"file://{tmp_path}/run")


def test_one_round_makes_all_steps_and_a_later_one_only_what_is_missing(tmp_path: Path, paths: RunPaths) -> None:
    config = config_of(tmp_path)
    assert prepare(paths, config) == [list(STEPS)]
    made = data_objects(paths.uri)
    assert written(paths) == set(made)
    assert prepare(paths, config) == []
    forget(paths, "sequences")
    assert prepare(paths, config) == [["sequences"]]
    forget(paths, "clean")
    assert prepare(paths, config) == [["clean"]], "the later steps are finished for the same result"
    forget(paths, "clean", "features", "sequences")
    assert prepare(paths, config) == [list(STEPS[1:])]
    forget(paths, "ingest", "sequences")
    assert prepare(paths, config) == [["ingest"], ["sequences"]]
    assert data_objects(paths.uri) == made, "whatever the rounds, the objects are the same"
    assert written(paths) == set(made)


def test_a_step_that_was_lost_is_made_again_with_the_steps_that_need_it(tmp_path: Path, paths: RunPaths) -> None:
    config = config_of(tmp_path)
    prepare(paths, config)
    made = data_objects(paths.uri)
    storage.delete(manifests(paths)["features"].objects[0].uri)
    assert prepare(paths, config) == [["features"]]
    assert data_objects(paths.uri) == made


def test_parquet_files_of_whole_tickers_are_ingested_by_the_same_round(tmp_path: Path, paths: RunPaths) -> None:
    """Their metadata tells the last date. A CSV file with the same bars must be read first."""
    config = config_of(tmp_path)
    prepare(RunPaths(f"file://{tmp_path}/synthetic"), config)
    shards = manifests(RunPaths(f"file://{tmp_path}/synthetic"))["ingest"].objects
    made = {}
    for form in ("parquet", "csv"):
        (tmp_path / form).mkdir()
        for number, shard in enumerate(shards):
            table = pq.read_table(shard.uri.removeprefix("file://")).drop_columns(["unreadable", "source"])
            path = tmp_path / form / f"{number}.{form}"
            pq.write_table(table, path) if form == "parquet" else table.to_pandas().to_csv(path, index=False)
        words = ("market.source=files", f"market.path={tmp_path}/{form}")
        run = RunPaths(f"file://{tmp_path}/of-{form}")
        engine = Recorder()
        with Journal(run, "prepare", "driver") as journal:
            run_on(engine, RunContext(run, config_of(tmp_path, *words), 0, journal))
        made[form] = engine.rounds, {step: each.digest() for step, each in manifests(run).items()}
    assert made["parquet"][0] == [list(STEPS)]
    assert made["csv"][0] == [["ingest"], list(STEPS[1:])]
    assert made["parquet"][1]["sequences"] == made["csv"][1]["sequences"]


def test_bars_that_end_earlier_than_expected(tmp_path: Path, paths: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clean depends on the last date of all bars, which is only a guess before they are read."""
    config = config_of(tmp_path)
    prepare(RunPaths(f"file://{tmp_path}/right"), config)
    monkeypatch.setattr(SyntheticSource, "last_date", lambda _: dt.date(2023, 6, 30))
    assert prepare(paths, config) == [list(STEPS), list(STEPS[1:])]
    assert data_objects(paths.uri) == data_objects(f"file://{tmp_path}/right")
    assert written(paths) == set(data_objects(paths.uri)), "nothing of the wrong guess is left"


def test_a_refused_run_keeps_no_later_step(tmp_path: Path, paths: RunPaths) -> None:
    with pytest.raises(QualityGateError):
        prepare(paths, config_of(tmp_path, "market.synthetic.bad_ticks=0.1"))
    assert list(manifests(paths)) == ["ingest"]
    assert {name.split("/")[1] for name in written(paths)} == {"ingest", "clean"}, "the quarantine can be looked at"


def test_a_run_without_windows_keeps_the_steps_before(tmp_path: Path, paths: RunPaths) -> None:
    with pytest.raises(DataError, match="no window of 1500 bars"):
        prepare(paths, config_of(tmp_path, "dataset.window_bars=1500"))
    assert list(manifests(paths)) == ["ingest", "clean", "features"]


def test_the_times_of_the_steps_add_up_to_that_of_the_round(tmp_path: Path, paths: RunPaths) -> None:
    began = time.time()
    prepare(paths, config_of(tmp_path))
    ended = time.time()
    found = list(manifests(paths).values())
    assert all(each.seconds > 0 for each in found)
    for before, after in pairwise(found):
        assert after.began == pytest.approx(before.began + before.seconds, rel=0, abs=1e-5)
    assert began <= found[0].began
    assert found[-1].began + found[-1].seconds <= ended


class SlowStart(Recorder):
    """Takes a while to start what a round of several tasks needs."""

    def __init__(self) -> None:
        super().__init__()
        self.slept_s = 0.0

    @property
    def start_seconds(self) -> float:
        return self.slept_s

    def start(self, tasks: int) -> None:
        if tasks > 1 and not self.slept_s:
            self.slept_s = 0.7
            time.sleep(self.slept_s)


def test_a_start_that_only_the_shards_of_a_file_need_is_not_part_of_a_step(tmp_path: Path, paths: RunPaths) -> None:
    source = open_source(config_of(tmp_path), None)
    assert isinstance(source, SyntheticSource)
    table = pa.concat_tables([source.read(partition) for partition in source.partitions()])
    pq.write_table(table.drop_columns(["unreadable", "source"]), tmp_path / "bars.parquet")
    files = config_of(tmp_path, "market.source=files", f"market.path={tmp_path}/bars.parquet")
    engine, began = SlowStart(), time.monotonic()
    with Journal(paths, "prepare", "driver") as journal:
        run_on(engine, RunContext(paths, files, 0, journal))
    took = time.monotonic() - began
    assert engine.slept_s > 0.0, "one file, several shards"
    found = manifests(paths).values()
    assert all(each.seconds > 0.0 for each in found)
    assert sum(each.seconds for each in found) <= took - engine.slept_s
