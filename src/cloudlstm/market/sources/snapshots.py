"""Snapshots: the answer of a service for one ticker, stored once and never changed.

    <folder>/<ticker>.<sha256 of the object>.parquet

The rows are bars with dividends and split ratios. The Parquet metadata contains the symbol, the time and the result. A
ticker without bars is stored too, without rows, so that it is not requested again. The checksum in the name lets every
reader verify the content.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectExistsError, ObjectNotFoundError, StorageError
from cloudlstm.market import bars, columns
from cloudlstm.market.interval import Interval, iso
from cloudlstm.market.sources.base import Partition
from cloudlstm.market.sources.coverage import Outcome, Status

_LOG = logging.getLogger(__name__)

SNAPSHOT = bars.VALUES.append(pa.field("dividend", pa.float64())).append(pa.field("split", pa.float64()))
"""A bar, plus the dividend per share and the split ratio that took effect at the bar's open (0: none)."""

_KEY = b"cloudlstm"
_FOLDER = "/snapshots/"
_AT_ONCE = 16
_DAY_LENGTH = 10
"""Characters of 2024-12-31; the start of a bar within a day has more."""
_SLASH = "%2F"
"""A slash in the name of a snapshot; no ticker has a percent sign."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The answer of a service for one ticker.

    Attributes:
        ticker: The requested ticker.
        symbol: The service's spelling of it.
        status: "fetched" or "empty".
        cause: See Outcome.
        as_of: Time of the answer, ISO format in UTC.
        facts: The service's data about the symbol, JSON-ready.
        table: SNAPSHOT table, sorted by date.
        request: What was asked for besides the ticker, JSON-ready; empty in snapshots of older releases.
    """

    ticker: str
    symbol: str
    status: Status
    cause: str
    as_of: str
    facts: dict[str, Any]
    table: pa.Table
    request: dict[str, Any] = field(default_factory=dict)

    def outcome(self, uri: str, *, reused: bool) -> Outcome:
        """Returns the entry for the coverage report."""
        dates = self.table.column("date")
        first, last = (pc.min(dates).as_py(), pc.max(dates).as_py())
        return Outcome(
            self.ticker, self.symbol, self.status, self.cause, self.as_of, self.table.num_rows,
            first and iso(first), last and iso(last), uri, reused,
        )  # fmt: skip

    def to_parquet(self) -> bytes:
        """Encodes the snapshot as Parquet."""
        names = ("ticker", "symbol", "status", "cause", "as_of", "facts", "request")
        about = {name: getattr(self, name) for name in names}
        kind = self.table.schema.field("date").type
        wanted = SNAPSHOT.set(1, pa.field("date", kind)) if kind == columns.MOMENT else SNAPSHOT
        schema = wanted.with_metadata({_KEY: json.dumps(about, sort_keys=True).encode()})
        table = pa.table([column.cast(field.type) for column, field in zip(self.table.columns, wanted, strict=True)],
                         schema=schema)  # fmt: skip
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd", use_dictionary=["ticker", "source"])
        return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]

    @classmethod
    def from_parquet(cls, data: bytes) -> Snapshot:
        """Decodes a snapshot."""
        file = pq.ParquetFile(pa.BufferReader(data), read_dictionary=["ticker", "source"])
        about = json.loads(file.metadata.metadata[_KEY])
        return cls(**about, table=file.read(use_threads=False))


def no_bars() -> pa.Table:
    """Returns a SNAPSHOT table without rows."""
    return SNAPSHOT.empty_table()


def uris_by_ticker(folder: str) -> dict[str, list[str]]:
    """Lists the URIs of the snapshots in `folder` (ends with a slash), by ticker."""
    found: dict[str, list[str]] = {}
    for item in storage.list_objects(folder):
        ticker, _ = _parts(item.uri)
        found.setdefault(ticker, []).append(item.uri)
    return found


