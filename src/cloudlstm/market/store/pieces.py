"""Pieces: Parquet objects with bars of many tickers, written once, named by the SHA-256 of their bytes.

A piece has a date `from` for each of its tickers, in the metadata of the Parquet object. It replaces all earlier bars
of the ticker from that date on. A ticker may have no rows in a piece: then its bars from that date on are withdrawn.
Rows are BARS in the order (ticker, date, arrival). A bar without a ticker belongs to the ticker "", and a bar without a
date lies after all dates.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectExistsError
from cloudlstm.market import bars, columns
from cloudlstm.market.calendar import to_date, to_days
from cloudlstm.runs.paths import join

NAMELESS = ""
"""The ticker of bars without a ticker."""

_KEY = "cloudlstm"
_ALL = np.int64(columns.NO_DATE) + 1
"""A day after all bars, also those without a date."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of some tickers, and from which date on they replace earlier ones.

    Attributes:
        table: BARS, sorted by (ticker, date, arrival).
        starts: Ticker -> first day that the piece replaces, as days since 1970-01-01.
    """

    table: pa.Table
    starts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PieceInfo:
    """What a manifest says about a piece.

    Attributes:
        name: SHA-256 of its bytes; it is at `pieces/<name>.parquet`.
        as_of: The update that wrote it, ISO date.
        rows: Number of bars.
        tickers: Number of tickers.
        lowest, highest: The first and the last of its tickers in alphabetical order.
        first, last: Dates of its first and last bar, ISO; None without dates.
    """

    name: str
    as_of: str
    rows: int
    tickers: int
    lowest: str
    highest: str
    first: str | None
    last: str | None


def uri_of(folder: str, name: str) -> str:
    """Returns the URI of a piece of the store at `folder`."""
    return join(folder, "pieces", f"{name}.parquet")


def write(folder: str, piece: Piece, as_of: dt.date) -> PieceInfo:
    """Writes a piece into the store at `folder`, if it is not there yet.

    Args:
        folder: URI of the store.
        piece: Its rows and dates; has at least one ticker.
        as_of: The day of the update.
    """
    data = encode(piece)
    name = hashlib.sha256(data).hexdigest()
    with suppress(ObjectExistsError):
        storage.write(uri_of(folder, name), data, if_absent=True)
    day = columns.days(piece.table.column("date"))
    day = day[day != columns.NO_DATE]
    ends = [to_date(int(each)).isoformat() for each in (day.min(), day.max())] if len(day) else [None, None]
    names = sorted(piece.starts)
    rows, tickers = piece.table.num_rows, len(names)
    return PieceInfo(name, as_of.isoformat(), rows, tickers, names[0], names[-1], ends[0], ends[1])


def read(folder: str, info: PieceInfo) -> Piece:
    """Reads a piece of the store at `folder`.

    Raises:
        CorruptObjectError: if its bytes do not have the checksum in its name.
    """
    uri = uri_of(folder, info.name)
    data = storage.read(uri)
    if hashlib.sha256(data).hexdigest() != info.name:
        raise CorruptObjectError(
            f"{uri} does not have the checksum in its name",
            hint="restore it from a copy, or delete the folder of the store: the next update makes it anew",
            uri=uri,
        )
    return decode(data, uri)


def encode(piece: Piece) -> bytes:
    """Encodes a piece as Parquet. Equal pieces give equal bytes."""
    by_date: dict[str, list[str]] = {}
    for ticker in sorted(piece.starts):
        by_date.setdefault(to_date(piece.starts[ticker]).isoformat(), []).append(ticker)
    about = json.dumps({"from": by_date}, sort_keys=True, separators=(",", ":"))
    return bars.to_parquet(bars.conform(piece.table, bars.BARS), {_KEY: about})


def decode(data: bytes, uri: str) -> Piece:
    """Decodes a piece from `encode`; CorruptObjectError, which names `uri`, if the bytes are none."""
    table = bars.from_parquet(data, uri=uri)
    try:
        about = json.loads(pq.read_metadata(pa.BufferReader(data)).metadata[_KEY.encode()])["from"]
        starts = {ticker: to_days(dt.date.fromisoformat(day)) for day, names in about.items() for ticker in names}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CorruptObjectError(f"{uri} is not a piece of a bars store: {error!r}", uri=uri) from None
    return Piece(bars.conform(table, bars.BARS), starts)


def fold(pieces: Sequence[Piece], first: int | None = None, tickers: Collection[str] | None = None) -> pa.Table:
    """Returns the bars of pieces: BARS, sorted by (ticker, date, arrival).

    Args:
        pieces: In the order of the manifest.
        first: The first day that is wanted; None for all. Bars without a date are always wanted.
        tickers: The wanted tickers; None for all.
    """
    limits: dict[str, int] = {}  # ticker -> the first day that a later piece replaces
    kept = []
    for piece in reversed(pieces):
        kept.append(_rows(piece.table, limits, first, tickers))
        for ticker, start in piece.starts.items():
            limits[ticker] = min(start, limits.get(ticker, int(_ALL)))
    found = [table for table in reversed(kept) if table.num_rows]
    if not found:
        return bars.empty()
    return bars.sort(pa.concat_tables(found).unify_dictionaries() if len(found) > 1 else found[0])


def _rows(table: pa.Table, limits: Mapping[str, int], first: int | None, tickers: Collection[str] | None) -> pa.Table:
    code, names = columns.codes(table.column("ticker"))
    day = columns.days(table.column("date"))
    texts = [NAMELESS if name is None else name for name in [*names, None]]  # code -1 takes the last entry
    limit = np.array([limits.get(text, int(_ALL)) for text in texts], np.int64)
    wanted = day < limit[code]
    if first is not None:
        wanted &= day >= first
    if tickers is not None:
        inside = set(tickers)
        wanted &= np.array([text in inside for text in texts])[code]
    return table if wanted.all() else columns.compacted(table.filter(pa.array(wanted)))


def names_of(table: pa.Table) -> tuple[NDArray[np.int32], list[str]]:
    """Returns each row's number of its ticker, and the tickers in order; "" for bars without a ticker is the last."""
    code, names = columns.ranks(table.column("ticker"))
    return code, [*names, NAMELESS]


def starting(table: pa.Table, starts: Mapping[str, int], otherwise: int) -> pa.Table:
    """Returns the rows of each ticker from its own first day on.

    Args:
        table: BARS.
        starts: Ticker -> first day.
        otherwise: The first day of all other tickers.
    """
    code, names = names_of(table)
    first = np.array([starts.get(name, otherwise) for name in names], np.int64)
    wanted = columns.days(table.column("date")) >= first[code]
    return table if wanted.all() else columns.compacted(table.filter(pa.array(wanted)))


def joined(tables: Iterable[pa.Table]) -> pa.Table:
    """Returns tables of BARS as one, sorted by (ticker, date, arrival)."""
    found = [bars.conform(table, bars.BARS) for table in tables]
    return bars.sort(pa.concat_tables(found).unify_dictionaries()) if found else bars.empty()


def only(table: pa.Table, tickers: Collection[str]) -> pa.Table:
    """Returns the rows of some tickers; "" stands for bars without a ticker."""
    code, names = names_of(table)
    wanted = np.array([name in tickers for name in names])[code]
    return table if wanted.all() else columns.compacted(table.filter(pa.array(wanted)))
