"""Both engines: the same results, the same errors, and the same bytes of all data steps."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from pyspark import cloudpickle

from cloudlstm.config import RunConfig, load
from cloudlstm.errors import CloudLSTMError, JobError, QualityGateError, StorageFullError
from cloudlstm.market import bars
from cloudlstm.market.calendar import sessions, to_date
from cloudlstm.pipeline.engine import Engine
from cloudlstm.pipeline.local_engine import LocalEngine
from cloudlstm.pipeline.prepare import run_on
from cloudlstm.pipeline.spark import Spark
from cloudlstm.runs.context import RunContext
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.manifest import Manifest, read_object
from cloudlstm.runs.paths import RunPaths
from pipeline import tasks
from pipeline.cli_runner import SMALL, write_config

STEPS = ("ingest", "clean", "features", "sequences")


@pytest.fixture(scope="module")
def processes() -> Iterator[LocalEngine]:
    with LocalEngine(2) as engine:
        yield engine


@pytest.fixture(scope="module", autouse=True)
def _spark_takes_the_tests_functions_by_value() -> None:
    cloudpickle.register_pickle_by_value(tasks)  # its workers do not find the package of the tests


@pytest.fixture(params=["spark", "processes", "one process"])
def engine(request: pytest.FixtureRequest, spark: Spark, processes: LocalEngine) -> Engine:
    return {"spark": spark, "processes": processes, "one process": LocalEngine(1)}[request.param]


def test_results_come_in_the_order_of_the_items(engine: Engine) -> None:
    reported: list[int] = []
    results = engine.map(tasks.square, list(range(20)), units=lambda _: 5, report=reported.append)
    assert results == [n * n for n in range(20)]
    assert all(0 <= done <= 100 for done in reported)
    assert engine.map(tasks.square, []) == []


def test_a_shuffle_keeps_the_order_of_arrival_and_fills_every_shard(engine: Engine) -> None:
    cut: list[int] = []
    joined: list[int] = []
    results = engine.shuffle(
        tasks.split, list(range(12)), tasks.join, n_shards=4, units=lambda _: 5,
        report=joined.append, report_split=cut.append,
    )  # fmt: skip
    assert set(cut) <= set(range(13)), "items that were split, before the first shard was joined"
    assert set(joined) <= {0, 5, 10, 15, 20}
    in_order = b"".join(b"%d.%d " % (item, part) for item in range(12) for part in range(2))
    assert results == [(0, in_order), (1, b""), (2, in_order), (3, b"")]
    assert engine.shuffle(tasks.split, [], tasks.join, n_shards=2) == [(0, b""), (1, b"")]


@pytest.mark.parametrize(
    "error", [QualityGateError("7 of 9 refused", hint="look"), StorageFullError("no <space> {} left")]
)
def test_our_errors_arrive_unchanged(engine: Engine, error: CloudLSTMError) -> None:
    with pytest.raises(type(error)) as caught:
        engine.map(tasks.raise_it, [error, error])
    assert str(caught.value) == str(error)


def test_an_unforeseen_failure_names_its_reason(engine: Engine) -> None:
    with pytest.raises(JobError, match="ZeroDivisionError: integer division"):
        engine.map(tasks.invert, [0, 1])
    with pytest.raises(JobError, match="ZeroDivisionError: integer division"):
        engine.shuffle(tasks.split_badly, [1, 0], tasks.join, n_shards=1)
    assert engine.map(tasks.square, [1, 2]) == [1, 4], "the engine still works"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Daily files with faults: a bar twice, one that is impossible, one that is not understood."""
    folder = tmp_path_factory.mktemp("files")
    head = "ticker,date,open,high,low,close,volume\n"
    days = [str(to_date(int(day))) for day in sessions("XNYS", date(2019, 1, 1), date(2019, 12, 31))]
    for part, own in enumerate((days[:130], days[130:])):
        lines = [f"{ticker},{day},{10 + n},{12 + n},{9 + n},{11 + n},{100 + n}"
                 for n, day in enumerate(own) for ticker in ("BBB", "AAA", "CCC")]  # fmt: skip
        lines += [f"AAA,{own[3]},1,2,1,1,5", f"CCC,{own[5]},-1,2,1,1,5", f"BBB,{own[6]},many,2,1,1,5"]
        (folder / f"{part}.csv").write_text(head + "\n".join(lines) + "\n")
    return folder


def prepared(engine: Engine, config: RunConfig, folder: Path) -> dict[str, list[tuple[object, ...]]]:
    """What each step has written, without times."""
    paths = RunPaths(f"file://{folder}")
    with Journal(paths, "prepare", "driver") as journal:
        run_on(engine, RunContext(paths, config, 0, journal))
    found = {step: Manifest.load(paths, step) for step in STEPS}
    rows = {step: manifest.objects for step, manifest in found.items() if manifest}
    quarantine = [row for row in rows["clean"] if row.kind == "quarantine"]
    assert sum(bars.from_parquet(read_object(row)).num_rows for row in quarantine) > 0
    return {
        step: [(row.uri.removeprefix(paths.uri), row.kind, row.rows, row.sha256, row.extra) for row in objects]
        for step, objects in rows.items()
    }


@pytest.mark.parametrize("source", ["synthetic", "files"])
def test_all_engines_write_the_same_bytes(
    spark: Spark, processes: LocalEngine, files: Path, tmp_path: Path, source: str
) -> None:
    of_files = ["market.source=files", f"market.path={files}", "market.end=2019-12-31", "dataset.train_end=2019-06-30",
                "dataset.validation_end=2019-09-30", "dataset.window_bars=5"]  # fmt: skip
    words = of_files if source == "files" else ["market.synthetic.bad_ticks=0.01"]
    config = load(str(write_config(tmp_path, SMALL)), words)
    made = prepared(spark, config, tmp_path / "spark")
    assert len(made["ingest"]) > 1
    assert prepared(processes, config, tmp_path / "processes") == made
    assert prepared(LocalEngine(1), config, tmp_path / "one") == made
