"""Small inputs for the tests of exogenous sources."""

from __future__ import annotations

import datetime as dt
import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa

from cloudlstm.config import RunConfig, parse
from cloudlstm.exogenous.collect import Collected, collect

NOW = dt.datetime(2025, 6, 2, 12, tzinfo=dt.UTC)


def utc(text: str) -> dt.datetime:
    """A time in UTC, such as 2024-03-01 14:30."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def config(**exogenous: Any) -> RunConfig:
    """Settings of a run on the synthetic market in 2024, with these sections of `exogenous`."""
    return parse(
        {
            "market": {"source": "synthetic", "start": "2024-01-02", "end": "2024-12-31", "synthetic": {"tickers": 2}},
            "dataset": {"train_end": "2024-06-28", "validation_end": "2024-09-30"},
            "exogenous": exogenous,
        },
        [],
    )


def news(path: Path, tickers: list[str] | None = None, now: dt.datetime = NOW, **settings: Any) -> Collected:
    """What `collect` finds in files of headlines."""
    return collect(config(news={"source": "files", "path": str(path), **settings}), tickers, now)


def macro(path: Path, series: str, source: str = "files", **settings: Any) -> Collected:
    """What `collect` finds in files of series."""
    return collect(config(macro={"source": source, "path": str(path), "series": series, **settings}), None, NOW)


def write(path: Path, text: str) -> Path:
    """Writes a text file, packed if its name ends with gz."""
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def reasons(table: pa.Table) -> dict[str, list[str]]:
    """The texts of refused rows by reason."""
    found: dict[str, list[str]] = {}
    for row in table.to_pylist():
        found.setdefault(row["reason"], []).append(row["raw"])
    return found
