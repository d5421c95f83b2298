"""Benchmarks as the launcher leaves them, without running anything: manifests and small objects in a memory store."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cloudlstm import storage
from cloudlstm.benchmark.document import Measurement
from cloudlstm.benchmark.matrix import Cell, Matrix, cells, resolved
from cloudlstm.benchmark.paths import BenchmarkPaths
from cloudlstm.benchmark.records import started_here, write_measurement
from cloudlstm.config import parse
from cloudlstm.evaluation.rows import ModelScores
from cloudlstm.runs.liveness import Owner
from cloudlstm.runs.manifest import Manifest, ManifestRow, write_object
from cloudlstm.runs.paths import RunPaths

BEGAN = 1_700_000_000.0
DATA_STEPS = ("ingest", "clean", "features", "sequences")
Seconds = Callable[[Cell], float]


def seconds_of(cell: Cell) -> float:
    """A tenth of the work is serial; Spark needs half as long again."""
    number = devices_of(cell) if cell.kind == "train" else cell.cores or 1
    work = 0.01 * (cell.tickers or 50) * (0.1 + 0.9 / number)
    return work * (1.5 if cell.engine == "spark" else 1.0)


def devices_of(cell: Cell) -> int:
    """A machine with two cores: without a limit, one worker uses both."""
    return cell.cores or max(cell.workers, 2)


def make_benchmark(root: str, matrix: Matrix, seconds: Seconds = seconds_of) -> BenchmarkPaths:
    """A finished benchmark on a synthetic market."""
    settings = parse({"name": "bench", "market": {"source": "synthetic"}})
    whole = resolved(matrix, here=2, on_target=False)
    started = started_here(settings, whole, "local", None)
    paths = BenchmarkPaths.of(root, started.name())
    storage.write_json(paths.matrix, started.model_dump(mode="json"))
    paths.mark()
    for cell in cells(whole, on_target=False):
        for repeat in range(1, whole.repeats + 1):
            make_run(paths, cell, repeat, seconds(cell) * (1.0 + 0.02 * (repeat - 1)))
    return paths


def make_run(paths: BenchmarkPaths, cell: Cell, repeat: int, seconds: float) -> RunPaths:
    run = paths.run(cell.run_id(repeat))
    storage.write_json(run.attempt(1), asdict(Owner("here", 1, BEGAN)))
    (_data_run if cell.kind == "data" else _training_run)(run, cell, seconds)
    write_measurement(
        paths,
        Measurement(run=run.run_id, began=BEGAN, seconds=seconds + 3.0, peak_bytes=2**28, load=0.5, error=None),
    )
    return run


def _data_run(run: RunPaths, cell: Cell, seconds: float) -> None:
    began = BEGAN + 2.0
    rows = (cell.tickers or 1) * 1000
    for step in DATA_STEPS:
        data = f"{step} of {cell.tickers}".encode() * 10
        made = write_object(run.data(step, "0" * 16, "part.bin"), data, kind="bars", rows=rows)
        took = seconds / len(DATA_STEPS)
        facts = {"rows": rows, "engine": {"start_s": 4.0 if cell.engine == "spark" else 0.0, "cores": cell.cores}}
        _save(run, step, (made,), took, began, facts)
        began += took


def _training_run(run: RunPaths, cell: Cell, seconds: float) -> None:
    def write(name: str, data: bytes, kind: str) -> ManifestRow:
        return write_object(run.data("train", "0" * 16, name), data, kind=kind, rows=1)

    # Sums of floats are grouped by worker, so results differ in the last digits.
    noise = 1e-8 * cell.workers
    epochs = [(None, 1.0), (0.99, 0.98 + noise)]
    history = "".join(json.dumps({"train_loss": a, "validation_loss": b}) + "\n" for a, b in epochs)
    objects = (
        write("history.jsonl", history.encode(), "history"),
        write("predictions.parquet", predictions(noise), "predictions"),
    )
    facts = {"training_seconds": seconds, "windows_per_s": 10_000 / seconds, "replicas": devices_of(cell),
             "validation_loss": 0.98,
             "phases": [{"phase": "connect", "seconds": 1.0}, {"phase": "compile", "seconds": 2.0},
                        {"phase": "train", "seconds": seconds}, {"phase": "write", "seconds": 2.0}]}  # fmt: skip
    _save(run, "train", objects, seconds + 5.0, BEGAN + 6.0, facts)
    _save(run, "evaluate", (), 1.0, BEGAN + 12.0 + seconds, {})
    storage.write_json(run.report("report.json"), {"models": [_scores("naive", 2.0), _scores("lstm", 1.9)]})


def _save(
    run: RunPaths, step: str, objects: tuple[ManifestRow, ...], seconds: float, began: float, facts: dict[str, object]
) -> None:
    Manifest(step, "0" * 16, objects, seconds, facts, began=began).save(run)


def predictions(noise: float) -> bytes:
    """Forecasts of two tickers on five dates of the test split, and of both for the next session."""
    dates, n = np.arange(18_000, 18_005), 5
    table = pa.table(
        {
            "ticker": ["A"] * n + ["B"] * n + ["A", "B"],
            "origin_date": pa.array([*dates, *dates, 18_005, 18_005], pa.int32()).cast(pa.date32()),
            "target_date": pa.array([*dates + 1, *dates + 1, None, None], pa.int32()).cast(pa.date32()),
            "split": ["test"] * 2 * n + ["forecast"] * 2,
            "last_close": np.full(2 * n + 2, 100.0),
            "actual_return": [*np.linspace(-0.01, 0.01, 2 * n), np.nan, np.nan],
            "forecast_return": np.linspace(-0.001, 0.001, 2 * n + 2) + noise,
        }
    )
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


def _scores(model: str, rmse: float) -> dict[str, object]:
    known = {"model": model, "labels": 10, "zero_forecasts": 0, "ic_dates": 0, "rmse_price": rmse, "skill": 0.05}
    return dict.fromkeys(ModelScores.model_fields) | known
