"""What a finished run prints: the models side by side, the headline, where the report lies, and what to do next."""

from __future__ import annotations

import datetime as dt
import shlex
import time
import urllib.parse
from typing import Any

from rich.console import Console
from rich.style import Style
from rich.text import Text

from cloudlstm import storage
from cloudlstm.cli import terminal
from cloudlstm.cli.tables import Column, cell, console, fitted, print_line
from cloudlstm.errors import ObjectNotFoundError, UsageError
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths

_SHOWN = 20
_STALE_DAYS = 5
"""Longer than any exchange rests over holidays and a weekend."""
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
    """What a finished run was for: the forecasts of a prediction, else how the models compare.

    Args:
        paths: The run.
        root: What the user typed as --root, to be typed again.
        unchanged: Whether a submit has just found every step done.
    """
    try:
        report = storage.read_json(paths.report("report.json"))
    except ObjectNotFoundError:
        raise UsageError(f"run {paths.run_id} has no report yet", hint=f"cloudlstm status {paths.run_id}") from None
    if storage.read_json(paths.config)["train"]["epochs"] == 0:
        return _show_forecasts(paths, report)
    return _show_models(paths, report, root, unchanged=unchanged)


def _show_models(paths: RunPaths, report: dict[str, Any], root: str | None, *, unchanged: bool) -> int:
    """The table of models, where the report lies, and what to type next."""
    out = console()
    if unchanged:
        out.print(f"nothing has changed since {_when(report)}: these are its results")
    print_line(out, f"{paths.run_id}: test split, {_ahead(paths)}", "bold")
    rows = [[row["model"], *_figures(row)] for row in report["models"]]
    strong = [number for number, row in enumerate(rows) if row[0] == "lstm"]
    columns = [Column("model", 10, text=True), *(column for column, _ in _MODELS.values())]
    out.print(fitted(columns, rows, out.width, strong=strong))
    if report.get("headline"):
        out.print(report["headline"])
        out.print()
    _print_place(out, "report", paths.report("report.html"))
    flag = f" --root={shlex.quote(root)}" if root else ""
    out.print(f"next    cloudlstm runs{flag}", soft_wrap=True)
    return 0


def _show_forecasts(paths: RunPaths, report: dict[str, Any]) -> int:
    """The forecasts beyond the last bar, the largest moves first, and where all of them lie."""
    found, end = report["forecasts"], storage.read_json(paths.config)["market"]["end"]
    out = console()
    if not found["rows"]:
        raise UsageError(
            f"run {paths.run_id} has no forecast beyond the last bar", hint="bars that reach the end of a window"
        )
    print_line(out, f"{paths.run_id}: from the close of {found['origin_date']} for {found['target_date']}", "bold")
    rows = sorted(found["rows"], key=lambda row: -abs(row["lstm_return"]))
    table = []
    for row in rows[:_SHOWN]:
        move = row["lstm_price"] / row["last_close"] - 1.0
        prices = [cell(row[name], ",.2f") for name in ("last_close", "lstm_price")]
        rest = [cell(row[name], ",.2f") for name in ("ridge_price", "usual_miss_price")]
        table.append([row["ticker"], *prices, f"{move:+.2%}", *rest])
    columns = [Column("ticker", 9, text=True), Column("close", 6), Column("lstm", 8), Column("move", 7),
               Column("ridge", 3), Column("usual miss", 5)]  # fmt: skip
    out.print(fitted(columns, table, out.width))
    if len(rows) > _SHOWN:
        out.print(f"the {_SHOWN} largest moves of {len(rows)} tickers")
    gap = dt.date.fromisoformat(end) - dt.date.fromisoformat(found["origin_date"])
    if gap.days > _STALE_DAYS:
        out.print(f"note: the bars end on {found['origin_date']}, although market.end is {end}", style="yellow")
    for name in ("forecasts.csv", "report.html"):
        _print_place(out, name, paths.report(name), width=14)
    return 0


def unchanged(paths: RunPaths, since: float) -> bool:
    """Whether a submit that began at `since` (seconds since the epoch) found the report made before."""
    made = Manifest.load(paths, "evaluate")
    if made is None:
        return False
    created = storage.read_json(paths.report("report.json")).get("created")
    return bool(created) and dt.datetime.fromisoformat(created).timestamp() < since - 1.0


def _print_place(out: Console, name: str, uri: str, width: int = 7) -> None:
    """A place that terminals let one click on."""
    url = "file://" + urllib.parse.quote(uri.removeprefix("file://")) if uri.startswith("file://") else uri
    out.print(Text.assemble(f"{name:<{width}} ", (url, Style(link=terminal.printable_lines(url)))), soft_wrap=True)


def _figures(row: dict[str, Any]) -> list[str]:
    cells = [cell(row.get(key), form) for key, (_, form) in _MODELS.items()]
    if row.get("dm_p") is not None and row["dm_p"] < _TINY_P:
        cells[-1] = "<0.001"
    return cells


def _when(report: dict[str, Any]) -> str:
    created = dt.datetime.fromisoformat(report["created"])
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(created.timestamp()))


def _ahead(paths: RunPaths) -> str:
    bars = storage.read_json(paths.config)["dataset"]["horizon_bars"]
    return "next-session forecasts" if bars == 1 else f"forecasts {bars} sessions ahead"
