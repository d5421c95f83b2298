"""Daily updates of a store give the bars, and the shards of a run, that the final files give at once."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from cloudlstm.config import RunConfig, parse
from cloudlstm.market import bars
from cloudlstm.market.store.changes import Changes
from cloudlstm.market.store.update import update
from cloudlstm.market.store.version import Store
from cloudlstm.pipeline import prepare
from cloudlstm.pipeline.local_engine import LocalEngine
from cloudlstm.runs.context import RunContext
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.paths import RunPaths
from daily_bars import DAYS, END, START, Vendor, config_of

FIRST = 100
"""The number of the session of the first update."""


STEPS = ("ingest", "clean", "features", "sequences")


def shards_of(folder: Path, config: RunConfig) -> dict[str, list[str]]:
    """The digests of all objects of the data steps."""
    paths = RunPaths(f"file://{folder}")
    dates = {"window_bars": 5, "train_end": dt.date(2023, 5, 1), "validation_end": dt.date(2023, 6, 15)}
    config = config.model_copy(update={"dataset": config.dataset.model_copy(update=dates)})
    context = RunContext(paths, config, 0, Journal(paths, "prepare", "driver"))
    with LocalEngine(1) as engine:
        prepare.run_on(engine, context)
    manifests = {step: context.load_manifest(step) for step in STEPS}
    return {step: [row.sha256 for row in manifest.objects] for step, manifest in manifests.items() if manifest}


def stored_config(uri: str, end: dt.date) -> RunConfig:
    return parse(
        {
            "market": {"source": "stored", "path": uri, "start": START, "end": end, "tickers_per_shard": 4},
            "dataset": {"train_end": dt.date(2023, 4, 1), "validation_end": dt.date(2023, 5, 1)},
        }
    )


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Store, dict[int, Changes]]:
    """A file of bars after 60 updates, the store, and the changes by day."""
    folder = tmp_path_factory.mktemp("daily")
    path = folder / "bars.csv"
    vendor = Vendor.synthetic()
    split, corrected, delisted, new = "SYN000002", "SYN000003", "SYN000004", "SYN000005"
    vendor.last[delisted] = DAYS[FIRST + 30]
    vendor.first_shown[new] = DAYS[FIRST + 35]
    config = config_of(path)
    store = Store.of(str(folder), config)
    changes = {}
    for number in range(63):
        day = DAYS[FIRST + number]
        if number == 20:
            vendor.split(split, day, 4.0)
        if number == 25:
            vendor.correct(corrected, DAYS[FIRST + 22], 1.5)
        if number not in (40, 41, 55):
            vendor.publish(day, path)
            changes[number] = update(store, config, day)
    return path, store, changes


def test_60_updates_equal_one_run_on_the_final_file(
    lived: tuple[Path, Store, dict[int, Changes]], tmp_path: Path
) -> None:
    path, store, changes = lived
    assert len(changes) == 60
    version = store.newest()
    assert version is not None
    assert len(version.manifest.pieces) - version.manifest.base < 42, "it was compacted"
    full = shards_of(tmp_path / "full", config_of(path))
    assert set(full) == set(STEPS)
    assert len(full["ingest"]) == 2
    assert len(full["sequences"]) > 4
    assert shards_of(tmp_path / "stored", stored_config(version.uri, END)) == full


def test_every_event_is_listed_on_its_day(lived: tuple[Path, Store, dict[int, Changes]]) -> None:
    _, _, changes = lived
    assert [each.ticker for each in changes[20].restated] == ["SYN000002"]
    assert changes[20].restated[0].price_factor == pytest.approx(0.25)
    assert changes[25].corrected == ("SYN000003",)
    assert {(each.date, each.column) for each in changes[25].corrections} == {(DAYS[FIRST + 22].isoformat(), "close")}
    (old, new) = (float(getattr(changes[25].corrections[0], name) or 0) for name in ("old", "new"))
    assert new == pytest.approx(1.5 * old)
    assert changes[35].new == ("SYN000005",)
    assert changes[42].sessions == 3
    gone = [number for number, each in changes.items() if each.gone]
    before = dict(zip(list(changes)[1:], changes, strict=False))
    assert gone == [number for number in before if before[number] - 10 > 30], "no bar in the overlap"
    quiet = [each for number, each in changes.items() if number not in (0, 20, 25, 35)]
    assert not any(each.restated or each.corrected or each.new or each.quarantined or each.failed for each in quiet)
    assert [number for number, each in changes.items() if each.compacted] == [45]


def test_an_ordinary_update_compares_only_the_overlap(lived: tuple[Path, Store, dict[int, Changes]]) -> None:
    _, _, changes = lived
    assert changes[10].rows_written <= 9, "one bar a ticker, and perhaps a duplicate"
    assert 0 < changes[10].rows_compared < 8 * 13


def test_an_old_day_stays_as_it_was_known(lived: tuple[Path, Store, dict[int, Changes]], tmp_path: Path) -> None:
    _, store, _ = lived
    vendor = Vendor.synthetic()
    del vendor.tables["SYN000005"]
    path = tmp_path / "bars.csv"
    day = DAYS[FIRST + 10]
    vendor.publish(day, path)
    version = store.newest(day)
    assert version is not None
    assert version.as_of == day
    fresh = Store.of(str(tmp_path), config_of(path))
    update(fresh, config_of(path), day)
    known = fresh.newest()
    assert known is not None
    assert bars.to_parquet(known.bars()) == bars.to_parquet(version.bars())
    between = store.newest(DAYS[FIRST + 41])
    assert between is not None
    assert between.as_of == DAYS[FIRST + 39]
