"""A bar with a time in the future is refused by the time at which its batch was begun, also when it is done again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from cloudlstm import storage
from cloudlstm.market.bars import from_parquet
from cloudlstm.stream.batch import AHEAD_S, ALWAYS_OPEN, BatchWork
from cloudlstm.stream.documents import StreamSettings
from cloudlstm.stream.forecasting import NoModel
from cloudlstm.stream.journal import Journal
from cloudlstm.stream.paths import StreamPaths
from cloudlstm.stream.sources.base import Taken
from cloudlstm.stream.state import State
from stream.market import bar, minute, table

BEGAN = minute(0, 0) // 60 * 60
TIMES = [BEGAN, BEGAN + AHEAD_S, BEGAN + AHEAD_S + 60]


def test_a_batch_that_is_done_again_refuses_the_same_bars(tmp_path: Path) -> None:
    paths = StreamPaths.of(f"file://{tmp_path}/runs", "live")
    settings = StreamSettings("file:///landed", calendar=ALWAYS_OPEN)
    journal = Journal(paths)
    journal.open(settings)
    BatchWork(journal, settings, NoModel(), [], clock=lambda: float(BEGAN)).begin(1, {}, {"0": 3})

    later = Journal(paths)  # a day later, in another process
    begun = later.unfinished()
    assert begun is not None
    found = Taken(table([bar("A", 0, 0, minute=each) for each in TIMES]), [], begun.start, begun.end)
    work = BatchWork(later, settings, NoModel(), [], clock=lambda: float(BEGAN + 86_400))
    done = work.finish(begun, found, State.empty(), again=True)
    assert done.document.last_minute == BEGAN + AHEAD_S
    refused = from_parquet(storage.read(paths.output("refused", 1))).to_pylist()
    assert [(row["minute"], row["reason"]) for row in refused] == [
        (BEGAN + AHEAD_S + 60, "it starts in the future, by the clock of the stream")
    ]


def test_a_batch_that_an_earlier_version_has_begun_is_done(tmp_path: Path) -> None:
    paths = StreamPaths.of(f"file://{tmp_path}/runs", "live")
    settings = StreamSettings("file:///landed", calendar=ALWAYS_OPEN)
    journal = Journal(paths)
    journal.open(settings)
    work = BatchWork(journal, settings, NoModel(), [], clock=lambda: float(BEGAN))
    document = asdict(work.begin(1, {}, {"0": 1}))
    storage.write_json(paths.taken(1), {name: value for name, value in document.items() if name != "began"})
    begun = journal.unfinished()
    assert begun is not None
    found = Taken(table([bar("A", 0, 0, minute=TIMES[-1])]), [], begun.start, begun.end)
    assert work.finish(begun, found, State.empty(), again=True).document.counts["used"] == 1
