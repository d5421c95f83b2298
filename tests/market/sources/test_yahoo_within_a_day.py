"""Yahoo's bars within a day, against the server that stands in for it and refuses what Yahoo refuses."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from localstack.yahoo import Listing, Yahoo
from localstack.yahoo_chart import Bar, chart_reply

from cloudlstm import storage
from cloudlstm.config import RunConfig, parse
from cloudlstm.errors import DataError
from cloudlstm.market import columns
from cloudlstm.market.grid import Grid
from cloudlstm.market.sources.base import Partition, open_source
from cloudlstm.market.sources.coverage import FETCHED
from cloudlstm.market.sources.yahoo.source import YahooSource
from cloudlstm.runs.environment import YAHOO_URL

TODAY = dt.datetime.now(dt.UTC).date()  # the server, as Yahoo, counts from the day of the request


def config(interval: str = "1m", back: int = 20) -> RunConfig:
    days = [TODAY - dt.timedelta(days=each) for each in (back, back - 6, back - 12)]
    dates = [f"market.start={days[0]}", f"dataset.train_end={days[1]}", f"dataset.validation_end={days[2]}"]
    quick = ["market.yahoo.requests_per_minute=60000", "market.yahoo.attempts=1", "universe.tickers=AAA,BBB"]
    return parse({}, [f"market.interval={interval}", f"market.end={TODAY + dt.timedelta(days=9)}", *dates, *quick])


def bar(minute: int, close: float, second: int = 0) -> Bar:
    return Bar(minute * 60 + second, (close, close * 1.01, close * 0.99, close), close, 100)


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> YahooSource:
    monkeypatch.setenv(YAHOO_URL, "http://127.0.0.1:9")
    found = open_source(config(), ("AAA", "BBB"))
    assert isinstance(found, YahooSource)
    return found


def test_minutes_of_several_requests_are_one_series(
    monkeypatch: pytest.MonkeyPatch, source: YahooSource, tmp_path: Path
) -> None:
    grid = Grid.of(source.config, end=source.through)
    early = grid.hours.opens[0] - 1  # before the open
    closes = 50.0 + np.arange(len(grid.starts)) / 1000
    minutes = [bar(int(early), 49.0), *map(bar, grid.starts.tolist(), closes.tolist())]
    odd = bar(int(grid.starts[10]), 77.0, second=37)
    listing = Listing(intervals={"1m": sorted([*minutes, odd], key=lambda each: each.time)})
    with Yahoo({"AAA": listing}) as server:
        monkeypatch.setenv(YAHOO_URL, server.url)
        own = open_source(config(), ("AAA", "BBB"))
        assert isinstance(own, YahooSource)
        folder = storage.absolute(str(tmp_path)) + "/snapshots/"
        outcomes = own.fetch(Partition(0, ("AAA", "BBB")), 1, folder)
    assert [each.status for each in outcomes] == [FETCHED, "empty"], outcomes
    assert server.asked["AAA"] >= 4, "twenty days are several requests"
    stored = own.fetched(outcomes)
    table = stored.read(stored.partitions()[0])
    dates = columns.days(table.column("date"))
    read = dates != columns.NO_DATE
    assert dates[read].tolist() == grid.starts.tolist(), "each minute once, and none before the open"
    assert np.allclose(table.column("close").to_numpy()[read], closes)
    assert table.column("close").to_numpy()[~read].tolist() == [77.0], "a trade at no whole minute is left to cleaning"
    assert stored.last_date() == grid.interval.date(int(grid.starts[-1]))


@pytest.mark.parametrize(("interval", "days"), [("1m", 28), ("5m", 58), ("1h", 728)])
def test_a_range_that_yahoo_does_not_have_is_told_before_it_is_requested(
    monkeypatch: pytest.MonkeyPatch, interval: str, days: int
) -> None:
    monkeypatch.setenv(YAHOO_URL, "http://127.0.0.1:9")
    open_source(config(interval, back=min(days, 60)), ("AAA",))
    with pytest.raises(DataError, match=f"bars of {interval} for the last {days} days only") as caught:
        open_source(config(interval, back=days + 1), ("AAA",))
    assert f"market.start={TODAY - dt.timedelta(days=days)}" in caught.value.hint


def test_the_identity_tells_the_interval(source: YahooSource) -> None:
    assert source.identity()["interval"] == "1m"


def test_the_stand_in_refuses_what_yahoo_refuses() -> None:
    now = int(dt.datetime.now(dt.UTC).timestamp())
    listing = Listing(intervals={"1m": [bar(now // 60 - 5, 10.0)]})
    day = 86_400
    for first, last, status in [
        (now - 9 * day, now, 422),
        (now - 40 * day, now - 35 * day, 422),
        (now - day, now, 200),
    ]:
        query = {"interval": "1m", "period1": str(first), "period2": str(last)}
        assert chart_reply(listing, "AAA", query)[0] == status
    assert pa.types.is_timestamp(columns.MOMENT)
