"""Runs a stream in processes that kill themselves with SIGKILL at chosen moments, until one comes to the end.

    python killed_streams.py SOURCE ROOT SEED KILLS [SINK]

Each process is a fork of this one, so that it starts in milliseconds. A moment is before or after one of the steps of a
batch: bars are taken from the source, an object is written or deleted, a message is written to a topic. The seed
chooses the moments, so the same seed kills at the same moments however fast the machine is.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Callable
from functools import partial

from cloudlstm.stream import local
from cloudlstm.stream.batch import ALWAYS_OPEN, BatchWork
from cloudlstm.stream.documents import StreamSettings
from cloudlstm.stream.journal import Journal
from cloudlstm.stream.paths import StreamPaths
from cloudlstm.stream.serve import open_sink, open_source
from cloudlstm.stream.sources.files import FilesSource
from cloudlstm.stream.sources.kafka import KafkaSource
from cloudlstm.stream.topic_writer import TopicWriter
from stream.market import INTERVAL, RandomModels
from targets.kill_point import KillPoint

_BARS = 15
"""Bars of one batch, so that there are many batches."""
_FARTHEST = 8
"""A process is killed at one of so many steps; a batch has about as many, so some processes finish none."""
_FARTHEST_MESSAGE = 25
"""The same for messages, of which a batch has about ten."""


def work(source: str, root: str, to: list[str], prepare: Callable[[], None] = lambda: None) -> None:
    """Runs the stream to its end; `prepare` is called when it is open, before its first batch."""
    paths = StreamPaths.of(root, "killed")
    journal = Journal(paths)
    settings = journal.open(StreamSettings(source, calendar=ALWAYS_OPEN, interval_s=INTERVAL, features=True))
    reader = open_source(settings, {}, lambda _: None)
    sinks = [open_sink(paths, name, {}, print) for name in to]
    options = local.LocalOptions(available_now=True, most_bars=_BARS)
    batches = BatchWork(journal, settings, RandomModels(), sinks)
    prepare()
    local.run(reader, batches, journal, options, lambda _: None, lambda _: None)


def kill_at_step(at: int, *, after: bool) -> None:
    """Kills this process before or after its n-th step."""
    point = KillPoint(at, after=after)
    point.over_storage("write", "delete")
    for kind in (FilesSource, KafkaSource):
        kind.take = point.over(kind.take)  # type: ignore[method-assign]


def kill_at_message(number: int) -> None:
    """Kills this process when the n-th message to a topic is there, and the next ones are not."""
    write, left = TopicWriter.write, [number]

    def counted(self: TopicWriter, key: bytes, value: bytes) -> None:
        write(self, key, value)
        left[0] -= 1
        if not left[0]:
            self.close(10.0)
            os.kill(os.getpid(), signal.SIGKILL)

    TopicWriter.write = counted  # type: ignore[method-assign]


def main() -> None:
    source, root, seed, kills, *to = sys.argv[1:]
    to = to or ["parquet"]
    chance, killed = random.Random(int(seed)), 0
    while True:
        step, message = chance.randint(1, _FARTHEST), chance.randint(1, _FARTHEST_MESSAGE)
        after, at_message = chance.random() < 0.5, len(to) > 1 and chance.random() < 0.4
        child = os.fork()
        if not child:
            if killed >= int(kills):
                work(source, root, to)
            elif at_message:
                work(source, root, to, partial(kill_at_message, message))
            else:
                work(source, root, to, partial(kill_at_step, step, after=after))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) == signal.SIGKILL, status
            killed += 1
            continue
        assert status == 0, status
        sys.stdout.write(f"{killed}\n")
        return


if __name__ == "__main__":
    main()
