"""From the runs of the cells to benchmark.json: equality before times, speed-up, fits, projection."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import jsonschema
import pytest

from benchmark.folders import make_benchmark, make_run, predictions, seconds_of
from cloudlstm import storage
from cloudlstm.benchmark.build import build
from cloudlstm.benchmark.document import BenchmarkResult, CellResult, Measurement, json_schema
from cloudlstm.benchmark.matrix import Cell, Matrix
from cloudlstm.benchmark.observe import has_run
from cloudlstm.benchmark.paths import BenchmarkPaths
from cloudlstm.benchmark.records import read_measurement, write_measurement
from cloudlstm.benchmark.summary import caveats
from cloudlstm.runs.manifest import Manifest, write_object

MATRIX = Matrix(tickers=(6, 100), cores=(1, 2, 4), workers=(1, 2, 4), repeats=2)
SPARK_2 = Cell("data", 100, "spark", 2)
WORKERS_2 = Cell("train", 6, "local", None, 2)
ONE_CORE = Cell("train", 6, "local", 1, 1)


@pytest.fixture
def paths() -> BenchmarkPaths:
    return make_benchmark(f"memory://{secrets.token_hex(6)}/runs", MATRIX)


def cell_of(result: BenchmarkResult, cell: Cell) -> CellResult:
    return next(each for each in result.cells if each.name == cell.name)


def test_equal_cells_have_times_speed_up_and_scores(paths: BenchmarkPaths) -> None:
    result = build(paths)
    assert result.complete
    assert [cell.name for cell in result.cells][:4] == [
        "data-6-local-1", "data-6-local-2", "data-6-local-4", "data-6-spark-1",
    ]  # fmt: skip
    spark = cell_of(result, SPARK_2)
    one = seconds_of(Cell("data", 100, "local", 1))
    assert spark.seconds
    assert spark.seconds.median == pytest.approx(1.01 * seconds_of(SPARK_2))
    assert spark.seconds.least == pytest.approx(seconds_of(SPARK_2))
    assert spark.speed_up == pytest.approx(one / seconds_of(SPARK_2), rel=1e-4)
    assert spark.efficiency == pytest.approx(one / seconds_of(SPARK_2) / 2, rel=1e-4)
    assert spark.start_s
    assert spark.start_s.median == 4.0
    assert [step.step for step in spark.steps] == ["ingest", "clean", "features", "sequences"]
    assert spark.steps[1].bytes_in == spark.steps[0].bytes_out > 0
    two = cell_of(result, WORKERS_2)
    assert two.scores
    assert two.scores.rmse_price == 1.9
    assert two.start_s
    assert two.start_s.median == 9.0  # from the launch to the first step: the step "train" begins at 6 and compiles
    assert two.rows == 10_000


def test_serial_shares_are_fitted_and_projected(paths: BenchmarkPaths) -> None:
    result = build(paths)
    assert [(fit.kind, fit.engine, fit.tickers) for fit in result.fits] == [
        ("data", "local", 6), ("data", "spark", 6), ("data", "local", 100), ("data", "spark", 100),
        ("train", "local", 6),
    ]  # fmt: skip
    assert all(fit.serial_share == pytest.approx(0.1, abs=1e-4) for fit in result.fits)
    nodes, gpus = result.projections
    assert nodes.seconds == pytest.approx(1.5 * 1.01 * 0.01 * 10_000 * (0.1 + 0.9 / 200), rel=1e-3)
    assert nodes.inputs["nodes"] == 50
    assert len(nodes.usd) == 2
    training = result.fits[-1]
    factor = MATRIX.gpu_windows_per_s / (10_000 / training.one_s)
    assert gpus.seconds == pytest.approx(training.one_s * (0.1 + 0.9 / (8 * factor)), rel=1e-3)


def test_one_size_of_the_universe_gives_no_projection_of_the_data_steps() -> None:
    """Else the fixed cost of a run would count for each ticker."""
    matrix = Matrix(tickers=(6,), cores=(1, 2), workers=(), repeats=1)
    result = build(make_benchmark(f"memory://{secrets.token_hex(6)}/runs", matrix))
    assert result.fits
    assert result.projections == ()


def test_work_that_more_cores_make_no_faster_has_no_projection_and_no_winner() -> None:
    """Then the price of more nodes would buy nothing, and the times of the cells overlap."""
    matrix = Matrix(tickers=(6, 100), cores=(1, 2), workers=(1, 2), repeats=2)
    paths = make_benchmark(f"memory://{secrets.token_hex(6)}/runs", matrix, lambda cell: float(cell.tickers or 6))
    result = build(paths)
    assert not any(each.subject.startswith("data steps") for each in result.projections)
    assert any("The data steps have no projection" in text for text in result.caveats)
    (data,) = [text for text in result.headlines if text.startswith("Data steps, 6 tickers: ")]
    assert "overlap with it" in data
    assert "times as fast" not in data
    training = [text for text in result.headlines if text.startswith("Training: ")]
    assert training
    assert all("no difference is shown" in text for text in training)
    assert any("overlap with those of one process" in text for text in result.headlines)


def test_training_is_compared_with_one_core_by_devices(paths: BenchmarkPaths) -> None:
    """One worker without a limit uses both cores of this machine, as two workers do."""
    result = build(paths)
    one_core, two = cell_of(result, ONE_CORE), cell_of(result, WORKERS_2)
    assert one_core.speed_up == 1.0
    assert two.speed_up == pytest.approx(1 / 0.55)
    assert two.efficiency == pytest.approx(1 / 0.55 / 2)
    assert "2 workers with 2 devices are 1.82 times as fast as 1 worker on 1 core" in " ".join(result.headlines)


def test_spark_is_compared_with_one_process_with_and_without_its_start(paths: BenchmarkPaths) -> None:
    result = build(paths)
    row = next(row for row in result.against_one_process if row.cell == SPARK_2.name)
    assert row.ratio == pytest.approx(1 / (1.5 * 0.55), rel=1e-4)
    assert row.ratio_with_start < 1.0
    without = "Without the start of its JVM, Spark is faster than one process in 4 of 6 cells, first with 6 tickers"
    assert any(text.startswith(without) for text in result.headlines)
    assert "With the start of its JVM, Spark is slower than one process in every cell." in result.headlines
    assert not any("overlap with those of one process" in text for text in result.headlines)


def test_the_page_of_one_machine_says_what_it_cannot_show(paths: BenchmarkPaths) -> None:
    text = " ".join(build(paths).caveats)
    assert "no speed-up by distribution over machines can be seen" in text
    assert "No real cluster and no GPU was measured" in text
    assert "computed, not measured" in text


def test_an_emulated_cloud_is_not_taken_for_a_real_one(paths: BenchmarkPaths) -> None:
    result = build(paths).model_copy(update={"target": "emulated", "emulated": True})
    text = " ".join(caveats(result))
    assert "The cloud was emulated on one machine" in text
    assert "Nothing was paid" in text
    assert "No real cluster and no GPU was measured" in text
    real = " ".join(caveats(result.model_copy(update={"emulated": False})))
    assert "No real cluster" not in real
    assert "No GPU was measured" in real


def changed(paths: BenchmarkPaths, cell: Cell, step: str, kind: str, data: bytes, *, in_manifest: bool) -> None:
    """Changes an object of the second run of a cell, with or without its checksum in the manifest."""
    run = paths.run(cell.run_id(2))
    manifest = Manifest.load(run, step)
    assert manifest
    (row,) = manifest.of_kind(kind)
    if not in_manifest:
        storage.write(row.uri, data)
        return
    others = tuple(each for each in manifest.objects if each.uri != row.uri)
    made = write_object(row.uri, data, kind=kind, rows=row.rows)
    Manifest(step, manifest.fingerprint, (*others, made), manifest.seconds, manifest.facts, began=manifest.began).save(
        run
    )


@pytest.mark.parametrize("in_manifest", [False, True])
@pytest.mark.parametrize("step", ["features", "sequences"])
def test_a_changed_byte_of_the_features_is_caught(paths: BenchmarkPaths, step: str, in_manifest: bool) -> None:
    before = storage.read(paths.run(SPARK_2.run_id(2)).data(step, "0" * 16, "part.bin"))
    changed(paths, SPARK_2, step, "bars", b"X" + before[1:], in_manifest=in_manifest)
    assert_only_refused(build(paths), SPARK_2)


@pytest.mark.parametrize("in_manifest", [False, True])
def test_a_changed_loss_is_caught(paths: BenchmarkPaths, in_manifest: bool) -> None:
    epochs = [{"train_loss": None, "validation_loss": 1.0}, {"train_loss": 0.99, "validation_loss": 0.98 * (1 + 2e-5)}]
    data = "".join(json.dumps(each) + "\n" for each in epochs).encode()
    changed(paths, WORKERS_2, "train", "history", data, in_manifest=in_manifest)
    assert_only_refused(build(paths), WORKERS_2)


def test_a_changed_forecast_is_caught(paths: BenchmarkPaths) -> None:
    changed(paths, WORKERS_2, "train", "predictions", predictions(2e-5), in_manifest=True)
    result = build(paths)
    assert_only_refused(result, WORKERS_2)
    check = next(check for check in result.checks if check.subject.startswith("forecasts"))
    assert check.unequal == (WORKERS_2.run_id(2),)
    assert check.largest is not None
    assert check.largest < check.tolerance


def test_a_changed_byte_of_the_data_of_a_training_is_caught(paths: BenchmarkPaths) -> None:
    run = paths.run(WORKERS_2.run_id(2))
    made = write_object(run.data("sequences", "0" * 16, "train.tfrecord"), b"data", kind="train", rows=1)
    Manifest("sequences", "0" * 16, (made,), 0.0, {}).save(run)
    assert build(paths).complete
    storage.write(made.uri, b"date")
    assert_only_refused(build(paths), WORKERS_2)


def test_a_training_on_one_core_is_not_taken_for_the_data_steps_of_one_process() -> None:
    matrix = Matrix(tickers=(6,), cores=(1,), workers=(1,), repeats=2)
    paths = make_benchmark(
        f"memory://{secrets.token_hex(6)}/runs", matrix,
        lambda cell: 1.0 if (cell.kind, cell.engine) == ("data", "local") else 4.0,
    )  # fmt: skip
    result = build(paths)
    assert {cell.name for cell in result.cells} >= {"train-6-workers-1-cores-1", "data-6-spark-1"}
    assert not any("overlap with those of one process" in text for text in result.headlines)


def test_one_run_of_each_cell_makes_no_difference_certain() -> None:
    matrix = Matrix(tickers=(6,), cores=(1, 2), workers=(), repeats=1)
    result = build(make_benchmark(f"memory://{secrets.token_hex(6)}/runs", matrix))
    assert "Each cell ran once, so no difference between them is certain." in result.headlines


@pytest.mark.parametrize("kind", ["history", "predictions"])
def test_a_value_that_is_not_a_number_is_caught(paths: BenchmarkPaths, kind: str) -> None:
    losses = b'{"train_loss": null, "validation_loss": 1.0}\n{"train_loss": 0.99, "validation_loss": null}\n'
    data = losses if kind == "history" else predictions(float("nan"))
    changed(paths, WORKERS_2, "train", kind, data, in_manifest=True)
    result = build(paths)
    assert_only_refused(result, WORKERS_2)
    reason = cell_of(result, WORKERS_2).reason or ""
    assert ("is not a number" if kind == "history" else "are not finite") in reason


def assert_only_refused(result: BenchmarkResult, cell: Cell) -> None:
    refused = [each for each in result.cells if each.state != "equal"]
    assert [each.name for each in refused] == [cell.name]
    assert refused[0].state == "unequal"
    assert refused[0].seconds is None
    assert refused[0].speed_up is None
    assert refused[0].reason
    assert cell.run_id(2) in refused[0].reason
    assert refused[0].refused == (cell.run_id(2),)
    assert len(refused[0].runs) == 2
    assert any(text.startswith(f"{cell.name} (unequal): ") for text in result.headlines)
    assert not result.complete


def test_manifests_alone_are_compared_where_the_matrix_says_so() -> None:
    paths = make_benchmark(f"memory://{secrets.token_hex(6)}/runs", MATRIX.model_copy(update={"check": "manifests"}))
    uri = paths.run(SPARK_2.run_id(2)).data("features", "0" * 16, "part.bin")
    before = storage.read(uri)
    storage.write(uri, b"X" + before[1:])
    result = build(paths)
    assert result.complete
    assert any("not read again" in text for text in result.caveats)
    storage.write(uri, before[1:])
    assert_only_refused(build(paths), SPARK_2)


def test_a_failed_and_a_missing_run_do_not_stop_the_others(paths: BenchmarkPaths) -> None:
    write_measurement(
        paths,
        Measurement(
            run=SPARK_2.run_id(2), began=0.0, seconds=1.0, peak_bytes=None, load=None, error="no Java is found"
        ),
    )
    storage.delete(paths.measurement(WORKERS_2.run_id(1)))
    result = build(paths)
    failed, missing = cell_of(result, SPARK_2), cell_of(result, WORKERS_2)
    assert (failed.state, failed.reason) == ("failed", "no Java is found")
    assert missing.state == "missing"
    assert sum(cell.state == "equal" for cell in result.cells) == len(result.cells) - 2


def test_without_its_baseline_a_cell_has_a_time_but_no_speed_up(paths: BenchmarkPaths) -> None:
    storage.delete(paths.measurement(Cell("data", 100, "local", 1).run_id(1)))
    spark = cell_of(build(paths), SPARK_2)
    assert spark.seconds
    assert spark.speed_up is None


def test_a_run_whose_manifest_is_gone_is_missing(paths: BenchmarkPaths) -> None:
    """The cell does not count, says which step is gone, and the run has not run."""
    run = paths.run(SPARK_2.run_id(2))
    measured = read_measurement(paths, run.run_id)
    assert has_run(SPARK_2, run, measured)
    storage.delete(run.manifest("sequences"))
    assert not has_run(SPARK_2, run, measured)
    spark = cell_of(build(paths), SPARK_2)
    assert spark.state == "missing"
    assert "lacks the step sequences" in (spark.reason or "")


def test_a_damaged_manifest_takes_one_cell_and_is_made_anew(paths: BenchmarkPaths) -> None:
    run = paths.run(SPARK_2.run_id(2))
    storage.write(run.manifest("features"), b"{")
    assert not has_run(SPARK_2, run, read_measurement(paths, run.run_id))
    result = build(paths)
    assert [cell.name for cell in result.cells if cell.state != "equal"] == [SPARK_2.name]


def test_a_run_that_is_compared_with_no_other_one_is_not_called_equal() -> None:
    matrix = Matrix(tickers=(6,), engines=("local",), cores=(1,), workers=(1,), train_cores=(), repeats=1)
    result = build(make_benchmark(f"memory://{secrets.token_hex(6)}/runs", matrix))
    assert result.complete
    assert [check.largest for check in result.checks] == [None, None, None]
    assert result.headlines[0] == (
        "2 of 2 cells have no other run with equal results, so nothing confirms them: "
        "data-6-local-1, train-6-workers-1."
    )
    two = build(make_benchmark(f"memory://{secrets.token_hex(6)}/runs", matrix.model_copy(update={"cores": (1, 2)})))
    assert two.headlines[0] == (
        "1 of 3 cells has no other run with equal results, so nothing confirms them: train-6-workers-1."
    )


def test_trainings_without_a_time_have_no_serial_share() -> None:
    paths = make_benchmark(
        f"memory://{secrets.token_hex(6)}/runs", MATRIX, lambda cell: 1.0 if cell.kind == "data" else 1e-9
    )
    for cell in (ONE_CORE, WORKERS_2, Cell("train", 6, "local", None, 1), Cell("train", 6, "local", None, 4)):
        for repeat in (1, 2):
            run = paths.run(cell.run_id(repeat))
            train = Manifest.load(run, "train")
            assert train
            facts = dict(train.facts) | {"training_seconds": 0.0, "windows_per_s": None}
            Manifest("train", train.fingerprint, train.objects, train.seconds, facts, began=train.began).save(run)
    assert {fit.kind for fit in build(paths).fits} == {"data"}


def test_the_document_has_the_schema_in_docs(paths: BenchmarkPaths) -> None:
    """`make docs` writes it."""
    schema = json.loads((Path(__file__).parents[2] / "docs/benchmark.schema.json").read_text(encoding="utf-8"))
    assert json_schema() == schema
    jsonschema.Draft202012Validator(schema).validate(json.loads(build(paths).model_dump_json()))


def test_the_document_can_be_read_back(paths: BenchmarkPaths) -> None:
    result = build(paths)
    assert BenchmarkResult.model_validate_json(result.model_dump_json()) == result
    make_run(paths, SPARK_2, 4, 1.0)  # a run that the matrix does not ask for changes nothing
    assert build(paths).model_copy(update={"created": result.created}) == result
