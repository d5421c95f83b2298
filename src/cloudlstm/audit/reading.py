"""Reads a feature table from a CSV or Parquet file at any storage URI."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Sequence

import pyarrow as pa

from cloudlstm import storage
from cloudlstm.audit.roles import Roles, Settings, find_roles
from cloudlstm.errors import UnreadableSourceError

_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_SAMPLE_BYTES = 1 << 20
_SEPARATORS = ",;\t|"
_MISSING = ["", "NA", "NaN", "nan", "null", "NULL", "None", "N/A", "n/a", "#N/A", "."]


def read_table(uri: str, settings: Settings) -> tuple[pa.Table, Roles]:
    """Returns the table of a file, and the roles of its columns.

    The content decides about the format, not the name. In a CSV file the entity and the time are read as text.

    Raises:
        StorageError: It cannot be read.
        UnreadableSourceError: It is neither CSV nor Parquet, or has no rows.
        UsageError: A column that the settings name does not exist, or none is the time.
    """
    data = _unpacked(uri)
    table = _parquet(data, uri) if data[:4] == _PARQUET else None
    if table is not None:
        roles = find_roles(table.column_names, settings, uri)
    else:
        names, separator = _header(data, uri)
        roles = find_roles(names, settings, uri)
        words = [name for name in (roles.entity, roles.time, roles.split) if name is not None]
        table = _csv(data, uri, separator, words, names)
    _require_rows(table, uri)
    return table, roles


def read_columns(uri: str, words: Sequence[str]) -> pa.Table:
    """Returns the table of a file whose columns have fixed names; those of `words` are read as text in a CSV file.

    Raises:
        StorageError: It cannot be read.
        UnreadableSourceError: It is neither CSV nor Parquet, or has no rows.
    """
    data = _unpacked(uri)
    if data[:4] == _PARQUET:
        table = _parquet(data, uri)
    else:
        names, separator = _header(data, uri)
        table = _csv(data, uri, separator, [name for name in words if name in names], names)
    _require_rows(table, uri)
    return table


def _unpacked(uri: str) -> bytes:
    data = storage.read(uri)
    if data[:2] == _GZIP:
        try:
            return gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise UnreadableSourceError(f"{uri} cannot be unpacked: {error}", hint="copy the file again") from None
    return data


def _require_rows(table: pa.Table, uri: str) -> None:
    if not table.num_rows:
        raise UnreadableSourceError(f"{uri} has no rows", hint="name another file")


def _parquet(data: bytes, uri: str) -> pa.Table:
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise UnreadableSourceError(f"{uri} is no valid Parquet file: {error}", hint="write the file again") from None
    return table.select(_unique(table.column_names, uri))


def _header(data: bytes, uri: str) -> tuple[list[str], str]:
    """The names of the columns and the separator of a CSV file."""
    import csv

    line = data[:_SAMPLE_BYTES].removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0].rstrip(b"\r")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise UnreadableSourceError(f"{uri} is neither Parquet nor CSV in UTF-8", hint="write it as Parquet") from None
    separator = max(_SEPARATORS, key=text.count)
    names = next(csv.reader(io.StringIO(text), delimiter=separator), [])
    if "\0" in text or len(names) < 2:
        raise UnreadableSourceError(f"{uri} has no header of a table in its first line", hint="CSV or Parquet")
    return _unique(names, uri), separator


def _unique(names: Sequence[str], uri: str) -> list[str]:
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise UnreadableSourceError(f"{uri} has two columns of the name {twice[0]}", hint="rename one")
    return list(names)


def _csv(data: bytes, uri: str, separator: str, words: Sequence[str], names: Sequence[str]) -> pa.Table:
    import pyarrow.csv as pc

    try:
        return pc.read_csv(
            pa.BufferReader(data),
            read_options=pc.ReadOptions(column_names=list(names), skip_rows=1),
            parse_options=pc.ParseOptions(delimiter=separator, newlines_in_values=True),
            convert_options=pc.ConvertOptions(
                column_types=dict.fromkeys(words, pa.string()), strings_can_be_null=True, null_values=_MISSING,
                quoted_strings_can_be_null=True, true_values=["true", "True", "TRUE"],
                false_values=["false", "False", "FALSE"],
            ),
        )  # fmt: skip
    except pa.ArrowException as error:
        raise UnreadableSourceError(
            f"{uri} is no valid CSV file: {error}", hint="CSV with a header, or Parquet"
        ) from None
