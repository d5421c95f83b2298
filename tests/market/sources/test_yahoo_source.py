"""The source "yahoo": its date range, how tasks share the tickers, and its snapshots."""

from __future__ import annotations

import dataclasses
import datetime as dt
import pickle
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from localstack.yahoo import Fault, Yahoo, listings
from pyarrow import csv

from bar_factory import bars_of, walk
from cloudlstm import storage
from cloudlstm.config import RunConfig, YahooConfig, parse
from cloudlstm.errors import CorruptObjectError, DataError, FetchError, MissingExtraError
from cloudlstm.market import bars
from cloudlstm.market.calendar import last_closed_session, sessions
from cloudlstm.market.sources import coverage, snapshots
from cloudlstm.market.sources.base import RemoteSource, look_at_source, open_source
from cloudlstm.market.sources.coverage import EMPTY, FAILED, FETCHED, Outcome
from cloudlstm.market.sources.yahoo import source
from cloudlstm.market.sources.yahoo.client import Client
from cloudlstm.market.sources.yahoo.source import YahooSource
from cloudlstm.runs.environment import YAHOO_URL

START, END = dt.date(2023, 1, 3), dt.date(2023, 6, 30)
CONFIG = YahooConfig(requests_per_minute=60_000, attempts=3, timeout_s=20, backoff_s=0.01, max_ticker_s=60)


def made(ticker: str) -> pa.Table:
    days = sessions("XNYS", START, END)
    return bars_of(ticker, days, walk(len(days), seed=len(ticker)))


@pytest.fixture(scope="module")
def yahoo() -> Iterator[Yahoo]:
    with Yahoo(listings(made("AAA").to_pylist() + made("BRK-B").to_pylist())) as server:
        yield server


def opened(config: RunConfig, monkeypatch: pytest.MonkeyPatch, now: str) -> YahooSource:
    monkeypatch.setattr(source, "_now", lambda: dt.datetime.fromisoformat(now))
    return YahooSource.open(config.market, config.universe.tickers)


def test_the_range_ends_with_the_last_closed_session(monkeypatch: pytest.MonkeyPatch) -> None:
    future = parse({}, ["market.end=2027-12-31"])
    # 2026-11-23 is a Monday. New York closes at 21:00 UTC; its bars are final half an hour later.
    for now, through in [
        ("2026-11-23T20:59:00+00:00", "2026-11-20"),
        ("2026-11-23T21:15:00+00:00", "2026-11-20"),
        ("2026-11-23T21:31:00+00:00", "2026-11-23"),
        ("2026-11-27T18:31:00+00:00", "2026-11-27"),  # closes early after Thanksgiving
        ("2026-11-29T12:00:00+00:00", "2026-11-27"),
    ]:
        assert opened(future, monkeypatch, now).through.isoformat() == through, now
    past = parse({})
    identities = [opened(past, monkeypatch, f"202{year}-02-03T12:00:00+00:00").identity() for year in (6, 7)]
    assert identities[0] == identities[1], "2010-2024 is fetched once"
    identities = [opened(future, monkeypatch, f"2026-11-{day}T22:00:00+00:00").identity() for day in (20, 22, 23)]
    assert identities[0] == identities[1] != identities[2], "a new session is fetched, a weekend is not"
    with pytest.raises(DataError, match="has closed yet"):
        opened(parse({}, ["market.end=2027-12-31", "market.start=2026-11-23", "dataset.train_end=2027-01-04",
                          "dataset.validation_end=2027-06-01"]), monkeypatch, "2026-11-23T12:00:00+00:00")  # fmt: skip
    assert last_closed_session("24/7", dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)) == dt.date(2026, 11, 21)


def test_the_identity_depends_on_settings_that_change_bars_only(monkeypatch: pytest.MonkeyPatch) -> None:
    now = "2026-11-23T12:00:00+00:00"
    one = opened(parse({}), monkeypatch, now)
    slow = opened(parse({}, ["market.yahoo.requests_per_minute=7", "market.yahoo.attempts=2"]), monkeypatch, now)
    assert one.identity() == slow.identity()
    monkeypatch.setenv(YAHOO_URL, "http://127.0.0.1:1")
    assert opened(parse({}), monkeypatch, now).identity() != one.identity(), "made-up bars are not taken for Yahoo's"
    assert isinstance(one, RemoteSource)
    assert len(pickle.dumps(one)) < 2000


