"""Builds the results of a benchmark from the runs of its cells."""

from __future__ import annotations

import datetime as dt
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from cloudlstm import __version__
from cloudlstm.benchmark import compare, equality, scaling
from cloudlstm.benchmark.document import (
    SCHEMA_VERSION,
    BenchmarkResult,
    CellResult,
    CellState,
    EqualityCheck,
    Measurement,
    Spread,
    StepResult,
)
from cloudlstm.benchmark.matrix import Cell, Matrix, cells
from cloudlstm.benchmark.observe import Observation, StepTime, by_step, has_run, try_observe
from cloudlstm.benchmark.paths import BenchmarkPaths
from cloudlstm.benchmark.projection import project
from cloudlstm.benchmark.records import Started, read_measurement, read_started
from cloudlstm.benchmark.summary import caveats, headlines, size_of


@dataclass(slots=True)
class _Cell:
    """A cell with what is known of it so far."""

    cell: Cell
    runs: list[Measurement] = field(default_factory=list)
    by_run: dict[str, Observation] = field(default_factory=dict)
    state: CellState = "equal"
    reason: str = ""
    refused: list[str] = field(default_factory=list)

    @property
    def observed(self) -> list[Observation]:
        """What is known of its runs that ended well."""
        return list(self.by_run.values())

    def does_not_count(self, state: CellState, reason: str) -> None:
        """Notes why the cell does not count; the first reason stays."""
        if self.state == "equal":
            self.state, self.reason = state, reason


def build(paths: BenchmarkPaths) -> BenchmarkResult:
    """Reads all runs, checks that their results are equal, and computes what their times say."""
    started = read_started(paths)
    matrix = started.matrix
    found = [_read(paths, cell, started) for cell in cells(matrix, on_target=started.on_target)]
    checks = _check(paths, found, matrix)
    results = [_result(each, found) for each in found]
    fits = compare.fits(results)
    priced = {usage.rate.prices for each in found for one in each.observed for usage in one.usage}
    result = BenchmarkResult(
        schema_version=SCHEMA_VERSION,
        name=paths.name,
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        version=__version__,
        target=started.target,
        emulated=started.emulated,
        headlines=(),
        caveats=(),
        machine=started.machine,
        matrix=matrix,
        settings=started.settings,
        source=started.source,
        prices="; ".join(sorted(priced)) or None,
        cells=tuple(results),
        checks=tuple(checks),
        fits=tuple(fits),
        against_one_process=tuple(compare.against_one_process(results)),
        projections=tuple(project(matrix, results, fits)),
    )
    return result.model_copy(update={"headlines": tuple(headlines(result)), "caveats": tuple(caveats(result))})


def _read(paths: BenchmarkPaths, cell: Cell, started: Started) -> _Cell:
    """A cell with its runs; the first run that failed, is missing or cannot be read decides the state of the cell."""
    found = _Cell(cell)
    for repeat in range(1, started.matrix.repeats + 1):
        run_id = cell.run_id(repeat)
        measured = read_measurement(paths, run_id)
        if measured is None:
            found.does_not_count("missing", f"run {run_id} has not ended")
            continue
        found.runs.append(measured)
        if measured.error is not None:
            found.does_not_count("failed", measured.error)
            continue
        observed, problem = try_observe(cell, paths.run(run_id), started.source_bytes)
        if observed is not None:
            found.by_run[run_id] = observed
        elif has_run(cell, paths.run(run_id), measured):
            found.does_not_count("unequal", problem)
            found.refused.append(run_id)
        else:
            found.does_not_count("missing", problem)
    return found


