"""How long each run of a benchmark may take and what it may cost, before anything starts."""

from __future__ import annotations

from cloudlstm.benchmark.observe import has_run
from cloudlstm.benchmark.records import read_measurement
from cloudlstm.cli.benchmark_plan import BenchmarkPlan, CellRun
from cloudlstm.cli.benchmark_results import refused_runs
from cloudlstm.cli.estimate import ROWS_PER_S, START_H, WINDOWS_PER_S, units_by_ticker
from cloudlstm.cli.json_output import PlannedRun
from cloudlstm.cli.plans import config_of
from cloudlstm.config import RunConfig
from cloudlstm.market.universe import requested_tickers
from cloudlstm.targets import costs
from cloudlstm.targets.cloud import CloudTarget

_HOUR_S = 3600.0
_START_HERE_S = {"local": 1.0, "spark": 6.0, "train": 10.0}
"""Assumed seconds until a job of this machine works: Python, and with it the JVM or TensorFlow."""


def estimate_runs(plan: BenchmarkPlan) -> list[PlannedRun]:
    """The estimate of every run of a benchmark, in their order."""
    rows, windows = units_by_ticker(config_of(plan.runs[0].plan))
    refused = refused_runs(plan.paths)
    found = []
    for run in plan.runs:
        tickers = run.cell.tickers or _tickers(config_of(run.plan))
        work_s = None if tickers is None else _work_s(run, tickers * rows, tickers * windows)
        here = run.target.root is None
        start = _START_HERE_S["train" if run.cell.kind == "train" else run.cell.engine] if here else START_H * _HOUR_S
        seconds = None if work_s is None else work_s + start
        found.append(
            PlannedRun(
                run=run.run_id,
                on="this machine" if here else run.target.name,
                seconds=seconds,
                usd=None if seconds is None else _usd(run, seconds),
                finished=run.run_id not in refused
                and has_run(run.cell, plan.paths.run(run.run_id), read_measurement(plan.paths, run.run_id)),
            )
        )
    return found


def _work_s(run: CellRun, rows: int, windows: int) -> float:
    """Seconds of the measured job without its start. The assumed speeds are those of a trainer, or of two cores."""
    cell = run.cell
    if cell.kind == "data":
        return rows / ROWS_PER_S * (2.0 if cell.cores == 1 else 1.0)
    # The workers of one machine share its cores.
    workers = cell.workers if run.target.root is not None else 0.5 if cell.cores == 1 else 1.0
    return windows / (WINDOWS_PER_S * workers)


def _tickers(config: RunConfig) -> int | None:
    """The size of the universe of a configuration; None if only the source knows it."""
    if config.market.source == "synthetic":
        return config.market.synthetic.tickers
    known = requested_tickers(config.universe, config.market)
    return len(known) if known is not None else None


def _usd(run: CellRun, seconds: float) -> float | None:
    """List price of the machines of a run; None without paid machines, or if the price is not known."""
    if not isinstance(run.target, CloudTarget):
        return None
    target = run.target.config
    if run.cell.kind == "data":
        rate = costs.spark_rate(target)
    else:
        rate = costs.trainer_rate(target, run.cell.workers, config_of(run.plan).trainers.usd_per_hour)
    return None if rate.usd_per_hour is None else rate.usd_per_hour * seconds / _HOUR_S
