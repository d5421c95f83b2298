"""The commands `stream` and `replay`, and a promotion that a running stream takes up."""

from __future__ import annotations

import datetime as dt
import json
import re
import shlex
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
from cloudlstm.runs import numbered
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


def test_the_sinks_are_remembered_but_the_console(root: Path, mock_broker: Broker, capsys: Captured) -> None:
    landed = FolderPublisher(f"file://{root.parent}/landed")
    rows = market(2, 1, 9)
    landed.send(table(rows[:6]))
    to = f"kafka://{mock_broker.address}/forecasts.remembered"
    words = ["--source=landed", "--calendar=none", f"--to={to},console", "--available-now"]
    assert main(["stream", "live", *words]) == 0
    assert main(["stream", "live", "--to=parquet", "--available-now"]) == 2
    assert f"stream live has sinks '{to}', not 'parquet'" in capsys.readouterr().err
    landed.send(table(rows[6:]))
    assert main(["stream", "live", "--available-now"]) == 0
    assert [sorted(batch.sinks) for batch in batches(root)] == [["console", "kafka"], ["kafka"]]
    assert main(["stream", "live", "--to=fax,parquet"]) == 2
    assert main(["stream", "new", "--source=landed", "--to=fax"]) == 2
    assert not (root / "streams/new/stream.json").exists(), "the next command may name another sink"


@pytest.mark.parametrize(
    "words", [["--batch-bars=7", "--to=parquet,console", "--kafka=k"], ["--on-gap=skip", "--available-now", "--json"]]
)
def test_the_command_that_continues_has_all_that_is_not_remembered(
    root: Path, words: list[str], capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    FolderPublisher(f"file://{root.parent}/landed").send(table(market(2, 1, 5)))
    Path("k").write_text("client.id=mine\n")
    other = f"--root={root.parent}/other"
    with monkeypatch.context() as patched:
        patched.setattr(local, "run", stopped)
        assert main(["stream", "live", "--source=landed", "--calendar=none", other, *words]) == 130
    line = capsys.readouterr().err.splitlines()[-1]
    _, verb, *again = shlex.split(line.removeprefix("stopped; to continue: "))
    assert (verb, sorted(again)) == ("stream", sorted(["live", other, *words])), line
    assert main([verb, *again, *([] if "--available-now" in again else ["--available-now"])]) == 0


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


@pytest.mark.parametrize(
    ("words", "every_s"),
    [([], 0.0), (["--every=3"], 3.0), (["--root=s3://bucket/runs"], 1.0),
     (["--root=s3://bucket/runs", "--every=0.5"], 0.5), (["--root=s3://bucket/runs", "--available-now"], 0.0)],
)  # fmt: skip
def test_a_trickle_of_bars_makes_few_batches_in_a_bucket(
    root: Path, words: list[str], every_s: float, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Journal, "settings", lambda _: None)  # of a new stream, in a bucket that is not there
    monkeypatch.setattr(numbered, "newest", lambda *_, **__: 0)
    assert main(["stream", "live", "--source=kafka://127.0.0.1:1/bars", "--dry-run", *words]) == 0
    assert json.loads(capsys.readouterr().out)["every_s"] == every_s


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
    make_model(f"file://{root}", "minutes", root.parent / "bars", settings=["market.interval=1m"])
    make_model(f"file://{root}", "days", root.parent / "bars")
    topic = tansu_broker.topic()
    assert main(["replay", f"--to={topic.uri}", "--speed=0", "--tickers=2"]) == 0
    words = [f"--source={topic.uri}", "--model=minutes", "--to=parquet,console", "--available-now"]
    assert main(["stream", "live", *words]) == 0
    captured = capsys.readouterr()
    assert "SYN000001" in captured.out
    assert "minutes v1" in captured.out
    for model, interval, trained in (("days", "1m", "1d"), ("minutes", "5m", "1m")):
        words = [f"--source={topic.uri}", f"--model={model}", f"--interval={interval}", "--available-now"]
        assert main(["stream", "other", *words]) == 2
        told = f"the network was trained on bars of {trained}, and the stream has bars of {interval}"
        assert told in capsys.readouterr().err


def test_bars_of_a_shorter_interval_are_not_used_as_longer_ones(root: Path, capsys: Captured) -> None:
    assert main(["replay", "--to=landed", "--speed=0", "--tickers=2"]) == 0
    assert main(["stream", "live", "--source=landed", "--interval=5m", "--available-now"]) == 2
    assert "the bars of the source are 60 s apart, and the stream has bars of 300 s" in capsys.readouterr().err
    assert batches(root) == []


def test_a_source_that_is_no_folder_is_told(root: Path, capsys: Captured) -> None:
    (root.parent / "bars.csv").write_text("ticker\n")
    assert main(["stream", "live", "--source=bars.csv", "--available-now"]) == 2
    assert "bars.csv is a file, and a stream reads a folder (try: --source=" in capsys.readouterr().err
    assert main(["stream", "live", "--source=nothing", "--available-now"]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_a_stream_without_a_model_writes_features(root: Path) -> None:
    assert main(["replay", "--to=landed", "--speed=0", "--tickers=2"]) == 0
    assert main(["stream", "live", "--source=landed", "--available-now"]) == 0
    assert batches(root)[-1].outputs["features"]["rows"] > 0


def test_a_file_without_a_bar_is_replayed_as_nothing(root: Path, capsys: Captured) -> None:
    (root.parent / "bars.csv").write_text("ticker,minute,open,high,low,close,volume\nAAPL,none,1,1,1,1,1\n")
    assert main(["replay", "bars.csv", "--to=landed", "--speed=0"]) == 0
    caught = capsys.readouterr()
    assert "no bars; the first, bars.csv" in caught.err
    assert caught.out.startswith("0 bars")


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
