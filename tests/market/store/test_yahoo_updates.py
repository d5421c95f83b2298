"""Daily updates from Yahoo Finance: splits, dividends, failures and bars that contradict the stored ones."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from localstack.yahoo import Bar, Fault, Listing, Yahoo, listings, opening

from bar_factory import bars_of, walk
from cloudlstm import storage
from cloudlstm.config import RunConfig, parse
from cloudlstm.errors import FetchError, StorageUnavailableError, UsageError
from cloudlstm.market import bars, calendar
from cloudlstm.market.calendar import sessions, to_date
from cloudlstm.market.sources.base import RemoteSource, open_source
from cloudlstm.market.sources.yahoo import source
from cloudlstm.market.store import manifest
from cloudlstm.market.store.changes import Changes
from cloudlstm.market.store.update import update
from cloudlstm.market.store.version import Store
from cloudlstm.runs.environment import YAHOO_URL

START = dt.date(2023, 1, 3)
SESSIONS = sessions("XNYS", START, dt.date(2023, 4, 28))
DAYS = [to_date(day) for day in SESSIONS.tolist()]
FIRST = 40
TICKERS = ("T001", "T002", "T003", "T004")


def config_of(*tickers: str) -> RunConfig:
    yahoo = {"requests_per_minute": 60_000, "backoff_s": 0.01, "timeout_s": 5.0, "attempts": 1}
    return parse(
        {
            "universe": {"tickers": tickers},
            "market": {"start": START, "end": DAYS[-1], "tickers_per_shard": 2, "yahoo": yahoo},
            "dataset": {"train_end": DAYS[10], "validation_end": DAYS[20]},
        }
    )


class Service:
    """Yahoo's listings, of which each day shows more bars."""

    def __init__(self, server: Yahoo) -> None:
        rows = (row for name in (*TICKERS, "T005") for row in _bars(name))
        self.server = server
        self.whole: dict[str, Listing] = listings(rows)

    def show(self, day: dt.date) -> None:
        """Answers with the bars up to a day from now on."""
        end = opening(day)
        for name, listing in self.whole.items():
            shown = [bar for bar in listing.bars if bar.time <= end]
            self.server.symbols[name] = Listing(shown, None, listing.dividends, listing.splits)

    def rescale(self, ticker: str, before: dt.date, price: float, adjusted: float) -> None:
        """Multiplies the prices of all bars before a day, and divides their volumes."""
        listing = self.whole[ticker]
        listing.bars = [
            bar
            if bar.time >= opening(before)
            else Bar(
                bar.time,
                tuple(None if value is None else value * price for value in bar.values),
                (bar.adj_close or 0.0) * adjusted,
                int((bar.volume or 0) / price),
            )
            for bar in listing.bars
        ]


