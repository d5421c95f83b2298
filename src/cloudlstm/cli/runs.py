"""`cloudlstm runs`: all runs in a table, or named runs side by side with the settings that differ."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from cloudlstm.cli import terminal
from cloudlstm.cli.find import chosen_id
from cloudlstm.cli.status import STYLES, state
from cloudlstm.cli.tables import SCORES, Column, console, fitted, print_line, score_cell
from cloudlstm.config.overrides import flat
from cloudlstm.errors import CorruptObjectError
from cloudlstm.evaluation.rows import ModelScores
from cloudlstm.report.models import ReportSummary
from cloudlstm.report.schema import read_summary
from cloudlstm.runs import attempts, settings
from cloudlstm.runs.index import run_ids
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.steps import STEPS
from cloudlstm.text.numbers import amount, seconds

_AT_ONCE = 16
"""Runs that are read at the same time; in a bucket each takes about ten requests of tens of milliseconds."""


@dataclass(frozen=True, slots=True)
class Record:
    """A run as described by the objects in its folder.

    Attributes:
        run_id: Its id.
        attempts: Number of submits; 0 if its folder is gone.
        submitted: Time of the last submit, seconds since the epoch.
        state: As in `status`.
        config: Its configuration, as JSON; empty if there is none.
        report: Its main results; None if there is no report or it cannot be read.
        manifests: The manifests of its finished steps, by step.
    """

    run_id: str
    attempts: int
    submitted: float
    state: str
    config: dict[str, Any]
    report: ReportSummary | None
    manifests: dict[str, Manifest]

    @property
    def lstm(self) -> ModelScores | None:
        """The scores of the LSTM."""
        return self.report.scores("lstm") if self.report else None

    @property
    def train(self) -> dict[str, Any]:
        """The facts of the train step; empty if it has not finished."""
        return dict(self.manifests["train"].facts) if "train" in self.manifests else {}

    @property
    def seconds(self) -> float | None:
        """Wall-clock seconds of all finished steps; None if no step has finished."""
        return sum(manifest.seconds for manifest in self.manifests.values()) if self.manifests else None


def gather(layouts: Iterable[RunPaths]) -> list[Record]:
    """The records of runs, the newest first."""
    runs = list(layouts)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        numbers = list(pool.map(attempts.latest_attempt, runs))
        alive = attempts.are_alive([(run, number) for run, number in zip(runs, numbers, strict=True) if number])
        found = list(pool.map(lambda run, number: _read(run, number, alive=run.uri in alive), runs, numbers))
    return sorted(found, key=lambda record: -record.submitted)


def _read(paths: RunPaths, number: int, *, alive: bool) -> Record:
    owner = attempts.read_owner(paths, number)
    made = {step.name: manifest for step in STEPS if (manifest := _manifest(paths, step.name))}
    report = read_summary(paths)
    return Record(
        run_id=paths.run_id,
        attempts=number,
        submitted=owner.started if owner else 0.0,
        state=state(paths, number, alive, complete=report is not None),
        config=_settings(paths, number),
        report=report,
        manifests=made,
    )


def _settings(paths: RunPaths, number: int) -> dict[str, Any]:
    try:
        return settings.document(paths, number)
    except CorruptObjectError:
        return {}


def _manifest(paths: RunPaths, step: str) -> Manifest | None:
    try:
        return Manifest.load(paths, step)
    except CorruptObjectError:
        return None


_COLUMNS = (
    Column("run", 20, text=True),
    Column("submitted", 13, text=True),
    Column("state", 18, text=True),
    Column("tickers", 12),
    Column("data to", 11, text=True),
    Column("model", 10, text=True),
    Column("epochs", 9),
    Column("RMSE $", 17),
    Column("skill", 19),
    Column("windows/s", 7),
    Column("time", 6),
    Column("workers", 5),
)

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
    ("validation loss", lambda run: run.train.get("validation_loss"), lambda value: f"{value:.4f}", -1),
    ("best epoch", lambda run: run.train.get("best_epoch"), lambda value: f"{value:.0f}", 0),
    ("epochs run", lambda run: run.train.get("epochs"), lambda value: f"{value:.0f}", 0),
    ("windows/s", lambda run: run.train.get("windows_per_s"), amount, 1),
    ("time", lambda run: run.seconds, seconds, -1),
)
"""Name, how to read it, its format, and which direction is better: 1 up, -1 down, 0 neither."""


def show_runs(root: str, again: Sequence[str]) -> int:
    """Prints all runs below a root, the newest first; `again` is the command that the user typed."""
    records = [record for record in gather(RunPaths.of(root, run_id) for run_id in run_ids(root)) if record.attempts]
    if not records:
        terminal.write(f"no runs in {root}\n")
        return 0
    out = console()
    rows = [_row(record) for record in records]
    skills = [_lstm_score(record, "skill") for record in records]
    known = [skill for skill in skills if skill is not None]
    strong = [skills.index(max(known))] if len(known) > 1 else []
    out.print(fitted(_COLUMNS, rows, out.width, strong=strong))
    if len(records) > 1:
        names = [record.run_id for record in records[:2]]
        print_line(out, f"side by side: {shlex.join([*again, *names])}", "dim")
    return 0


def show_comparison(root: str, names: Sequence[str]) -> int:
    """Prints runs side by side: the settings that differ, then the results with the best of each in green."""
    ids = [chosen_id(name, run_ids(root), root) for name in names]
    by_id = {record.run_id: record for record in gather(RunPaths.of(root, run_id) for run_id in dict.fromkeys(ids))}
    records = [by_id[run_id] for run_id in dict.fromkeys(ids)]
    out = console()
    columns = [Column("", 100, text=True), *(Column(record.run_id, 99 - n) for n, record in enumerate(records))]
    settings = [flat(record.config) for record in records]
    differing = [key for key in sorted(set().union(*settings)) if len({str(each.get(key)) for each in settings}) > 1]
    rows: list[list[str | Text]] = [
        ["submitted", *(_when(record) for record in records)],
        ["state", *(_state(record) for record in records)],
        ["tickers", *(_tickers(record) for record in records)],
        ["data to", *(_last_date(record) for record in records)],
    ]
    rows += [[key, *(Text(_setting(each.get(key)), style="cyan") for each in settings)] for key in differing]
    for name, read, form, better in _RESULTS:
        values = [read(record) for record in records]
        if any(value is not None for value in values):
            rows.append([name, *_marked(values, form, better)])
    out.print(fitted(columns, rows, out.width))
    if not differing:
        out.print("these runs have the same settings")
    if len(records) > 1:
        print_line(out, "all settings that differ are in colour; the better result is green", "dim")
    hashes = {record.report.data.hash for record in records if record.report and record.report.data}
    if len(hashes) > 1:
        print_line(
            out,
            "note: the runs used different data, so their errors in dollars and losses cannot be compared",
            "yellow",
        )
    return 0


def _row(record: Record) -> list[str | Text]:
    config, lstm, train = flat(record.config), record.lstm, record.train
    units, bars = config.get("model.units"), config.get("dataset.window_bars")
    model = f"{units} x {bars}" if units and bars else ""
    return [
        record.run_id,
        _when(record),
        _state(record),
        _tickers(record),
        _last_date(record),
        model,
        f"{train['best_epoch']}/{train['epochs']}" if train.get("best_epoch") is not None else "",
        score_cell("rmse_price", lstm.rmse_price) if lstm else "",
        score_cell("skill", lstm.skill) if lstm else "",
        amount(train["windows_per_s"]) if train.get("windows_per_s") else "",
        seconds(record.seconds) if record.seconds is not None else "",
        str(train.get("workers", "")),
    ]


def _marked(values: Sequence[float | None], form: Callable[[float], str], better: int) -> list[str | Text]:
    known = [value for value in values if value is not None and math.isfinite(value)]
    best = max(known, key=lambda value: value * better) if better and len(set(known)) > 1 else None
    return [
        "–" if value is None else Text(form(value), style="green" if best is not None and value == best else "")
        for value in values
    ]


def _when(record: Record) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(record.submitted)) if record.submitted else ""


def _state(record: Record) -> Text:
    return Text(record.state, style=STYLES.get(record.state, ""))


def _tickers(record: Record) -> str:
    return f"{len(record.report.universe):,}" if record.report and record.report.universe else ""


def _last_date(record: Record) -> str:
    return (record.report.data.last_date or "") if record.report and record.report.data else ""


def _lstm_score(record: Record, name: str) -> float | None:
    return getattr(record.lstm, name) if record.lstm else None


def _setting(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) if len(value) <= 4 else f"{len(value)} values"
    return "–" if value is None else str(value)
