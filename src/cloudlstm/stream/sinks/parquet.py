"""The forecasts as Parquet in the folder of the stream: one object a batch, named by its number.

A batch that is done again writes the same bytes over the same object, so nothing is there twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from cloudlstm import storage
from cloudlstm.market.bars import to_parquet
from cloudlstm.stream.paths import StreamPaths


class ParquetSink:
    """Writes the forecasts of each batch as one object.

    Args:
        paths: The stream.
    """

    name = "parquet"

    def __init__(self, paths: StreamPaths) -> None:
        self._paths = paths

    def position(self) -> None:
        """It has none: the number of a batch names its object."""

    def write(self, number: int, forecasts: pa.Table, before: Any, *, again: bool) -> Mapping[str, Any]:
        """Writes the object of a batch; a batch without forecasts has none."""
        del before, again
        return write_output(self._paths, "forecasts", number, forecasts)

    def close(self) -> None:
        """It has no connections."""


def write_output(paths: StreamPaths, kind: str, number: int, table: pa.Table) -> dict[str, Any]:
    """Writes a table of a batch as Parquet, unless it is empty; returns its rows and SHA-256."""
    if not table.num_rows:
        return {"rows": 0}
    data = to_parquet(table)
    storage.write(paths.output(kind, number), data)
    return {"rows": table.num_rows, "sha256": hashlib.sha256(data).hexdigest()}
