"""The newest headlines by the real yfinance from an emulated Yahoo."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from localstack.yahoo import Fault, Yahoo, news_entry

from cloudlstm.config import RunConfig
from cloudlstm.exogenous.collect import Collected, collect
from cloudlstm.runs.environment import YAHOO_URL
from exogenous.sources.news_inputs import NOW, config, reasons, utc
from real_data import real_data


@pytest.fixture
def yahoo(monkeypatch: pytest.MonkeyPatch) -> Iterator[Yahoo]:
    with Yahoo({}) as server:
        monkeypatch.setenv(YAHOO_URL, server.url)
        yield server


def settings() -> RunConfig:
    found = config(news={"source": "yahoo"})
    fast = found.market.yahoo.model_copy(update={"requests_per_minute": 60_000, "attempts": 2, "backoff_s": 0.01})
    return found.model_copy(update={"market": found.market.model_copy(update={"yahoo": fast})})


def fetched(*tickers: str) -> Collected:
    return collect(settings(), tickers, NOW)


def test_a_changed_headline_is_known_from_its_change(yahoo: Yahoo) -> None:
    yahoo.news["BRK-B"] = [
        news_entry("Live: it &amp; changed", "2024-06-03T13:00:00Z", "2024-06-03T21:15:00Z"),
        news_entry("Not changed", "2024-06-03T12:00:00Z"),
    ]
    rows = fetched("BRK.B").headlines.to_pylist()
    assert [(row["entity"], row["headline"], row["available_at"]) for row in rows] == [
        ("BRK.B", "Not changed", utc("2024-06-03 12:00")),
        ("BRK.B", "Live: it & changed", utc("2024-06-03 21:15")),
    ]


def test_refused_entries_and_those_outside_the_dates(yahoo: Yahoo) -> None:
    yahoo.news["AAPL"] = [
        news_entry("good", "2024-06-03T12:00:00Z"),
        news_entry("", "2024-06-03T12:00:00Z"),
        news_entry("no time", ""),
        news_entry("future", "2025-06-02T12:00:01Z"),
        news_entry("after the market's end", "2025-03-01T12:00:00Z"),
        {"id": "1"},
    ]
    found = fetched("AAPL")
    assert found.headlines.column("headline").to_pylist() == ["good"]
    refused = {reason: len(raw) for reason, raw in reasons(found.refused).items()}
    assert refused == {"no_headline": 1, "no_date": 2, "in_the_future": 1}
    assert any("1 headline outside the dates" in note for note in found.notes)


def test_a_failed_ticker_is_told_and_many_end_the_requests(yahoo: Yahoo) -> None:
    yahoo.news["B"] = [news_entry("good", "2024-06-03T12:00:00Z")]
    yahoo.faults["news of A"] = [Fault("status", None, 503)]
    yahoo.faults["news of B"] = [Fault("status", 1, 429)]
    found = fetched("A", "B")
    assert found.headlines.column("entity").to_pylist() == ["B"]
    assert any("headlines of A: HTTP 503" in note for note in found.notes)
    for name in "CDEF":
        yahoo.faults[f"news of {name}"] = [Fault("status", None, 503)]
    found = fetched("C", "D", "E", "F")
    assert found.missing == ["headlines"]
    assert any("F and later tickers are not requested" in note for note in found.notes)


def test_a_recorded_reply(yahoo: Yahoo) -> None:
    document: Any = json.loads(real_data("yahoo_json/news_latest_AAPL.json").read_text())
    yahoo.news["AAPL"] = document["data"]["tickerStream"]["stream"]
    found = settings()
    market = found.market.model_copy(update={"end": NOW.replace(year=2026).date()})
    late = collect(found.model_copy(update={"market": market}), ["AAPL"], NOW.replace(year=2026))
    times = {row["headline"][:13]: row["available_at"] for row in late.headlines.to_pylist()}
    assert (len(times), late.refused.num_rows) == (10, 0)
    assert times["Earnings live"] == utc("2025-10-29 23:17:45")  # published at 20:33
