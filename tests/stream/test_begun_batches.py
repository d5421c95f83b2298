"""A batch that was begun: what binds it, and what happens if its bars are gone when it is done again."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudlstm.cli import main
from cloudlstm.errors import CorruptObjectError
from cloudlstm.market.bars import from_parquet
from cloudlstm.stream.batch import ALWAYS_OPEN, BatchWork
from cloudlstm.stream.documents import StreamSettings
from cloudlstm.stream.forecasting import Predictor
from cloudlstm.stream.journal import Journal
from cloudlstm.stream.paths import StreamPaths
from cloudlstm.stream.publish import FolderPublisher, by_minute
from cloudlstm.stream.serve import open_source
from cloudlstm.stream.sinks.parquet import ParquetSink
from stream.market import INTERVAL, RandomModels, market, table


def begun(root: Path, landed: Path) -> tuple[StreamPaths, Journal]:
    """A stream of files whose first batch was begun with all files, and not finished."""
    paths = StreamPaths.of(f"file://{root}", "live")
    journal = Journal(paths)
    settings = journal.open(
        StreamSettings(f"file://{landed}", calendar=ALWAYS_OPEN, interval_s=INTERVAL, features=True)
    )
    source = open_source(settings, {}, lambda _: None)
    found = source.take({}, 1000, 0.1)
    assert found is not None
    BatchWork(journal, settings, RandomModels(), [ParquetSink(paths)]).begin(1, found.start, found.end)
    return paths, journal


def test_bars_of_a_begun_batch_that_are_gone_end_the_stream_until_they_are_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLOUDLSTM_ROOT", str(tmp_path / "runs"))
    publisher = FolderPublisher(f"file://{tmp_path}/landed")
    minutes = list(by_minute(table(market(tickers=2, sessions=1, bars=4))))
    for bars in minutes:
        publisher.send(bars)
    paths, _ = begun(tmp_path / "runs", tmp_path / "landed")
    sorted((tmp_path / "landed").iterdir())[1].unlink()
    words = ["stream", "live", "--available-now"]
    assert main(words) == 1
    assert "is gone before its batch was finished (try: put it back, or --on-gap=skip" in capsys.readouterr().err
    assert Journal(paths).newest == 0
    assert main([*words, "--on-gap=skip"]) == 0
    assert "the batch is finished with what is there" in capsys.readouterr().err
    rows = from_parquet((tmp_path / "runs/streams/live/features/00000001.parquet").read_bytes())
    assert rows.num_rows == sum(bars.num_rows for bars in minutes) - minutes[1].num_rows


def test_a_model_that_cannot_be_opened_binds_no_batch(tmp_path: Path) -> None:
    class Broken(RandomModels):
        def open(self, key: str) -> Predictor:
            if key == "2":
                raise CorruptObjectError("the weights of version 2 are cut")
            return super().open(key)

    paths = StreamPaths.of(f"file://{tmp_path}", "live")
    journal, models = Journal(paths), Broken(serving=2)
    settings = journal.open(StreamSettings("kafka://127.0.0.1:1/bars", calendar=ALWAYS_OPEN, interval_s=INTERVAL))
    work = BatchWork(journal, settings, models, [])
    with pytest.raises(CorruptObjectError):
        work.begin(1, {}, {"0": 5})
    assert journal.unfinished() is None
    models.serving = 3
    assert work.begin(1, {}, {"0": 5}).model == "3"
