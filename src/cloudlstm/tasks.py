"""What a task of the job "prepare" leaves behind, and how shards go in and out of storage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cloudlstm.layout import RunLayout
from cloudlstm.manifest import ManifestRow, read_object, write_object
from cloudlstm.market import bars


@dataclass(frozen=True, slots=True)
class Made:
    """What a task, or a whole step, has made.

    Attributes:
        objects: The objects it wrote.
        rows: Rows that it worked on, for progress and rates.
        facts: What it has to say, JSON-ready.
    """

    objects: Sequence[ManifestRow]
    rows: int
    facts: Mapping[str, Any] = field(default_factory=dict)


def rows_of(made: Made) -> int:
    return made.rows


def together(made: Sequence[Made], facts: Mapping[str, Any]) -> Made:
    """What several tasks have made, in their order."""
    return Made([row for each in made for row in each.objects], sum(each.rows for each in made), facts)


def loaded(row: ManifestRow) -> pa.Table:
    """Reads one shard of Parquet, held to its manifest row."""
    return bars.from_parquet(read_object(row), uri=row.uri)


def stored(layout: RunLayout, step: str, print_: str, number: int, table: pa.Table, kind: str) -> Made:
    """Writes one shard as Parquet."""
    uri = layout.data(step, print_, f"{kind}-{number:05d}.parquet")
    last = pc.max(table.column("date")).as_py()
    extra = {"last_date": last.isoformat() if last else None}
    row = write_object(uri, bars.to_parquet(table), kind=kind, rows=table.num_rows, extra=extra)
    return Made([row], table.num_rows)
