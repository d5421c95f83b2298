"""Exogenous rows and bars for tests."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.exogenous.columns import NEWS, NOVELTY, Column
from cloudlstm.exogenous.table import EXOGENOUS
from cloudlstm.market.calendar import sessions

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

MACRO = (
    Column("macro_rate", "macro", "rate", "percent", "RATE", "value", 30),
    Column("macro_rate_age_days", "macro", "age", "days", "RATE", "age", 30),
)
NEWS_COLUMNS = (
    Column("news_count", "news", "count", "number", NEWS, "count", 5),
    Column("news_mean", "news", "score", "score", NEWS, "mean", 5),
    Column("news_strongest", "news", "score", "score", NEWS, "strongest", 5),
    Column("news_novelty", "news", "score", "score", NOVELTY, "novelty", 5),
    Column("news_age_days", "news", "age", "days", NEWS, "age", 5),
)
COLUMNS = (*MACRO, *NEWS_COLUMNS)

Row = tuple[str, str, str, str, float, int]
"""series, entity, period, available_at (ISO, UTC), value, vintage."""


def table(rows: Iterable[Row]) -> pa.Table:
    """EXOGENOUS rows."""
    made = [
        {
            "series": series, "entity": entity, "period": dt.date.fromisoformat(period),
            "available_at": dt.datetime.fromisoformat(available_at).replace(tzinfo=dt.UTC), "value": value,
            "vintage": vintage, "source": "test",
        }
        for series, entity, period, available_at, value, vintage in rows
    ]  # fmt: skip
    return pa.Table.from_pylist(made, schema=EXOGENOUS)


def bars(tickers: Sequence[str], days: NDArray[np.int32]) -> pa.Table:
    """A bar for each ticker and date, by ticker."""
    dates = pa.array(np.tile(days, len(tickers)), pa.int32()).cast(pa.date32())
    return pa.table({"ticker": pa.array(np.repeat(list(tickers), len(days))), "date": dates})


def days(start: str, end: str, calendar: str = "XNYS") -> NDArray[np.int32]:
    """The sessions of an exchange."""
    return sessions(calendar, dt.date.fromisoformat(start), dt.date.fromisoformat(end))
