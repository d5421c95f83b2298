"""The table of when each value was published, for checks of what a row could know (`--exogenous`)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.audit import times
from cloudlstm.audit.panel import Ints, Panel
from cloudlstm.audit.reading import read_columns
from cloudlstm.audit.times import MISSING
from cloudlstm.errors import UnreadableSourceError
from cloudlstm.exogenous.cuts import cuts
from cloudlstm.exogenous.table import EXOGENOUS

_NEEDED = ("series", "period", "available_at", "value")
_DAY_S = 86_400
_S_US = 1_000_000


def read_publications(uri: str) -> pa.Table:
    """Returns the table of exogenous rows in a CSV or Parquet file at a storage URI, with the columns of EXOGENOUS.

    Raises:
        StorageError: It cannot be read.
        UnreadableSourceError: It is no such table.
    """
    return publications(read_columns(uri, ("series", "entity", "period", "available_at", "source")), uri)


def publications(table: pa.Table, where: str) -> pa.Table:
    """Returns a table of exogenous rows with the types of EXOGENOUS; entity, vintage and source may be missing.

    Raises:
        UnreadableSourceError: A column is missing, a value is no number, or a row has no period or no time with a zone.
    """
    lacking = [name for name in _NEEDED if name not in table.column_names]
    if lacking:
        raise UnreadableSourceError(
            f"{where} has no column {lacking[0]}", hint=f"a row for each value, with {', '.join(_NEEDED)}"
        )
    found = {
        "period": _days(table.column("period"), where),
        "available_at": _moments(table.column("available_at"), where),
    }
    rows = table.num_rows
    defaults = {"entity": "", "vintage": 0, "source": ""}
    arrays = []
    for field in EXOGENOUS:
        if field.name in found:
            arrays.append(found[field.name].cast(field.type))
        elif field.name not in table.column_names:
            arrays.append(pa.array([defaults[field.name]] * rows, field.type))
        else:
            try:
                arrays.append(table.column(field.name).cast(field.type))
            except pa.ArrowInvalid:
                raise UnreadableSourceError(
                    f"the column {field.name} of {where} is not of numbers", hint="name another file"
                ) from None
    return pa.table(arrays, schema=EXOGENOUS)


def cuts_of(panel: Panel, calendar: str | None) -> Ints:
    """Returns up to when each time of a table knows what was published, in microseconds of UTC (steps,).

    A time of day is its own limit. A date lasts until the close of its session if the calendar is given, else until the
    end of the day in UTC: no exchange closes later, so what is found is certain, and what was published after the close
    but on the same day is not seen.
    """
    if (panel.seconds % _DAY_S).any():
        return panel.seconds * _S_US
    if calendar is None:
        return (panel.seconds + _DAY_S) * _S_US
    return cuts(calendar, (panel.seconds // _DAY_S).astype(np.int32), 0)


def _days(column: pa.ChunkedArray, where: str) -> pa.Array:
    seconds = times.parse(column, "period", where).seconds
    _require(seconds, "period", where)
    return pa.array((seconds // _DAY_S).astype(np.int32)).view(pa.date32())


def _moments(column: pa.ChunkedArray, where: str) -> pa.Array:
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        if column.null_count:
            _require(np.array([MISSING]), "available_at", where)
        return column.cast(pa.timestamp("us", "UTC"), safe=False).combine_chunks()
    parsed = times.parse(column, "available_at", where)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind) or parsed.with_zone < len(column):
        _require(parsed.seconds, "available_at", where)
        raise UnreadableSourceError(
            f"the column available_at of {where} has times without a zone", hint="write them as 2024-02-13T13:30:00Z"
        )
    _require(parsed.seconds, "available_at", where)
    return pa.array(parsed.seconds * _S_US, pa.timestamp("us", "UTC"))


def _require(seconds: NDArray[np.int64], name: str, where: str) -> None:
    if (seconds == MISSING).any():
        raise UnreadableSourceError(
            f"the column {name} of {where} has rows without a time that can be read", hint="leave them out"
        )
