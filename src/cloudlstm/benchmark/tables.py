"""The rows of the tables that the Markdown text, the page and the command line share, as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from cloudlstm.benchmark.document import FORMULA, BenchmarkResult, CellResult, Projection, Spread, StepResult
from cloudlstm.benchmark.summary import cell_label
from cloudlstm.text.numbers import DASH, amount, duration, percent

Texts = tuple[str, ...]

MIB = 2**20
_MEASURES = ("speed-up", "efficiency", "start", "whole", "peak memory", "cost")


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text.

    Attributes:
        name: Its key on the page.
        title: Its heading.
        lead: What a reader has to know before it.
        chart: The name of the chart above it; empty for none.
        caption: What it shows.
        columns: The headings.
        rows: The cells.
    """

    name: str
    title: str
    lead: str
    chart: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(result: BenchmarkResult) -> list[Table]:
    """All tables of a benchmark that have rows."""
    found = [
        _data(result), _training(result), _accuracy(result), _fits(result), _projections(result), _formulas(result),
        _checks(result), _steps(result, "data"), _steps(result, "train"),
    ]  # fmt: skip
    return [table for table in found if table.rows]


def with_range(found: Spread | None) -> str:
    """The median, with the least and the largest value where they differ."""
    if found is None:
        return DASH
    least, largest = f"{found.least:.3g}", f"{found.largest:.3g}"
    return duration(found.median) + (f" ({least}–{largest})" if least != largest else "")


def mib(value: int | None) -> str:
    """Bytes in MiB or GiB."""
    if value is None:
        return DASH
    return f"{value / MIB:,.1f} MiB" if value < 1024 * MIB else f"{value / MIB / 1024:,.2f} GiB"


def dollars(value: float | None) -> str:
    """A cost in dollars with two significant digits below one cent."""
    return DASH if value is None else f"${value:.2f}" if value >= 0.01 else f"${value:.2g}"


def _ratio(value: float | None) -> str:
    return DASH if value is None else f"{value:.2f}"


def _size(cell: CellResult) -> str:
    return "all" if cell.tickers is None else f"{cell.tickers:,}"


def _measures(cell: CellResult) -> tuple[str, ...]:
    """What both tables of cells show."""
    return (
        with_range(cell.seconds), amount(cell.rate.median if cell.rate else None), _ratio(cell.speed_up),
        percent(cell.efficiency, 0), _median(cell.start_s), _median(cell.whole_s), mib(cell.peak_bytes),
        dollars(cell.usd),
    )  # fmt: skip


