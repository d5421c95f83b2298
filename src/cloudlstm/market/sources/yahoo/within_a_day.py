"""Bars within a day from Yahoo: several requests for a ticker, because one reaches over a few days only.

Yahoo gives 1-minute bars for at most 8 days a request. The bars of a range are those from the first open to the last
close of its sessions; what was traded before and after is not requested.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from cloudlstm.config import MarketConfig
from cloudlstm.market import columns
from cloudlstm.market.calendar import LONGEST_CLOSURE_DAYS, hours, to_days
from cloudlstm.market.sources.coverage import EMPTY, FAILED, FETCHED
from cloudlstm.market.sources.yahoo.client import Client, Reply, reply_of

if TYPE_CHECKING:
    import pandas as pd

_DAYS_A_REQUEST = {"1m": 5, "5m": 55, "15m": 55, "1h": 365}
"""Days in one request; the client adds one on both sides, and Yahoo allows 8 for 1-minute bars."""


def fetch(client: Client, ticker: str, symbol: str, config: MarketConfig, through: dt.date) -> Reply:
    """Fetches the bars of a ticker.

    Args:
        client: The client of this process.
        ticker: The requested ticker.
        symbol: Yahoo's spelling of it.
        config: Interval, calendar and first date.
        through: Last date, inclusive.

    Returns:
        All bars in one reply; the first failed one if a request fails.
    """
    replies = []
    for start, end in _spans(config.start, through, _DAYS_A_REQUEST[config.interval]):
        reply = client.fetch(ticker, symbol, start, end, partial(_reply, config.calendar), config.interval)
        if reply.status == FAILED:
            return reply
        replies.append(reply)
    fetched = [reply for reply in replies if reply.status == FETCHED]
    if not fetched:
        return next((reply for reply in replies if reply.status == EMPTY), replies[-1])
    table = pa.concat_tables([reply.table for reply in fetched]).unify_dictionaries()
    return Reply(FETCHED, fetched[-1].cause, table.combine_chunks(), fetched[-1].facts)


def _spans(start: dt.date, through: dt.date, days: int) -> Iterator[tuple[dt.date, dt.date]]:
    """The first and last date of every request, in order."""
    while start <= through:
        end = min(start + dt.timedelta(days=days - 1), through)
        yield start, end
        start = end + dt.timedelta(days=1)


def _reply(
    calendar: str, ticker: str, symbol: str, frame: pd.DataFrame, answer: dict[str, Any], span: tuple[dt.date, dt.date]
) -> Reply:
    """Converts a frame of yfinance: its rows from the open to the close of the sessions of a request.

    A reply may reach into the days around, and yfinance adds rows for dividends.
    """
    index = frame.index.tz_convert("UTC").tz_localize(None)  # type: ignore[attr-defined]
    seconds = index.to_numpy().astype("datetime64[s]").astype(np.int64)
    around = dt.timedelta(days=LONGEST_CLOSURE_DAYS)
    known = hours(calendar, span[0] - around, span[1] + around)
    first, last = (to_days(date) for date in span)
    own = np.flatnonzero((known.days >= first) & (known.days <= last))
    inside = np.zeros(len(seconds), bool)
    for begin, end in zip(known.opens[own].tolist(), known.closes[own].tolist(), strict=True):
        inside |= (seconds >= begin * 60) & (seconds < end * 60)
    kept = inside & np.isin(seconds, np.array(answer["timestamp"], np.int64))
    # A time that is no whole minute is a trade of an open session; cleaning rejects its row.
    minutes = np.where(seconds % 60 == 0, seconds // 60, columns.NO_DATE).astype(np.int32)[kept]
    return reply_of(ticker, symbol, frame[kept], columns.from_days(minutes, columns.MOMENT), answer["meta"])
