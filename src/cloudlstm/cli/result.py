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
from cloudlstm.cli.copies import missing
from cloudlstm.cli.find import root_uri
from cloudlstm.cli.flags import command_line
from cloudlstm.cli.json_output import print_json
from cloudlstm.cli.tables import SCORES, Column, cell, console, print_line, print_table, score_cell
from cloudlstm.errors import ObjectNotFoundError, UsageError
from cloudlstm.report.models import QualitySummary, ReportSummary
from cloudlstm.report.schema import read_summary
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths
from cloudlstm.text.numbers import counted, p_value

_SHOWN = 20
_STALE_DAYS = 5
"""More days than any weekend with holidays."""
_DATE_CHARACTERS = 10
"""Length of 2024-12-31. The start of a bar within a day is longer."""

_KEEP = {"rmse_price": 9, "skill": 8, "rmse_return": 3, "r2_oos": 6, "directional_accuracy": 4, "dm_p": 7}
"""Scores in the table of models -> `Column.keep`."""


def show_results(paths: RunPaths, *, root: str | None = None, unchanged: bool = False) -> int:
    """Prints the forecasts of a run without training, else the comparison of the models.

    Args:
        paths: The run.
        root: The value of --root that the user typed, for the next command.
        unchanged: True if a submit has just found every step finished.
    """
    report = read_summary(paths)
    if report is None:
        raise missing(paths)
    config = storage.read_json(paths.config)
    if config["train"]["epochs"] == 0:
        return _show_forecasts(paths, report, config["market"]["end"])
    if unchanged:
        console().print(f"nothing has changed since {_created(report)}: these are its results")
    return _show_models(paths, report, root, config["dataset"]["horizon_bars"])


def show_json(paths: RunPaths) -> int:
    """Prints report.json; docs/report.schema.json is its schema."""
    try:
        print_json(storage.read_json(paths.report("report.json")))
    except ObjectNotFoundError:
        raise missing(paths) from None
    return 0


def _show_models(paths: RunPaths, report: ReportSummary, root: str | None, horizon_bars: int) -> int:
    """Prints the table of models, the location of the report, and the next command."""
    out = console()
    step = "session" if len((report.data and report.data.last_date) or "") <= _DATE_CHARACTERS else "bar"
    horizon = f"next-{step} forecasts" if horizon_bars == 1 else f"forecasts {horizon_bars} {step}s ahead"
    print_line(out, f"{paths.run_id}: test split, {horizon}", "bold")
    rows = [[row.model, *(score_cell(name, getattr(row, name)) for name in _KEEP)] for row in report.models]
    strong = [number for number, row in enumerate(rows) if row[0] == "lstm"]
    columns = [Column("model", 10, text=True), *(Column(SCORES[name][0], keep) for name, keep in _KEEP.items())]
    print_table(out, columns, rows, strong=strong)
    if report.headline:
        out.print(report.headline)
        out.print()
    if line := ablation_line(report):
        out.print(line)
        out.print()
    if text := _cleaning(report.quality, step):
        out.print(text, soft_wrap=True)
    if report.cost:
        out.print(
            f"machines: {report.cost.usd:.2f} USD by {report.cost.prices}; idle time is not in it", soft_wrap=True
        )
    print_link(out, "report", paths.report("report.html"))
    is_named = paths.root == root_uri(root)
    run, place = (paths.run_id, root) if is_named else (paths.uri, None)
    out.print(f"next    {shlex.join([*command_line('report', (run,), root=place), '--open'])}", soft_wrap=True)
    out.print(f"        {shlex.join(command_line('predict', (), run=run, root=place))}", soft_wrap=True)
    return 0


def ablation_line(report: ReportSummary) -> str:
    """Returns what each group of exogenous columns brings, as one line; "" without an ablation."""
    found = []
    for row in report.exogenous.ablation if report.exogenous else ():
        test = row.against_none
        if test is not None and test.difference is not None:
            than = "smaller" if test.difference < 0.0 else "larger"
            p = f" (DM p {p_value(test.p)})" if test.p is not None else ""
            found.append(f"{row.inputs}: squared error {abs(test.difference):.2%} {than} than without{p}")
    return "; ".join(found)


