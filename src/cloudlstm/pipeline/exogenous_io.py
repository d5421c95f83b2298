"""The objects of the step "exogenous": rows sorted by entity, in files that each hold whole entities.

A task reads the file of the whole market and those files whose entities may be tickers of its shard.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cloudlstm.exogenous.table import EXOGENOUS
from cloudlstm.market import bars
from cloudlstm.runs.context import StepData
from cloudlstm.runs.manifest import ManifestRow, read_object, write_object

KIND, REFUSED_KIND = "exogenous", "exogenous_refused"

_ROWS_A_FILE = 200_000
_SORTED_BY = ("entity", "series", "period", "available_at", "vintage", "value", "source")


def write_rows(data: StepData, rows: pa.Table) -> list[ManifestRow]:
    """Writes exogenous rows; equal rows in any order give equal bytes."""
    ordered = rows.sort_by([(name, "ascending") for name in _SORTED_BY])
    written = []
    for number, table in enumerate(_files(ordered)):
        names = table["entity"]
        extra = {"first_entity": names[0].as_py(), "last_entity": names[-1].as_py()}
        uri = data.uri(f"{KIND}-{number:05d}.parquet")
        written.append(write_object(uri, bars.to_parquet(table), kind=KIND, rows=table.num_rows, extra=extra))
    return written


def write_refused(data: StepData, refused: pa.Table) -> list[ManifestRow]:
    """Writes the rows that are not used, if there are any."""
    if not refused.num_rows:
        return []
    uri = data.uri(f"{REFUSED_KIND}-00000.parquet")
    return [write_object(uri, bars.to_parquet(refused), kind=REFUSED_KIND, rows=refused.num_rows)]


def _files(ordered: pa.Table) -> Iterator[pa.Table]:
    """The rows in files of about _ROWS_A_FILE; an entity lies in one file, and the market in one of its own."""
    names = ordered["entity"].combine_chunks()
    if not len(names):
        return
    differ = pc.not_equal(names.slice(1), names.slice(0, len(names) - 1)).to_numpy(zero_copy_only=False)
    starts = np.concatenate([[0], np.flatnonzero(differ) + 1])
    begin = 0
    for start, end in zip(starts.tolist(), [*starts.tolist()[1:], len(names)], strict=True):
        is_market = names[start].as_py() == ""
        if end == len(names) or is_market or end - begin >= _ROWS_A_FILE:
            yield ordered.slice(begin, end - begin)
            begin = end


def read_entities(objects: Sequence[ManifestRow], tickers: pa.ChunkedArray) -> pa.Table:
    """The exogenous rows of the whole market and of some tickers.

    Args:
        objects: The files of the step.
        tickers: The tickers, each any number of times.
    """
    wanted = {"", *(str(name) for name in pc.unique(tickers.cast(pa.string())).to_pylist() if name is not None)}
    found = [EXOGENOUS.empty_table()]
    for row in objects:
        first, last = str(row.extra["first_entity"]), str(row.extra["last_entity"])
        if any(first <= name <= last for name in wanted):
            table = bars.from_parquet(read_object(row), uri=row.uri).cast(EXOGENOUS)
            found.append(table.filter(pc.is_in(table["entity"], pa.array(sorted(wanted)))))
    return pa.concat_tables(found)
