"""One ticker from Yahoo through yfinance: attempts, back-off, and what became of it.

What yfinance 1.7 does by default and what is done about it here:

- A failed ticker comes back as an empty frame and a log line: `hide_exceptions` is off, so the cause is an exception.
- It remembers replies, broken ones too, so that asking again asks nobody: its memory is cleared before each attempt.
- It asks twice a ticker, first for the time zone: description that the range is in UTC, it asks once.
- It keeps cookies in a database in the user's home: each process has its own, in memory.
- It asks a second time at once when refused, and never waits: see session.py, and the back-off below.
- It leaves out rows of nulls: they are kept, for cleaning to refuse with a reason.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import re
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.config import YahooConfig
from cloudlstm.errors import MissingExtraError
from cloudlstm.market import columns
from cloudlstm.market.calendar import to_date, to_days
from cloudlstm.market.sources.coverage import EMPTY, FAILED, FETCHED, Status
from cloudlstm.market.sources.snapshots import SNAPSHOT, no_bars
from cloudlstm.market.sources.yahoo.session import NO_BARS, NoBarsError, Pace, RetryableError, YahooSession

if TYPE_CHECKING:
    import pandas as pd

_BURST = 8
"""Requests that all tasks together may send at once before they keep the pace."""

_DAY = dt.timedelta(days=1)
_CAUSE_LENGTH = 160
_KNOWN = "Yahoo knows it and has no bars in the range"


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of asking for one ticker.

    Attributes:
        status: Whether it was fetched, is empty or has failed.
        cause: Why it was not fetched; of a fetched one, what is worth knowing about it; may be empty.
        table: Its bars; SNAPSHOT.
        facts: What Yahoo says of the symbol, JSON-ready.
    """

    status: Status
    cause: str
    table: pa.Table
    facts: dict[str, Any]


