"""`benchmark`: carries out its plan, or prints the runs of the plan with an estimate of their time and cost."""

from __future__ import annotations

from cloudlstm.cli import terminal
from cloudlstm.cli.benchmark_estimate import estimate_runs
from cloudlstm.cli.benchmark_plan import BenchmarkPlan
from cloudlstm.cli.benchmark_results import show_result
from cloudlstm.cli.benchmark_run import run_benchmark
from cloudlstm.cli.json_output import BenchmarkCells, PlannedRun, print_document
from cloudlstm.cli.tables import Column, console, print_line, print_table
from cloudlstm.text.numbers import DASH, counted, seconds


def carry_out(plan: BenchmarkPlan, again: str, *, as_json: bool) -> int:
    """Runs a benchmark and prints its results. Returns 1 if a cell does not count, 130 after an interruption.

    Args:
        plan: The benchmark.
        again: The command line that continues it.
        as_json: Whether to print benchmark.json.
    """
    try:
        result = run_benchmark(plan)
    except KeyboardInterrupt:
        terminal.write_error(f"\nstopped; finished runs are kept\nto continue: {again}\n")
        return 130
    show_result(plan.paths, result, as_json=as_json)
    if not result.complete:
        terminal.write_error(f"to run again what does not count: {again}\n")
    return 0 if result.complete else 1


def show_plan(plan: BenchmarkPlan, *, as_json: bool) -> int:
    """Prints the runs of a benchmark with an estimate of their time and cost."""
    rows = estimate_runs(plan)
    todo = [row for row in rows if not row.finished]
    known = [row.usd for row in todo if row.usd is not None]
    total, usd = sum(row.seconds or 0.0 for row in todo), sum(known) if known else None
    if as_json:
        document = BenchmarkCells(
            benchmark=plan.paths.name, uri=plan.paths.uri, runs=tuple(rows), seconds=total, usd=usd
        )  # fmt: skip
        print_document(document)
        return 0
    out = console()
    print_line(
        out, f"benchmark {plan.paths.name}: {counted(len(rows), 'run')}, {len(rows) - len(todo)} finished", "bold"
    )
    columns = [Column("run", 5, text=True), Column("on", 2, text=True), Column("estimate", 4),
               Column("state", 1, text=True)]  # fmt: skip
    columns += [Column("USD", 3)] if known else []
    print_table(out, columns, [_row(row)[: len(columns)] for row in rows])
    if not todo:
        out.print("all runs have ended; nothing is left to do")
        return 0
    cost = ", no machine is paid by the hour"
    if usd is not None:
        cost = f", {usd:.2f} USD by list prices, without idle machines and network"
    known_s = seconds(total) if all(row.seconds is not None for row in todo) else "a time that is not known"
    out.print(f"together {known_s}{cost}; an estimate by assumed speeds", soft_wrap=True)
    return 0


def _row(row: PlannedRun) -> list[str]:
    usd = DASH if row.usd is None else f"{row.usd:.3f}"
    return [row.run, row.on, seconds(row.seconds), "finished" if row.finished else "to run", usd]