def _known(
    columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Headings and rows without the columns of which no value is known."""
    shown = [i for i in range(len(columns)) if any(row[i] != DASH for row in rows)]
    return tuple(columns[i] for i in shown), tuple(tuple(row[i] for i in shown) for row in rows)


def _data(result: BenchmarkResult) -> Table:
    found = [(_size(cell), cell_label(cell), *_measures(cell)) for cell in result.cells if cell.kind == "data"]
    columns, rows = _known(("tickers", "engine", "work", "rows/s", *_MEASURES), found)
    return Table(
        "data", "Data steps",
        "Work is the time from the begin of the first step to the end of the last one: bars from the source, cleaning, "
        "features, sequences. Start is what the engine needs before it: Spark its JVM. Whole is from the launch to the "
        "end of the job, with the start of Python. Speed-up is against one process on the same tickers, efficiency is "
        "speed-up by core.",
        "data", "Data steps by cell: median (least–largest) of the runs", columns, rows,
    )  # fmt: skip


def _training(result: BenchmarkResult) -> Table:
    cells = [cell for cell in result.cells if cell.kind == "train"]
    found = [(cell_label(cell), str(cell.replicas or DASH), *_measures(cell)) for cell in cells]
    columns, rows = _known(("workers", "devices", "work", "windows/s", *_MEASURES), found)
    return Table(
        "training", "Training",
        "Work is the time in the steps of the optimiser. Start is the time before the first of them: processes, the "
        "import of TensorFlow, copies of the data, compilation. All cells train on the same windows with the same "
        "global batch and seed. A device is a GPU or a core. Speed-up is against one worker with the fewest cores, "
        "efficiency is the speed-up by device.",
        "training", "Training by cell: median (least–largest) of the runs", columns, rows,
    )  # fmt: skip


def _accuracy(result: BenchmarkResult) -> Table:
    rows = []
    for cell in result.cells:
        if cell.scores is not None:
            scores = cell.scores
            values = ((scores.rmse_price, ".4f"), (scores.naive_rmse_price, ".4f"), (scores.rmse_return, ".6f"),
                      (scores.skill, "+.4f"), (scores.validation_loss, ".6f"))  # fmt: skip
            texts = (DASH if value is None else format(value, form) for value, form in values)
            rows.append((cell_label(cell), _median(cell.seconds), _median(cell.whole_s), *texts))
    columns = ("workers", "work", "whole", "RMSE $", "naive RMSE $", "RMSE return", "skill", "validation loss")
    return Table(
        "accuracy", "Accuracy",
        "The errors of the forecasts on the test split beside the time of their cell. Workers divide the same global "
        "batches, so more of them must not change the network.",
        "", "Time and errors by cell", columns, tuple(rows),
    )  # fmt: skip


def _median(found: Spread | None) -> str:
    return duration(found.median if found else None)


def _steps(result: BenchmarkResult, kind: str) -> Table:
    """One row a cell: throughput and seconds of each step, and bytes in and out of all."""
    cells = [cell for cell in result.cells if cell.kind == kind and cell.steps]
    names = [step.step for step in cells[0].steps] if cells else []
    rows = tuple((cell.name, *map(_step, cell.steps), *_bytes(cell)) for cell in cells)
    return Table(
        f"{kind}-steps", "Data steps one by one" if kind == "data" else "Steps of training",
        "Throughput of each step and the median of its seconds. Bytes in are those that the first step reads from "
        "files, if there are any, and what each later one reads of the one before it; bytes out are all objects that "
        "were written." if kind == "data" else "The step train contains the start of training and the forecasts.",
        "", "Throughput by step", ("cell", *names, "bytes in", "bytes out"), rows,
    )  # fmt: skip


def _step(step: StepResult) -> str:
    rate = f"{amount(step.rate)} {step.unit}/s, " if step.rate is not None else ""
    return f"{rate}{duration(step.seconds.median)}"


def _bytes(cell: CellResult) -> tuple[str, str]:
    read = [step.bytes_in for step in cell.steps if step.bytes_in is not None]
    return mib(sum(read) if read else None), mib(sum(step.bytes_out for step in cell.steps))


def _checks(result: BenchmarkResult) -> Table:
    rows = tuple(
        (
            check.subject, "equal bytes" if not check.tolerance else f"{check.tolerance:g}",
            DASH if check.largest is None or not check.tolerance else f"{check.largest:.2g}", str(len(check.equal)),
            ", ".join(check.unequal) or "none",
        )
        for check in result.checks
    )  # fmt: skip
    columns = ("compared", "tolerance", "largest difference", "equal runs", "unequal runs")
    return Table(
        "checks", "Equal results",
        "A time counts only if the results of its cell are equal to those of the others. Of runs that differ, the "
        "result that most runs have is taken for right; if as many have another one, that of the first run.",
        "", "What was compared", columns, rows,
    )  # fmt: skip


def _fits(result: BenchmarkResult) -> Table:
    rows = tuple(
        (
            fit.subject, fit.unit, ", ".join(map(str, fit.numbers)), duration(fit.one_s), percent(fit.serial_share),
            percent(fit.error),
        )
        for fit in result.fits
    )  # fmt: skip
    columns = ("fitted", "n counts", "n", "T(1)", "serial share s", "error of the fit")
    return Table(
        "scaling", "Serial share",
        f"Amdahl's law, {FORMULA}: s is the share of the work that more processes do not make faster. Fitted by least "
        "squares of the relative errors of the medians.",
        "speed-up", "Amdahl's law, fitted to the cells", columns, rows,
    )  # fmt: skip


def _projections(result: BenchmarkResult) -> Table:
    rows = tuple(
        (each.subject, duration(each.seconds), f"{each.speed_up:,.1f}", _costs(each)) for each in result.projections
    )
    columns = ("projected", "work", "speed-up", "list price")
    return Table(
        "projection", "Projection",
        "This is a projection: these sizes were not run. Each time follows from the formula below. "
        "It leaves out the start of machines, the network and idle time, and takes the speed of a core or a GPU as "
        "given in its inputs.",
        "", "Projected, not measured", columns, rows,
    )  # fmt: skip


def _formulas(result: BenchmarkResult) -> Table:
    rows = tuple((each.subject, each.formula, inputs(each)) for each in result.projections)
    return Table(
        "formulas", "How it was projected", "", "", "Formula and inputs of each projection",
        ("projected", "formula", "inputs"), rows,
    )  # fmt: skip


def _costs(projection: Projection) -> str:
    return "; ".join(f"{dollars(usd)} on {machines}" for machines, usd in projection.usd.items()) or DASH


def inputs(projection: Projection) -> str:
    """The inputs of a projection in one line."""
    return ", ".join(f"{name} = {_value(value)}" for name, value in projection.inputs.items())


def _value(value: JsonValue) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def facts(result: BenchmarkResult) -> Iterator[tuple[str, str]]:
    """Machine, place and prices as pairs of a name and a text."""
    machine = result.machine
    cores, memory = machine.cores or DASH, machine.memory_gib or DASH
    yield "Machine", f"{machine.processor or DASH}, {cores} cores, {memory} GiB, {machine.platform}"
    yield "Jobs ran on", "this machine" if result.target == "local" else result.target
    yield "Runs of each cell", str(result.matrix.repeats)
    yield "Prices", result.prices or "no machine was paid by the hour"
    yield "Made", f"{result.created} with cloudlstm {result.version}"
