"""The rows of one series as arrays, in an order that does not depend on the order in which they came."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm.market import columns

MARKET = 0
"""The entity of rows of the whole market."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a series, sorted by (entity, available_at, period, vintage, value, source), without doubles.

    Attributes:
        entity: MARKET, or 1 + the number of the ticker (rows,).
        period: What each is about, as days since 1970-01-01 (rows,).
        available_at: When it could be known, in microseconds of UTC since 1970-01-01 (rows,).
        vintage: The version of its period's value (rows,).
        value: The number, never NaN (rows,).
    """

    entity: NDArray[np.int64]
    period: NDArray[np.int32]
    available_at: NDArray[np.int64]
    vintage: NDArray[np.int32]
    value: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.entity)


def rows_of(rows: pa.Table, series: str, tickers: list[str]) -> Rows:
    """Returns the rows of a series that can concern some tickers: theirs and those of the whole market.

    A row without a finite value is left out: what was published as missing changes nothing. Rows that are equal in
    all columns count once; so two headlines of one moment need different numbers in `vintage`.

    Args:
        rows: A table with the columns of EXOGENOUS.
        series: The name of the series.
        tickers: The tickers of the bars; their places are the numbers of the entities.

    Raises:
        ValueError: a row of the series has no time or no period; sources have to refuse such rows.
    """
    found = rows.filter(pc.equal(rows.column("series"), series))
    found = found.filter(pc.is_finite(pc.fill_null(found.column("value"), np.nan)))
    code, names = columns.codes(found.column("entity"))
    place = {ticker: 1 + number for number, ticker in enumerate(tickers)} | {"": MARKET}
    entity = np.array([*(place.get(name or "", -1) for name in names), MARKET], np.int64)[code]  # code -1: no entity
    if bool((entity < 0).any()):
        found, entity = found.filter(pa.array(entity >= 0)), entity[entity >= 0]
    if found.column("available_at").null_count or found.column("period").null_count:
        raise ValueError(f"a row of the series {series} has no period or no time at which it was known")
    period = columns.days(found.column("period"))
    moment = columns.one_chunk(found.column("available_at")).cast(pa.timestamp("us", "UTC"))
    available_at = np.asarray(moment.view(pa.int64()), np.int64)
    vintage = columns.filled(columns.one_chunk(found.column("vintage")), -1)
    source = columns.ranks(found.column("source"))[0]
    value = columns.floats(found.column("value")) + 0.0  # one zero, so that its sign cannot depend on the order
    keys = (source, value, vintage, period, available_at, entity)
    order = np.lexsort(keys)
    fresh = np.zeros(len(order), np.bool_)
    fresh[:1] = True
    for key in keys:
        fresh[1:] |= key[order][1:] != key[order][:-1]
    kept = order[fresh]
    return Rows(entity[kept], period[kept], available_at[kept], vintage[kept], value[kept])
