"""Reads the columns of a Parquet file of bars."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import BinaryIO

import pyarrow as pa

from cloudlstm.market.sources.files import column_names, unpacking
from cloudlstm.market.sources.files.header import Expected, Header, named_columns, require_no_mapping
from cloudlstm.market.sources.files.side_by_side import paired_columns

BEGINNING_ROWS = 1 << 14
"""Rows that are read to look at a file."""


GROUP_ROWS = 1 << 17
"""Row groups are read together up to this number of rows."""


def read(
    file: BinaryIO,
    size_bytes: int,
    item: str,
    expected: Expected,
    wanted: Sequence[str],
    most_rows: int | None = None,
    groups: Sequence[int] = (),
) -> tuple[pa.Table, Header]:
    """Returns the wanted columns, named f0, f1, … by their position, and the header.

    Args:
        file: The file.
        size_bytes: Its size.
        item: What names it, for error messages.
        expected: What the settings say about its columns.
        wanted: Columns of bars.
        most_rows: Rows to read; None for all.
        groups: Row groups to read; none means all.

    Raises:
        UnreadableSourceError: if a column is missing, holds lists, or is too large.
    """
    parquet = unpacking.open_parquet(file)
    schema = parquet.schema_arrow
    header = _header(parquet, expected, item)
    used = sorted({place for each in header.series for place in each.columns.values()})
    bytes_a_row = unpacking.row_bytes(schema, used, item)
    metadata = parquet.metadata
    rows = sum(metadata.row_group(number).num_rows for number in groups) if groups else metadata.num_rows
    unpacking.require_size(size_bytes, rows * bytes_a_row, item)
    places = sorted({place for each in header.series for name, place in each.columns.items() if name in wanted})
    names = [_path(parquet, place) for place in places]
    if groups:
        table = parquet.read_row_groups(list(groups), columns=names, use_threads=False)
    elif most_rows is None:
        table = parquet.read(columns=names, use_threads=False)
    else:
        first = list(range(min(1, parquet.num_row_groups)))
        batches = parquet.iter_batches(most_rows, row_groups=first, columns=names, use_threads=False)
        batch = next(batches, None)
        table = schema.empty_table().select(places) if batch is None else pa.Table.from_batches([batch])
    return _plain_text(table.rename_columns([f"f{place}" for place in places])), header


def runs_of_groups(
    file: BinaryIO, item: str, expected: Expected, *, in_any_zone: bool
) -> list[tuple[tuple[int, ...], int]]:
    """Returns runs of row groups that can be read without the others, each with its number of rows.

    They can be read so if tickers, dates and numbers have types of their own: then nothing is decided by looking at all
    rows. Otherwise there is one run without a number, which stands for the whole file.

    Args:
        file: The file.
        item: What names it, for error messages.
        expected: What the settings say about its columns.
        in_any_zone: False if times are converted to a time zone.
    """
    parquet = unpacking.open_parquet(file)
    metadata, schema = parquet.metadata, parquet.schema_arrow
    if metadata.num_row_groups < 2:
        return [((), metadata.num_rows)]
    header = _header(parquet, expected, item)
    places = header.series[0].columns
    kinds = {name: schema.field(place).type for name, place in places.items() if name != "ticker"}
    typed = all(_is_number(kind) or (name == "date" and _is_day(kind, in_any_zone)) for name, kind in kinds.items())
    uncertain = not expected.mapping.get("ticker") and column_names.is_uncertain(header.names[places.get("ticker", 0)])
    if len(header.series) > 1 or "ticker" not in places or uncertain or not typed:
        return [((), metadata.num_rows)]
    runs: list[tuple[tuple[int, ...], int]] = []
    for number in range(metadata.num_row_groups):
        rows = metadata.row_group(number).num_rows
        if runs and runs[-1][1] + rows <= GROUP_ROWS:
            groups, before = runs.pop()
            runs.append(((*groups, number), before + rows))
        else:
            runs.append(((number,), rows))
    return runs


def last_day(
    file: BinaryIO, item: str, expected: Expected, groups: Sequence[int], *, in_any_zone: bool
) -> dt.date | None:
    """Returns the last date of row groups, by the statistics in the file's metadata; None if these do not tell it.

    Args:
        file: The file.
        item: What names it, for error messages.
        expected: What the settings say about its columns.
        groups: Row groups; none means all.
        in_any_zone: False if times are converted to a time zone.
    """
    parquet = unpacking.open_parquet(file)
    metadata, schema = parquet.metadata, parquet.schema_arrow
    place = _header(parquet, expected, item).series[0].columns["date"]
    if not _is_day(schema.field(place).type, in_any_zone) or metadata.num_columns != len(schema):
        return None
    chunks = [metadata.row_group(number).column(place) for number in groups or range(metadata.num_row_groups)]
    found = [each.statistics.max if each.is_stats_set and each.statistics.has_min_max else None for each in chunks]
    days = [each.date() if isinstance(each, dt.datetime) else each for each in found if isinstance(each, dt.date)]
    return max(days) if days and len(days) == len(found) else None


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind))


def _is_day(kind: pa.DataType, in_any_zone: bool) -> bool:
    return bool(pa.types.is_date(kind) or (in_any_zone and pa.types.is_timestamp(kind)))


def _header(parquet: object, expected: Expected, item: str) -> Header:
    schema = parquet.schema_arrow  # type: ignore[attr-defined]
    names = schema.names
    if series := paired_columns(names):
        require_no_mapping(expected, item)
        return Header(tuple(names), series, 0)
    found, _ = column_names.match(names, expected.mapping)
    first: list[list[str]] = []
    if "date" not in found:  # the column that holds dates may have any name
        kinds = [field.type for field in schema]
        first = [["2000-01-01" if pa.types.is_date(kind) or pa.types.is_timestamp(kind) else "" for kind in kinds]]
        if not any(any(row) for row in first):
            first = _first_row(parquet)
    return named_columns(names, first, expected, item)


def _first_row(parquet: object) -> list[list[str]]:
    batch = next(parquet.iter_batches(1, use_threads=False), None)  # type: ignore[attr-defined]
    return [[str(value) for value in row.values()] for row in batch.to_pylist()] if batch is not None else []


def _path(parquet: object, place: int) -> str:
    return str(parquet.schema_arrow.names[place])  # type: ignore[attr-defined]


def _plain_text(table: pa.Table) -> pa.Table:
    """Casts text of other kinds, such as string_view, to string, which all of Arrow's functions know."""
    for place, field in enumerate(table.schema):
        if pa.types.is_string_view(field.type):
            table = table.set_column(place, field.name, table.column(place).cast(pa.string()))
    return table