class Client:
    """yfinance in this process. There is one for all its tasks: they share cookies and pace.

    Args:
        config: Attempts, timeouts and the rate of all tasks together.
        tasks: How many tasks are fetching at the same time; each has its part of the rate.
        base_url: Of a server that stands in for Yahoo; empty for Yahoo itself.

    Raises:
        MissingExtraError: when yfinance is not installed.
    """

    def __init__(self, config: YahooConfig, tasks: int, base_url: str) -> None:
        self._yfinance = _yfinance()
        self._config = config
        pace = Pace(config.requests_per_minute / tasks, max(_BURST // tasks, 1))
        self._session = YahooSession(base_url, pace, config.timeout_s)
        known = self._yfinance.data.YfData(session=self._session)  # one for the whole process
        known._cookie = known._crumb = None  # they would be of another session

    def fetch(self, ticker: str, symbol: str, start: dt.date, through: dt.date) -> Reply:
        """The bars of `symbol` from `start` to `through`, both included; tries until it is known what became of it."""
        config = self._config
        began = time.monotonic()
        for attempt in range(1, config.attempts + 1):
            try:
                return self._fetch(ticker, symbol, start, through)
            except NoBarsError as error:
                return Reply(EMPTY, _one_line(error), no_bars(), {})
            except MissingExtraError:
                raise
            except Exception as error:  # whatever a server may answer: the cause is kept, nothing is passed over
                count = f"{attempt} attempt{'s' if attempt > 1 else ''}"
                cause = f"{self._status()}{_one_line(error)} ({count} in {time.monotonic() - began:.0f} s)"
                wait_s = _wait_s(config.backoff_s, attempt, error)
            if attempt < config.attempts:
                if time.monotonic() - began + wait_s > config.max_ticker_s:
                    cause += f", and {wait_s:.0f} s more are over market.yahoo.max_ticker_s"
                    break
                time.sleep(wait_s)
        return Reply(FAILED, cause, no_bars(), {})

    def _fetch(self, ticker: str, symbol: str, start: dt.date, through: dt.date) -> Reply:
        self._yfinance.data.YfData.cache_get.cache_clear()
        self._session.chart = None
        asset = self._yfinance.Ticker(symbol, session=self._session)
        asset._tz = "UTC"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what pandas has to say to yfinance is no concern of ours
            try:
                frame = asset.history(
                    start=start - _DAY,  # the session of Auckland begins on the day before in UTC
                    end=through + _DAY,  # exclusive
                    interval="1d", auto_adjust=False, actions=True, keepna=True, timeout=self._config.timeout_s,
                )  # fmt: skip
            except self._yfinance.exceptions.YFPricesMissingError as error:
                raise self._translate(error) from None
        if self._session.chart is None:
            raise RetryableError("yfinance asked nobody")
        answer = json.loads(self._session.chart.content)["chart"]["result"][0]
        if answer["meta"].get("dataGranularity", "1d") != "1d":
            raise RetryableError(f"bars of {answer['meta']['dataGranularity']} instead of one day")
        return _reply(ticker, symbol, frame, answer, (start, through))

    def _status(self) -> str:
        """The status of a reply that yfinance has stumbled over."""
        chart = self._session.chart
        return f"HTTP {chart.status_code}: " if chart is not None and chart.status_code in (401, 403) else ""

    def _translate(self, error: Exception) -> Exception:
        """What yfinance takes for a ticker without prices: that, only if Yahoo has said so."""
        reason = getattr(error, "yahoo_reason", None)
        chart = self._session.chart
        if chart is None or chart.status_code != 200:
            return RetryableError(f"HTTP {chart.status_code if chart else 'without a reply'}")
        if reason is not None:
            return (NoBarsError if reason.lower().startswith(NO_BARS) else RetryableError)(reason)
        if (json.loads(chart.content).get("chart") or {}).get("result"):
            return NoBarsError(_KNOWN)
        return RetryableError("a reply without a result")


@cache
def client(config: YahooConfig, tasks: int, base_url: str) -> Client:
    """The client of this process."""
    return Client(config, tasks, base_url)


def _yfinance() -> Any:
    """yfinance, set up for this process."""
    try:
        import yfinance
    except ImportError:
        raise MissingExtraError("fetching from Yahoo needs yfinance", hint="pip install 'cloudlstm[market]'") from None
    yfinance.config.debug.hide_exceptions = False
    # A folder that cannot be: yfinance then keeps neither cookies nor time zones between processes, and locks no file.
    yfinance.set_tz_cache_location(os.path.join(os.devnull, "yfinance"))  # noqa: PTH118
    return yfinance


def _reply(
    ticker: str, symbol: str, frame: pd.DataFrame, answer: dict[str, Any], span: tuple[dt.date, dt.date]
) -> Reply:
    """The rows of the range; those that yfinance adds for a dividend outside of the bars are left out."""
    meta = answer["meta"]
    day = frame.index.tz_localize(None).to_numpy().astype("datetime64[D]").astype(np.int32)  # type: ignore[attr-defined]
    start, through = (to_days(date) for date in span)
    kept = (day >= start) & (day <= through) & np.isin(day, _days(answer["timestamp"], meta["exchangeTimezoneName"]))
    frame, day = frame[kept], day[kept]
    answered = str(meta.get("symbol") or symbol)
    facts = {
        "answered": answered,
        "currency": meta.get("currency"),
        "exchange": meta.get("exchangeName"),
        "kind": meta.get("instrumentType"),
        "time_zone": meta.get("exchangeTimezoneName"),
        "first_trade": _date(meta.get("firstTradeDate"), meta["exchangeTimezoneName"]),
    }
    if not len(day):
        return Reply(EMPTY, _KNOWN, no_bars(), facts)
    cause = "" if answered.upper() == symbol.upper() else f"Yahoo answered for {answered}"
    same = np.zeros(len(day), np.int32)
    prices, events = ("Open", "High", "Low", "Close", "Adj Close"), ("Dividends", "Stock Splits")
    volume = pa.array(frame["Volume"].to_numpy().astype(np.int64))
    arrays = [
        columns.from_codes(same, [ticker]),
        columns.from_days(day),
        *(columns.from_floats(frame[name].to_numpy(np.float64), nullable=True) for name in prices),
        volume,
        columns.from_codes(same, ["yahoo"]),
        *(columns.from_floats(frame[name].to_numpy(np.float64), nullable=True) for name in events),
    ]
    return Reply(FETCHED, cause, pa.table(arrays, names=SNAPSHOT.names), facts)


def _days(moments: list[int], time_zone: str) -> NDArray[np.int32]:
    """The dates of moments, in seconds since the epoch, in a time zone; as days since 1970-01-01."""
    import pandas as pd

    there = pd.to_datetime(np.array(moments, np.int64), unit="s", utc=True).tz_convert(time_zone)
    days: NDArray[np.int32] = there.tz_localize(None).to_numpy().astype("datetime64[D]").astype(np.int32)
    return days


def _date(moment: int | None, time_zone: str) -> str | None:
    return None if moment is None else to_date(int(_days([moment], time_zone)[0])).isoformat()


def _wait_s(backoff_s: float, attempt: int, error: Exception, chance: Callable[[], float] = random.random) -> float:
    """Doubles with each attempt, with jitter so that tasks do not come back together; at least what Yahoo asks for."""
    wait_s: float = backoff_s * 2.0 ** (attempt - 1) * (0.5 + 0.5 * chance())
    asked_s = error.retry_after_s if isinstance(error, RetryableError) else None
    return max(wait_s, asked_s or 0.0)


def _one_line(error: Exception) -> str:
    """An error as one line of a cause."""
    reason = getattr(error, "yahoo_reason", None)
    text = str(reason or error) or type(error).__name__
    curl = re.search(r"curl: \(\d+\) (.*?)(?:\. See https?://|$)", text)
    if curl:
        text = curl[1]
    elif isinstance(error, ValueError) and "column" in text:
        text = f"the reply is no complete JSON: {text}"
    elif not isinstance(error, RetryableError | NoBarsError) and type(error).__module__ == "builtins":
        text = f"the reply is not as expected: {type(error).__name__}: {text}"
    return " ".join(text.split())[:_CAUSE_LENGTH]
