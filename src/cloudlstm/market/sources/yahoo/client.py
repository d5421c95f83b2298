"""Fetches one ticker from Yahoo through yfinance: attempts, back-off, and the result.

Behaviour of yfinance 1.7, and how this module handles it:

- It returns an empty frame and a log line for a failed ticker: `hide_exceptions` is off, so that it raises the cause.
- It caches replies, also broken ones: the cache is cleared before each attempt.
- It requests the time zone of each ticker first: with the time zone set to UTC it sends one request only.
- It stores cookies in a database in the user's home: here each process keeps its own, in memory.
- It repeats a rejected request at once, without a pause: see session.py, and the back-off below.
- It drops rows of nulls: they are kept here, so that cleaning rejects them with a reason.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import random
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.config import YahooConfig
from cloudlstm.errors import MissingExtraError
from cloudlstm.market import columns
from cloudlstm.market.calendar import to_date, to_days
from cloudlstm.market.sources.coverage import EMPTY, FAILED, FETCHED, Status
from cloudlstm.market.sources.snapshots import SNAPSHOT, no_bars
from cloudlstm.market.sources.yahoo.session import (
    NO_BARS,
    NoBarsError,
    Pace,
    RetryableError,
    YahooSession,
    curl_cause,
    is_unreachable,
)

if TYPE_CHECKING:
    import pandas as pd

_BURST = 8
"""Requests that all tasks together may send at once before the rate limit applies."""

_IN_URLS = "^=&+$@:'*"
"""Signs of symbols that Yahoo reads as they are in a URL."""
_DAY = dt.timedelta(days=1)
_CAUSE_LENGTH = 160
_NO_BARS_IN_RANGE = "Yahoo knows it and has no bars in the range"


@dataclass(frozen=True, slots=True)
class Reply:
    """The result of fetching one ticker.

    Attributes:
        status: "fetched", "empty" or "failed".
        cause: Why it was not fetched, or a remark about a fetched ticker; may be empty.
        table: Its bars; a SNAPSHOT table.
        facts: Yahoo's data about the symbol, JSON-ready.
        unreachable: True if the last attempt reached no server, so that other tickers would fail too.
    """

    status: Status
    cause: str
    table: pa.Table
    facts: dict[str, Any]
    unreachable: bool = False


Convert = Callable[[str, str, "pd.DataFrame", dict[str, Any], tuple[dt.date, dt.date]], Reply]


class Client:
    """yfinance in this process. All tasks of the process share one client, with its cookies and rate limit.

    Args:
        config: Attempts, timeouts, and the rate of all tasks together.
        tasks: Number of tasks that fetch at the same time; each gets an equal part of the rate.
        base_url: URL of a server that replaces Yahoo; empty for Yahoo itself.

    Raises:
        MissingExtraError: if yfinance is not installed.
    """

    def __init__(self, config: YahooConfig, tasks: int, base_url: str) -> None:
        self._yfinance = open_yfinance()
        self._config = config
        pace = Pace(config.requests_per_minute / tasks, max(_BURST // tasks, 1))
        self._session = YahooSession(base_url, pace, config.timeout_s)
        known = self._yfinance.data.YfData(session=self._session)  # one for the whole process
        known._cookie = known._crumb = None  # they belong to another session

    def fetch(
        self,
        ticker: str,
        symbol: str,
        start: dt.date,
        through: dt.date,
        convert: Convert | None = None,
        interval: str = "1d",
    ) -> Reply:
        """Fetches the bars of a ticker; retries until they are fetched, there are none, or the attempts are used up.

        Args:
            ticker: The requested ticker.
            symbol: Yahoo's spelling of it.
            start: First date.
            through: Last date, inclusive.
            convert: Makes a reply of the frame of yfinance and of Yahoo's answer; by default one of daily bars.
            interval: As in `market.interval`.
        """
        config = self._config
        began = time.monotonic()
        for attempt in range(1, config.attempts + 1):
            try:
                return self._fetch(ticker, symbol, (start, through), convert or _reply, interval)
            except NoBarsError as error:
                return Reply(EMPTY, _one_line(error), no_bars(), {})
            except MissingExtraError:
                raise
            except Exception as error:  # a server may answer anything; the cause is kept
                count = f"{attempt} attempt{'s' if attempt > 1 else ''}"
                cause = f"{self._status()}{_one_line(error)} ({count} in {time.monotonic() - began:.0f} s)"
                unreachable = is_unreachable(error)
                wait_s = _wait_s(config.backoff_s, attempt, error)
            if attempt < config.attempts:
                if time.monotonic() - began + wait_s > config.max_ticker_s:
                    cause += f", and {wait_s:.0f} s more would exceed market.yahoo.max_ticker_s"
                    break
                time.sleep(wait_s)
        return Reply(FAILED, cause, no_bars(), {}, unreachable)

    def _fetch(self, ticker: str, symbol: str, span: tuple[dt.date, dt.date], convert: Convert, interval: str) -> Reply:
        self._yfinance.data.YfData.cache_get.cache_clear()
        self._session.chart = None
        asset = self._yfinance.Ticker(quote(symbol, safe=_IN_URLS), session=self._session)
        asset._tz = "UTC"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings of pandas about yfinance
            try:
                frame = asset.history(
                    start=span[0] - _DAY,  # in Auckland the session starts on the previous day in UTC
                    end=span[1] + _DAY,  # exclusive
                    interval=interval, auto_adjust=False, actions=True, keepna=True, timeout=self._config.timeout_s,
                )  # fmt: skip
            except self._yfinance.exceptions.YFPricesMissingError as error:
                raise self._translate(error) from None
        if self._session.chart is None:
            raise RetryableError("yfinance sent no request")
        answer = json.loads(self._session.chart.content)["chart"]["result"][0]
        if (found := answer["meta"].get("dataGranularity", interval)) != interval:
            raise RetryableError(f"bars of {found} instead of {'one day' if interval == '1d' else interval}")
        return convert(ticker, symbol, frame, answer, span)

    def _status(self) -> str:
        """Returns "HTTP 401: " or "HTTP 403: " if the last reply had this status, otherwise ""."""
        chart = self._session.chart
        return f"HTTP {chart.status_code}: " if chart is not None and chart.status_code in (401, 403) else ""

    def _translate(self, error: Exception) -> Exception:
        """Converts the missing-prices error of yfinance: NoBarsError only if Yahoo itself reported this."""
        reason = getattr(error, "yahoo_reason", None)
        chart = self._session.chart
        if chart is None or chart.status_code != 200:
            return RetryableError(f"HTTP {chart.status_code if chart else 'without a reply'}")
        if reason is not None:
            return (NoBarsError if reason.lower().startswith(NO_BARS) else RetryableError)(reason)
        if (json.loads(chart.content).get("chart") or {}).get("result"):
            return NoBarsError(_NO_BARS_IN_RANGE)
        return RetryableError("a reply without a result")


@cache
def client(config: YahooConfig, tasks: int, base_url: str) -> Client:
    """Returns the client of this process."""
    return Client(config, tasks, base_url)


def open_yfinance() -> Any:
    """Imports yfinance and configures it for this process."""
    try:
        import yfinance
    except ImportError:
        raise MissingExtraError("fetching from Yahoo needs yfinance", hint="pip install 'cloudlstm[market]'") from None
    yfinance.config.debug.hide_exceptions = False
    # An impossible folder: yfinance then stores no cookies and no time zones, and locks no file.
    yfinance.set_tz_cache_location(os.path.join(os.devnull, "yfinance"))  # noqa: PTH118
    log = logging.getLogger("yfinance")
    if not any(isinstance(each, _NewMessages) for each in log.filters):
        log.addFilter(_NewMessages())
    return yfinance


class _NewMessages(logging.Filter):
    """Lets each message pass once: yfinance logs the same one for every ticker and attempt."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        known = text in self._seen
        self._seen.add(text)
        return not known


