"""The forecasts of every model for the labels of a split, ordered by ticker, then by origin date."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cloudlstm.errors import DataError
from cloudlstm.evaluation.significance import FloatArray
from cloudlstm.market import columns
from cloudlstm.market.interval import iso, texts_of
from cloudlstm.text.printable import printable

DayArray = npt.NDArray[np.int32]
CodeArray = npt.NDArray[np.intp]

MODELS = ("naive", "drift", "ridge", "lstm", "ensemble", "calibrated")
"""Every model, in the order of the report. `ensemble` is there if a run has several seeds."""

_TABLE_ORDER = ("lstm", "ridge", "drift", "naive", "ensemble", "calibrated")
"""The order of the columns in the tables of forecasts."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""First characters of cells that some spreadsheets read as a formula; the last four are full-width forms."""

SPLITS = ("test", "forecast")
"""The split that is scored, and the forecasts for the next sessions. Validation is not scored: it chose the weights."""


@dataclass(frozen=True, slots=True)
class Forecasts:
    """Labels of one split with their actual returns and the forecasts of each model.

    Attributes:
        tickers: The tickers that occur, sorted.
        ticker: Index into `tickers` of each label (n,).
        origin: Origin date, days since 1970-01-01, of bars within a day minutes (n,).
        target: Target date, likewise; the origin date in the split "forecast", where it is not known yet (n,).
        last_close: Close at the origin, in dollars (n,).
        actual: Realised log-return; NaN in the split "forecast" (n,).
        models: Model -> forecast log-returns (n,).
        members: Seed -> forecast log-returns of the network with this seed (n,).
        unit: The unit of dates: D, or m for bars within a day.
        sessions: Of bars within a day: the session of each origin and of each target, days since 1970-01-01 (2, n).
            None for daily bars, whose dates are sessions.
    """

    tickers: tuple[str, ...]
    ticker: CodeArray
    origin: DayArray
    target: DayArray
    last_close: FloatArray
    actual: FloatArray
    models: dict[str, FloatArray] = field(default_factory=dict)
    members: dict[int, FloatArray] = field(default_factory=dict)
    unit: str = "D"
    sessions: DayArray | None = None

    def __len__(self) -> int:
        return len(self.ticker)

    @property
    def session(self) -> DayArray:
        """The session of each origin, the unit of evidence: days since 1970-01-01 (n,)."""
        return self.origin if self.sessions is None else self.sessions[0]

    @property
    def target_session(self) -> DayArray:
        """The session of each target, days since 1970-01-01 (n,)."""
        return self.target if self.sessions is None else self.sessions[1]

    def positions(self, tickers: Iterable[str], origin: npt.NDArray[Any]) -> CodeArray:
        """Index of each label in another list of labels, given by ticker name and origin day (n,).

        Raises:
            DataError: a label is not in that list.
        """
        names = np.asarray(list(tickers), dtype=np.str_)
        code = np.searchsorted(self.tickers, names)
        known = np.asarray(self.tickers, dtype=np.str_)[np.minimum(code, len(self.tickers) - 1)] == names
        other = np.where(known, _key(code, origin), -1)
        order = np.argsort(other, kind="stable")
        own = _key(self.ticker, self.origin)
        place = np.searchsorted(other, own, sorter=order)
        found = order[np.minimum(place, len(order) - 1)] if len(order) else np.zeros(0, np.intp)
        missing = np.flatnonzero(other[found] != own) if len(order) else np.arange(len(own))
        if len(missing):
            first = missing[0]
            raise DataError(
                f"{len(missing)} forecasts have no window in the sequences, the first is "
                f"{self.tickers[self.ticker[first]]} on {texts_of(self.origin[[first]], self.unit)[0]}",
                hint="submit again with another run name: predictions and sequences belong to different runs",
            )
        return found


