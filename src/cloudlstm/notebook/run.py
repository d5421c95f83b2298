"""A run as an object: its state, settings, report, tables, windows and model."""

from __future__ import annotations

import html
import io
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from cloudlstm.cli import find
from cloudlstm.cli.status import state as state_of
from cloudlstm.cli.tables import SCORES, score_cell
from cloudlstm.config import RunConfig
from cloudlstm.dataset.inputs import Inputs, restore
from cloudlstm.dataset.reader import SequenceSet, features_of, interval_of
from cloudlstm.dataset.splits import SPLITS
from cloudlstm.errors import CloudLSTMError, CorruptObjectError, UsageError
from cloudlstm.market.bars import QUARANTINE
from cloudlstm.notebook.windows import Windows
from cloudlstm.report.models import Report
from cloudlstm.runs import attempts, user_code
from cloudlstm.runs.manifest import Manifest, ManifestRow, read_object
from cloudlstm.runs.paths import RunPaths

TABLES = {
    "bars": ("clean", "bars"),
    "quarantine": ("clean", "quarantine"),
    "features": ("features", "features"),
    "predictions": ("train", "predictions"),
    "forecasts": ("evaluate", "forecasts_parquet"),
}
"""Table -> the step that writes it, and the kind of its objects in the manifest of the step."""

_SHOWN = ("rmse_price", "skill", "r2_oos", "directional_accuracy", "dm_p")
"""Columns of `Run.metrics` in HTML."""