def _cleaning(quality: QualitySummary | None, step: str) -> str:
    """Returns how many rows cleaning rejected and filled; "" if it kept all of them."""
    if quality is None or not (quality.refused or quality.filled):
        return ""
    reasons = ", ".join(f"{each.reason} {each.rows:,}" for each in quality.reasons if each.rows)
    rejected = f"{quality.refused or 0:,} of {counted(quality.rows or 0, 'row')}" + (f" ({reasons})" if reasons else "")
    filled = f", and filled {counted(quality.filled, step)}" if quality.filled else ""
    return f"cleaning rejected {rejected}{filled}"


def _show_forecasts(paths: RunPaths, report: ReportSummary, end: str) -> int:
    """Prints the forecasts for the next session, the largest moves first, and where all of them are."""
    found, out = report.forecasts, console()
    if found is None or not found.rows:
        raise UsageError(
            f"run {paths.run_id} has no forecast after the last bar",
            hint="each ticker needs a whole window at its end",
        )
    daily = len(found.origin_date or end) == _DATE_CHARACTERS
    begin = "from the close of" if daily else "from the bar of"
    print_line(out, f"{paths.run_id}: {begin} {found.origin_date} for {found.target_date}", "bold")
    moves = {row.ticker: (row.ensemble_price or row.lstm_price) / row.last_close - 1.0 for row in found.rows}
    rows = sorted(found.rows, key=lambda row: -abs(moves[row.ticker]))
    table = []
    digits = ",.2f" if daily else ",.4f"
    several = any(row.ensemble_price is not None for row in rows)
    for row in rows[:_SHOWN]:
        move = moves[row.ticker]
        prices = (cell(price, digits) for price in (row.last_close, row.lstm_price))
        chosen = ([row.ensemble_price] if several else []) + [row.ridge_price, row.typical_error_price]
        others = (cell(price, digits) for price in chosen)
        table.append([row.ticker, *prices, f"{move:+.2%}" if daily else f"{move:+.4%}", *others])
    columns = [Column("ticker", 9, text=True), Column("close", 6), Column("lstm", 8), Column("move", 7)]
    columns += [Column("ensemble", 4)] if several else []
    columns += [Column("ridge", 3), Column("typical error", 5)]
    print_table(out, columns, table)
    if len(rows) > _SHOWN:
        out.print(f"the {_SHOWN} largest moves of {len(rows)} tickers")
    origin = dt.date.fromisoformat((found.origin_date or end)[:_DATE_CHARACTERS])
    if (dt.date.fromisoformat(end) - origin).days > _STALE_DAYS:
        out.print(f"note: the bars end on {origin}, although market.end is {end}", style="yellow")
    for name in ("forecasts.csv", "report.html"):
        print_link(out, name, paths.report(name), width=14)
    return 0


def unchanged(paths: RunPaths, since: float) -> bool:
    """True if the report is older than a submit that began at `since` (seconds since the epoch)."""
    if Manifest.load(paths, "evaluate") is None:
        return False
    report = read_summary(paths)
    created = report.created if report else None
    return created is not None and dt.datetime.fromisoformat(created).timestamp() < since - 1.0


def print_link(out: Console, name: str, uri: str, width: int = 7) -> None:
    """Prints a location as a link of the terminal; `name` stands before it."""
    url = "file://" + urllib.parse.quote(uri.removeprefix("file://")) if uri.startswith("file://") else uri
    out.print(Text.assemble(f"{name:<{width}} ", (url, Style(link=terminal.printable_lines(url)))), soft_wrap=True)


def _created(report: ReportSummary) -> str:
    if report.created is None:
        return "an earlier submit"
    created = dt.datetime.fromisoformat(report.created)
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(created.timestamp()))
