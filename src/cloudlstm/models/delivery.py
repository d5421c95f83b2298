"""Delivers the champion's newest forecasts to those who read them: latest.json, and a Parquet file that it names.

`python -m cloudlstm.models.delivery` prints the JSON schema of latest.json.

Both are made from what the store has: the newest day and the newest record of the ledger. So the same state gives the
same forecasts, whenever they are written. The Parquet file is named by its content and written first, and latest.json
is replaced in one write. So a reader of latest.json finds exactly the forecasts that it describes.

Another release of pyarrow writes other bytes of the same table. So a file that was delivered stays, and is compared by
its rows and metadata.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import re
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field, ValidationError

from cloudlstm import storage
from cloudlstm.config import parse
from cloudlstm.errors import ObjectNotFoundError
from cloudlstm.evaluation.rows import Row
from cloudlstm.market.calendar import sessions_after, to_date, to_days
from cloudlstm.models import ledger, registry
from cloudlstm.models.documents import Status
from cloudlstm.models.ledger_chain import digest
from cloudlstm.models.paths import ModelPaths
from cloudlstm.report.schema import print_schema, schema_of

SCHEMA_VERSION = 1
_SHA256 = re.compile("[0-9a-f]{64}")

DELIVERED = pa.schema(
    [
        ("ticker", pa.string()),
        ("origin_date", pa.date32()),
        ("last_close", pa.float64()),
        ("forecast_return", pa.float64()),
        ("forecast_close", pa.float64()),
        ("return_sd", pa.float64()),
    ]
)
"""Columns of the Parquet file; docs/delivery.md says what they mean."""


class Delivered(Row):
    """The forecasts that latest.json describes."""

    session: str = Field(description="The session that is forecast; the forecasts were made before it opened")
    version: int = Field(description="The version that served when they were made")
    made_at: str = Field(description="UTC, ISO 8601")
    opens_at: str = Field(description="When the session opens; UTC, ISO 8601")
    horizon_bars: int = Field(description="Bars from the last close to the forecast close")
    forecasts: int = Field(ge=0, description="Rows of the Parquet file; one ticker each")
    parquet: str = Field(description="Name of the Parquet file, relative to latest.json")
    sha256: str = Field(description="Of the Parquet file, hexadecimal")
    record: str = Field(description="Digest of the record in the ledger, as `cloudlstm daily` prints it")


class Latest(Row):
    """latest.json."""

    schema_version: Literal[1]
    model: str
    day: str = Field(description="The newest day of the model: the session of its newest bars")
    status: Status = Field(description="Of that day; `refused` and `late`: it made no forecasts")
    reasons: tuple[str, ...] = Field(description="Why that day was refused or late")
    current: bool = Field(description="True if that day made the forecasts below; false: they are older")
    newest: Delivered | None = Field(description="The newest forecasts; null if the model has never made any")


def deliver(paths: ModelPaths) -> Latest:
    """Writes latest.json and its Parquet file for the newest day of a model, and returns the document.

    Of two processes that deliver at once, the one that writes last may have read an older day. So each looks once more
    after its write: a day is stored before it is delivered, so the last writer finds the newest one.

    Raises:
        CorruptObjectError: The forecasts are not those that the ledger has recorded.
    """
    while (latest := _deliver(paths)).day != registry.day_dates(paths)[-1]:
        pass
    return latest


def _deliver(paths: ModelPaths) -> Latest:
    """Delivers the newest day as it is now."""
    latest, table = content(paths)
    if (newest := latest.newest) is not None:
        stored = _stored(paths)
        if stored and stored.record == newest.record and not _problem(paths, stored, table):
            latest = _naming(latest, stored)
        else:
            uri, data = paths.delivered(newest.session, newest.sha256), _to_bytes(table)
            if not storage.exists(uri) or storage.read(uri) != data:
                storage.write(uri, data)
    document = to_json(latest)
    if not storage.exists(paths.latest) or storage.read(paths.latest) != document:
        storage.write(paths.latest, document)
    return latest


def content(paths: ModelPaths) -> tuple[Latest, pa.Table]:
    """What latest.json says after the newest day, and the table of its Parquet file; that is empty without forecasts.

    The name of the file is that of the bytes that this pyarrow writes.

    A record that a later day has written before it was killed does not count: that day has no document yet.
    """
    day = registry.day_of(paths, registry.day_dates(paths)[-1])
    config = parse(dict(registry.recipe_of(paths).config))
    today = to_days(dt.date.fromisoformat(day.date))
    following = to_date(int(sessions_after(config.market.calendar, np.array([today], np.int32))[0])).isoformat()
    sessions = [each for each in ledger.sessions_of(paths) if each <= following]
    newest, table = None, DELIVERED.empty_table()
    if sessions:
        record = ledger.record_of(paths, sessions[-1])
        all_versions = ledger.forecasts_of(paths, record)
        own = all_versions.filter(pc.equal(all_versions["version"], int(record.version)))
        table = _delivered(own, {"model": paths.name, "session": record.date, "record": digest(record)})
        sha256 = hashlib.sha256(_to_bytes(table)).hexdigest()
        newest = Delivered(
            session=record.date,
            version=int(record.version),
            made_at=_utc(record.made_at),
            opens_at=_utc(record.session_opens_at),
            horizon_bars=config.dataset.horizon_bars,
            forecasts=own.num_rows,
            parquet=paths.delivered(record.date, sha256).removeprefix(paths.uri + "/"),
            sha256=sha256,
            record=digest(record),
        )
    latest = Latest(
        schema_version=SCHEMA_VERSION,
        model=paths.name,
        day=day.date,
        status=day.status,
        reasons=day.reasons,
        current=newest is not None and newest.record == day.record,
        newest=newest,
    )
    return latest, table


def problems(paths: ModelPaths) -> list[str]:
    """What is wrong with the delivered objects, as sentences; none if nothing was delivered yet."""
    if not storage.exists(paths.latest):
        return []
    latest, table = content(paths)
    stored = _stored(paths)
    wrong = []
    if storage.read(paths.latest) != to_json(_naming(latest, stored)):
        wrong.append(f"latest.json is not that of the day {latest.day}: cloudlstm daily {paths.name} writes it again")
    if latest.newest is not None and stored is not None and stored.record == latest.newest.record:
        wrong += _problem(paths, stored, table)
    return wrong


def _stored(paths: ModelPaths) -> Delivered | None:
    """What the stored latest.json says of its forecasts; None if there is none, or if it cannot be read."""
    try:
        return Latest.model_validate_json(storage.read(paths.latest)).newest
    except (ObjectNotFoundError, ValidationError):
        return None


def _naming(latest: Latest, stored: Delivered | None) -> Latest:
    """The document, but with the name of the stored Parquet file: each pyarrow writes its own bytes of a table."""
    if latest.newest is None or stored is None:
        return latest
    named = {"parquet": stored.parquet, "sha256": stored.sha256}
    return latest.model_copy(update={"newest": latest.newest.model_copy(update=named)})


def _problem(paths: ModelPaths, stored: Delivered, table: pa.Table) -> list[str]:
    """What is wrong with the Parquet file that latest.json names, as a sentence; none if it has these forecasts."""
    uri = paths.delivered(stored.session, stored.sha256)
    if uri != f"{paths.uri}/{stored.parquet}" or not _SHA256.fullmatch(stored.sha256):
        return [f"{stored.parquet} is not named by the checksum of latest.json"]
    try:
        data = storage.read(uri)
    except ObjectNotFoundError:
        return [f"{stored.parquet} is missing"]
    if hashlib.sha256(data).hexdigest() != stored.sha256:
        return [f"{stored.parquet} was changed"]
    return [] if _same(data, table) else [f"{stored.parquet} does not have the forecasts of the ledger"]


def _same(data: bytes, table: pa.Table) -> bool:
    """Whether a file has the rows and metadata of a table. Libraries differ in the last digit of an exponential."""
    try:
        found = pq.read_table(pa.BufferReader(data))
    except pa.ArrowInvalid:
        return False
    if not found.schema.equals(table.schema, check_metadata=True):
        return False
    exact = [name for name in DELIVERED.names if name != "forecast_close"]
    if found.num_rows != table.num_rows or not found.select(exact).equals(table.select(exact)):
        return False
    own, wanted = (each["forecast_close"].to_numpy() for each in (found, table))
    return np.allclose(own, wanted, rtol=1e-12, atol=0.0)


def to_json(latest: Latest) -> bytes:
    """The bytes of latest.json, with sorted keys."""
    return (json.dumps(latest.model_dump(mode="json"), indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def json_schema() -> dict[str, Any]:
    """The JSON schema of latest.json."""
    return schema_of(Latest, "latest", SCHEMA_VERSION)


def _delivered(own: pa.Table, metadata: dict[str, str]) -> pa.Table:
    """One version's forecasts; the metadata name the record, so that the file can be read without latest.json."""
    closes = pc.multiply(own["last_close"], pc.exp(own["forecast_return"]))
    table = own.append_column("forecast_close", closes).select(DELIVERED.names).cast(DELIVERED)
    return table.replace_schema_metadata(metadata)


def _to_bytes(table: pa.Table) -> bytes:
    """The Parquet file of a table, as this pyarrow writes it."""
    file = io.BytesIO()
    pq.write_table(table, file, compression="zstd")
    return file.getvalue()


def _utc(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat()


if __name__ == "__main__":
    print_schema(json_schema())
