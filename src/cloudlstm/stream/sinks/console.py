"""The forecasts as lines on the terminal, for a look at a stream; a batch that is done again is shown again."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

_MOST_LINES = 20
"""Lines shown of one batch."""


class ConsoleSink:
    """Shows forecasts.

    Args:
        show: Takes a text of whole lines.
        most_lines: Lines shown of one batch.
    """

    name = "console"

    def __init__(self, show: Callable[[str], None], most_lines: int = _MOST_LINES) -> None:
        self._show, self._most = show, most_lines

    def position(self) -> None:
        """It has none."""

    def write(self, number: int, forecasts: pa.Table, before: Any, *, again: bool) -> Mapping[str, Any]:
        """Shows the first forecasts of a batch, and the number of the others."""
        del number, before, again
        for row in forecasts.slice(0, self._most).to_pylist():
            target = dt.datetime.fromtimestamp(row["target_minute"], dt.UTC)
            price = row["last_close"] * math.exp(row["forecast_return"])
            self._show(
                f"{target:%Y-%m-%d %H:%M} UTC  {row['ticker']:<8} {row['last_close']:>12.4f} -> {price:>12.4f}  "
                f"{row['forecast_return'] * 1e4:>+8.3f} bp  {row['model']}\n"
            )
        if forecasts.num_rows > self._most:
            self._show(f"… and {forecasts.num_rows - self._most} more\n")
        return {}

    def close(self) -> None:
        """It has no connections."""
