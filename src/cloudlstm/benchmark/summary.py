"""What the numbers of a benchmark say, and what they cannot say, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cloudlstm.benchmark.document import DATA_FORMULA, AgainstOneProcess, BenchmarkResult, CellResult
from cloudlstm.text.numbers import counted, duration

_MOST_NAMED = 20
"""Cells that are named with the reason why they do not count; benchmark.json has all."""

_POOR_FIT = 0.15
"""A larger error of a fit makes a caveat."""


def cell_label(cell: CellResult) -> str:
    """What ran a cell, in a few words."""
    if cell.kind == "train":
        return counted(cell.workers, "worker") + (f" on {counted(cell.cores, 'core')}" if cell.cores else "")
    if cell.engine == "local":
        return counted(cell.cores or 1, "process", "processes")
    cores = f", {counted(cell.cores, 'core')}" if cell.cores else ""
    return f"Spark{' on the cluster' if cell.engine == 'cluster' else ''}{cores}"


def headlines(result: BenchmarkResult) -> Iterator[str]:
    """The results in sentences: what counts, the fastest cell of each universe, Spark against one process, training."""
    without = [cell for cell in result.cells if cell.state != "equal"]
    if without:
        verb = "does" if len(without) == 1 else "do"
        yield f"{len(without)} of {counted(len(result.cells), 'cell')} {verb} not count."
        yield from (f"{cell.name} ({cell.state}): {cell.reason}." for cell in without[:_MOST_NAMED])
        if len(without) > _MOST_NAMED:
            yield f"{counted(len(without) - _MOST_NAMED, 'more cell')} in benchmark.json."
    alone = list(_alone(result))
    if alone:
        verb, names = "has" if len(alone) == 1 else "have", ", ".join(cell.name for cell in alone[:_MOST_NAMED])
        yield (
            f"{len(alone)} of {counted(len(result.cells), 'cell')} {verb} no other run with equal results, so nothing "
            f"confirms them: {names}{', …' * (len(alone) > _MOST_NAMED)}."
        )
    elif not without and len(result.cells) == 1:
        yield "All runs of the cell made equal results."
    elif not without:
        yield f"All {counted(len(result.cells), 'cell')} made equal results."
    if result.matrix.repeats == 1:
        yield "Each cell ran once, so no difference between them is certain."
    yield from _fastest(result)
    yield from _spark(result)
    yield from _training(result)


def _alone(result: BenchmarkResult) -> Iterator[CellResult]:
    """The cells that count though none of their runs has results that are equal to those of another run."""
    confirmed = {run for check in result.checks if len(check.equal) > 1 for run in check.equal}
    for cell in result.cells:
        if cell.state == "equal" and not any(run.run in confirmed for run in cell.runs):
            yield cell


def _fastest(result: BenchmarkResult) -> Iterator[str]:
    for tickers in dict.fromkeys(cell.tickers for cell in result.cells if cell.kind == "data"):
        timed = [cell for cell in result.cells if cell.kind == "data" and cell.tickers == tickers and cell.seconds]
        if len(timed) < 2:
            continue
        best = min(timed, key=lambda cell: cell.seconds.median if cell.seconds else 0.0)
        as_fast = [cell for cell in timed if cell is best or not _differ(cell, best)]
        one = one_process(timed).get(tickers)
        faster = ""
        if best.speed_up and one is not None and _differ(best, one):
            faster = f", {best.speed_up:.2f} times as fast as one process"
        median = duration(best.seconds.median if best.seconds else None)
        verb = "is" if best.cores == 1 else "are"
        others = [cell_label(cell) for cell in as_fast if cell is not best]
        overlap = f" The times of {_listed(others)} overlap with it." if others else ""
        yield f"Data steps, {size_of(tickers)}: {cell_label(best)} {verb} the fastest with {median}{faster}.{overlap}"


def _listed(texts: Sequence[str]) -> str:
    """Texts as in a sentence."""
    return texts[0] if len(texts) == 1 else f"{'; '.join(texts[:-1])} and {texts[-1]}"


def _differ(cell: CellResult, other: CellResult) -> bool:
    """True if the times of the runs of two cells do not overlap."""
    one, two = cell.seconds, other.seconds
    return one is not None and two is not None and (one.largest < two.least or two.largest < one.least)


def _spark(result: BenchmarkResult) -> Iterator[str]:
    """From how many cores and tickers on Spark is faster than one process."""
    rows = result.against_one_process
    if not rows:
        return
    cells = {cell.name: cell for cell in result.cells}
    alone = one_process(result.cells)
    overlap = [
        f"{cell_label(cells[row.cell])} with {size_of(row.tickers)}"
        for row in rows
        if not _differ(cells[row.cell], alone[row.tickers])
    ]
    for what, ratios in (
        ("Without the start of its JVM, Spark", [row.ratio for row in rows]),
        ("With the start of its JVM, Spark", [row.ratio_with_start for row in rows]),
    ):
        wins = [row for row, ratio in zip(rows, ratios, strict=True) if ratio > 1.0]
        if not wins:
            yield f"{what} is slower than one process in every cell."
        elif len(wins) == len(rows):
            yield f"{what} is faster than one process in every cell."
        else:
            first = min(wins, key=lambda row: (row.tickers or 0, row.cores or 0))
            yield f"{what} is faster than one process in {len(wins)} of {len(rows)} cells, first with {_place(first)}."
    if overlap:
        yield f"Without the start, the times overlap with those of one process: {_listed(overlap)}."


def _place(row: AgainstOneProcess) -> str:
    cores = counted(row.cores, "core") if row.cores else "the cluster"
    return f"{size_of(row.tickers)} on {cores}"


def _training(result: BenchmarkResult) -> Iterator[str]:
    cells = [cell for cell in result.cells if cell.kind == "train"]
    for cell in cells[1:]:
        if cell.speed_up is not None and not _differ(cell, cells[0]):
            yield (
                f"Training: the times of {cell_label(cell)} and of {cell_label(cells[0])} overlap, so no difference is "
                "shown."
            )
        elif cell.speed_up is not None:
            rmse = f"; RMSE ${cell.scores.rmse_price:.4f}" if cell.scores and cell.scores.rmse_price is not None else ""
            verb = "is" if cell.workers == 1 else "are"
            yield (
                f"Training: {cell_label(cell)} with {counted(cell.replicas or 0, 'device')} {verb} "
                f"{cell.speed_up:.2f} times as fast as {cell_label(cells[0])} in the steps of training; "
                f"{_whole(cell)} instead of {_whole(cells[0])} from launch to end{rmse}."
            )


def _whole(cell: CellResult) -> str:
    return duration(cell.whole_s.median if cell.whole_s else None)


def one_process(cells: Sequence[CellResult]) -> dict[int | None, CellResult]:
    """Size of the universe -> the cell whose data steps ran in one process."""
    return {cell.tickers: cell for cell in cells if (cell.kind, cell.engine, cell.cores) == ("data", "local", 1)}


def size_of(tickers: int | None) -> str:
    """The size of a universe in words."""
    return "all tickers" if tickers is None else counted(tickers, "ticker")


def caveats(result: BenchmarkResult) -> Iterator[str]:
    """The limits of the results."""
    cores = result.machine.cores
    on = f"its {counted(cores, 'core')}" if cores else "its cores"
    if result.emulated:
        yield (
            f"The cloud was emulated on one machine, and all its machines shared {on}: a speed-up here is that of more "
            "cores of one machine, and no speed-up by distribution can be seen. Nothing was paid; the costs are the "
            "list prices of real machines for this time."
        )
    elif result.target == "local":
        yield (
            f"All cells ran on one machine and shared {on}: a speed-up here is that of more cores, and no speed-up by "
            "distribution over machines can be seen. More workers or processes than cores only show what dividing the "
            "work costs."
        )
    elif any(cell.engine == "local" and cell.kind == "data" for cell in result.cells):
        yield "The cells of the engine local ran on the launcher's machine, which differs from those of the target."
    gpu = any(cell.device == "GPU" for cell in result.cells)
    if result.emulated or result.target == "local":
        yield f"No real cluster{'' if gpu else ' and no GPU'} was measured."
    elif not gpu:
        yield "No GPU was measured."
    trained = [cell for cell in result.cells if cell.kind == "train" and cell.replicas]
    if len(trained) > 1 and len({cell.replicas for cell in trained}) == 1:
        yield (
            f"All trainings used {counted(trained[0].replicas or 0, 'device')}: more workers only divide the same "
            "cores, so there is no serial share of training."
        )
    loads = [run.load for cell in result.cells for run in cell.runs if run.load is not None]
    if cores and loads and max(loads) > 0.5 * cores:
        yield (
            f"The load average was up to {max(loads):.1f} on {counted(cores, 'core')} when a cell began. It counts the "
            "cell before as well; if other programs ran, too, only large differences mean something."
        )
    if result.matrix.repeats < 3:
        yield f"Each cell ran {counted(result.matrix.repeats, 'time')}; medians need three or more."
    if any(len(set(fit.numbers)) == 2 for fit in result.fits):
        yield "A serial share from two numbers is a rough figure; measure three or more."
    if any(fit.error > _POOR_FIT for fit in result.fits):
        yield (
            f"A serial share whose fit has an error above {_POOR_FIT:.0%} does not describe its times; what is "
            "projected from it is rough."
        )
    if result.matrix.check == "manifests":
        yield "Features were compared by the checksums that the steps wrote; the objects were not read again."
    if any(run.peak_bytes is not None for cell in result.cells for run in cell.runs):
        yield "Peak memory is sampled; a shorter peak is not seen."
    if result.prices is None:
        yield "No machine was paid by the hour, so the cells have no cost."
    if result.source == "synthetic":
        yield "The market is synthetic: its forecast errors say nothing about real prices."
    data = [cell for cell in result.cells if cell.kind == "data" and cell.seconds]
    if data and not any(each.formula == DATA_FORMULA for each in result.projections):
        yield (
            "The data steps have no projection: it needs two sizes of the universe, two numbers of cores, and work "
            "that more cores made faster."
        )
    if result.projections:
        yield "The projections are computed, not measured; start, network and idle time are not in them."
