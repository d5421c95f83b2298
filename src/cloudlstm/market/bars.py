"""The columns of a table of bars, in memory and as Parquet.

Prices are adjusted for splits and not for dividends. `adj_close` is adjusted for both and may be missing. Volume is in
shares. Text columns are dictionary-encoded in memory and in Parquet: a shard stores each ticker once, not once per bar.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cloudlstm.errors import CorruptObjectError, DataError
from cloudlstm.market import columns

PRICES = ("open", "high", "low", "close")
"""The required price columns."""

VALUES = pa.schema(
    [
        ("ticker", pa.string()),
        ("date", pa.date32()),
        *((name, pa.float64()) for name in (*PRICES, "adj_close")),
        ("volume", pa.int64()),
        ("source", pa.string()),
    ]
)
"""The columns that every table of bars has. Of bars within a day the dates are `columns.MOMENT`."""

UNREADABLE = "unreadable"
"""What the source has where a value was not understood, such as `close='12,3x'`; null if all values were read."""

TEXT_LINE = "line"
"""Name of the text in `unreadable` for a line that is no bar, such as a footnote."""

NO_BAR = (f"{TEXT_LINE}=", "header=")
"""Beginnings of `unreadable` in rows that are no bars: lines of text and repeated headers."""

BARS = VALUES.append(pa.field(UNREADABLE, pa.string()))
"""Bars as a source delivers them, including duplicates, faults and missing values.

A value that was not understood is null in its own column, and its text is in `unreadable`.
"""

CLEANED = pa.schema([*VALUES, ("segment", pa.int32()), ("filled", pa.bool_()), ("withdrawn", pa.bool_())])
"""Cleaned bars: unique and sorted by (ticker, date).

`segment` numbers a ticker's segments from 0: a long gap or a change of the price level starts a new one. `filled` marks
bars that replace missing ones. `withdrawn` marks bars that are inputs, but no label starts or ends at them.
"""

QUARANTINE = BARS.append(pa.field("reason", pa.string()))
"""Rejected bars, each with the reason code of the rule that rejected it."""

TEXT = ("ticker", "source", UNREADABLE, "reason")
"""Columns with few distinct values; they are dictionary-encoded."""

ENCODED = pa.dictionary(pa.int32(), pa.string())
"""The type of a text column in memory."""


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Returns the table with exactly the schema's columns, and text dictionary-encoded.

    A table without the column `unreadable` gets it as nulls: most sources understand all their values.

    Raises:
        DataError: if a column is missing or cannot be cast without loss.
    """
    if UNREADABLE in schema.names and UNREADABLE not in table.column_names:
        table = table.append_column(UNREADABLE, _no_text(table.num_rows))
    missing = [name for name in schema.names if name not in table.column_names]
    if missing:
        raise DataError(f"a table of bars lacks {', '.join(missing)}; it has {', '.join(table.column_names)}")
    arrays = []
    for field in schema:
        column = table.column(field.name)
        wanted = ENCODED if field.name in TEXT else field.type
        if column.type == columns.MOMENT and field.name == "date":
            wanted = column.type
        try:
            arrays.append(column if column.type == wanted else _cast(column, wanted))
        except pa.ArrowInvalid as error:
            raise DataError(f"column {field.name} is {column.type} and not {field.type}: {error}") from None
    return pa.table(arrays, names=schema.names)


def _no_text(rows: int) -> pa.Array:
    return columns.from_codes(np.full(rows, -1, np.int32), [])


def _cast(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    if wanted == ENCODED and not pa.types.is_dictionary(column.type):
        return column.cast(pa.string()).dictionary_encode()
    return column.cast(wanted)


def empty(schema: pa.Schema = BARS) -> pa.Table:
    """Returns a table without rows."""
    return conform(schema.empty_table(), schema)


def joined(tables: Sequence[pa.Table]) -> pa.Table:
    """Returns tables of bars as one. Those without rows count only if all are: they may have dates of another type."""
    tables = [table for table in tables if table.num_rows] or list(tables[:1])
    return pa.concat_tables(tables).unify_dictionaries() if tables else empty()


def sort(bars: pa.Table) -> pa.Table:
    """Sorts rows by (ticker, date). Equal keys keep their order; unreadable keys come last.

    Returns a sorted table unchanged.
    """
    keys = sort_keys(bars)
    if not len(keys) or bool((keys[1:] >= keys[:-1]).all()):
        return bars
    return bars.take(pa.array(np.argsort(keys, kind="stable")))


def sort_keys(bars: pa.Table) -> NDArray[np.int64]:
    """Returns one number per row that sorts as (ticker, date): ticker rank in the high bits, date in the low bits."""
    ranks, _ = columns.ranks(bars.column("ticker"))
    return columns.join_keys(ranks, columns.days(bars.column("date")))


def to_parquet(table: pa.Table, about: Mapping[str, str] | None = None) -> bytes:
    """Encodes the table as Parquet. Equal tables give equal bytes, whatever their chunks and dictionaries.

    A million bars take 50 ms to write, 15 ms to read, and 47 bytes per bar. Byte-stream splitting would save 8 bytes,
    but not every engine can read it. Zstandard is three times slower to read. Statistics are written only for the
    columns by which readers search.

    Args:
        table: The rows.
        about: Entries for the metadata of the Parquet file.
    """
    sink = pa.BufferOutputStream()
    arrays = [
        columns.canonical(column) if name in TEXT else columns.one_chunk(column)
        for name, column in zip(table.column_names, table.columns, strict=True)
    ]
    encoded = pa.table(arrays, names=table.column_names)
    with pq.ParquetWriter(
        sink,
        encoded.schema,
        compression="lz4",
        use_dictionary=[name for name in table.column_names if name in TEXT],
        write_statistics=[name for name in table.column_names if name in ("ticker", "date")],
        store_schema=False,
    ) as writer:
        writer.write_table(encoded, row_group_size=max(table.num_rows, 1))
        if about:
            writer.add_key_value_metadata(about)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def from_parquet(data: bytes, *, uri: str = "a Parquet object") -> pa.Table:
    """Decodes a Parquet object from `to_parquet`; text columns are dictionary-encoded.

    Raises:
        CorruptObjectError: if the data is not readable; names `uri`.
    """
    try:
        metadata = pq.read_metadata(pa.BufferReader(data))
        text = [name for name in metadata.schema.names if name in TEXT]
        file = pq.ParquetFile(pa.BufferReader(data), metadata=metadata, read_dictionary=text)
        # A Spark task has one core; more threads would compete with other tasks.
        return file.read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise CorruptObjectError(f"{uri} is not readable as Parquet: {error}") from None
