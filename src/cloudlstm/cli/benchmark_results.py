"""The results of benchmarks: of one for `benchmark` and `report`, and the list for `runs`."""

from __future__ import annotations

from rich.console import Console

from cloudlstm import storage
from cloudlstm.benchmark.document import BenchmarkResult
from cloudlstm.benchmark.paths import BenchmarkPaths, newest_benchmarks
from cloudlstm.benchmark.tables import Table, tables
from cloudlstm.cli import copies
from cloudlstm.cli.json_output import BenchmarkRow, print_json
from cloudlstm.cli.result import print_link
from cloudlstm.cli.tables import Column, console, print_line, print_table
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError, UsageError
from cloudlstm.runs import documents
from cloudlstm.text.numbers import DASH

_SHOWN = ("data", "training", "accuracy", "scaling", "projection", "checks")
"""Tables that are printed; the page and benchmark.json have the steps and the formulas, too."""


_KEPT = (
    "RMSE return", "error of the fit", "efficiency", "peak memory", "cost", "largest difference", "T(1)", "start",
    "naive RMSE $", "equal runs", "unequal runs", "list price", "serial share s", "RMSE $", "whole", "speed-up", "work",
    "devices", "engine", "tickers", "workers", "fitted", "compared", "projected",
)  # fmt: skip
"""Columns that a narrow terminal shows, the most important last."""


def show_benchmark(paths: BenchmarkPaths, *, folder: str | None, to_open: bool, as_json: bool) -> int:
    """Prints, copies or opens the results of a benchmark.

    Args:
        paths: The benchmark.
        folder: The folder for copies; None for no copies.
        to_open: Whether to open the page in the browser.
        as_json: Whether to print benchmark.json.

    Raises:
        UsageError: It has no results yet.
    """
    if to_open or folder:
        files = {f"benchmark.{ending}": paths.result(ending) for ending in ("html", "json", "md")}
        return copies.show_copies(copies.Results(paths.name, files, _missing(paths)), folder=folder, to_open=to_open)
    result = read_result(paths)
    if result is None:
        raise _missing(paths)
    show_result(paths, result, as_json=as_json)
    return 0


def read_result(paths: BenchmarkPaths) -> BenchmarkResult | None:
    """The results of a benchmark; None if there are none, or if they cannot be read."""
    try:
        return documents.read(BenchmarkResult, paths.result("json"))
    except (ObjectNotFoundError, CorruptObjectError):
        return None


def refused_runs(paths: BenchmarkPaths) -> set[str]:
    """The runs whose results were damaged or unequal when the results were written last."""
    before = read_result(paths)
    return {run for cell in before.cells for run in cell.refused} if before else set()


def _missing(paths: BenchmarkPaths) -> UsageError:
    return UsageError(f"benchmark {paths.name} has no results yet", hint="cloudlstm benchmark with the same words")


def show_result(paths: BenchmarkPaths, result: BenchmarkResult, *, as_json: bool) -> None:
    """Prints the results of a benchmark and where the page is."""
    if as_json:
        print_json(result.model_dump(mode="json"))
        return
    out = console()
    print_line(out, f"benchmark {result.name}", "bold")
    for text in result.headlines:
        out.print(text)
    for table in tables(result):
        if table.name in _SHOWN:
            _print(out, table)
    for text in result.caveats:
        out.print(f"note: {text}", style="dim")
    out.print()
    ending = "html" if storage.exists(paths.result("html")) else "md"
    print_link(out, "page" if ending == "html" else "table", paths.result(ending))


def _print(out: Console, table: Table) -> None:
    print_line(out, f"\n{table.caption}", "bold")
    columns = [
        Column(name, _KEPT.index(name) if name in _KEPT else -place, text=not _is_number(table, place))
        for place, name in enumerate(table.columns)
    ]
    print_table(out, columns, table.rows)


def _is_number(table: Table, column: int) -> bool:
    return all(row[column][:1].isdigit() or row[column][:1] in (DASH, "+", "−", "$") for row in table.rows)


def benchmark_rows(root: str) -> list[BenchmarkRow]:
    """The benchmarks below a root, the last started first."""
    found = []
    for paths in newest_benchmarks(root):
        result = read_result(paths)
        cells = result.cells if result else ()
        found.append(
            BenchmarkRow(
                benchmark=paths.name,
                uri=paths.uri,
                created=result.created if result else None,
                cells=len(cells),
                equal=sum(cell.state == "equal" for cell in cells),
                target=result.target if result else None,
            )
        )
    return found


def print_benchmarks(out: Console, rows: list[BenchmarkRow]) -> None:
    """Prints the list of benchmarks; nothing if there are none."""
    if not rows:
        return
    columns = [Column("benchmark", 5, text=True), Column("results", 4, text=True), Column("cells", 3),
               Column("that count", 2), Column("target", 1, text=True)]  # fmt: skip
    table = [
        [row.benchmark, (row.created or "not yet")[:16].replace("T", " "), str(row.cells or DASH), str(row.equal),
         row.target or DASH]
        for row in rows
    ]  # fmt: skip
    print_table(out, columns, table)
