"""The commands `stream` and `replay`, and a promotion that a running stream takes up."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloudlstm import storage
from cloudlstm.cli import main
from cloudlstm.market.bars import from_parquet
from cloudlstm.market.calendar import bounds, hours, sessions, to_date
from cloudlstm.market.grid import Grid
from cloudlstm.market.interval import Interval
from cloudlstm.models import registry
from cloudlstm.models.paths import ModelPaths
from cloudlstm.stream import local
from cloudlstm.stream.batch import ALWAYS_OPEN, BatchWork
from cloudlstm.stream.documents import StreamSettings
from cloudlstm.stream.forecasting import ChampionModel
from cloudlstm.stream.journal import Journal
from cloudlstm.stream.paths import StreamPaths
from cloudlstm.stream.publish import FolderPublisher
from cloudlstm.stream.sinks.parquet import ParquetSink
from cloudlstm.stream.sources.files import FilesSource
from models.daily.untrained import add_version, make_model
from stream.conftest import Broker
from stream.market import bar, market, table

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLOUDLSTM_ROOT", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def batches(root: Path, name: str = "live") -> list[Any]:
    return list(Journal(StreamPaths.of(f"file://{root}", name)).batches())


def test_from_replay_to_features_and_on(root: Path, capsys: Captured) -> None:
    assert main(["replay", "--to=landed", "--speed=0", "--tickers=3", "--start=2024-07-03"]) == 0
    assert capsys.readouterr().out.startswith("630 bars in "), "half a day before Independence Day has 210 minutes"
    words = ["--source=landed", "--available-now", "--with-features", "--batch-bars=100", "--json"]
    assert main(["stream", "live", *words]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sum(line["counts"]["used"] for line in lines) == 630
    assert len(lines) == 7
    assert main(["replay", "--to=landed", "--speed=0", "--tickers=3", "--start=2024-07-05"]) == 0
    assert main(["stream", "live", "--available-now"]) == 0, "the settings are remembered"
    assert batches(root)[-1].totals["used"] == 630 + 3 * 390
    page = (root / "streams/live/stream.html").read_text()
    assert "The stream has ended: everything that was there is read" in page
    assert 'http-equiv="refresh"' not in page
    assert "1,800" in page
    assert "Synthetic data" in page
    assert not re.search(r"<script|https?://", page)


def test_a_stream_with_other_settings_needs_another_name(root: Path, capsys: Captured) -> None:
    FolderPublisher(f"file://{root.parent}/landed").send(table(market(2, 1, 5)))
    assert main(["stream", "live", "--source=landed", "--calendar=none", "--available-now"]) == 0
    assert main(["stream", "live", "--calendar=XLON", "--available-now"]) == 2
    assert "stream live has calendar 'none', not 'XLON'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["stream", "live"], "stream live is new and needs a source"),
        (["stream", "Live", "--source=x"], "'Live' is no name of a stream"),
        (["stream", "live", "--source=kafka://h:1"], "'kafka://h:1' is no topic"),
        (["stream", "live", "--source=x", "--interval=2m"], "--interval is 1m, 5m, 15m, 1h, not '2m'"),
        (["stream", "live", "--source=x", "--on-gap=stop"], "--on-gap is skip, not 'stop'"),
        (["stream", "live", "--source=x", "--to=parquet,parquet"], "--to names a sink twice"),
        (["stream", "live", "--source=x", "--to=fax", "--available-now"], "there is no sink 'fax'"),
        (["stream", "live", "--source=x", "--model=none"], "no model none in"),
        (["stream", "live", "--source=x", "--kafka=none"], "--kafka: cannot read none"),
        (["replay"], "replay needs a place for the bars"),
        (["replay", "--to=x", "--speed=-1"], "--speed is a number from 0"),
        (["replay", "--to=x", "--start=today"], "--start is no date"),
        (["replay", "nothing", "--to=x"], "no file of bars below"),
    ],
)
def test_what_is_typed_wrongly_is_told(root: Path, capsys: Captured, words: list[str], message: str) -> None:
    assert main(words) == 2
    assert message in capsys.readouterr().err


def test_a_dry_run_does_nothing(root: Path, tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "client.properties").write_text("sasl.password=s3cret\n")
    words = ["--source=kafka://127.0.0.1:1/bars", "--to=console", "--kafka=client.properties", "--dry-run"]
    assert main(["stream", "live", *words]) == 0
    out = capsys.readouterr().out
    plan = json.loads(out)
    assert plan["settings"]["source"] == "kafka://127.0.0.1:1/bars"
    assert plan["kafka"] == ["sasl.password"]
    assert "s3cret" not in out
    assert not root.exists()
    assert main(["replay", "--to=landed", "--tickers=2", "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("780 bars of 390 minutes, from 2024-01-02 14:30 UTC")
    assert not (tmp_path / "landed").exists()


def test_synthetic_bars_are_those_of_the_sessions_of_the_exchange(root: Path, tmp_path: Path, capsys: Captured) -> None:
    """No bar in a lunch break; half days are shorter; a session that ends with the calendar is there."""
    wanted = (
        Grid(Interval("1m"), hours("XHKG", dt.date(2024, 12, 30), dt.date(2025, 1, 2))).starts.astype(np.int64) * 60
    )
    words = ["--calendar=XHKG", "--start=2024-12-30", "--sessions=3", "--tickers=1", "--speed=0"]
    assert main(["replay", f"--to={tmp_path}/landed", *words]) == 0
    found = FilesSource(f"file://{tmp_path}/landed", print).take({}, 10_000, 0.0)
    assert found is not None
    assert found.bars["minute"].to_pylist() == wanted.tolist()
    _, end = bounds("XSHG")
    assert end is not None
    last = to_date(int(sessions("XSHG", end - dt.timedelta(days=20), end)[-1]))
    assert main(["replay", "--to=x", "--dry-run", "--calendar=XSHG", "--tickers=1", f"--start={last}"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("240 bars of 240 minutes")


def test_forecasts_with_a_champion_from_a_topic_on_the_terminal(
    root: Path, tansu_broker: Broker, capsys: Captured
) -> None:
    make_model(f"file://{root}", "minutes", root.parent / "bars")
    topic = tansu_broker.topic()
    assert main(["replay", f"--to={topic.uri}", "--speed=0", "--tickers=2"]) == 0
    words = [f"--source={topic.uri}", "--model=minutes", "--to=parquet,console", "--available-now"]
    assert main(["stream", "live", *words]) == 0
    captured = capsys.readouterr()
    assert "the network was trained on bars of 1d, and the stream has bars of 60 s" in captured.err
    assert "SYN000001" in captured.out
    assert "minutes v1" in captured.out


def test_a_promotion_serves_from_the_next_batch_on(tmp_path: Path) -> None:
    uri = f"file://{tmp_path}/runs"
    model: ModelPaths = make_model(uri, "minutes", tmp_path / "bars")
    add_version(model, 2)
    paths = StreamPaths.of(uri, "live")
    landed = FolderPublisher(f"file://{tmp_path}/landed")
    journal = Journal(paths)
    settings = journal.open(StreamSettings(f"file://{tmp_path}/landed", model="minutes", calendar=ALWAYS_OPEN))
    work = BatchWork(journal, settings, ChampionModel(model), [ParquetSink(paths)])
    rows = [row | {"minute": row["minute"] // 60 * 60} for row in market(2, 1, 60)]
    for number, part in enumerate((rows[:100], rows[100:])):
        landed.send(table(part))
        source = FilesSource(settings.source, print)
        local.run(source, work, journal, local.LocalOptions(available_now=True), lambda _: None, print)
        if not number:
            registry.move(model, 2, "2024-01-02", "manual", ())
    names = [
        set(from_parquet(storage.read(paths.output("forecasts", batch)))["model"].to_pylist()) for batch in (1, 2)
    ]  # fmt: skip
    assert names == [{"minutes v1"}, {"minutes v2"}]


def test_files_that_land_late_are_told_and_the_others_are_taken_once(tmp_path: Path) -> None:
    folder = f"file://{tmp_path}/landed"
    told: list[str] = []
    for name, place in (("b", 1), ("d", 3)):
        lines = json.dumps({k: v for k, v in bar("A", 0, place).items() if k != "sent"})
        storage.write(f"{folder}/{name}.jsonl", f"{lines}\n\nno bar\n".encode())
    source = FilesSource(folder, told.append)
    first = source.take({}, 100, 0.0)
    assert first is not None
    assert first.bars.num_rows == 2
    assert [each.where for each in first.refused] == ["b.jsonl line 2", "d.jsonl line 2"]
    storage.write(f"{folder}/a.jsonl", b"{}")
    storage.write(f"{folder}/_hidden.jsonl", b"{}")
    assert source.take(first.end, 100, 0.5) is None
    assert told == ["1 files have landed with a name before d.jsonl and are not taken; names must rise"]
    storage.write(f"{folder}/e.csv", b"ticker,minute\nA,1\n")
    then = source.take(first.end, 100, 1.0)
    assert then is not None
    assert [each.reason for each in then.refused] == [
        "the file cannot be read: e.csv lacks the columns open, high, low, close, volume"
    ]
    assert source.ended(then.end)
