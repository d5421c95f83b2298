"""`cloudlstm runs`: all runs below a root in a table, the newest first."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from itertools import islice

from rich.text import Text

from cloudlstm.cli import terminal
from cloudlstm.cli.benchmark_results import benchmark_rows, print_benchmarks
from cloudlstm.cli.json_output import RunList, RunRow, iso_time, print_document
from cloudlstm.cli.records import Record, gather
from cloudlstm.cli.status import STYLES
from cloudlstm.cli.tables import Column, console, print_line, print_table, score_cell
from cloudlstm.config.overrides import flat
from cloudlstm.runs.index import newest_first, run_ids
from cloudlstm.runs.paths import RunPaths
from cloudlstm.text.numbers import amount, counted, seconds
from cloudlstm.text.printable import shortened

_WIDE = 120
_MOST_RUNS = 50
"""Runs that are listed without --limit. Each takes some requests to its store."""
_MOST_CAUSE, _MOST_CAUSE_WIDE = 20, 40
"""Letters of an error in the table, and in one of at least _WIDE columns; `cloudlstm status` prints all of it."""

_COLUMNS = (
    Column("run", 20, text=True),
    Column("submitted", 13, text=True),
    Column("state", 18, text=True),
    Column("cause", 16, text=True),
    Column("tickers", 12),
    Column("data to", 11, text=True),
    Column("model", 10, text=True),
    Column("best epoch", 9),
    Column("RMSE $", 17),
    Column("skill", 19),
    Column("windows/s", 7),
    Column("time", 6),
    Column("workers", 5),
)


def show_runs(
    root: str, typed: Sequence[str], *, failed: bool = False, limit: int | None = None, as_json: bool = False
) -> int:
    """Prints the runs below a root, the newest first.

    Args:
        root: The URI of the folder of all runs.
        typed: The command that the user typed.
        failed: Whether to list failed runs only.
        limit: The most runs to list; None for the newest _MOST_RUNS, as JSON for all.
        as_json: Whether to print a JSON document.
    """
    ids = run_ids(root)
    most = limit if as_json or limit else _MOST_RUNS
    if most and not failed:  # what the others are is not asked, so that a large root takes no longer
        ids, earlier = list(islice(newest_first(root), most)), max(len(ids) - most, 0)
        listed = [record for record in gather(RunPaths.of(root, run_id) for run_id in ids) if record.attempts]
    else:
        records = [record for record in gather(RunPaths.of(root, run_id) for run_id in ids) if record.attempts]
        found = [record for record in records if not failed or record.state == "failed"]
        listed, earlier = found[:most], len(found[most:]) if most else 0
    benchmarks = [] if failed else benchmark_rows(root)
    if as_json:
        found_rows = tuple(row_of(root, record) for record in listed)
        print_document(RunList(root=root, runs=found_rows, benchmarks=tuple(benchmarks)))
        return 0
    out = console()
    if not listed:
        terminal.write(f"no {'failed ' if failed else ''}runs in {root}\n")
        print_benchmarks(out, benchmarks)
        return 0
    skills = [record.lstm.skill if record.lstm else None for record in listed]
    known = [skill for skill in skills if skill is not None]
    strong = [skills.index(max(known))] if len(known) > 1 else []
    rows = [_row(record, _MOST_CAUSE_WIDE if out.width >= _WIDE else _MOST_CAUSE) for record in listed]
    filled = [i for i, column in enumerate(_COLUMNS) if column.title != "cause" or any(row[i] for row in rows)]
    print_table(out, [_COLUMNS[i] for i in filled], [[row[i] for i in filled] for row in rows], strong=strong)
    if earlier:
        print_line(out, f"not listed: {counted(earlier, 'earlier run')}", "dim")
    print_benchmarks(out, benchmarks)
    names = [record.run_id for record in listed if record.lstm][:2]
    if len(names) == 2:
        out.print(f"side by side: {shlex.join([*typed, *names])}", style="dim", soft_wrap=True)
    return 0


def row_of(root: str, record: Record) -> RunRow:
    """A run as JSON."""
    lstm, report = record.lstm, record.report
    train = record.train
    fit = train if record.is_trained else {}
    return RunRow(
        run=record.run_id,
        uri=RunPaths.of(root, record.run_id).uri,
        attempts=record.attempts,
        submitted=iso_time(record.submitted),
        state=record.state,
        cause=record.cause or None,
        tickers=len(report.universe) if report and report.universe else None,
        last_date=report.data.last_date if report and report.data else None,
        data_hash=report.data.hash if report and report.data else None,
        predicts=not record.is_trained,
        best_epoch=fit.get("best_epoch"),
        epochs=fit.get("epochs"),
        validation_loss=fit.get("validation_loss"),
        workers=train.get("workers"),
        windows_per_s=train.get("windows_per_s"),
        seconds=record.seconds,
        rmse_price=lstm.rmse_price if lstm else None,
        skill=lstm.skill if lstm else None,
        r2_oos=lstm.r2_oos if lstm else None,
        directional_accuracy=lstm.directional_accuracy if lstm else None,
        dm_p=lstm.dm_p if lstm else None,
        labels=lstm.labels if lstm else None,
    )


def when_cell(record: Record) -> str:
    """The local time of the last submit."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(record.submitted)) if record.submitted else ""


def state_cell(record: Record) -> Text:
    """The state in its colour."""
    return Text(record.state, style=STYLES.get(record.state, ""))


def tickers_cell(record: Record) -> str:
    """The number of tickers in the report."""
    return f"{len(record.report.universe):,}" if record.report and record.report.universe else ""


def date_cell(record: Record) -> str:
    """The date of the last bar."""
    return (record.report.data.last_date or "") if record.report and record.report.data else ""


def _row(record: Record, most_cause: int) -> list[str | Text]:
    config, lstm, train = flat(record.config), record.lstm, record.train
    units, bars = config.get("model.units"), config.get("dataset.window_bars")
    best = train.get("best_epoch") if record.is_trained else None
    return [
        record.run_id,
        when_cell(record),
        state_cell(record),
        shortened(" ".join(record.cause.split()), most_cause),
        tickers_cell(record),
        date_cell(record),
        f"{units} x {bars}" if units and bars else "",
        f"{best} of {train['epochs']}" if best is not None else "",
        score_cell("rmse_price", lstm.rmse_price) if lstm else "",
        score_cell("skill", lstm.skill) if lstm else "",
        amount(train["windows_per_s"]) if train.get("windows_per_s") else "",
        seconds(record.seconds) if record.seconds is not None else "",
        str(train.get("workers", "")),
    ]
