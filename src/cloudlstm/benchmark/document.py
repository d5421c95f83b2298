"""Typed models of benchmark.json. Null is a value that is unknown, and there is no NaN.

`python -m cloudlstm.benchmark.document` prints the JSON schema.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, JsonValue

from cloudlstm.benchmark.matrix import Engine, Matrix
from cloudlstm.evaluation.rows import NonNegative, Number, Row, Share
from cloudlstm.report.run_models import Machine
from cloudlstm.report.schema import print_schema, schema_of

SCHEMA_VERSION = 1

FORMULA = "T(n) = T(1) (s + (1 - s) / n)"
"""Amdahl's law: T(n) are the seconds on n processes, s is the share of the work that is not divided."""

DATA_FORMULA = "T(t, n) = a + t (b + c / n), t tickers, n = nodes x cores of a node"
"""A constant part, a part by ticker that is not divided, and one that is; fitted to all cells of an engine."""

CellState = Literal["equal", "unequal", "failed", "missing"]
"""`equal`: its times count. `unequal`: its results are damaged, or differ from those of others. `failed`: a run of it
ended with an error. `missing`: one of its runs has not ended or was deleted."""


class Measurement(Row):
    """What the launcher saw of one run of a cell."""

    run: str = Field(description="Its id, below `cells`")
    began: float = Field(description="Seconds since the epoch")
    seconds: float = Field(ge=0, description="From the start of the launch to the end of its last job")
    peak_bytes: int | None = Field(description="Largest sum of the PSS of all processes; null if they ran elsewhere")
    load: Number = Field(description="Load average of the launcher's machine at the begin, over one minute")
    error: str | None = Field(default=None, description="Why the run failed; null if it has not")


class Spread(Row):
    """Median, least and largest value over the runs of a cell."""

    median: float
    least: float
    largest: float


class StepResult(Row):
    """One step of a cell; seconds over its runs, the rest of its first run."""

    step: str
    unit: str
    rows: int | None
    seconds: Spread
    rate: NonNegative = Field(description="Units per second, by the median")
    bytes_in: int | None = Field(description="Size of the objects that the step reads; null if unknown")
    bytes_out: int = Field(ge=0, description="Size of the objects that the step wrote")


class ForecastScores(Row):
    """Errors of the LSTM on the test split, and of naive."""

    rmse_price: NonNegative = Field(description="dollars")
    naive_rmse_price: NonNegative = Field(description="dollars")
    rmse_return: NonNegative = Field(description="log-return")
    skill: Number = Field(description="1 - MSE/MSE of naive, price")
    validation_loss: Number


class CellResult(Row):
    """One cell of the matrix. Times are null unless its results are equal to those of the others."""

    name: str
    kind: Literal["data", "train"]
    tickers: int | None = Field(description="Null: those of the configuration")
    engine: Engine = Field(description="For training, where it ran: `local` or `cluster`")
    cores: int | None = Field(description="Processes or cores of the data steps, limit of a worker; null if unknown")
    workers: int = Field(description="Of training; 0 for data cells")
    replicas: int | None = Field(description="Devices of all workers together; null for data cells")
    device: str | None = Field(description="Kind of the devices, such as CPU or GPU; null for data cells")
    state: CellState
    reason: str | None = Field(description="Why it does not count")
    refused: tuple[str, ...] = Field(
        description="Its runs whose results are damaged or unequal; the same benchmark again makes them anew"
    )
    runs: tuple[Measurement, ...]
    rows: int | None = Field(description="Bars of data cells, windows of training cells")
    seconds: Spread | None = Field(description="Work: the data steps, or the steps of the optimiser")
    start_s: Spread | None = Field(description="Start of the JVM, or the time before training begins")
    whole_s: Spread | None = Field(description="From the launch to the end of the last job")
    rate: Spread | None = Field(description="Rows or windows per second of work")
    steps: tuple[StepResult, ...]
    speed_up: Number = Field(description="Against one process, or one worker with the fewest cores")
    efficiency: Number = Field(description="Speed-up by core, or by device of training")
    peak_bytes: int | None
    usd: NonNegative = Field(description="Machines of one run by list prices; null without paid machines")
    scores: ForecastScores | None


class EqualityCheck(Row):
    """One comparison of the results of cells."""

    subject: str = Field(description="What was compared, and of which cells")
    tolerance: float = Field(ge=0, description="Largest difference that counts as equal; 0: equal bytes")
    largest: NonNegative = Field(description="Largest difference of the equal runs; null if there is only one")
    equal: tuple[str, ...] = Field(description="Runs with equal results; one alone was compared with no other run")
    unequal: tuple[str, ...]


class AmdahlFit(Row):
    """Seconds over the number of processes, cores or devices, fitted by T(n) = T(1) (s + (1 - s)/n)."""

    subject: str
    kind: Literal["data", "train"]
    engine: Engine
    tickers: int | None
    unit: Literal["processes", "cores", "devices"]
    numbers: tuple[int, ...]
    seconds: tuple[float, ...] = Field(description="Medians of the cells")
    one_s: float = Field(description="T(1) of the fit")
    serial_share: Share = Field(description="s of the fit, between 0 and 1")
    error: float = Field(ge=0, description="Root mean square of the relative errors; 0 with two points")


class AgainstOneProcess(Row):
    """A Spark cell against the same data in one process."""

    cell: str
    tickers: int | None
    engine: Engine
    cores: int | None
    ratio: float = Field(description="Seconds of one process / seconds of Spark")
    ratio_with_start: float = Field(description="The same with the start of the JVM")


class Projection(Row):
    """A time that was computed, not measured."""

    subject: str
    formula: str
    inputs: dict[str, JsonValue]
    seconds: float = Field(ge=0)
    speed_up: float = Field(ge=0)
    usd: dict[str, float] = Field(description="Machines -> list price of the time; empty if no price is known")


class BenchmarkResult(Row):
    """benchmark.json."""

    schema_version: Literal[1]
    name: str
    created: str = Field(description="UTC, ISO 8601")
    version: str = Field(description="Of cloudlstm")
    target: str = Field(description="Where the jobs ran: `local`, or the name of the target")
    emulated: bool = Field(description="True if the target is a cloud that is emulated on the launcher's machine")
    headlines: tuple[str, ...] = Field(description="What the numbers say, in sentences")
    caveats: tuple[str, ...]
    machine: Machine = Field(description="Of the launcher")
    matrix: Matrix
    settings: dict[str, JsonValue] = Field(description="The configuration of the runs, without what a cell sets")
    source: str = Field(description="Of the bars")
    prices: str | None = Field(description="Region and date of the list prices; null without paid machines")
    cells: tuple[CellResult, ...]
    checks: tuple[EqualityCheck, ...]
    fits: tuple[AmdahlFit, ...]
    against_one_process: tuple[AgainstOneProcess, ...]
    projections: tuple[Projection, ...]

    @property
    def complete(self) -> bool:
        """True if every cell has run and its results are equal."""
        return all(cell.state == "equal" for cell in self.cells)


def json_schema() -> dict[str, Any]:
    """The JSON schema of benchmark.json."""
    return schema_of(BenchmarkResult, "benchmark", SCHEMA_VERSION)


if __name__ == "__main__":
    print_schema(json_schema())
