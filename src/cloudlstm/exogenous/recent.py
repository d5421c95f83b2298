"""The part of exogenous rows and headlines on which the bars of the last sessions depend.

The value of a series at a cut is the newest one that was known then. So of the rows before the first cut of interest
the newest one of each series is enough, and rows after the last cut are not known yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm.exogenous.cuts import cuts_of

_DAY_US = 86_400_000_000
_BY_TIME = ("available_at", "vintage", "value")


@dataclass(frozen=True, slots=True)
class Span:
    """The times between two cuts, in microseconds since 1970 in UTC.

    Attributes:
        after: Cut of the session before the first one.
        until: Cut of the last session.
    """

    after: int
    until: int


def span_of(calendar: str, first: int, last: int, embargo_minutes: int) -> Span:
    """The span in which becomes known what sessions add to what was known before them.

    Args:
        calendar: The exchange.
        first: The first session, as days since 1970-01-01.
        last: The last session.
        embargo_minutes: As of the join.
    """
    days = np.array([first, last], np.int32)
    known = cuts_of(calendar, days, embargo_minutes)
    begin, end = known.places_of(days).tolist()
    return Span(int(known.cuts[max(begin - 1, 0)]), int(known.cuts[end]))


def needed_rows(rows: pa.Table, span: Span) -> pa.Table:
    """The EXOGENOUS rows from which the join gives the bars of a span the same bits as from all rows.

    Of each series and entity these are the rows of the span and, before it, the numbers that are the newest by period
    and by time. A value that is missing changes nothing.
    """
    keys, before, finite = ("series", "entity"), _Before(rows, span.after), pc.is_finite(rows["value"])
    newest = [before.last(keys, order, finite) for order in (("period", *_BY_TIME), _BY_TIME)]
    return _taken(rows, span, span.after, newest)


def needed_headlines(headlines: pa.Table, span: Span, novelty_days: int) -> pa.Table:
    """The HEADLINES whose scores, and how new they are, the bars of a span depend on.

    Args:
        headlines: HEADLINES in any order.
        span: The span.
        novelty_days: A headline is compared with the headlines of so many days before it.
    """
    after = span.after - novelty_days * _DAY_US
    before = _Before(headlines, span.after)
    newest = [before.last(("entity",), order) for order in (("period", "available_at"), ("available_at",))]
    return _taken(headlines, span, after, newest)


class _Before:
    """The rows of a table that were known at a time.

    Args:
        table: With `available_at`.
        until: The time.
    """

    def __init__(self, table: pa.Table, until: int) -> None:
        self._table = table.append_column("row", pa.array(np.arange(table.num_rows)))
        self._known = pc.less_equal(_times(table), until)

    def last(self, keys: Sequence[str], order: Sequence[str], also: pa.ChunkedArray | None = None) -> NDArray[np.int64]:
        """The numbers of the last rows of each combination of keys, in the order of some columns.

        Args:
            keys: The columns of the combinations.
            order: The columns that order rows.
            also: Which rows count; None for all.
        """
        table = self._table.filter(self._known if also is None else pc.and_(self._known, also))
        table = table.sort_by([(name, "ascending") for name in (*keys, *order)])
        place = pa.array(np.arange(table.num_rows))
        last = table.append_column("place", place).group_by(list(keys)).aggregate([("place", "max")])["place_max"]
        rows: NDArray[np.int64] = table["row"].take(last).to_numpy()
        return rows


def _taken(table: pa.Table, span: Span, after: int, more: Sequence[NDArray[np.int64]]) -> pa.Table:
    """The rows that became known after a time and until the end of the span, and more rows, in their order."""
    times = _times(table).to_numpy()
    inside = np.flatnonzero((times > after) & (times <= span.until))
    return table.take(pa.array(np.unique(np.concatenate([inside, *more]))))


def _times(table: pa.Table) -> pa.ChunkedArray:
    return table["available_at"].cast(pa.int64())
