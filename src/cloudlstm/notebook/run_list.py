"""The runs below a root as a sequence and as a table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import pyarrow as pa

from cloudlstm.cli.records import Record
from cloudlstm.cli.tables import cell
from cloudlstm.notebook.run import Run, html_table
from cloudlstm.runs.paths import RunPaths

if TYPE_CHECKING:
    import pandas as pd

_RUNS = pa.schema(
    [
        ("run", pa.string()),
        ("submitted", pa.timestamp("s", "UTC")),
        ("state", pa.string()),
        ("tickers", pa.int64()),
        ("epochs", pa.int64()),
        ("units", pa.int64()),
        ("window_bars", pa.int64()),
        ("rmse_price", pa.float64()),
        ("skill", pa.float64()),
        ("seconds", pa.float64()),
    ]
)


class Runs(Sequence[Run]):
    """The runs below a root, the newest first, as a sequence and as a table."""

    def __init__(self, root: str, records: Sequence[Record]) -> None:
        self._root, self._records = root, records

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> Run: ...
    @overload
    def __getitem__(self, index: slice) -> Runs: ...
    def __getitem__(self, index: int | slice) -> Run | Runs:
        if isinstance(index, slice):
            return Runs(self._root, self._records[index])
        return Run(RunPaths.of(self._root, self._records[index].run_id))

    def to_arrow(self) -> pa.Table:
        """One row per run: when it was submitted, its state, its main settings and the LSTM's test errors."""
        return pa.Table.from_pylist([_row(record) for record in self._records], schema=_RUNS)

    def to_pandas(self) -> pd.DataFrame:
        """The same as a data frame. It needs pandas."""
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame

    def __repr__(self) -> str:
        lines = [f"runs in {self._root}: {len(self)}", *(f"{each.run_id}  {each.state}" for each in self._records)]
        return "\n  ".join(lines)

    def _repr_html_(self) -> str:
        forms = {"rmse_price": ",.4f", "skill": "+.4f", "seconds": ",.0f", "submitted": "%Y-%m-%d %H:%M"}
        rows = [
            [cell(value, forms.get(name, "")) for name, value in row.items()] for row in self.to_arrow().to_pylist()
        ]
        return html_table(_RUNS.names, rows)


def _row(record: Record) -> dict[str, Any]:
    report, lstm, config = record.report, record.lstm, record.config
    return {
        "run": record.run_id,
        "submitted": dt.datetime.fromtimestamp(int(record.submitted), dt.UTC) if record.submitted else None,
        "state": record.state,
        "tickers": len(report.universe) if report and report.universe else None,
        "epochs": record.train.get("epochs"),
        "units": config.get("model", {}).get("units"),
        "window_bars": config.get("dataset", {}).get("window_bars"),
        "rmse_price": lstm.rmse_price if lstm else None,
        "skill": lstm.skill if lstm else None,
        "seconds": record.seconds,
    }
