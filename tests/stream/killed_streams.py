"""Runs a stream in processes that kill themselves with SIGKILL at chosen moments, until one comes to the end.

    python killed_streams.py SOURCE ROOT SEED KILLS [SINK]

Each process is a fork of this one, so that it starts in milliseconds. Half of the kills are at a write of an object,
before or after it; the others are at a moment that a timer chooses.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from typing import Any

from cloudlstm.storage import registry, verbs
from cloudlstm.stream import local
from cloudlstm.stream.batch import ALWAYS_OPEN, BatchWork
from cloudlstm.stream.documents import StreamSettings
from cloudlstm.stream.journal import Journal
from cloudlstm.stream.paths import StreamPaths
from cloudlstm.stream.serve import open_sink, open_source
from stream.market import INTERVAL, RandomModels

_BARS = 25
"""Bars of one batch, so that there are many batches."""


def work(source: str, root: str, to: list[str]) -> None:
    paths = StreamPaths.of(root, "killed")
    journal = Journal(paths)
    settings = journal.open(StreamSettings(source, calendar=ALWAYS_OPEN, interval_s=INTERVAL, features=True))
    reader = open_source(settings, {}, lambda _: None)
    sinks = [open_sink(paths, name, {}, print) for name in to]
    options = local.LocalOptions(available_now=True, most_bars=_BARS)
    batches = BatchWork(journal, settings, RandomModels(), sinks)
    local.run(reader, batches, journal, options, lambda _: None, lambda _: None)


def kill_at_write(number: int, *, after: bool) -> None:
    """Kills this process at its n-th write of an object."""
    write, left = registry.storage_for, [number]

    class Killing:
        def __init__(self, uri: str) -> None:
            self._inner = write(uri)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

        def write(self, uri: str, data: bytes, *, if_absent: bool = False) -> None:
            left[0] -= 1
            if not left[0] and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            self._inner.write(uri, data, if_absent=if_absent)
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    setattr(verbs, "storage_for", Killing)  # noqa: B010 - the name is imported there


def main() -> None:
    source, root, seed, kills, *to = sys.argv[1:]
    chance, killed = random.Random(int(seed)), 0
    while True:
        at, after, seconds = chance.randint(1, 9), chance.random() < 0.5, chance.uniform(0.05, 0.25)
        by_write = chance.random() < 0.5
        child = os.fork()
        if not child:
            signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
            if killed < int(kills):
                if by_write:
                    kill_at_write(at, after=after)
                else:
                    signal.setitimer(signal.ITIMER_REAL, seconds)
            work(source, root, to or ["parquet"])
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            killed += 1
            continue
        assert status == 0, status
        sys.stdout.write(f"{killed}\n")
        return


if __name__ == "__main__":
    main()
