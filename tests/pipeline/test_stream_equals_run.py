"""A stream of a run's bars gives the run's features, bit for bit, and its forecasts and those of `predict` to 1e-6."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from localstack.kafka.broker import mock
from numpy.typing import NDArray

from cloudlstm import storage
from cloudlstm.cli import main
from cloudlstm.errors import UsageError
from cloudlstm.market.bars import from_parquet, to_parquet
from cloudlstm.models.creating import add_run, create
from cloudlstm.models.documents import Policy
from cloudlstm.models.paths import ModelPaths
from cloudlstm.runs.manifest import Manifest, ManifestRow, read_object
from cloudlstm.runs.paths import RunPaths
from cloudlstm.stream import local
from cloudlstm.stream.bars import BARS
from cloudlstm.stream.batch import BatchWork
from cloudlstm.stream.journal import Journal
from cloudlstm.stream.kafka_client import Topic
from cloudlstm.stream.paths import StreamPaths
from cloudlstm.stream.publish import FolderPublisher, TopicPublisher, by_minute
from cloudlstm.stream.serve import open_models, settings_for
from cloudlstm.stream.sinks.parquet import ParquetSink
from cloudlstm.stream.sources.files import FilesSource
from pipeline.cli_runner import cloudlstm, one_run, submit

CONFIG = """
name = "minutes"
[market]
source = "synthetic"
interval = "5m"
start = 2024-11-04
end = 2024-12-06
tickers_per_shard = 2
[market.synthetic]
tickers = 3
missing_days = 0.08
bad_ticks = 0.0
late_listings = 0.0
splits = 0.0
signal_r2 = 0.1
[clean]
max_filled_fraction = 0.3
[dataset]
train_end = 2024-11-20
validation_end = 2024-11-27
window_bars = 10
[model]
units = 4
[train]
epochs = 3
learning_rate = 0.05
warmup_steps = 0
[evaluation]
ic_min_tickers = 3
[prepare]
engine = "local"
"""
"""Gaps of one bar are common, gaps that end a segment occur, and the test split has the half day after Thanksgiving."""

WITHIN = 1e-6
"""In log-return; the forecasts themselves are a hundred times larger."""
Key = tuple[str, int]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("minutes")
    (folder / "minutes.toml").write_text(CONFIG)
    done = submit(folder / "minutes.toml", f"file://{folder}/runs")
    assert done.returncode == 0, done.stderr
    return f"file://{folder}/runs"


@pytest.fixture(scope="module")
def run(root: str) -> RunPaths:
    return RunPaths(one_run(root))


@pytest.fixture(scope="module")
def bars(run: RunPaths) -> pa.Table:
    """The bars of the run as its source gave them."""
    return pa.concat_tables(tables_of(run, "ingest", "bars"))


@pytest.fixture(scope="module")
def streamed(root: str, run: RunPaths, bars: pa.Table) -> StreamPaths:
    """A stream of these bars from landed files, each a batch; most files end in the middle of a minute."""
    landed = f"{root}-landed"
    publisher = FolderPublisher(landed)
    ordered = arriving(bars).sort_by([("minute", "ascending"), ("ticker", "ascending")])
    for begin in range(0, ordered.num_rows, 97):
        publisher.send(ordered.slice(begin, 97))
    stream(root, "live", landed, run, "--with-features", "--batch-bars=1")
    return StreamPaths.of(root, "live")


def stream(root: str, name: str, source: str, run: RunPaths, *words: str) -> None:
    assert main(["stream", name, f"--source={source}", f"--run={run.uri}", f"--root={root}", "--available-now",
                 *words]) == 0  # fmt: skip


def objects_of(run: RunPaths, step: str, kind: str) -> list[ManifestRow]:
    manifest = Manifest.load(run, step)
    assert manifest is not None
    return list(manifest.of_kind(kind))


def tables_of(run: RunPaths, step: str, kind: str) -> list[pa.Table]:
    return [from_parquet(read_object(row), uri=row.uri) for row in objects_of(run, step, kind)]


def arriving(bars: pa.Table) -> pa.Table:
    """BARS of a run as those of a stream; a row without a price or a time is no message."""
    bars = bars.filter(pc.and_(pc.is_valid(bars["date"]), pc.is_valid(bars["close"])))
    return pa.table(
        {
            "ticker": bars["ticker"].cast(pa.string()),
            "minute": pc.divide(bars["date"].cast(pa.int64()), 1000),
            **{name: bars[name].cast(pa.float64()) for name in ("open", "high", "low", "close", "volume")},
            "source": pa.array(["test"] * bars.num_rows),
            "final": pa.array([True] * bars.num_rows),
            "sent": pa.array([float("nan")] * bars.num_rows),
        }
    ).cast(BARS)


def outputs(paths: StreamPaths, kind: str) -> pa.Table:
    """All rows of a kind that the batches of a stream have written."""
    uris = (paths.output(kind, document.number) for document in Journal(paths).batches())
    return pa.concat_tables([from_parquet(storage.read(uri), uri=uri) for uri in uris if storage.exists(uri)])


def by_key(table: pa.Table, minutes: Iterable[int], column: str) -> dict[Key, float]:
    keys = zip(table["ticker"].cast(pa.string()).to_pylist(), minutes, strict=True)
    return dict(zip(keys, table[column].to_pylist(), strict=True))


def forecasts_of_run(run: RunPaths, splits: tuple[str, ...]) -> dict[Key, float]:
    (table,) = tables_of(run, "train", "predictions")
    table = table.filter(pc.is_in(table["split"], pa.array(splits)))
    return by_key(table, pc.divide(table["origin_date"].cast(pa.int64()), 1000).to_pylist(), "forecast_return")


def forecasts_of_stream(paths: StreamPaths) -> dict[Key, float]:
    table = outputs(paths, "forecasts")
    return by_key(table, table["minute"].to_pylist(), "forecast_return")


def differences(wanted: dict[Key, float], found: dict[Key, float]) -> NDArray[np.float64]:
    assert not wanted.keys() - found.keys()
    return np.array([wanted[key] - found[key] for key in wanted])


def test_features_are_those_of_the_run_bit_for_bit(run: RunPaths, streamed: StreamPaths) -> None:
    batch = pa.concat_tables(tables_of(run, "features", "features"))
    live = outputs(streamed, "features")
    names = batch.column_names[5:]
    assert live.column_names[-len(names) :] == names
    minutes = pc.divide(batch["date"].cast(pa.int64()), 1000).to_pylist()
    rows = {key: number for number, key in enumerate(zip(batch["ticker"].to_pylist(), minutes, strict=True))}
    place = [rows[key] for key in zip(live["ticker"].to_pylist(), live["minute"].to_pylist(), strict=True)]
    same = batch.take(pa.array(place))
    assert same["filled"].to_pylist() == live["filled"].to_pylist()
    for name in names:
        one, two = (table[name].to_numpy().view(np.int64) for table in (same, live))
        np.testing.assert_array_equal(one, two, err_msg=name)
    left = batch.filter(pa.array(~np.isin(np.arange(batch.num_rows), place)))
    assert left.num_rows > 0
    assert all(left["filled"].to_pylist()), "a stream does not fill before it knows that the ticker goes on"
    assert sum(live["filled"].to_pylist()) > 100


def test_forecasts_are_those_that_the_run_has_stored(run: RunPaths, streamed: StreamPaths) -> None:
    wanted, found = forecasts_of_run(run, ("validation", "test")), forecasts_of_stream(streamed)
    assert len(wanted) > 1000
    assert np.std(list(wanted.values())) > 100 * WITHIN
    assert np.abs(differences(wanted, found)).max() < WITHIN


def test_a_broker_between_them_changes_nothing(
    root: str, run: RunPaths, bars: pa.Table, streamed: StreamPaths, tmp_path: Path
) -> None:
    day = int(dt.datetime(2024, 12, 5, tzinfo=dt.UTC).timestamp())
    table = arriving(bars)
    table = table.filter(pc.greater(table["minute"], day))
    with mock(tmp_path / "broker") as address:
        topic = Topic(address, "bars.5m")
        publisher = TopicPublisher(topic, {}, 0)
        for rows in by_minute(table):
            publisher.send(rows)
        publisher.close()
        stream(root, "topic", topic.uri, run)
    found, files = forecasts_of_stream(StreamPaths.of(root, "topic")), forecasts_of_stream(streamed)
    assert found == {key: value for key, value in files.items() if key[1] > day}


def test_the_newest_forecasts_are_those_of_predict(root: str, run: RunPaths, bars: pa.Table, tmp_path: Path) -> None:
    """In the middle of a session: at its end `predict` forecasts the next session, and a stream nothing."""
    now = dt.datetime(2024, 12, 6, 18, 0, tzinfo=dt.UTC)
    until = bars.filter(pc.less_equal(bars["date"], pa.scalar(now, pa.timestamp("ms", "UTC"))))
    (tmp_path / "bars.parquet").write_bytes(to_parquet(until))
    done = cloudlstm("predict", f"--run={run.uri}", f"--root={root}-predict", "market.source=files",
                     f"market.path={tmp_path}/bars.parquet")  # fmt: skip
    assert done.returncode == 0, done.stderr
    wanted = forecasts_of_run(RunPaths(one_run(f"{root}-predict")), ("forecast",))
    publisher = FolderPublisher(f"file://{tmp_path}/landed")
    publisher.send(arriving(until))
    stream(root, "newest", f"file://{tmp_path}/landed", run, "--newest")
    found = forecasts_of_stream(StreamPaths.of(root, "newest"))
    assert len(wanted) == 3
    assert {minute for _, minute in wanted} == {int(now.timestamp())}
    assert np.abs(differences(wanted, found)).max() < WITHIN


@pytest.fixture(scope="module")
def second(root: str) -> RunPaths:
    """A run of the same bars with another seed."""
    done = submit(Path(root.removeprefix("file://")).parent / "minutes.toml", f"{root}-second", "train.seed=2")
    assert done.returncode == 0, done.stderr
    return RunPaths(one_run(f"{root}-second"))


def test_a_promotion_serves_from_the_next_batch_on_without_a_restart(
    root: str, run: RunPaths, second: RunPaths, bars: pa.Table, tmp_path: Path
) -> None:
    """A model is made of the run; while a stream runs, a version is added and promoted by the commands."""
    assert main(["models", "create", "live", f"--run={run.uri}", f"--root={root}"]) == 0
    table = arriving(bars).sort_by([("minute", "ascending"), ("ticker", "ascending")])
    table = table.filter(pc.greater(table["minute"], int(dt.datetime(2024, 12, 3, tzinfo=dt.UTC).timestamp())))
    landed = FolderPublisher(f"file://{tmp_path}/landed")
    settings = settings_for(root, "live", None, {"source": f"file://{tmp_path}/landed"})
    assert (settings.interval_s, settings.max_fill_bars) == (300, 2)
    paths = StreamPaths.of(root, "promoted")
    journal = Journal(paths)
    work = BatchWork(journal, journal.open(settings), open_models(root, settings), [ParquetSink(paths)])
    half = table.num_rows // 2
    for number, part in enumerate((table.slice(0, half), table.slice(half))):
        landed.send(part)
        local.run(FilesSource(settings.source, print), work, journal, local.LocalOptions(available_now=True),
                  lambda _: None, print)  # fmt: skip
        if not number:
            assert main(["models", "add", "live", f"--run={second.uri}", f"--root={root}"]) == 0
            assert main(["promote", "live", "2", f"--root={root}"]) == 0
    made = outputs(paths, "forecasts")
    for name, trained in (("live v1", run), ("live v2", second)):
        own = made.filter(pc.equal(made["model"].cast(pa.string()), name))
        found = by_key(own, own["minute"].to_pylist(), "forecast_return")
        stored = forecasts_of_run(trained, ("test",))
        assert len(found) > 100
        assert np.abs([found[key] - stored[key] for key in found if key in stored]).max() < WITHIN
        assert len(found.keys() - stored.keys()) < 0.1 * len(found), "the run has no label before a missing bar"


def test_a_run_of_other_bars_is_no_version_of_the_model(root: str, run: RunPaths, second: RunPaths) -> None:
    """Here the settings of the second run stand for those of any other one."""
    model = ModelPaths.of(root, "horizon")
    create(model, run, Policy())
    document = storage.read_json(second.config)
    document["dataset"]["horizon_bars"] = 3
    other = RunPaths(f"{root}-second/other")
    storage.write_json(other.config, document)
    with pytest.raises(UsageError, match=r"run other has dataset\.horizon_bars=3, and model horizon has 1"):
        add_run(model, other)
