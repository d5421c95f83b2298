"""The JSON documents that commands print with --json. docs/json.md describes them.

Keys are added in later releases, never renamed or removed. A value that is unknown is null.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from cloudlstm.cli import terminal
from cloudlstm.evaluation.rows import Number

Time = str | None
"""UTC, ISO 8601; null if unknown."""


RunState = Literal["at work", "done", "failed", "cancelled", "stopped"]
StepState = Literal["done", "at work", "failed", "waiting"]


class Document(BaseModel):
    """Base of all documents and their parts."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class StepStatus(Document):
    """One step of a run."""

    name: str
    job: str
    state: StepState
    seconds: Number = None
    """How long the finished step took."""
    rows: int | None = None
    """Rows that the finished step wrote."""
    objects: int | None = None
    """Objects that the finished step wrote."""
    phase: str | None = None
    """What the step does while it cannot count."""
    done: int | None = None
    total: int | None = None
    unit: str | None = None
    """Units finished and in all, of the step that is at work or failed; total is null while unknown."""
    rate: Number = None
    """Units per second."""
    seconds_left: Number = None
    figures: dict[str, JsonValue] = {}
    """Further figures of that step, such as epoch and loss."""


class Failure(Document):
    """The error of a job."""

    job: str
    kind: str
    message: str
    hint: str


class Status(Document):
    """`status --json`."""

    run: str
    uri: str
    attempt: int
    state: RunState
    launcher_lost: bool
    """True if the process of the submit has ended without recording its end; jobs on a cloud may still be at work."""
    steps: tuple[StepStatus, ...]
    failures: tuple[Failure, ...]


class RunRow(Document):
    """One run in `runs --json`. Scores are those of the LSTM on the test split."""

    run: str
    uri: str
    attempts: int
    submitted: Time
    state: RunState
    cause: str | None
    """The message of the error, if the run failed."""
    tickers: int | None
    last_date: str | None
    data_hash: str | None
    predicts: bool
    """True for a run of `predict`; it has no scores of its own."""
    best_epoch: int | None
    epochs: int | None
    validation_loss: Number
    workers: int | None
    windows_per_s: Number
    seconds: Number
    rmse_price: Number
    skill: Number
    r2_oos: Number
    directional_accuracy: Number
    dm_p: Number
    labels: int | None


class BenchmarkRow(Document):
    """One benchmark in `runs --json`."""

    benchmark: str
    uri: str
    created: Time
    """When its results were written; null if there are none yet."""
    cells: int
    equal: int
    """Cells whose results are equal, so that their times count."""
    target: str | None


class RunList(Document):
    """`runs --json`."""

    root: str
    runs: tuple[RunRow, ...]
    benchmarks: tuple[BenchmarkRow, ...]


class Comparison(Document):
    """`runs A B --json`."""

    root: str
    runs: tuple[RunRow, ...]
    settings_that_differ: dict[str, dict[str, JsonValue]]
    """Setting -> run -> value; null where a run lacks the setting."""


class LogLine(Document):
    """One line of a log."""

    time: Time
    job: str
    worker: str
    level: str | None
    text: str


class Logs(Document):
    """`logs --json`."""

    run: str
    lines: tuple[LogLine, ...]


class Check(Document):
    """One check of `doctor`."""

    name: str
    state: Literal["ok", "warn", "fail"]
    text: str
    fix: str | None


class Checks(Document):
    """`doctor --json`."""

    ok: bool
    checks: tuple[Check, ...]
    remaining: tuple[str, ...] | None = None
    """With --target: what costs money while it exists; null for this machine, or if it could not be listed."""
    free: tuple[str, ...] | None = None
    """What is there and costs nothing by itself."""
    bucket: tuple[str, ...] | None = None
    """The bucket of runs."""


class Down(Document):
    """`down --json`."""

    ended: tuple[str, ...]
    remaining: tuple[str, ...]
    """What costs money while it exists."""
    free: tuple[str, ...]
    """What is there and costs nothing by itself."""
    bucket: tuple[str, ...]
    """The bucket of runs."""
    remove: str
    """The command that removes all but the bucket of runs."""
    remove_bucket: str
    """The commands that remove the bucket after it."""


class AuditFinding(Document):
    """One finding of an audit."""

    check: str
    level: Literal["alarm", "warning", "note"]
    column: str
    """Empty if it is the whole table."""
    evidence: str
    meaning: str
    action: str
    numbers: dict[str, JsonValue]


class AuditCheck(Document):
    """One check of an audit, and how far it could be done."""

    name: str
    looks_for: str
    state: Literal["done", "partly", "not done"]
    columns: int
    """Columns that it could check; 1 or 0 of a check of the whole table."""
    of: int
    reason: str


class AuditReport(Document):
    """`audit --json`."""

    file: str
    rows: int
    entities: int
    first: str
    last: str
    roles: dict[str, str | None]
    features: tuple[str, ...]
    target_kind: Literal["returns", "other", "none"]
    horizon: int
    horizon_from: str
    alarms: int
    findings: tuple[AuditFinding, ...]
    checks: tuple[AuditCheck, ...]
    share_checked: float
    """Share of all pairs of a check and a column that could be checked."""


class PlannedRun(Document):
    """One run of a benchmark, before it starts."""

    run: str
    on: str
    """Where its jobs run."""
    seconds: Number
    """Estimated from assumed speeds."""
    usd: Number
    """Estimated cost of its machines by list prices; null without paid machines."""
    finished: bool
    """True if it has run before; it does not run again."""


class BenchmarkCells(Document):
    """`benchmark --dry-run --json`."""

    benchmark: str
    uri: str
    runs: tuple[PlannedRun, ...]
    seconds: float
    """Estimate of all runs that are not finished."""
    usd: Number


DOCUMENTS: tuple[type[Document], ...] = (Status, RunList, Comparison, Logs, AuditReport, Checks, Down, BenchmarkCells)


def print_document(document: Document) -> None:
    """Prints a document on standard output."""
    print_json(document.model_dump(mode="json"))


def print_json(value: JsonValue) -> None:
    """Prints a JSON value on standard output."""
    terminal.write(json.dumps(value, indent=2) + "\n")  # JSON escapes what terminal.write would escape otherwise


def json_values(values: Mapping[str, Any]) -> dict[str, JsonValue]:
    """The values as JSON has them: null for NaN and infinity."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in values.items()
    }


def iso_time(seconds: float | None) -> Time:
    """Seconds since the epoch as UTC in ISO 8601; None for None and 0."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="seconds") if seconds else None