class Run:
    """A run in storage. Each property reads what it returns when it is used, and checks it against the manifest.

    Tables are pyarrow Tables: `run.bars.to_pandas()` gives a data frame. docs/data.md describes their columns.
    """

    def __init__(self, paths: RunPaths) -> None:
        self._paths = paths
        self._tables: dict[tuple[str, str], pa.Table] = {}

    @property
    def uri(self) -> str:
        """The URI of the run's folder."""
        return self._paths.uri

    @property
    def id(self) -> str:
        """The id of the run, which is the name of its folder."""
        return self._paths.run_id

    @property
    def state(self) -> str:
        """The state of the run: "at work", "done", "cancelled", "failed" or "stopped"."""
        number = attempts.latest_attempt(self._paths)
        alive = bool(number) and attempts.is_alive(self._paths, number)
        return state_of(self._paths, number, alive, find.is_finished(self._paths))

    @property
    def config(self) -> RunConfig:
        """The configuration of the latest submit."""
        return find.read_config(self._paths)

    @property
    def report(self) -> Report:
        """The report; `run.report.model_dump()` gives it as plain values.

        Raises:
            CorruptObjectError: This release cannot read it.
        """
        (row,) = self._objects("evaluate", "report_json")
        try:
            return Report.model_validate_json(read_object(row))
        except ValidationError:
            raise CorruptObjectError(
                f"{row.uri} is not a report that this release can read", hint="the release that wrote it", uri=row.uri
            ) from None

    @property
    def metrics(self) -> pa.Table:
        """The errors of each model on the test split, one row per model."""
        table = pa.Table.from_pylist([row.model_dump() for row in self.report.models])
        table = table.select(["model", *(name for name in table.column_names if name != "model")])
        for place, field in enumerate(table.schema):
            if pa.types.is_null(field.type):  # a figure that no model has
                table = table.set_column(place, field.name, table[field.name].cast(pa.float64()))
        return table

    @property
    def forecasts(self) -> pa.Table:
        """The forecasts for the session after the last bar, one row per ticker.

        Raises:
            UsageError: No ticker has a complete window at its last bar.
        """
        if not self.files("forecasts"):
            raise UsageError(f"run {self.id} has no forecasts", hint="bars that reach the end of a window")
        return self._table("forecasts")

    @property
    def predictions(self) -> pa.Table:
        """The LSTM's forecast and the actual return of every window in the splits validation, test and forecast.

        A walk-forward has one network for each fold: `fold` names it. A label of the test of one fold can also be one
        of the validation of a later fold.
        """
        return self._table("predictions")

    @property
    def bars(self) -> pa.Table:
        """The cleaned bars."""
        return self._table("bars")

    @property
    def features(self) -> pa.Table:
        """The features, one row per cleaned bar."""
        return self._table("features")

    @property
    def quarantine(self) -> pa.Table:
        """The bars that cleaning rejected, each with a reason; an empty table if it rejected none."""
        return self._table("quarantine") if self.files("quarantine") else QUARANTINE.empty_table()

    def files(self, table: str) -> list[str]:
        """The URIs of the Parquet files of a table ("bars", "features", …), for tools that read files themselves."""
        if table not in TABLES:
            raise UsageError(f"a run has no table {table!r}", hint=", ".join(TABLES))
        return [row.uri for row in self._objects(*TABLES[table])]

    def windows(self, split: str, *, cache_dir: str | os.PathLike[str] | None = None) -> Windows:
        """The windows of a split: "train", "validation", "test" or "forecast".

        Args:
            split: The split.
            cache_dir: Where decoded sequences are kept on this machine; None for the user's cache folder.
        """
        if split not in SPLITS:
            raise UsageError(f"a run has no split {split!r}", hint=", ".join(SPLITS))
        sequences, config = self._manifest("sequences"), self.config.dataset
        source = SequenceSet.stage(
            sequences.of_kind(split),
            window_bars=config.window_bars,
            horizon_bars=config.horizon_bars,
            features=features_of(sequences),
            unit=interval_of(sequences).unit,
            cache_dir=None if cache_dir is None else Path(cache_dir),
        )
        return Windows(source, self._inputs)

    def model(self) -> Any:
        """The trained network: a keras.Model from `Windows.inputs` to outputs (n, 1). It needs TensorFlow.

        With several seeds it is that of the first one. In a walk-forward it is that of the last fold, which was trained
        on labels of the split "test".
        """
        (row,) = self._objects("train", "model")
        from cloudlstm.training.runtime import keras

        with tempfile.TemporaryDirectory(prefix="cloudlstm-") as folder:
            path = Path(folder) / "model.keras"
            path.write_bytes(read_object(row))
            if self.config.model.build:  # its module registers the layers that it defines
                user_code.load_object(self.config.model.build)
            return keras.saving.load_model(path, compile=False)

    def _inputs(self) -> Inputs:
        """How the network was shown windows in training."""
        (row,) = self._objects("train", "inputs")
        return restore(json.loads(read_object(row)), features_of(self._manifest("sequences")))

    def _manifest(self, step: str) -> Manifest:
        manifest = Manifest.load(self._paths, step)
        if manifest is None:
            raise UsageError(
                f"run {self.id} has not finished the step {step}",
                hint=f"wait if it is at work (cloudlstm status {self.uri}), else submit it again",
            )
        return manifest

    def _objects(self, step: str, kind: str) -> list[ManifestRow]:
        return self._manifest(step).of_kind(kind)

    def _table(self, name: str) -> pa.Table:
        """A table in one piece; it is kept for as long as the manifest of its step stays the same."""
        step, kind = TABLES[name]
        manifest = self._manifest(step)
        key = (name, manifest.digest())
        if key not in self._tables:
            self._tables = {other: table for other, table in self._tables.items() if other[0] != name}
            self._tables[key] = pa.concat_tables(
                pq.read_table(io.BytesIO(read_object(row))) for row in manifest.of_kind(kind)
            )
        return self._tables[key]

    def __repr__(self) -> str:
        return f"<cloudlstm.Run {self.uri}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: state, headline and metrics; it raises no error of storage."""
        try:
            state = self.state
            report = self.report if state == "done" else None
        except CloudLSTMError as error:
            state, report = str(error), None
        head = f"<p><b>{_escaped(self.id)}</b> · {_escaped(state)}<br><small>{_escaped(self.uri)}</small></p>"
        if report is None:
            return head
        rows = [[row.model, *(score_cell(name, getattr(row, name)) for name in _SHOWN)] for row in report.models]
        table = html_table(["model", *(SCORES[name][0] for name in _SHOWN)], rows)
        return f"{head}<p>{_escaped(report.headline)}</p>{table}"


def _escaped(value: object) -> str:
    return html.escape(str(value))


def html_table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """An HTML table; all text is escaped."""
    head = "".join(f"<th>{_escaped(heading)}</th>" for heading in headings)
    body = "".join("<tr>" + "".join(f"<td>{_escaped(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
