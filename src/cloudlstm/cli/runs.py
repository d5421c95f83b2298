"""`cloudlstm runs`: all runs in a table, or the runs that are named side by side with what differs between them."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from cloudlstm import storage
from cloudlstm.cli import terminal
from cloudlstm.cli.find import chosen_id
from cloudlstm.cli.status import STYLES, state
from cloudlstm.cli.tables import Column, cell, console, fitted, print_line
from cloudlstm.config.overrides import flat
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError
from cloudlstm.runs import attempts, settings
from cloudlstm.runs.index import run_ids
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.steps import STEPS
from cloudlstm.text.numbers import amount, seconds

_AT_ONCE = 16
"""Runs that are read at the same time: in a bucket each takes some ten requests of tens of milliseconds."""


@dataclass(frozen=True, slots=True)
class Record:
    """A run as its folder tells it.

    Attributes:
        run_id: Its id.
        attempts: How often it was submitted; 0 where its folder is gone.
        submitted: Seconds since the epoch when it was last submitted.
        state: In a word or two, as in `status`.
        config: Its configuration, as JSON; empty where there is none.
        report: Its report; empty while there is none.
        manifests: What its finished steps made, by step.
    """

    run_id: str
    attempts: int
    submitted: float
    state: str
    config: dict[str, Any]
    report: dict[str, Any]
    manifests: dict[str, Manifest]

    @property
    def lstm(self) -> dict[str, Any]:
        """The LSTM's row of results."""
        return next((row for row in self.report.get("models", []) if row["model"] == "lstm"), {})

    @property
    def train(self) -> dict[str, Any]:
        """What training said of itself."""
        return dict(self.manifests["train"].facts) if "train" in self.manifests else {}

    @property
    def seconds(self) -> float | None:
        """Wall-clock seconds of all finished steps."""
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
    report = _json(paths.report("report.json"))
    return Record(
        run_id=paths.run_id,
        attempts=number,
        submitted=owner.started if owner else 0.0,
        state=state(paths, number, alive, complete=bool(report)),
        config=_settings(paths, number),
        report=report,
        manifests=made,
    )


def _json(uri: str) -> dict[str, Any]:
    try:
        document: dict[str, Any] = storage.read_json(uri)
    except (ObjectNotFoundError, CorruptObjectError):  # a damaged run does not keep the others from being shown
        return {}
    return document


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

_RESULTS: tuple[tuple[str, Callable[[Record], float | None], Callable[[float], str], int], ...] = (
    ("RMSE $", lambda run: run.lstm.get("rmse_price"), lambda value: f"{value:,.4f}", -1),
    ("skill", lambda run: run.lstm.get("skill"), lambda value: f"{value:+.4f}", 1),
    ("R² o.o.s.", lambda run: run.lstm.get("r2_oos"), lambda value: f"{value:+.4f}", 1),
    ("direction", lambda run: run.lstm.get("directional_accuracy"), lambda value: f"{value:.3f}", 1),
    ("DM p", lambda run: run.lstm.get("dm_p"), lambda value: f"{value:.3f}" if value >= 0.0005 else "<0.001", 0),
    ("test forecasts", lambda run: run.lstm.get("labels"), lambda value: f"{value:,.0f}", 0),
    ("validation loss", lambda run: run.train.get("validation_loss"), lambda value: f"{value:.4f}", -1),
    ("best epoch", lambda run: run.train.get("best_epoch"), lambda value: f"{value:.0f}", 0),
    ("epochs run", lambda run: run.train.get("epochs"), lambda value: f"{value:.0f}", 0),
    ("windows/s", lambda run: run.train.get("windows_per_s"), amount, 1),
    ("time", lambda run: run.seconds, seconds, -1),
)
"""Name, where it stands, how it is written, and which way is better: 1 up, -1 down, 0 neither."""


def show_runs(root: str, again: Sequence[str]) -> int:
    """All runs below a root, the newest first; `again` is what was typed."""
    records = [record for record in gather(RunPaths.of(root, run_id) for run_id in run_ids(root)) if record.attempts]
    if not records:
        terminal.write(f"no runs in {root}\n")
        return 0
    out = console()
    rows = [_row(record) for record in records]
    skills = [record.lstm.get("skill") for record in records]
    known = [skill for skill in skills if skill is not None]
    strong = [skills.index(max(known))] if len(known) > 1 else []
    out.print(fitted(_COLUMNS, rows, out.width, strong=strong))
    if len(records) > 1:
        names = [record.run_id for record in records[:2]]
        print_line(out, f"side by side: {shlex.join([*again, *names])}", "dim")
    return 0


def show_comparison(root: str, names: Sequence[str]) -> int:
    """Runs side by side: only the settings that differ, then the results, the best of each marked."""
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
        ["data to", *(_until(record) for record in records)],
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
        print_line(out, "all settings that differ are in colour; green is the better result", "dim")
    hashes = {record.report["data"].get("hash") for record in records if record.report.get("data")}
    if len(hashes) > 1:
        print_line(out, "note: the runs saw different data, so their dollars and losses do not compare", "yellow")
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
        _until(record),
        model,
        f"{train['best_epoch']}/{train['epochs']}" if train.get("best_epoch") is not None else "",
        cell(lstm["rmse_price"], ",.4f") if lstm else "",
        cell(lstm["skill"], "+.4f") if lstm else "",
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
    universe = record.report.get("universe")
    return f"{len(universe):,}" if isinstance(universe, list) else ""


def _until(record: Record) -> str:
    return str(record.report.get("data", {}).get("last_date") or "")


def _setting(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) if len(value) <= 4 else f"{len(value)} values"
    return "–" if value is None else str(value)