def _check(paths: BenchmarkPaths, found: Sequence[_Cell], matrix: Matrix) -> list[EqualityCheck]:
    """Compares the results of all runs that ended well; marks the cells whose results differ."""
    checks: list[EqualityCheck] = []
    refused: dict[str, str] = {}
    groups: dict[tuple[str, int | None], list[tuple[str, Observation]]] = defaultdict(list)
    for each in found:
        groups[each.cell.kind, each.cell.tickers] += each.by_run.items()
    for (kind, tickers), runs in groups.items():
        subject = size_of(tickers)
        if kind == "data":
            evidence = [equality.data_evidence(paths.run(run), one.manifests, matrix.check) for run, one in runs]
            check, unequal = equality.compare_data(subject, evidence)
            checks.append(check)
        else:
            evidence = [equality.training_evidence(paths.run(run), one.manifests, matrix.check) for run, one in runs]
            two, unequal = equality.compare_training(subject, evidence)
            checks += two
        refused |= unequal
    for each in found:
        for bad in [run for run in each.by_run if run in refused]:  # the first one gives the reason
            each.refused.append(bad)
            each.does_not_count("unequal", f"run {bad}: {refused[bad]}")
    return checks


def _result(each: _Cell, found: Sequence[_Cell]) -> CellResult:
    cell, observed = each.cell, each.observed if each.state == "equal" else []
    seconds = _spread([one.seconds for one in observed])
    starts = [one.start_s for one in observed if one.start_s is not None]
    baseline = _baseline(each, found)
    faster = scaling.speed_up(_median_s(baseline), seconds.median if seconds else None)
    cores = cell.cores or next((one.cores for one in observed), None)
    replicas = next((one.replicas for one in observed), None)
    peaks = [run.peak_bytes for run in each.runs if run.peak_bytes is not None] if observed else []
    costs = [usd for one in observed if (usd := one.usd) is not None]
    return CellResult(
        name=cell.name,
        kind=cell.kind,
        tickers=cell.tickers,
        engine=cell.engine,
        cores=cores,
        workers=cell.workers,
        replicas=replicas,
        device=next((one.device for one in observed), None),
        state=each.state,
        reason=each.reason or None,
        refused=tuple(sorted(each.refused)),
        runs=tuple(each.runs),
        rows=observed[0].rows if observed else None,
        seconds=seconds,
        start_s=_spread(starts) if len(starts) == len(observed) else None,
        whole_s=_spread([run.seconds for run in each.runs] if observed else []),
        rate=_spread([one.rate for one in observed]),
        steps=tuple(_step(name, times) for name, times in by_step(observed).items()),
        speed_up=faster,
        efficiency=scaling.efficiency(faster, cores if cell.kind == "data" else _times_devices(replicas, baseline)),
        peak_bytes=max(peaks, default=None),
        usd=statistics.fmean(costs) if costs else None,
        scores=next((one.scores for one in observed), None),
    )


def _baseline(each: _Cell, found: Sequence[_Cell]) -> _Cell | None:
    """The cell of one process, or of one worker with the fewest cores, on these tickers; None if it does not count."""
    for other in found:  # a limited worker stands before the others
        same = other.cell.kind == each.cell.kind and other.cell.tickers == each.cell.tickers
        if same and (other.cell.workers == 1 or (other.cell.engine, other.cell.cores) == ("local", 1)):
            return other if other.state == "equal" else None
    return None


def _median_s(baseline: _Cell | None) -> float | None:
    return statistics.median(one.seconds for one in baseline.observed) if baseline else None


def _times_devices(replicas: int | None, baseline: _Cell | None) -> float | None:
    """How many times the devices of the baseline a training has."""
    one = baseline.observed[0].replicas if baseline else None
    return replicas / one if replicas and one else None


def _spread(values: Sequence[float]) -> Spread | None:
    if not values:
        return None
    median, least, largest = scaling.spread(values)
    return Spread(median=median, least=least, largest=largest)


def _step(name: str, times: Sequence[StepTime]) -> StepResult:
    first, seconds = times[0], _spread([time.seconds for time in times])
    assert seconds is not None  # a step that was observed has a time
    rate = first.rows / seconds.median if first.rows is not None and seconds.median > 0.0 else None
    return StepResult(
        step=name, unit=first.unit, rows=first.rows, seconds=seconds, rate=rate, bytes_in=first.bytes_in,
        bytes_out=first.bytes_out,
    )  # fmt: skip