def _bars(ticker: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = bars_of(ticker, SESSIONS, walk(len(SESSIONS), seed=int(ticker[1:]))).to_pylist()
    return found


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    closed = calendar.last_closed_session("XNYS", dt.datetime.now(dt.UTC) - dt.timedelta(minutes=30))
    monkeypatch.setattr(source, "last_closed_session", lambda *_: closed)  # it takes 0.2 seconds each time
    with Yahoo({}) as server:
        monkeypatch.setenv(YAHOO_URL, server.url)
        yield Service(server)


def test_splits_dividends_failures_and_new_tickers_end_in_the_bars_of_one_fetch(
    service: Service, tmp_path: Path
) -> None:
    config, changes = config_of(*TICKERS), {}
    store = Store.of(str(tmp_path), config)
    for number in range(16):
        day = DAYS[FIRST + number]
        if number == 4:
            service.whole["T001"].splits = {opening(day): (4.0, 1.0)}
            service.rescale("T001", day, 0.25, 0.25)
        if number == 6:
            service.whole["T002"].dividends = {opening(day): 0.5}
            service.rescale("T002", day, 1.0, 0.99)
        if number == 8:
            config = config_of(*TICKERS, "T005")
        service.server.faults = {"T004": [Fault("status", None, 503)]} if number in (9, 10) else {}
        if number in (11, 14):  # a rescaling without a reason, and its end
            service.rescale("T003", DAYS[FIRST + 11], 0.5 if number == 11 else 2.0, 0.5 if number == 11 else 2.0)
        service.show(day)
        service.server.asked.clear()
        changes[number] = update(store, config, day)
        assert sum(service.server.asked.values()) == changes[number].requests
    _check_lists(changes)
    version = store.newest()
    assert version is not None
    assert version.manifest.behind == {}
    market = config.market.model_copy(update={"end": version.as_of})
    service_now = open_source(config.model_copy(update={"market": market}), config.universe.tickers)
    assert isinstance(service_now, RemoteSource)
    (task,) = service_now.tasks([], 1)
    whole = service_now.fetched(service_now.fetch(task, 1, f"file://{tmp_path}/whole/"))
    for partition in whole.partitions():
        expected = bars.sort(whole.read(partition))
        assert bars.to_parquet(version.bars(whole.tickers(partition))) == bars.to_parquet(expected)
    assert not list(storage.list_objects(f"{store.folder}/fetched/")), "answers are kept until the update is stored"


def _check_lists(changes: dict[int, Changes]) -> None:
    restated = {number: each.restated[0] for number, each in changes.items() if each.restated}
    assert {number: each.ticker for number, each in restated.items()} == {4: "T001", 6: "T002"}
    assert restated[4].cause == "a split of 4 is reported"
    assert restated[6].cause == "a dividend is reported"
    assert restated[6].adjusted_factor == pytest.approx(0.99)
    assert {number: each.new for number, each in changes.items() if each.new} == {0: TICKERS, 8: ("T005",)}
    failed = {number: each.failed[0] for number, each in changes.items() if each.failed}
    assert {number: each.ticker for number, each in failed.items()} == {9: "T004", 10: "T004"}
    assert "503" in failed[9].reason
    refused = {number: each.quarantined[0] for number, each in changes.items() if each.quarantined}
    assert {number: each.ticker for number, each in refused.items()} == {11: "T003", 12: "T003", 13: "T003"}
    assert "by the factor 0.5, and the source reports no split" in refused[11].reason
    assert not any(each.corrected or each.gone for each in changes.values())
    assert changes[4].requests == 4 + 1


def test_a_quarantine_keeps_the_stored_bars_until_the_new_ones_are_accepted(service: Service, tmp_path: Path) -> None:
    config = config_of(*TICKERS)
    store = Store.of(str(tmp_path), config)
    service.show(DAYS[FIRST])
    update(store, config, DAYS[FIRST])
    service.rescale("T003", DAYS[-1], 0.5, 0.5)
    service.show(DAYS[FIRST + 1])
    update(store, config, DAYS[FIRST + 1])
    before, after = store.version(DAYS[FIRST]), store.version(DAYS[FIRST + 1])
    assert bars.to_parquet(after.bars(["T003"])) == bars.to_parquet(before.bars(["T003"]))
    assert after.bars(["T001"]).num_rows == before.bars(["T001"]).num_rows + 1
    service.show(DAYS[FIRST + 2])
    changes = update(store, config, DAYS[FIRST + 2], accept=["T003"])
    assert [each.ticker for each in changes.restated] == ["T003"]
    newest = store.newest()
    assert newest is not None
    close = newest.bars(["T003"]).column("close").to_numpy()
    assert close == pytest.approx([bar.values[3] for bar in service.whole["T003"].bars[: FIRST + 3]])


def test_an_update_without_any_answer_stores_nothing(service: Service, tmp_path: Path) -> None:
    config = config_of(*TICKERS)
    store = Store.of(str(tmp_path), config)
    service.show(DAYS[FIRST])
    update(store, config, DAYS[FIRST])
    service.server.faults = {name: [Fault("status", None, 503)] for name in TICKERS}
    with pytest.raises(FetchError, match="none of 4 tickers could be fetched from Yahoo Finance: T001: HTTP 503"):
        update(store, config, DAYS[FIRST + 1])
    assert store.days() == [DAYS[FIRST]]


def test_a_session_that_is_still_open_is_refused(service: Service, tmp_path: Path) -> None:
    config = config_of(*TICKERS)
    service.show(DAYS[-1])
    with pytest.raises(UsageError, match="has not closed yet"):
        update(Store.of(str(tmp_path), config), config, dt.datetime.now(dt.UTC).date() + dt.timedelta(days=20))


def test_a_repeated_update_asks_only_for_what_is_missing(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(*TICKERS)
    store = Store.of(str(tmp_path), config)
    service.show(DAYS[FIRST])

    def fails(*_: object) -> None:
        raise StorageUnavailableError("the manifest cannot be written")

    with monkeypatch.context() as patch:
        patch.setattr(manifest, "save", fails)
        with pytest.raises(StorageUnavailableError):
            update(store, config, DAYS[FIRST])
    service.server.asked.clear()
    changes = update(store, config, DAYS[FIRST])
    assert not service.server.asked
    assert changes.requests == len(TICKERS)
    assert changes.new == TICKERS


def test_a_split_of_another_ratio_explains_nothing(service: Service, tmp_path: Path) -> None:
    config = config_of(*TICKERS)
    store = Store.of(str(tmp_path), config)
    service.show(DAYS[FIRST])
    update(store, config, DAYS[FIRST])
    service.whole["T001"].splits = {opening(DAYS[FIRST + 1]): (3.0, 1.0)}
    service.rescale("T001", DAYS[FIRST + 1], 0.25, 0.25)
    service.show(DAYS[FIRST + 1])
    changes = update(store, config, DAYS[FIRST + 1])
    assert [each.ticker for each in changes.quarantined] == ["T001"]
    assert not changes.restated
