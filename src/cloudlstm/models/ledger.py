"""The forecast ledger: forecasts, written before their session opens and never changed, with outcomes beside them."""

from __future__ import annotations

import hashlib
import io
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectExistsError
from cloudlstm.models.competition import NAIVE
from cloudlstm.models.documents import Outcome
from cloudlstm.models.ledger_chain import Record, link
from cloudlstm.models.paths import ModelPaths, dates_in
from cloudlstm.models.tail import Windows
from cloudlstm.runs import documents

FORECASTS = pa.schema(
    [
        ("ticker", pa.string()),
        ("version", pa.int32()),
        ("origin_date", pa.date32()),
        ("last_close", pa.float64()),
        ("return_sd", pa.float64()),
        ("forecast_return", pa.float64()),
    ]
)
"""Forecast log-returns over the horizon from the close of `origin_date`; `return_sd` is the standard deviation of such
returns in the window."""

OUTCOMES = pa.schema([("ticker", pa.string()), ("actual_return", pa.float64())])
"""The log-returns that came."""


def forecast_rows(version: int, windows: Windows, returns: NDArray[np.float64], horizon_bars: int) -> pa.Table:
    """The forecasts of one version as a FORECASTS table, sorted by ticker."""
    order = np.argsort(windows.tickers, kind="stable")
    columns = [
        windows.tickers[order],
        np.full(len(order), version, np.int32),
        windows.dates[order],
        windows.last_close[order],
        windows.return_sd(horizon_bars)[order],
        returns[order],
    ]
    arrays = [pa.array(column).cast(field.type) for column, field in zip(columns, FORECASTS, strict=True)]
    return pa.table(arrays, schema=FORECASTS)


def records_of(paths: ModelPaths) -> list[Record]:
    """All records, by session."""
    return [record_of(paths, session) for session in sessions_of(paths)]


def record_of(paths: ModelPaths, session: str) -> Record:
    """The record of the forecasts before a session."""
    return documents.read(Record, paths.record(session))


def sessions_of(paths: ModelPaths) -> list[str]:
    """The sessions that have forecasts, ascending."""
    return dates_in([item.uri for item in storage.list_objects(paths.ledger)], paths.ledger)


def append(paths: ModelPaths, table: pa.Table, session: str, opens_at: float, made_at: float, champion: int) -> Record:
    """Stores forecasts and their record, which follows the newest one. An existing record for the session stays.

    Args:
        paths: The model.
        table: FORECASTS.
        session: The session that is forecast.
        opens_at: When it opens, in seconds since the epoch.
        made_at: When the forecasts were made.
        champion: The version whose forecasts serve.
    """
    known = sessions_of(paths)
    if session in known:
        return record_of(paths, session)
    data = _parquet(table)
    sha256 = hashlib.sha256(data).hexdigest()
    storage.write(paths.forecasts(session, sha256), data)
    previous = record_of(paths, known[-1]) if known else None
    record = link(previous, Record(0, session, made_at, opens_at, str(champion), sha256))
    try:
        storage.write_json(paths.record(session), asdict(record), if_absent=True)
    except ObjectExistsError:
        return record_of(paths, session)
    return record


def forecasts_of(paths: ModelPaths, record: Record) -> pa.Table:
    """The forecasts of a record.

    Raises:
        CorruptObjectError: They are not those that were recorded.
    """
    uri = paths.forecasts(record.date, record.forecasts_sha256)
    data = storage.read(uri)
    if hashlib.sha256(data).hexdigest() != record.forecasts_sha256:
        raise CorruptObjectError(
            f"{uri} does not have the checksum in its name", hint=f"cloudlstm models verify {paths.name}", uri=uri
        )
    return pq.read_table(pa.BufferReader(data))


def settle(paths: ModelPaths, record: Record, labels: Windows, *, complete: bool = True) -> Outcome | None:
    """Stores the outcomes of a record and returns what came of it; None if they are not known yet.

    An outcome is stored once, when it is first known; a later correction of a bar does not change it.

    Args:
        paths: The model.
        record: The record.
        labels: Windows with known targets.
        complete: Whether to wait while more than 2 % of the tickers, and more than one, have no outcome.
    """
    table = forecasts_of(paths, record)
    origin = pc.max(table["origin_date"]).cast(pa.int32()).as_py()
    chosen = labels.dates == origin
    known = pa.table([labels.tickers[chosen], labels.targets[chosen]], names=OUTCOMES.names).sort_by("ticker")
    known = known.filter(pc.is_in(known["ticker"], pc.unique(table["ticker"])))
    forecast = pc.count_distinct(table["ticker"]).as_py()
    if not known.num_rows or (complete and forecast - known.num_rows > max(1, forecast // 50)):
        return None
    uri = paths.outcomes(record.date)
    try:
        storage.write(uri, _parquet(known.cast(OUTCOMES)), if_absent=True)
    except ObjectExistsError:
        known = pq.read_table(pa.BufferReader(storage.read(uri)))
    return score(table, known, record.date, int(record.version))


def score(forecasts: pa.Table, outcomes: pa.Table, session: str, champion: int) -> Outcome:
    """Compares forecasts with outcomes: mean squared errors over the tickers that all versions have forecast.

    Args:
        forecasts: FORECASTS of one session.
        outcomes: OUTCOMES of it.
        session: The session.
        champion: The version that served.
    """
    actual = dict(zip(outcomes["ticker"].to_pylist(), outcomes["actual_return"].to_pylist(), strict=True))
    versions = forecasts["version"].to_numpy()
    tickers = np.array(forecasts["ticker"].to_pylist(), dtype=object)
    common = set(actual)
    for version in np.unique(versions):
        common &= set(tickers[versions == version])
    order = sorted(common)
    came = np.array([actual[ticker] for ticker in order])
    loss: dict[str, float] = {}
    inside = 0.0
    for version in np.unique(versions).tolist():
        own = {ticker: row for row, ticker in zip(np.flatnonzero(versions == version), tickers[versions == version],
                                                  strict=True)}  # fmt: skip
        rows = [int(own[ticker]) for ticker in order]
        forecast = forecasts["forecast_return"].to_numpy()[rows]
        if rows:
            loss[str(version)] = float(np.mean((came - forecast) ** 2))
        if rows and version == champion:
            sd = forecasts["return_sd"].to_numpy()[rows]
            inside = float(np.mean(np.abs(came - forecast) <= sd))
    if order:
        loss[NAIVE] = float(np.mean(came**2))
    return Outcome(session, len(order), champion, loss, inside)


def _parquet(table: pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, compression="zstd")
    return file.getvalue()
