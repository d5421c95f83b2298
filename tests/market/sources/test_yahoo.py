"""Fetching single tickers with the real yfinance from an emulated Yahoo."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from localstack.yahoo import Bar, Fault, Listing, Yahoo, listings, opening

from bar_factory import bars_of, walk
from cloudlstm.config import YahooConfig
from cloudlstm.market import bars
from cloudlstm.market.calendar import sessions, to_date
from cloudlstm.market.sources.coverage import EMPTY, FAILED, FETCHED
from cloudlstm.market.sources.yahoo import session
from cloudlstm.market.sources.yahoo.client import Client, _wait_s
from cloudlstm.market.sources.yahoo.session import Pace, RetryableError, retry_after_s
from cloudlstm.market.sources.yahoo.source import symbol_of
from module_time import replace_time
from real_data import real_data

START, END = dt.date(2023, 1, 3), dt.date(2023, 6, 30)
CONFIG = YahooConfig(requests_per_minute=60_000, attempts=3, timeout_s=20, backoff_s=0.01, max_ticker_s=60)


def made(ticker: str, first: dt.date = START) -> pa.Table:
    days = sessions("XNYS", first, END)
    return bars_of(ticker, days, walk(len(days), seed=len(ticker)))


@pytest.fixture(scope="module")
def yahoo() -> Iterator[Yahoo]:
    late = dt.date(2023, 5, 1)
    rows = [
        row
        for name in ("AAA", "BRK-B", "^GSPC", "EURUSD=X", "VOD.L", "M&M.NS", "A/B C#D")
        for row in made(name).to_pylist()
    ]
    with Yahoo(listings(rows + made("LATE", late).to_pylist())) as server:
        yield server


@pytest.fixture(scope="module")
def client(yahoo: Yahoo) -> Client:
    return Client(CONFIG, 1, yahoo.url)


def patient_or_not(yahoo: Yahoo, fault: Fault) -> Client:
    return Client(CONFIG.model_copy(update={"timeout_s": 0.5 if fault.kind == "slow" else 20}), 1, yahoo.url)


def test_bars_arrive_unchanged(yahoo: Yahoo, client: Client) -> None:
    reply = client.fetch("AAA", "AAA", START, END)
    assert (reply.status, reply.cause) == (FETCHED, "")
    got = bars.conform(reply.table, bars.BARS)
    expected = made("AAA")
    for name in ("ticker", "date", "open", "high", "low", "close", "adj_close", "volume"):
        assert got.column(name).to_pylist() == expected.column(name).to_pylist(), name
    assert set(got.column("source").to_pylist()) == {"yahoo"}
    assert yahoo.paths[:3] == ["/", "/v1/test/getcrumb", "/v8/finance/chart/AAA"]
    before = len(yahoo.paths)
    client.fetch("VOD.L", "VOD.L", START, END)
    assert yahoo.paths[before:] == ["/v8/finance/chart/VOD.L"], "one request a ticker, cookie and crumb once"


@pytest.mark.parametrize(
    ("ticker", "symbol"),
    [
        ("AAPL", "AAPL"), ("BRK.B", "BRK-B"), ("BRK-B", "BRK-B"), ("BF.A", "BF-A"), ("GS2C.DE", "GS2C.DE"),
        ("0700.HK", "0700.HK"), ("VOD.L", "VOD.L"), ("7203.T", "7203.T"), ("SAP.F", "SAP.F"), ("ABC.V", "ABC.V"),
        ("BBD.B.TO", "BBD-B.TO"), ("^GSPC", "^GSPC"), ("EURUSD=X", "EURUSD=X"), ("ES=F", "ES=F"),
        ("BTC-USD", "BTC-USD"), ("BRK/B", "BRK-B"), ("BRK B", "BRK-B"), ("BBD/B.TO", "BBD-B.TO"), ("M&M.NS", "M&M.NS"),
        ("USD/JPY", "USD/JPY"), ("AAPL US", "AAPL US"),
    ],
)  # fmt: skip
def test_symbols(ticker: str, symbol: str) -> None:
    assert symbol_of(ticker) == symbol


@pytest.mark.parametrize("ticker", ["BRK.B", "^GSPC", "EURUSD=X", "BRK/B", "M&M.NS", "A/B C#D"])
def test_tickers_keep_the_requested_spelling(yahoo: Yahoo, client: Client, ticker: str) -> None:
    before = yahoo.asked[symbol_of(ticker)]
    reply = client.fetch(ticker, symbol_of(ticker), START, END)
    assert reply.status == FETCHED
    assert set(reply.table.column("ticker").to_pylist()) == {ticker}
    assert yahoo.asked[symbol_of(ticker)] == before + 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", 2, 429, "0.05"), Fault("status", 1, 500), Fault("status", 2, 503), Fault("status", 1, 401),
        Fault("truncated", 1), Fault("short", 1), Fault("hang-up", 1), Fault("slow", 1, seconds=1.0),
        Fault("status", 1, 404),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)  # fmt: skip
def test_a_temporary_fault_is_retried(yahoo: Yahoo, fault: Fault) -> None:
    yahoo.faults["AAA"] = [dataclasses.replace(fault)]
    reply = patient_or_not(yahoo, fault).fetch("AAA", "AAA", START, END)
    assert (reply.status, reply.cause) == (FETCHED, "")
    assert reply.table.num_rows == made("AAA").num_rows


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (Fault("status", status=429), "HTTP 429"),
        (Fault("status", status=500), "HTTP 500"),
        (Fault("status", status=401), "HTTP 401"),
        (Fault("status", status=404), "HTTP 404 without a message from Yahoo"),
        (Fault("truncated"), "not complete JSON"),
        (Fault("short"), "bytes missing"),
        (Fault("hang-up"), "reset"),
        (Fault("slow", seconds=1.0), "timed out"),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else "",
)
def test_a_permanent_fault_is_a_failure_with_its_cause(yahoo: Yahoo, client: Client, fault: Fault, cause: str) -> None:
    yahoo.faults["AAA"] = [dataclasses.replace(fault)]
    before = yahoo.asked["AAA"]
    reply = patient_or_not(yahoo, fault).fetch("AAA", "AAA", START, END)
    yahoo.faults.clear()
    assert reply.status == FAILED
    assert cause in reply.cause
    assert "3 attempts" in reply.cause
    assert "\n" not in reply.cause
    # After a 401, yfinance renews its cookies and repeats the request itself.
    each = 2 if fault.status == 401 else 1
    assert yahoo.asked["AAA"] - before >= each * CONFIG.attempts, "every attempt has asked the server"
    assert client.fetch("AAA", "AAA", START, END).status == FETCHED, "and nothing of it is remembered"


def test_a_ticker_unknown_to_yahoo_is_empty_with_its_message(yahoo: Yahoo, client: Client) -> None:
    unknown = client.fetch("NONE", "NONE", START, END)
    assert (unknown.status, unknown.cause) == (EMPTY, "No data found, symbol may be delisted")
    assert yahoo.asked["NONE"] == 1, "a clear answer is not asked for twice"
    early = client.fetch("LATE", "LATE", START, dt.date(2023, 2, 1))
    assert early.status == EMPTY
    assert "Data doesn't exist" in early.cause
    assert (unknown.table.num_rows, early.table.num_rows) == (0, 0)


def test_a_late_listing_has_bars_from_its_first_day(yahoo: Yahoo, client: Client) -> None:
    reply = client.fetch("LATE", "LATE", START, END)
    assert (reply.status, reply.cause) == (FETCHED, "")
    assert reply.table.column("date")[0].as_py() == dt.date(2023, 5, 1)
    assert reply.facts["first_trade"] == "2023-05-01"


def test_a_row_of_nulls_is_kept_for_cleaning(yahoo: Yahoo, client: Client) -> None:
    listing = listings(made("NULL").to_pylist())["NULL"]
    hole = listing.bars[7]
    listing.bars[7] = Bar(hole.time, (None,) * 4, None, None)
    yahoo.symbols["NULL"] = listing
    reply = client.fetch("NULL", "NULL", START, END)
    assert reply.table.num_rows == made("NULL").num_rows
    row = reply.table.slice(7, 1).to_pylist()[0]
    assert [row[name] for name in ("open", "high", "low", "close", "adj_close")] == [None] * 5


def test_dividends_and_splits_are_kept_and_add_no_bars(yahoo: Yahoo, client: Client) -> None:
    listing = listings(made("DIV").to_pylist())["DIV"]
    last = listing.bars.pop()  # yfinance adds a row for a dividend without a bar
    listing.dividends = {listing.bars[3].time: 0.25, last.time: 9.0}
    listing.splits = {listing.bars[5].time: (4.0, 1.0)}
    yahoo.symbols["DIV"] = listing
    reply = client.fetch("DIV", "DIV", START, END)
    assert reply.table.num_rows == made("DIV").num_rows - 1
    assert reply.table.column("dividend").to_pylist()[2:5] == [0.0, 0.25, 0.0]
    assert reply.table.column("split").to_pylist()[4:7] == [0.0, 4.0, 0.0]
    assert reply.table.column("close").to_pylist() == made("DIV").column("close").to_pylist()[:-1]


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "Asia/Tokyo", "Europe/Berlin", "Pacific/Honolulu"])
def test_dates_are_in_the_time_zone_of_the_exchange(yahoo: Yahoo, client: Client, zone: str) -> None:
    dates = [to_date(int(day)) for day in sessions("XNYS", START, END)]
    prices = (1.0, 1.0, 1.0, 1.0)
    yahoo.symbols["ZONE"] = Listing([Bar(opening(date, zone), prices, 1.0, 1) for date in dates], time_zone=zone)
    for first, last in ((0, len(dates)), (1, len(dates) - 1)):
        reply = client.fetch("ZONE", "ZONE", dates[first], dates[last - 1])
        assert reply.table.column("date").to_pylist() == dates[first:last]


def test_bars_of_another_interval_are_a_failure(yahoo: Yahoo, client: Client) -> None:
    document = yahoo.chart("AAA", {})[1]
    document["chart"]["result"][0]["meta"]["dataGranularity"] = "1wk"
    yahoo.symbols["WEEK"] = Listing(recorded=document)
    reply = client.fetch("WEEK", "WEEK", START, END)
    assert (reply.status, reply.cause[:30]) == (FAILED, "bars of 1wk instead of one day")


def test_an_answer_for_another_symbol_is_reported(yahoo: Yahoo, client: Client) -> None:
    yahoo.symbols["OLD"] = Listing(recorded=yahoo.chart("AAA", {})[1])
    assert client.fetch("OLD", "OLD", START, END).cause == "Yahoo answered for AAA"


@pytest.mark.parametrize(
    "document",
    [
        {"chart": {"result": None, "error": None}},
        {"finance": {"result": None, "error": {"code": "Unauthorized"}}},
        {"chart": {"result": None, "error": {"code": "Internal", "description": "Oops, try later"}}},
        {"chart": {"result": [{"meta": {}, "timestamp": [1], "indicators": {"quote": [{"close": [1.0]}]}}]}},
        [],
    ],
)
def test_an_unexpected_reply_is_a_failure_and_not_empty(yahoo: Yahoo, client: Client, document: Any) -> None:
    yahoo.symbols["ODD"] = Listing(recorded=document)
    reply = client.fetch("ODD", "ODD", START, END)
    assert reply.status == FAILED
    assert reply.cause


def recorded(name: str) -> Any:
    return json.loads(real_data(f"yahoo_json/{name}").read_text())


@pytest.mark.parametrize("symbol", ["AAPL", "MSFT", "GS2C.DE"])
def test_recorded_replies(yahoo: Yahoo, client: Client, symbol: str) -> None:
    document = recorded(f"chart_v8_{symbol}.json")
    yahoo.symbols[symbol] = Listing(recorded=document)
    result = document["chart"]["result"][0]
    through = dt.date(2025, 10, 28)  # the last recorded row is of the 29th, during the session
    reply = client.fetch(symbol, symbol, dt.date(2025, 1, 1), through)
    assert reply.status == FETCHED
    quote = result["indicators"]["quote"][0]
    got = reply.table.to_pydict()
    for name in ("open", "high", "low", "close", "volume"):
        assert got[name] == quote[name][:-1], name
    assert got["date"][-1] == through
    assert got["date"] == [dt.datetime.fromtimestamp(at, dt.UTC).date() for at in result["timestamp"][:-1]]
    dividends = result.get("events", {}).get("dividends", {})
    assert sum(got["dividend"]) == pytest.approx(sum(each["amount"] for each in dividends.values()))
    with_last = client.fetch(symbol, symbol, dt.date(2025, 1, 1), dt.date(2025, 10, 29))
    assert with_last.table.column("close")[-1].as_py() == quote["close"][-1]


def test_recorded_replies_without_daily_bars(yahoo: Yahoo, client: Client) -> None:
    yahoo.symbols["VFINX"] = Listing(recorded=recorded("chart_v8_VFINX.json"))
    assert "bars of 3mo" in client.fetch("VFINX", "VFINX", dt.date(1985, 1, 1), END).cause
    assert yahoo.chart("NONE", {})[1] == recorded("chart_v8_not_found_404.json")


def test_pauses_between_attempts() -> None:
    assert [_wait_s(2.0, attempt, ValueError(), lambda: 1.0) for attempt in (1, 2, 3)] == [2.0, 4.0, 8.0]
    assert _wait_s(2.0, 2, ValueError(), lambda: 0.0) == 2.0
    assert _wait_s(2.0, 1, RetryableError("HTTP 429", 30.0), lambda: 0.0) == 30.0
    assert _wait_s(2.0, 6, RetryableError("HTTP 429", 1.0), lambda: 0.0) == 32.0
    assert (retry_after_s("7"), retry_after_s(None), retry_after_s("soon")) == (7.0, None, None)
    later = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=90)
    assert retry_after_s(later.strftime("%a, %d %b %Y %H:%M:%S GMT")) == pytest.approx(90, abs=5)


def test_a_pause_beyond_the_limit_ends_the_attempts(yahoo: Yahoo, client: Client) -> None:
    yahoo.faults["AAA"] = [Fault("status", None, 429, "3600")]
    reply = client.fetch("AAA", "AAA", START, END)
    yahoo.faults.clear()
    assert "3600 s more" in reply.cause
    assert "(1 attempt in" in reply.cause


def test_the_rate_limit_applies_after_the_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    now, sent = [100.0], []

    def sleep(seconds: float) -> None:
        now[0] += seconds

    replace_time(monkeypatch, session, monotonic=lambda: now[0], sleep=sleep)
    pace = Pace(per_minute=30, burst=3)
    for _ in range(8):
        pace.wait()
        sent.append(now[0] - 100.0)
    assert sent == [0, 0, 0, 2, 4, 6, 8, 10]
    now[0] += 1000
    for _ in range(4):
        pace.wait()
        sent.append(now[0])
    assert np.ptp(sent[-4:-1]) == 0
    assert sent[-1] - sent[-2] == 2, "time that was not used is lost but for the first few"


def test_the_live_bar_of_today_is_left_out(yahoo: Yahoo, client: Client) -> None:
    listing = listings(made("LIVE").to_pylist())["LIVE"]
    today = END + dt.timedelta(days=3)
    listing.live = Bar(opening(today) + 3600, (1.0, 1.0, 1.0, 1.0), 1.0, 5)
    yahoo.symbols["LIVE"] = listing
    assert client.fetch("LIVE", "LIVE", START, END).table.column("date")[-1].as_py() == END
    assert client.fetch("LIVE", "LIVE", START, today).table.column("date")[-1].as_py() == today
