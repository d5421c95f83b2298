"""Prints the results of a finished run: the table of models or the forecasts, and where the report is."""

from __future__ import annotations

import datetime as dt
import shlex
import time
import urllib.parse

from rich.console import Console
from rich.style import Style
from rich.text import Text

from cloudlstm import storage
from cloudlstm.cli import terminal
from cloudlstm.cli.tables import Column, cell, console, fitted, print_line
from cloudlstm.errors import UsageError
from cloudlstm.evaluation.rows import ModelScores
from cloudlstm.report.models import ReportSummary
from cloudlstm.report.schema import read_summary
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths

_SHOWN = 20
_STALE_DAYS = 5
"""More days than any weekend with holidays."""
_TINY_P = 0.0005

_MODELS = {
    "rmse_price": (Column("RMSE $", 9), ",.4f"),
    "skill": (Column("skill", 8), "+.4f"),
    "rmse_return": (Column("RMSE return", 3), ".6f"),
    "r2_oos": (Column("R² o.o.s.", 6), "+.4f"),
    "directional_accuracy": (Column("direction", 4), ".3f"),
    "dm_p": (Column("DM p", 7), ".3f"),
}


def show_results(paths: RunPaths, *, root: str | None = None, unchanged: bool = False) -> int:
    """Prints the forecasts of a run without training, else the comparison of the models.

    Args:
        paths: The run.
        root: The value of --root that the user typed, for the next command.
        unchanged: True if a submit has just found every step finished.
    """
    report = read_summary(paths)
    if report is None:
        raise UsageError(f"run {paths.run_id} has no report yet", hint=f"cloudlstm status {paths.run_id}")
    if storage.read_json(paths.config)["train"]["epochs"] == 0:
        return _show_forecasts(paths, report)
    return _show_models(paths, report, root, unchanged=unchanged)


def _show_models(paths: RunPaths, report: ReportSummary, root: str | None, *, unchanged: bool) -> int:
    """Prints the table of models, the location of the report, and the next command."""
    out = console()
    if unchanged:
        out.print(f"nothing has changed since {_created(report)}: these are its results")
    print_line(out, f"{paths.run_id}: test split, {_horizon(paths)}", "bold")
    rows = [[row.model, *_score_cells(row)] for row in report.models]
    strong = [number for number, row in enumerate(rows) if row[0] == "lstm"]
    columns = [Column("model", 10, text=True), *(column for column, _ in _MODELS.values())]
    out.print(fitted(columns, rows, out.width, strong=strong))
    if report.headline:
        out.print(report.headline)
        out.print()
    _print_link(out, "report", paths.report("report.html"))
    flag = f" --root={shlex.quote(root)}" if root else ""
    out.print(f"next    cloudlstm runs{flag}", soft_wrap=True)
    return 0


def _show_forecasts(paths: RunPaths, report: ReportSummary) -> int:
    """Prints the forecasts for the next session, the largest moves first, and where all of them are."""
    found, end = report.forecasts, storage.read_json(paths.config)["market"]["end"]
    out = console()
    if found is None or not found.rows:
        raise UsageError(
            f"run {paths.run_id} has no forecast after the last bar",
            hint="each ticker needs a whole window at its end",
        )
    print_line(out, f"{paths.run_id}: from the close of {found.origin_date} for {found.target_date}", "bold")
    rows = sorted(found.rows, key=lambda row: -abs(row.lstm_return))
    table = []
    for row in rows[:_SHOWN]:
        move = row.lstm_price / row.last_close - 1.0
        prices = (cell(price, ",.2f") for price in (row.last_close, row.lstm_price))
        others = (cell(price, ",.2f") for price in (row.ridge_price, row.typical_error_price))
        table.append([row.ticker, *prices, f"{move:+.2%}", *others])
    columns = [Column("ticker", 9, text=True), Column("close", 6), Column("lstm", 8), Column("move", 7),
               Column("ridge", 3), Column("typical error", 5)]  # fmt: skip
    out.print(fitted(columns, table, out.width))
    if len(rows) > _SHOWN:
        out.print(f"the {_SHOWN} largest moves of {len(rows)} tickers")
    origin = dt.date.fromisoformat(found.origin_date or end)
    if (dt.date.fromisoformat(end) - origin).days > _STALE_DAYS:
        out.print(f"note: the bars end on {origin}, although market.end is {end}", style="yellow")
    for name in ("forecasts.csv", "report.html"):
        _print_link(out, name, paths.report(name), width=14)
    return 0


def unchanged(paths: RunPaths, since: float) -> bool:
    """True if the report is older than a submit that began at `since` (seconds since the epoch)."""
    if Manifest.load(paths, "evaluate") is None:
        return False
    report = read_summary(paths)
    created = report.created if report else None
    return created is not None and dt.datetime.fromisoformat(created).timestamp() < since - 1.0


def _print_link(out: Console, name: str, uri: str, width: int = 7) -> None:
    """Prints a location as a link of the terminal."""
    url = "file://" + urllib.parse.quote(uri.removeprefix("file://")) if uri.startswith("file://") else uri
    out.print(Text.assemble(f"{name:<{width}} ", (url, Style(link=terminal.printable_lines(url)))), soft_wrap=True)


def _score_cells(row: ModelScores) -> list[str]:
    cells = [cell(getattr(row, key), form) for key, (_, form) in _MODELS.items()]
    if row.dm_p is not None and row.dm_p < _TINY_P:
        cells[-1] = "<0.001"
    return cells


def _created(report: ReportSummary) -> str:
    if report.created is None:
        return "an earlier submit"
    created = dt.datetime.fromisoformat(report.created)
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(created.timestamp()))


def _horizon(paths: RunPaths) -> str:
    bars = storage.read_json(paths.config)["dataset"]["horizon_bars"]
    return "next-session forecasts" if bars == 1 else f"forecasts {bars} sessions ahead"