def find(folder: str, ticker: str) -> Outcome | None:
    """Reads and verifies the ticker's snapshot in `folder`; None if there is none, or only corrupt ones.

    A corrupt snapshot is deleted, so that a new one can replace it.
    """
    for item in list(storage.list_objects(f"{folder}{_stem(ticker)}.")):
        if _parts(item.uri)[0] != ticker:
            continue  # the prefix "BRK." also matches BRK.B
        try:
            return read(item.uri).outcome(item.uri, reused=True)
        except CorruptObjectError as error:
            _LOG.warning("%s; it is fetched again", error.message)
            storage.delete(item.uri, within=folder)
        except ObjectNotFoundError:
            continue
    return None


def store(folder: str, snapshot: Snapshot) -> Outcome:
    """Stores a snapshot in `folder`; does nothing if another task has stored it already."""
    data = snapshot.to_parquet()
    uri = f"{folder}{_stem(snapshot.ticker)}.{hashlib.sha256(data).hexdigest()}.parquet"
    try:
        storage.write(uri, data, if_absent=True)
    except ObjectExistsError:
        _LOG.info("%s exists already", uri)
    return snapshot.outcome(uri, reused=False)


def adopt(folder: str, tickers: Collection[str], place: str, fits: Callable[[Snapshot], bool]) -> set[str]:
    """Copies snapshots of another run to `folder`, and returns the tickers that were copied.

    Args:
        folder: The folder of this run.
        tickers: The tickers that it lacks.
        place: Beginning of the URIs of the other run's objects.
        fits: True for a snapshot that answers the request of this run.
    """

    def copy(uri: str) -> str | None:
        # Whatever is wrong with it, the ticker can be fetched.
        with suppress(StorageError, pa.ArrowException, KeyError, TypeError, ValueError):
            snapshot = read(uri)
            if snapshot.ticker == _parts(uri)[0] and fits(snapshot):
                store(folder, snapshot)
                return snapshot.ticker
        return None

    with suppress(StorageError):
        objects = [item.uri for item in storage.list_objects(place) if _FOLDER in item.uri]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return {name for name in pool.map(copy, (uri for uri in objects if _parts(uri)[0] in tickers)) if name}
    return set()


def read(uri: str) -> Snapshot:
    """Reads the snapshot at `uri`.

    Raises:
        CorruptObjectError: if its content does not match the checksum in its name.
    """
    data = storage.read(uri)
    if hashlib.sha256(data).hexdigest() != _parts(uri)[1]:
        raise CorruptObjectError(f"{uri} does not have the checksum in its name", hint="submit again")
    return Snapshot.from_parquet(data)


def _parts(uri: str) -> tuple[str, str]:
    """Returns ticker and checksum from a snapshot's name."""
    ticker, _, checksum = uri.rsplit("/", 1)[1].removesuffix(".parquet").rpartition(".")
    return ticker.replace(_SLASH, "/"), checksum


def _stem(ticker: str) -> str:
    """Returns a ticker as part of a name: BRK/B is in no folder BRK."""
    return ticker.replace("/", _SLASH)


@dataclass(frozen=True, slots=True)
class SnapshotSource:
    """Snapshots as a source of whole tickers; equal snapshots give equal shards."""

    name: str
    uris: tuple[str, ...]
    tickers_per_shard: int
    last: str | None = None
    whole_tickers: bool = True

    def identity(self) -> Any:
        return {"snapshots": [_parts(uri) for uri in self.uris]}

    def partitions(self) -> list[Partition]:
        size = self.tickers_per_shard
        chunks: Sequence[tuple[str, ...]] = [self.uris[at : at + size] for at in range(0, len(self.uris), size)]
        return [Partition(number, uris) for number, uris in enumerate(chunks)]

    def tickers(self, partition: Partition) -> list[str]:
        return sorted(_parts(uri)[0] for uri in partition.items)

    def last_date(self) -> dt.date | None:
        return Interval("1d" if len(self.last) == _DAY_LENGTH else "1m").read(self.last) if self.last else None

    def read(self, partition: Partition) -> pa.Table:
        return bars.joined([bars.conform(read(uri).table, bars.BARS) for uri in partition.items])
