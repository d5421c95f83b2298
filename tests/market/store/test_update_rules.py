"""What an update refuses, and what a repeated one does."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pytest

from cloudlstm import storage
from cloudlstm.config import RunConfig, parse
from cloudlstm.errors import ConfigError, CorruptObjectError, DataError, UnknownTickerError, UsageError
from cloudlstm.market import bars
from cloudlstm.market.sources.base import look_at_source, open_source
from cloudlstm.market.sources.stored import StoredSource
from cloudlstm.market.store.changes import Changes
from cloudlstm.market.store.update import update
from cloudlstm.market.store.version import Store, Version
from daily_bars import DAYS, END, START, Vendor, config_of

FIRST = 60


class Daily:
    """A file of bars and its store."""

    def __init__(self, folder: Path, **market: object) -> None:
        self.vendor = Vendor.synthetic()
        self.path = folder / "bars.csv"
        self.config = config_of(self.path, **market)
        self.store = Store.of(str(folder), self.config)

    def run(self, number: int) -> Changes:
        """Publishes the file of a day and updates the store."""
        self.vendor.publish(DAYS[number], self.path)
        return update(self.store, self.config, DAYS[number])

    def newest(self) -> Version:
        """The newest version."""
        found = self.store.newest()
        assert found is not None
        return found


@pytest.fixture
def daily(tmp_path: Path) -> Daily:
    made = Daily(tmp_path)
    made.run(FIRST)
    return made


def test_a_repeated_update_reads_no_source_and_returns_the_same(daily: Daily) -> None:
    first, second = daily.store.version(DAYS[FIRST]).changes, daily.run(FIRST + 1)
    daily.path.unlink()
    assert update(daily.store, daily.config, DAYS[FIRST + 1]) == second
    assert update(daily.store, daily.config, DAYS[FIRST]) == first
    assert json.loads(json.dumps(asdict(second)))["as_of"] == DAYS[FIRST + 1].isoformat()


def test_an_update_cannot_go_back(daily: Daily) -> None:
    daily.run(FIRST + 5)
    with pytest.raises(UsageError, match="cannot go back") as caught:
        update(daily.store, daily.config, DAYS[FIRST + 3])
    assert str(DAYS[FIRST + 5]) in caught.value.hint


def test_a_day_before_the_start_is_refused(tmp_path: Path) -> None:
    daily = Daily(tmp_path, start=DAYS[5])
    with pytest.raises(UsageError, match=r"before market\.start"):
        update(daily.store, daily.config, DAYS[4])


def test_a_changed_piece_is_corrupt(daily: Daily) -> None:
    (first, *_) = daily.newest().manifest.pieces
    uri = f"{daily.store.folder}/pieces/{first.name}.parquet"
    data = bytearray(storage.read(uri))
    data[len(data) // 2] ^= 1
    storage.write(uri, bytes(data))
    with pytest.raises(CorruptObjectError, match="checksum") as caught:
        daily.newest().bars()
    assert caught.value.uri == uri


def test_a_damaged_tail_is_made_anew(daily: Daily) -> None:
    tail = bars.to_parquet(daily.newest().tail(5))
    (uri,) = [item.uri for item in storage.list_objects(f"{daily.store.folder}/tails/")]
    data = storage.read(uri)
    storage.write(uri, data[:-9] + b"\0" + data[-8:])
    assert bars.to_parquet(daily.newest().tail(5)) == tail
    assert storage.read(uri) == data


def test_bars_that_contradict_the_stored_ones_are_kept_out_and_listed(daily: Daily) -> None:
    for number in range(FIRST - 8, FIRST + 1):
        daily.vendor.correct("SYN000001", DAYS[number], 1.0 + number / 1000)
    before = daily.newest().bars(["SYN000001"])
    changes = daily.run(FIRST + 1)
    (refused,) = changes.quarantined
    assert refused.ticker == "SYN000001"
    assert "dates of the overlap differ" in refused.reason
    assert daily.newest().bars(["SYN000001"]).equals(before)
    assert daily.newest().manifest.behind == {"SYN000001": DAYS[FIRST].isoformat()}
    daily.vendor.publish(DAYS[FIRST + 2], daily.path)
    changes = update(daily.store, daily.config, DAYS[FIRST + 2], accept=["SYN000001"])
    assert [each.ticker for each in changes.restated] == ["SYN000001"]
    assert daily.newest().manifest.behind == {}


def test_a_withdrawn_bar_is_a_correction(daily: Daily) -> None:
    daily.vendor.last["SYN000001"] = DAYS[FIRST - 2]
    changes = daily.run(FIRST + 1)
    assert changes.corrected == ("SYN000001",)
    dates = {each.date for each in changes.corrections}
    assert dates == {DAYS[FIRST - 1].isoformat(), DAYS[FIRST].isoformat()}
    assert all(each.new is None for each in changes.corrections)
    assert daily.newest().bars(["SYN000001"]).column("date").to_pylist()[-1] == DAYS[FIRST - 2]


def test_a_ticker_that_leaves_the_universe_is_brought_up_to_date_when_it_is_back(daily: Daily) -> None:
    whole = daily.config
    some = [f"SYN00000{number}" for number in range(1, 8)]
    daily.config = whole.model_copy(update={"universe": whole.universe.model_copy(update={"tickers": tuple(some)})})
    for number in range(FIRST + 1, FIRST + 20):
        daily.run(number)
    assert daily.newest().manifest.behind == {"SYN000008": DAYS[FIRST].isoformat()}
    daily.config = whole
    changes = daily.run(FIRST + 20)
    assert not changes.corrected
    assert not changes.quarantined
    assert daily.newest().bars().num_rows == daily.vendor.bars(DAYS[FIRST + 20]).num_rows


def test_an_unknown_ticker_of_the_universe_is_refused(daily: Daily) -> None:
    names = ("SYN000001", "NOSUCH")
    daily.config = daily.config.model_copy(
        update={"universe": daily.config.universe.model_copy(update={"tickers": names})}
    )
    with pytest.raises(UnknownTickerError, match="NOSUCH"):
        daily.run(FIRST + 1)


def test_the_name_of_a_store_depends_on_the_bars_only(tmp_path: Path) -> None:
    def name(**market: object) -> str:
        return Store.of(str(tmp_path), config_of("bars.csv", **market)).folder

    assert name(end=DAYS[200], tickers_per_shard=9, yahoo={"attempts": 2}) == name()
    others = [name(columns={"close": "last"}), name(calendar="XNAS"), name(start=DAYS[1])]
    assert len({name(), *others}) == 4


def stored(uri: str, **market: object) -> RunConfig:
    settings = {"source": "stored", "path": uri, "start": START, "end": END, "tickers_per_shard": 3}
    dates = {"train_end": DAYS[20], "validation_end": DAYS[30]}
    return parse({"market": settings | market, "dataset": dates})


def test_the_source_stored_delivers_the_version_within_dates_and_universe(daily: Daily) -> None:
    for number in range(FIRST + 1, FIRST + 4):
        daily.run(number)
    version = daily.newest()
    source = open_source(stored(version.uri, start=DAYS[10], end=DAYS[40]), ("SYN000002", "SYN000007"))
    assert isinstance(source, StoredSource)
    (partition,) = source.partitions()
    table = source.read(partition)
    rows = version.bars(["SYN000002", "SYN000007"]).to_pylist()
    assert table.to_pylist() == [row for row in rows if DAYS[10] <= row["date"] <= DAYS[40]]
    assert source.last_date() is None
    whole = open_source(stored(version.uri), None)
    assert isinstance(whole, StoredSource)
    assert [len(each.items) for each in whole.partitions()] == [3, 3, 2]
    assert whole.last_date() == DAYS[FIRST + 3]
    assert whole.identity()["pieces"] == [info.name for info in version.manifest.pieces]
    with pytest.raises(UnknownTickerError, match="NOSUCH"):
        open_source(stored(version.uri), ("NOSUCH",))


def test_a_stored_run_is_named_after_the_store_and_the_day(daily: Daily) -> None:
    version = daily.newest()
    config = stored(version.uri)
    assert config.name == f"{daily.store.folder.rsplit('/', 1)[1]}-{version.as_of}"
    with pytest.raises(UsageError, match="is a version of a store"):
        Store.of("root", config)
    with pytest.raises(ConfigError, match="path must be set when source is 'stored'"):
        stored("")


def test_the_source_behind_a_store_is_known(daily: Daily) -> None:
    assert stored("runs/bars/synthetic-0a1b2c3d/universe/2023-04-03.json").market.origin == "synthetic"
    assert stored(daily.newest().uri).market.origin == "files"
    assert daily.config.market.origin == "files"


def test_a_look_at_a_version_finds_unknown_tickers_and_its_dates(daily: Daily) -> None:
    config = stored(daily.newest().uri)

    def with_tickers(*names: str, may_lack: float = 0.0) -> RunConfig:
        universe = config.universe.model_copy(update={"tickers": names})
        clean = config.clean.model_copy(update={"max_missing_fraction": may_lack})
        return config.model_copy(update={"universe": universe, "clean": clean})

    found = look_at_source(with_tickers("SYN000001"))
    assert (found.first, found.last) == (DAYS[0], DAYS[FIRST])
    with pytest.raises(UnknownTickerError, match="NOSUCH"):
        look_at_source(with_tickers("SYN000001", "NOSUCH"))
    look_at_source(with_tickers("SYN000001", "NOSUCH", may_lack=0.5))
    source = open_source(config, ("NOSUCH", "SYN000001"))
    assert isinstance(source, StoredSource)
    assert source.universe == ("SYN000001",), "the quality gate counts the other one"


def test_a_file_with_other_tickers_leaves_the_stored_ones(daily: Daily) -> None:
    before = daily.newest().bars()
    names = list(daily.vendor.tables)
    daily.vendor.first_shown = dict.fromkeys(names[1:], DAYS[-1])
    table = daily.vendor.tables.pop(names[0])
    daily.vendor.tables["NEW"] = table.set_column(0, "ticker", pa.array(["NEW"] * table.num_rows))
    changes = daily.run(FIRST + 1)
    assert (changes.new, changes.gone) == (("NEW",), tuple(names))
    assert daily.newest().bars(names).equals(before)
    assert daily.newest().tickers() == ("NEW", *names)


def test_bars_that_come_late_are_appended(daily: Daily) -> None:
    """A vendor that was silent for more than half of the overlap contradicts nothing."""
    daily.run(FIRST + 1)
    daily.vendor.last = dict.fromkeys(daily.vendor.tables, DAYS[FIRST + 1])
    for number in range(FIRST + 2, FIRST + 9):
        daily.run(number)
    daily.vendor.last = {}
    changes = daily.run(FIRST + 9)
    assert (changes.quarantined, changes.corrected, changes.restated) == ((), (), ())
    fresh = Daily(daily.path.parent / "fresh")
    fresh.path.parent.mkdir()
    fresh.run(FIRST + 9)
    assert daily.newest().bars().equals(fresh.newest().bars())


def test_a_day_without_bars_is_not_stored_if_bars_are_needed(daily: Daily) -> None:
    with pytest.raises(DataError, match="has no bar of"):
        update(daily.store, daily.config, DAYS[FIRST + 1], need_bars=True)
    assert daily.store.days() == [DAYS[FIRST]]
    daily.vendor.publish(DAYS[FIRST + 1], daily.path)
    assert update(daily.store, daily.config, DAYS[FIRST + 1], need_bars=True).sessions == 1


def test_each_universe_has_its_own_store(daily: Daily, tmp_path: Path) -> None:
    document = daily.config.model_dump(mode="json")
    stores = [
        Store.of(str(tmp_path), parse(document | {"universe": {"tickers": tickers}})).folder
        for tickers in (["SYN000001", "SYN000002"], ["SYN000002", "SYN000001"], ["SYN000003"], [])
    ]
    assert stores[0] == stores[1]
    assert len(set(stores)) == 3
