"""The newest headlines of Yahoo Finance as headlines with the time at which they were known.

An entry has the time of its publication and, if it was changed later, the time of the change. The headline is the one
after the change: "Earnings live: Meta stock tumbles" stands under a publication time before the news. So an entry
counts as known from the later of the two times.
"""

from __future__ import annotations

import datetime as dt
import html
import logging
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from cloudlstm.config import YahooConfig
from cloudlstm.errors import CloudLSTMError
from cloudlstm.exogenous.sources import moments
from cloudlstm.exogenous.sources.found import Found
from cloudlstm.exogenous.sources.news_files import Wanted, headlines_of
from cloudlstm.market.sources.yahoo.source import symbol_of
from cloudlstm.runs.environment import YAHOO_URL
from cloudlstm.text.numbers import counted

_LOG = logging.getLogger(__name__)

FORM_VERSION = 1
"""Increase it whenever answers are converted differently; part of the source's identity."""

SOURCE = "yahoo"
_FAILURES_IN_A_ROW = 3
"""After this many failed tickers in a row the cause is not the tickers: the rest is not requested."""


def identity(tickers: Sequence[str] | None, today: dt.date) -> dict[str, Any]:
    """Returns what is requested, and the day: the newest headlines change every day."""
    return {
        "form": FORM_VERSION,
        "base_url": os.environ.get(YAHOO_URL, ""),
        "day": today.isoformat(),
        "tickers": None if tickers is None else sorted(tickers),
    }


def read(config: YahooConfig, wanted: Wanted) -> Found:
    """Fetches the newest headlines of the run's tickers; a ticker without an answer is told.

    Args:
        config: How Yahoo is asked.
        wanted: The tickers and the dates of the run.
    """
    from cloudlstm.market.sources.yahoo.news import NewsClient

    found = Found()
    if not wanted.tickers:
        found.notes.append("exogenous.news.source=yahoo: the tickers are not known; name them in universe.tickers")
        return found
    base_url = os.environ.get(YAHOO_URL, "")
    if base_url:
        _LOG.warning("%s replaces Yahoo Finance (%s)", base_url, YAHOO_URL)
    client = NewsClient(config, base_url)
    failures: list[str] = []
    outside = 0
    for ticker in sorted(wanted.tickers):
        if len(failures) >= _FAILURES_IN_A_ROW:
            found.fail(f"exogenous.news.source=yahoo: {ticker} and later tickers are not requested")
            break
        try:
            entries = client.newest(symbol_of(ticker))
        except CloudLSTMError as error:
            failures.append(ticker)
            found.fail(f"exogenous.news.source=yahoo: {error}")
            continue
        failures = []
        outside += _add(ticker, entries, wanted, found)
    if outside:
        found.notes.append(f"yahoo: {counted(outside, 'headline')} outside the dates of the run")
    return found


def _add(ticker: str, entries: Sequence[dict[str, Any]], wanted: Wanted, found: Found) -> int:
    """Adds the entries about a ticker; returns the number of those outside the dates of the run."""
    contents: list[Any] = [entry.get("content") if isinstance(entry.get("content"), dict) else {} for entry in entries]
    published, shown = (
        moments.read(pa.chunked_array([pa.array([_text(each, name) for each in contents], pa.string())]), None)
        for name in ("pubDate", "displayTime")
    )
    headline = [html.unescape(" ".join(_text(each, "title").split())) for each in contents]
    fault = published.fault.copy()
    fault[(fault == "") & ~published.timed] = "no_time"
    fault[(fault == "") & np.array([not text for text in headline], np.bool_)] = "no_headline"
    utc = np.maximum(published.utc, np.where((shown.fault == "") & shown.timed, shown.utc, 0))
    fault[(fault == "") & (utc > wanted.now)] = "in_the_future"
    for reason in sorted({str(each) for each in fault if each}):
        at = np.flatnonzero(fault == reason)
        found.refuse(reason, [f"{published.raw[row]} | {headline[row]}" for row in at], SOURCE, entity=ticker)
    good = fault == ""
    inside = good & (published.day >= wanted.first) & (published.day <= wanted.last)
    at = np.flatnonzero(inside)
    found.headlines.append(
        headlines_of([ticker] * len(at), published.day[at], utc[at], [headline[row] for row in at], SOURCE)
    )
    return int(good.sum()) - len(at)


def _text(content: Any, name: str) -> str:
    value = content.get(name) if isinstance(content, dict) else None
    return value if isinstance(value, str) else ""
