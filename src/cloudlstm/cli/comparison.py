"""`cloudlstm runs A B`: named runs side by side, with the settings that differ and the results."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from cloudlstm.cli.find import chosen_id
from cloudlstm.cli.json_output import Comparison, json_values, print_document
from cloudlstm.cli.records import Record, gather
from cloudlstm.cli.runs import date_cell, row_of, state_cell, tickers_cell, when_cell
from cloudlstm.cli.tables import SCORES, Column, console, print_whole_table, score_cell, shows_colours
from cloudlstm.config.overrides import flat
from cloudlstm.runs.index import run_ids
from cloudlstm.runs.paths import RunPaths
from cloudlstm.text.numbers import amount, seconds

_MOST_LETTERS = 24
"""A longer value of a setting stands below the table."""

_Result = tuple[str, Callable[["Record"], float | None], Callable[[float], str], int]


def _score(name: str, better: int) -> _Result:
    return SCORES[name][0], lambda run: _lstm_score(run, name), lambda value: score_cell(name, value), better


_RESULTS: tuple[_Result, ...] = (
    _score("rmse_price", -1),
    _score("skill", 1),
    _score("r2_oos", 1),
    _score("directional_accuracy", 1),
    _score("dm_p", 0),
    ("test forecasts", lambda run: _lstm_score(run, "labels"), lambda value: f"{value:,.0f}", 0),
    ("validation loss", lambda run: _fit(run, "validation_loss"), lambda value: f"{value:.4f}", -1),
    ("best epoch", lambda run: _fit(run, "best_epoch"), lambda value: f"{value:.0f}", 0),
    ("epochs run", lambda run: _fit(run, "epochs"), lambda value: f"{value:.0f}", 0),
    ("windows/s", lambda run: run.train.get("windows_per_s"), amount, 1),
    ("time", lambda run: run.seconds, seconds, -1),
)
"""Name, how to read it, its format, and which direction is better: 1 up, -1 down, 0 neither."""


def show_comparison(root: str, names: Sequence[str], *, as_json: bool = False) -> int:
    """Prints runs side by side: the settings that differ, then the results with the best of each in green.

    Args:
        root: The URI of the folder of all runs.
        names: Words that name one run each.
        as_json: Whether to print a JSON document.
    """
    ids = list(dict.fromkeys(chosen_id(name, known, root) for known in [run_ids(root)] for name in names))
    by_id = {record.run_id: record for record in gather(RunPaths.of(root, run_id) for run_id in ids)}
    records = [by_id[run_id] for run_id in ids]
    settings = [flat(record.config) for record in records]
    keys = sorted(set().union(*settings) - {"name"})  # the name is part of the id
    differing = {
        key: [each.get(key) for each in settings] for key in keys if len({str(each.get(key)) for each in settings}) > 1
    }
    if as_json:
        values = {key: json_values(dict(zip(ids, each, strict=True))) for key, each in differing.items()}
        rows = tuple(row_of(root, record) for record in records)
        print_document(Comparison(root=root, runs=rows, settings_that_differ=values))
    else:
        _print_comparison(console(), records, {key: [*map(_setting, each)] for key, each in differing.items()})
    return 0


def _print_comparison(out: Console, records: Sequence[Record], differing: dict[str, list[str]]) -> None:
    rows: list[list[str | Text]] = [
        ["submitted", *(when_cell(record) for record in records)],
        ["state", *(state_cell(record) for record in records)],
        ["tickers", *(tickers_cell(record) for record in records)],
        ["data to", *(date_cell(record) for record in records)],
    ]
    long = {key: values for key, values in differing.items() if max(map(len, values)) > _MOST_LETTERS}
    rows += [[key, *(Text(each, style="cyan") for each in differing[key])] for key in differing if key not in long]
    for name, read, form, better in _RESULTS:
        values = [read(record) for record in records]
        if any(value is not None for value in values):
            rows.append([name, *_marked(values, form, better)])
    print_whole_table(out, [Column("", 0, text=True), *(Column(record.run_id, 0) for record in records)], rows)
    width = max(len(record.run_id) for record in records)
    for key, texts in long.items():
        out.print(key)
        for record, text in zip(records, texts, strict=True):
            out.print(Text.assemble(f"  {record.run_id:<{width}}  ", (text, "cyan")), soft_wrap=True)
    if not differing:
        out.print("these runs have the same settings")
    if len(records) > 1 and shows_colours(out):
        note = "settings that differ are in colour; the better number is green, even if the difference is chance"
        out.print(note, style="dim")
    hashes = {record.report.data.hash for record in records if record.report and record.report.data}
    if len(hashes) > 1:
        note = "note: the runs used different data, so their errors in dollars and losses cannot be compared"
        out.print(note, style="yellow")
    for record in records:
        if record.cause:
            out.print(f"{record.run_id} failed: {record.cause}", style="red", soft_wrap=True)
        if not record.is_trained and record.report:
            out.print(f"{record.run_id} only predicts: its scores are those of the run whose weights it uses")


def _marked(values: Sequence[float | None], form: Callable[[float], str], better: int) -> list[str | Text]:
    known = [value for value in values if value is not None and math.isfinite(value)]
    best = max(known, key=lambda value: value * better) if better and len(set(known)) > 1 else None
    return [
        "–" if value is None else Text(form(value), style="green" if best is not None and value == best else "")
        for value in values
    ]


def _lstm_score(record: Record, name: str) -> float | None:
    return getattr(record.lstm, name) if record.lstm else None


def _fit(record: Record, name: str) -> float | None:
    return record.train.get(name) if record.is_trained else None


def _setting(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) if len(value) <= 4 else f"{len(value)} values"
    return "–" if value is None else str(value)
