"""Carries out a benchmark: each run through the path of a submit, one after the other."""

from __future__ import annotations

import os
import time
from contextlib import suppress

from cloudlstm import storage
from cloudlstm.benchmark.build import build
from cloudlstm.benchmark.document import BenchmarkResult, Measurement
from cloudlstm.benchmark.observe import has_run
from cloudlstm.benchmark.paths import BenchmarkPaths
from cloudlstm.benchmark.records import read_measurement, write_measurement
from cloudlstm.benchmark.render import to_html, to_markdown
from cloudlstm.cli import terminal
from cloudlstm.cli.benchmark_plan import BenchmarkPlan, CellRun, limited
from cloudlstm.cli.benchmark_results import refused_runs
from cloudlstm.cli.submit import launch
from cloudlstm.errors import CloudLSTMError, MissingExtraError, RunBusyError
from cloudlstm.runs import deletion, folder
from cloudlstm.targets.local.target import make_class_archive
from cloudlstm.text.numbers import seconds
from cloudlstm.text.printable import shortened
from cloudlstm.workers import jvm
from cloudlstm.workers.memory import PeakMemory

_MOST_ERROR = 300


def run_benchmark(plan: BenchmarkPlan) -> BenchmarkResult:
    """Runs the cells that have not run yet, then writes the results.

    A run that was interrupted, has failed, was deleted or was refused by an earlier check of the results runs again
    from the beginning, because a resumed run has no time that counts. A failed run does not end the benchmark.

    Raises:
        RunBusyError: Another process works on a run of this benchmark.
    """
    paths = plan.paths
    storage.write_json(paths.matrix, plan.started.model_dump(mode="json"))
    paths.mark()
    if any(run.cell.engine == "spark" for run in plan.runs) and jvm.is_missing(jvm.archive_path()):
        with suppress(CloudLSTMError):  # without an archive Spark starts slower, in all its cells
            make_class_archive()
    refused = refused_runs(paths)
    for number, run in enumerate(plan.runs, 1):
        place = f"{number:>{len(str(len(plan.runs)))}}/{len(plan.runs)}  {run.run_id:<28}"
        ended = has_run(run.cell, paths.run(run.run_id), read_measurement(paths, run.run_id))
        if ended and run.run_id not in refused:
            terminal.write_error(f"{place}  has run before\n")
            continue
        terminal.write_error(f"{place}  ")
        measured = _measure(paths, run)
        write_measurement(paths, measured)
        said = seconds(measured.seconds) if measured.error is None else f"failed: {shortened(measured.error, 160)}"
        terminal.write_error(f"{said}\n")
    return write_results(paths)


def _measure(paths: BenchmarkPaths, run: CellRun) -> Measurement:
    """Runs one cell once; an error of the run becomes part of the measurement."""
    own = paths.run(run.run_id)
    storage.delete(paths.measurement(run.run_id), within=paths.uri)
    if folder.has_attempt(own):
        deletion.require_idle(own)
        deletion.delete(own)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    began, clock, error = time.time(), time.monotonic(), None
    with PeakMemory() as peak, limited(run.cores):  # the samples are not taken on the cores of the run
        try:
            launch(run.plan, run.target, quiet=True)
        except RunBusyError:
            raise
        except CloudLSTMError as failure:
            error = shortened(str(failure), _MOST_ERROR)
    return Measurement(
        run=run.run_id,
        began=began,
        seconds=time.monotonic() - clock,
        peak_bytes=peak.bytes if run.target.root is None else None,
        load=load,
        error=error,
    )


def write_results(paths: BenchmarkPaths) -> BenchmarkResult:
    """Builds the results and writes benchmark.json, the table and the page."""
    result = build(paths)
    text = result.model_dump_json(indent=1) + "\n"
    storage.write(paths.result("json"), text.encode())
    storage.write(paths.result("md"), to_markdown(result).encode())
    try:
        storage.write(paths.result("html"), to_html(result).encode())
    except MissingExtraError as error:
        terminal.write_error(f"note: no page was made: {error}\n")
    return result