def _reply(
    ticker: str, symbol: str, frame: pd.DataFrame, answer: dict[str, Any], span: tuple[dt.date, dt.date]
) -> Reply:
    """Converts the frame of yfinance; drops rows outside the range and the rows that yfinance adds for dividends."""
    meta = answer["meta"]
    day = frame.index.tz_localize(None).to_numpy().astype("datetime64[D]").astype(np.int32)  # type: ignore[attr-defined]
    start, through = (to_days(date) for date in span)
    kept = (day >= start) & (day <= through) & np.isin(day, _days(answer["timestamp"], meta["exchangeTimezoneName"]))
    return reply_of(ticker, symbol, frame[kept], columns.from_days(day[kept]), meta)


def reply_of(ticker: str, symbol: str, frame: pd.DataFrame, dates: pa.Array, meta: dict[str, Any]) -> Reply:
    """The reply of rows of yfinance.

    Args:
        ticker: The requested ticker.
        symbol: Yahoo's spelling of it.
        frame: The rows.
        dates: Their dates.
        meta: What Yahoo tells of the symbol.
    """
    answered = str(meta.get("symbol") or symbol)
    facts = {
        "answered": answered,
        "currency": meta.get("currency"),
        "exchange": meta.get("exchangeName"),
        "kind": meta.get("instrumentType"),
        "time_zone": meta.get("exchangeTimezoneName"),
        "first_trade": _date(meta.get("firstTradeDate"), meta["exchangeTimezoneName"]),
    }
    if not len(dates):
        return Reply(EMPTY, _NO_BARS_IN_RANGE, no_bars(), facts)
    cause = "" if answered.upper() == symbol.upper() else f"Yahoo answered for {answered}"
    same = np.zeros(len(dates), np.int32)
    prices, events = ("Open", "High", "Low", "Close", "Adj Close"), ("Dividends", "Stock Splits")
    volume = pa.array(frame["Volume"].to_numpy().astype(np.int64))
    arrays = [
        columns.from_codes(same, [ticker]),
        dates,
        *(columns.from_floats(frame[name].to_numpy(np.float64), nullable=True) for name in prices),
        volume,
        columns.from_codes(same, ["yahoo"]),
        *(columns.from_floats(frame[name].to_numpy(np.float64), nullable=True) for name in events),
    ]
    return Reply(FETCHED, cause, pa.table(arrays, names=SNAPSHOT.names), facts)