def _key(code: npt.NDArray[Any], origin: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    # Days and minutes since 1970 fit 32 bits; the shift keeps dates before 1970 in order.
    return (code.astype(np.int64) << 32) + (origin.astype(np.int64) + 2**31)


def read_predictions(objects: Iterable[bytes]) -> dict[str, Forecasts]:
    """Reads the forecasts of each split from the Parquet objects of training; empty splits are left out.

    Raises:
        DataError: there are no objects, a test label has no return, or an LSTM forecast is not finite.
    """
    tables = [pq.read_table(io.BytesIO(data)) for data in objects]
    if not tables:
        raise DataError("training wrote no predictions", hint="submit again: training then runs again")
    return splits_of(pa.concat_tables(tables), SPLITS)


def splits_of(table: pa.Table, splits: Iterable[str]) -> dict[str, Forecasts]:
    """The forecasts of one network by split; empty splits are left out.

    Args:
        table: With the schema of `training.predict`.
        splits: The splits to read.

    Raises:
        DataError: a label has no return, or a forecast is not finite.
    """
    found = {}
    for split in splits:
        rows = table.filter(pc.equal(table["split"], split)).sort_by(
            [("ticker", "ascending"), ("origin_date", "ascending")]
        )
        if rows.num_rows:
            found[split] = _forecasts(rows, split)
    return found


def _forecasts(rows: pa.Table, split: str) -> Forecasts:
    encoded = rows["ticker"].combine_chunks().dictionary_encode()
    tickers = encoded.dictionary.to_pylist()  # sorted, as the rows are sorted
    code = encoded.indices.to_numpy()
    origin = columns.days(rows["origin_date"])
    predictions = rows["forecast_return"].to_numpy().astype(np.float64)
    actual = rows["actual_return"].to_numpy().astype(np.float64)
    target = origin if split == "forecast" else columns.days(rows["target_date"])
    if bad := int((~np.isfinite(predictions)).sum()):
        raise DataError(
            f"{bad} of {len(predictions)} LSTM forecasts of the {split} split are not finite",
            hint="a smaller train.learning_rate, or train.precision=float32",
        )
    if split != "forecast" and not np.isfinite(actual).all():
        raise DataError(f"a label of the {split} split has no return", hint="submit again with another run name")
    close = rows["last_close"].to_numpy().astype(np.float64)
    if split == "forecast":
        close = _as_quoted(close)
    return Forecasts(
        tuple(tickers), code.astype(np.intp), origin, target, close, actual, {"lstm": predictions},
        unit="m" if rows.schema.field("origin_date").type == columns.MOMENT else "D",
    )  # fmt: skip


def _as_quoted(prices: FloatArray) -> FloatArray:
    """Prices stored as float32, as their shortest decimals: 250.42 instead of 250.4199981689."""
    single = prices.astype(np.float32)
    quoted: FloatArray = np.array([float(str(price)) for price in single])
    return np.where(single == prices, quoted, prices)


def next_session_table(
    split: Forecasts,
    target: DayArray,
    rmse_return: dict[str, float | None],
    halves: Mapping[float, FloatArray] | None = None,
) -> pa.Table:
    """Table of the forecasts for the next sessions, one row per ticker, ordered by ticker.

    Args:
        split: The split "forecast".
        target: Date of the session or bar that is forecast, in the unit of the split (n,).
        rmse_return: Ticker -> the LSTM's RMSE of the log-return on the test split.
        halves: Level -> half width of the interval around the calibrated forecast, log-return (n,).
    """
    names = [split.tickers[code] for code in split.ticker]
    kind = columns.MOMENT if split.unit == "m" else None
    found: dict[str, Any] = {
        "ticker": pa.array(names, pa.string()),
        "origin_date": columns.from_days(split.origin, kind),
        "target_date": columns.from_days(target, kind),
        "last_close": split.last_close,
    }
    for model in _TABLE_ORDER:
        if model in split.models:
            found[f"{model}_return"] = split.models[model]
            found[f"{model}_price"] = np.round(split.last_close * np.exp(split.models[model]), 8)
    for level, half in (halves or {}).items():
        for end, sign in (("low", -1.0), ("high", 1.0)):
            price = split.last_close * np.exp(split.models["calibrated"] + sign * half)
            known = np.isfinite(half)
            found[f"{end}_{level * 100:g}_price"] = pa.array(np.round(price, 8), pa.float64(), mask=~known)
    found["lstm_test_rmse_return"] = pa.array([rmse_return.get(name) for name in names], pa.float64())
    return pa.table(found)


def as_parquet(table: pa.Table) -> bytes:
    """The table as the bytes of a Parquet file."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def as_csv(table: pa.Table) -> bytes:
    """The table as CSV with a header line, numbers in full precision, quotes only where needed.

    Text passes through `cell`, because people open CSV in spreadsheets; Parquet keeps it unchanged.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.column_names)
    for row in zip(*table.to_pydict().values(), strict=True):
        writer.writerow([_written(value) for value in row])
    return text.getvalue().encode()


def _written(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return iso(value)
    return cell(value) if isinstance(value, str) else value


def cell(text: str) -> str:
    """Escapes text for spreadsheets: an apostrophe before what they would execute as a formula, no control characters.

    Tickers come from vendors' files and may contain any character.
    """
    return ("'" if text.startswith(_FORMULA) else "") + printable(text)
