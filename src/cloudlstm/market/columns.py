"""Converts Arrow columns to NumPy arrays and back, without a copy where possible."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

NO_DATE = np.iinfo(np.int32).max
"""Represents a missing date; sorts after all dates."""

MOMENT = pa.timestamp("ms", "UTC")
"""The type of the dates of bars within a day: the start of the bar in UTC. Parquet has no seconds."""
_MS_A_MINUTE = 60_000


def one_chunk(column: pa.ChunkedArray) -> pa.Array:
    """Returns the column as one array; copies only if it has several chunks."""
    if column.num_chunks == 1:
        return column.chunk(0)
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    combined = column.combine_chunks()
    return pa.concat_arrays(combined.chunks) if isinstance(combined, pa.ChunkedArray) else combined


def codes(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], list[str | None]]:
    """Returns a text column as codes, and the value of each code; code -1 is a missing value."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    array = one_chunk(column)
    return codes_of(array), array.dictionary.to_pylist()


def codes_of(array: pa.DictionaryArray) -> NDArray[np.int32]:
    """Returns the codes of a dictionary-encoded column; -1 is a missing value."""
    indices = array.indices
    if indices.null_count:
        indices = indices.fill_null(-1)
    return indices.to_numpy().astype(np.int32, copy=False)  # type: ignore[no-any-return]


def ranks(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], list[str]]:
    """Returns the rank of each value among the sorted distinct values, and these; missing values rank last."""
    found, values = codes(column)
    names = sorted({value for value in values if value is not None})
    rank_of = {name: rank for rank, name in enumerate(names)}
    table = np.array([*(len(names) if value is None else rank_of[value] for value in values), len(names)], np.int32)
    if bool((table[:-1] == np.arange(len(values))).all()) and (not len(found) or found.min() >= 0):
        return found, names
    return table[found], names  # code -1 selects the last entry


def days(column: pa.ChunkedArray) -> NDArray[np.int32]:
    """Returns dates as numbers since 1970-01-01: days of a date32 column, minutes of MOMENTs; NO_DATE where missing."""
    array = one_chunk(column)
    if array.type == MOMENT:
        moments: NDArray[np.int64] = filled(array.view(pa.int64()), NO_DATE * _MS_A_MINUTE)
        return (moments // _MS_A_MINUTE).astype(np.int32)
    return filled(array.view(pa.int32()), NO_DATE)


def floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Returns a float64 column; NaN where missing."""
    return filled(one_chunk(column), np.nan)


def filled(array: pa.Array, missing: float) -> NDArray[Any]:
    """Returns the array with `missing` instead of nulls; copies only if there are nulls."""
    if array.null_count:
        array = pc.fill_null(array, pa.scalar(missing, array.type))
    return array.to_numpy()  # type: ignore[no-any-return]


def join_keys(rank: NDArray[np.int32], day: NDArray[np.int32]) -> NDArray[np.int64]:
    """Combines rank and day into one number that sorts as (rank, day)."""
    keys: NDArray[np.int64] = rank.astype(np.int64)
    keys <<= 32
    keys += day
    return keys


def canonical(column: pa.ChunkedArray) -> pa.Array:
    """Returns a text column as one array whose dictionary is sorted and holds only the values that occur."""
    rank, names = ranks(column)
    occurs = np.bincount(rank, minlength=len(names) + 1) > 0
    place = np.cumsum(occurs, dtype=np.int32) - 1
    place[-1] = -1  # missing values have the last rank
    code = rank if occurs[:-1].all() and not occurs[-1] else place[rank]
    return from_codes(code, [name for name, found in zip(names, occurs, strict=False) if found])


def compact(column: pa.ChunkedArray) -> pa.Array:
    """Returns a column as one array; drops values that do not occur from its dictionary and keeps their order.

    Unlike with `canonical`, the time depends on the length of the column only, not on the size of the dictionary.
    """
    array = one_chunk(column)
    if not pa.types.is_dictionary(array.type):
        return array
    found, code = np.unique(codes_of(array), return_inverse=True)
    first = int(found[:1].sum() < 0)  # the code -1 of missing values sorts first
    values = array.dictionary.take(pa.array(found[first:]))
    place = code.astype(np.int32) - np.int32(first)
    indices = pa.array(place, mask=place < 0)
    return pa.DictionaryArray.from_arrays(indices, values)


def compacted(table: pa.Table) -> pa.Table:
    """Returns a table with `compact` columns."""
    return pa.table([compact(column) for column in table.columns], names=table.column_names)


def group_starts(groups: NDArray[Any]) -> NDArray[np.intp]:
    """Returns the index at which each run of equal values starts."""
    if not len(groups):
        return np.empty(0, np.intp)
    return np.concatenate([[0], np.flatnonzero(groups[1:] != groups[:-1]) + 1])


def from_codes(code: NDArray[np.int32], values: list[str]) -> pa.Array:
    """Builds a dictionary-encoded text column; code -1 becomes null."""
    mask = code < 0
    indices = pa.array(code, mask=mask) if mask.any() else pa.array(code)
    return pa.DictionaryArray.from_arrays(indices, pa.array(values, pa.string()))


def from_days(day: NDArray[np.int32], kind: pa.DataType | None = None) -> pa.Array:
    """Builds a column of dates, the inverse of `days`; NO_DATE becomes null.

    Args:
        day: Days since 1970-01-01, or minutes for MOMENTs.
        kind: MOMENT, or date32, the default.
    """
    mask = day == NO_DATE
    moments = kind == MOMENT
    values = day.astype(np.int64) * _MS_A_MINUTE if moments else day
    array = pa.array(values, mask=mask) if mask.any() else pa.array(values)
    return array.view(MOMENT if moments else pa.date32())


def from_floats(values: NDArray[np.float64], *, nullable: bool) -> pa.Array:
    """Builds a float64 column; with `nullable`, NaN becomes null."""
    return pa.array(values, from_pandas=nullable)