def _days(moments: list[int], time_zone: str) -> NDArray[np.int32]:
    """Converts times (seconds since the epoch) to dates in a time zone, as days since 1970-01-01."""
    import pandas as pd

    local = pd.to_datetime(np.array(moments, np.int64), unit="s", utc=True).tz_convert(time_zone)
    days: NDArray[np.int32] = local.tz_localize(None).to_numpy().astype("datetime64[D]").astype(np.int32)
    return days


def _date(moment: int | None, time_zone: str) -> str | None:
    return None if moment is None else to_date(int(_days([moment], time_zone)[0])).isoformat()


def _wait_s(backoff_s: float, attempt: int, error: Exception, chance: Callable[[], float] = random.random) -> float:
    """Returns the pause before the next attempt: doubles each time, with jitter, and at least what Yahoo requests."""
    wait_s: float = backoff_s * 2.0 ** (attempt - 1) * (0.5 + 0.5 * chance())
    requested_s = error.retry_after_s if isinstance(error, RetryableError) else None
    return max(wait_s, requested_s or 0.0)


def _one_line(error: Exception) -> str:
    """Formats an error as one line."""
    reason = getattr(error, "yahoo_reason", None)
    text = str(reason or error) or type(error).__name__
    if (cause := curl_cause(text)) != text:
        text = cause
    elif isinstance(error, ValueError) and "column" in text:
        text = f"the reply is not complete JSON: {text}"
    elif not isinstance(error, RetryableError | NoBarsError) and type(error).__module__ == "builtins":
        text = f"the reply is not as expected: {type(error).__name__}: {text}"
    return " ".join(text.split())[:_CAUSE_LENGTH]