def test_tasks_share_the_tickers_and_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    tickers = ",".join(f"T{number:03d}" for number in range(100))
    config = parse({}, [f"universe.tickers={tickers}", "market.yahoo.requests_per_minute=60"])
    wide = opened(config, monkeypatch, "2026-11-23T12:00:00+00:00")
    assert len(wide.tasks([], cores=2)) == 2
    tasks = wide.tasks(["T000", "T050"], cores=64)
    assert len(tasks) == 4, "more would only wait"
    assert sorted(name for task in tasks for name in task.items) == list(wide.universe)
    assert max(len(task.items) for task in tasks) - min(len(task.items) for task in tasks) <= 2
    assert len(wide.tasks(wide.universe[:-1], cores=64)) == 1
    assert len(wide.tasks(wide.universe, cores=8)) == 8
    pace = Client(wide.config.yahoo, len(tasks), "")._session._pace
    assert pace._every_s == 4.0, "each of four tasks has a quarter of 60 requests a minute"


def test_the_default_run_is_the_core_six_of_yahoo() -> None:
    config = parse({})
    assert config.market.source == "yahoo"
    assert config.universe.tickers == ("AAPL", "MSFT", "GOOGL", "AMZN", "TSLA", "META")
    assert parse(config.model_dump(mode="json")) == config
    assert parse({}, ["universe.tickers=ibm"]).universe.tickers == ("IBM",)
    assert parse({}, ["universe.path=names.txt"]).universe.tickers == ()
    assert parse({}, ["market.source=synthetic"]).universe.tickers == ()


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'cloudlstm\[market\]'"):
        open_source(parse({}), ["AAPL"])
    monkeypatch.setitem(sys.modules, "yfinance", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'cloudlstm\[market\]'"):
        Client(CONFIG, 1, "")


def one(yahoo: Yahoo, *tickers: str, **settings: Any) -> YahooSource:
    words = [f"universe.tickers={','.join(tickers)}", f"market.start={START}", f"market.end={END}",
             "dataset.train_end=2023-03-01", "dataset.validation_end=2023-04-03"]  # fmt: skip
    market = parse({}, words).market
    market = market.model_copy(update={"yahoo": CONFIG.model_copy(update=settings)})
    return YahooSource(market, tuple(sorted(tickers)), END, yahoo.url)


@pytest.mark.parametrize("ticker", ["BRK/B", "A:B*C'D$E@F+G", "../X", "BRK B", "貴州茅臺", "^GSPC", "M&M.NS"])
def test_a_snapshot_of_any_ticker_is_found_again(ticker: str, tmp_path: Path) -> None:
    folder = f"file://{tmp_path}/snapshots/"
    made = snapshots.Snapshot(ticker, ticker, EMPTY, "", "2026-01-02", {}, snapshots.no_bars())
    snapshots.store(folder, made)
    assert list(snapshots.uris_by_ticker(folder)) == [ticker]
    found = snapshots.find(folder, ticker)
    assert found is not None
    assert found.ticker == ticker
    stored = snapshots.SnapshotSource("it", (str(found.snapshot),), 1)
    assert stored.tickers(stored.partitions()[0]) == [ticker]
    assert [path.parent.name for path in tmp_path.rglob("*.parquet")] == ["snapshots"]


def test_snapshots_are_written_once_verified_and_replaced_when_corrupt(yahoo: Yahoo, tmp_path: Path) -> None:
    folder = f"file://{tmp_path}/snapshots/"
    fetcher = one(yahoo, "BRK.B", "BRK", "AAA", "NOPE")
    (task,) = fetcher.tasks([], cores=1)
    first = {each.ticker: each for each in fetcher.fetch(task, 1, folder)}
    assert {name: each.status for name, each in first.items()} == {
        "AAA": FETCHED, "BRK": EMPTY, "BRK.B": FETCHED, "NOPE": EMPTY}  # fmt: skip
    asked = dict(yahoo.asked)
    again = {each.ticker: each for each in fetcher.fetch(task, 1, folder)}
    assert dict(yahoo.asked) == asked, "also what is empty is remembered"
    assert all(each.reused for each in again.values())
    assert {name: dataclasses.replace(each, reused=False) for name, each in again.items()} == first
    table = fetcher.fetched(list(first.values())).read(fetcher.fetched(list(first.values())).partitions()[0])
    assert table.schema.names == bars.BARS.names
    assert table.num_rows == 2 * made("AAA").num_rows

    apart = f"file://{tmp_path}/apart/"
    snapshots.store(apart, snapshots.read(str(first["BRK.B"].snapshot)))
    assert snapshots.find(apart, "BRK") is None
    assert snapshots.find(apart, "BRK.B") is not None

    spoiled = Path(str(first["AAA"].snapshot).removeprefix("file://"))
    data = bytearray(spoiled.read_bytes())
    data[len(data) // 2] ^= 1
    spoiled.write_bytes(data)
    with pytest.raises(CorruptObjectError, match="AAA"):
        snapshots.read(str(first["AAA"].snapshot))
    third = {each.ticker: each for each in fetcher.fetch(task, 1, folder)}
    assert yahoo.asked["AAA"] == asked["AAA"] + 1
    assert [name for name, each in third.items() if not each.reused] == ["AAA"]
    assert snapshots.read(str(third["AAA"].snapshot)).table.num_rows == made("AAA").num_rows
    assert sorted(snapshots.uris_by_ticker(folder)) == ["AAA", "BRK", "BRK.B", "NOPE"]
    assert len(list(storage.list_objects(folder))) == 4


def test_fresh_answers_of_another_run_are_not_requested_again(
    yahoo: Yahoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"file://{tmp_path}/other/data/ingest/"
    fetcher = one(yahoo, "AAA", "BRK.B", "NOPE")
    first = fetcher.fetch(fetcher.tasks([], cores=1)[0], 1, f"{place}0123/snapshots/")
    assert fetcher.adopt(f"file://{tmp_path}/same/", [f"file://{tmp_path}/none/", place]) == 3
    asked = dict(yahoo.asked)
    again = fetcher.fetch(fetcher.tasks([], cores=1)[0], 1, f"file://{tmp_path}/same/")
    assert dict(yahoo.asked) == asked
    assert [each.reused for each in again] == [True] * 3
    assert {Path(str(each.snapshot)).name for each in again} == {Path(str(each.snapshot)).name for each in first}
    assert one(yahoo, "AAA", "BRK").adopt(f"file://{tmp_path}/fewer/", [place]) == 1

    other_dates = dataclasses.replace(fetcher, through=END - dt.timedelta(days=1))
    assert other_dates.adopt(f"file://{tmp_path}/dates/", [place]) == 0
    another_server = dataclasses.replace(fetcher, base_url="http://host.invalid")
    assert another_server.adopt(f"file://{tmp_path}/server/", [place]) == 0
    spoiled = Path(str(first[0].snapshot).removeprefix("file://"))
    spoiled.write_bytes(spoiled.read_bytes()[:-1])
    assert fetcher.adopt(f"file://{tmp_path}/rest/", [place]) == 2
    monkeypatch.setattr(source, "_now", lambda: dt.datetime.now(dt.UTC) + dt.timedelta(days=1, seconds=1))
    assert fetcher.adopt(f"file://{tmp_path}/later/", [place]) == 0


def test_after_several_failures_in_a_row_no_more_requests_are_sent(yahoo: Yahoo, tmp_path: Path) -> None:
    names = [f"DOWN{number}" for number in range(8)]
    yahoo.faults.update({name: [Fault("status", None, 503)] for name in names})
    fetcher = one(yahoo, *names, attempts=1)
    outcomes = fetcher.fetch(fetcher.tasks([], cores=1)[0], 1, f"file://{tmp_path}/")
    assert [each.status for each in outcomes] == [FAILED] * 8
    assert sum(yahoo.asked[name] for name in names) == 5
    assert "not requested after 5 failures in a row, the last: HTTP 503" in outcomes[-1].cause


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch) -> str:
    """A URL of this machine at which no server listens; it replaces Yahoo."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv(YAHOO_URL, url)
    return url


def test_without_a_connection_one_ticker_is_tried(
    no_server: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    market = parse({}).market
    market = market.model_copy(update={"yahoo": CONFIG.model_copy(update={"timeout_s": 21})})  # a client of its own
    fetcher = YahooSource(market, ("AAA", "BBB", "CCC"), END, no_server)
    outcomes = fetcher.fetch(fetcher.tasks([], cores=1)[0], 1, f"file://{tmp_path}/")
    assert "Could not connect" in outcomes[0].cause
    assert "(3 attempts in" in outcomes[0].cause
    assert [each.cause.startswith("not requested after AAA failed: ") for each in outcomes] == [False, True, True]
    messages = [record.getMessage() for record in caplog.records if record.name == "yfinance"]
    assert len(messages) == len(set(messages)), "yfinance's message of each attempt is logged once"
    with pytest.raises(FetchError, match=r"3 of 3 tickers .*: AAA: .*; 2 were not requested after that") as caught:
        coverage.require_fetched(outcomes, "Yahoo Finance", "file:///coverage.json")
    assert "BBB" not in str(caught.value)


def test_a_connection_is_checked_before_anything_is_made(
    no_server: str, yahoo: Yahoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = parse({}, ["universe.tickers=AAA"])
    with pytest.raises(FetchError, match=r"Yahoo Finance cannot be reached: .*Could not connect"):
        look_at_source(config)
    look_at_source(config, services=False)
    monkeypatch.setenv("http_proxy", no_server)
    monkeypatch.setenv(YAHOO_URL, "http://host.invalid")
    with pytest.raises(FetchError, match=r"127\.0\.0\.1"):  # the proxy is asked, not the host
        look_at_source(config)
    monkeypatch.delenv("http_proxy")
    monkeypatch.setenv(YAHOO_URL, yahoo.url)
    look_at_source(config)  # any answer will do


def test_a_remark_about_many_tickers_is_one_line() -> None:
    made = [Outcome(name, name, FAILED, "no host", "2026") for name in ("A", "B", "C")]
    made += [Outcome("D", "D", EMPTY, "no data", "2026"), Outcome("E", "E", FETCHED, "", "2026")]
    made += [
        Outcome("F", "F", FETCHED, "answered for G", "2026"),
        Outcome("H", "H", EMPTY, "no data", "2026", reused=True),
    ]
    assert coverage.remarks(made) == ["A, B, C failed: no host", "no bars of D: no data", "F: answered for G"]


def test_the_emulated_yahoo_runs_on_its_own(tmp_path: Path) -> None:
    csv.write_csv(made("AAA").drop_columns("adj_close"), tmp_path / "bars.csv")
    script = Path(__file__).resolve().parents[3] / "localstack" / "yahoo.py"
    words = [sys.executable, str(script), f"--bars={tmp_path}/bars.csv", "--port=0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            line = server.stdout.readline()
            assert line.startswith("1 symbols at http://127.0.0.1:")
            reply = Client(CONFIG, 1, line.split()[-1]).fetch("AAA", "AAA", START, END)
        finally:
            server.terminate()
    assert reply.table.column("close").to_pylist() == made("AAA").column("close").to_pylist()
    assert reply.table.column("adj_close").to_pylist() == made("AAA").column("close").to_pylist()


def test_coverage_adds_up() -> None:
    outcomes = [Outcome("A", "A", FETCHED, "", "2026-01-02", rows=5, snapshot="x/A", reused=True)]
    outcomes += [Outcome(f"E{n}", f"E{n}", EMPTY, "gone", "2026-01-01") for n in range(30)]
    outcomes += [Outcome("F", "F", FAILED, "HTTP 500", "2026-01-03")]
    summary = coverage.summary(outcomes)
    assert (summary["asked"], summary["fetched"], summary["empty"], summary["failed"]) == (32, 1, 30, 1)
    assert (summary["reused"], summary["as_of"]) == (1, "2026-01-01")
    assert summary["unfetched"][0] == {"ticker": "F", "status": "failed", "cause": "HTTP 500"}
    assert len(summary["unfetched"]) == 20
    assert coverage.document(outcomes, "x/")["tickers"][0]["snapshot"] == "A"
