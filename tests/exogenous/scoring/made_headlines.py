"""Headlines and scorers that tests make."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.exogenous.table import HEADLINES

Row = tuple[str, dt.datetime, str | None]
"""Ticker, time, headline."""

START = dt.datetime(2024, 3, 4, 14, 30, tzinfo=dt.UTC)


def at(hours: float) -> dt.datetime:
    return START + dt.timedelta(hours=hours)


def headlines(rows: list[Row]) -> pa.Table:
    """HEADLINES in the order of the rows."""
    return pa.table(
        [
            pa.array([entity for entity, _, _ in rows], pa.string()),
            pa.array([time.date() for _, time, _ in rows], pa.date32()),
            pa.array([time for _, time, _ in rows], pa.timestamp("us", "UTC")),
            pa.array([text for _, _, text in rows], pa.string()),
            pa.array(["test"] * len(rows), pa.string()),
        ],
        schema=HEADLINES,
    )


def length_score(text: str) -> float:
    """The score of LengthScorer."""
    return float(np.float32(len(text) % 7 / 7))


@dataclass
class LengthScorer:
    """Scores by the length of a headline, and notes each call as a line in a file, from any process."""

    calls: Path
    version: str = "1"
    name: str = "length"
    fails_at: frozenset[str] = field(default_factory=frozenset)

    def score(self, headlines: pa.StringArray) -> NDArray[np.float32]:
        texts = headlines.to_pylist()
        if self.fails_at & set(texts):
            raise KeyboardInterrupt
        with self.calls.open("a") as file:
            file.writelines(f"{text}\n" for text in texts)
        return np.array([length_score(text) for text in texts], np.float32)

    @property
    def scored(self) -> list[str]:
        """All headlines that were scored so far, sorted."""
        return sorted(self.calls.read_text().splitlines()) if self.calls.exists() else []
