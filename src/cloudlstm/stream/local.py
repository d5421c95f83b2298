"""The runner in this process: takes bars, does the work of a batch, and repeats.

Nothing is read while a batch is worked on, so a slow sink slows the reading, and memory holds one batch and what the
client has read ahead.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cloudlstm.errors import OffsetGoneError
from cloudlstm.stream.batch import BatchWork
from cloudlstm.stream.documents import BatchDocument, Position, TakenDocument
from cloudlstm.stream.journal import Journal
from cloudlstm.stream.sources.base import Source, Taken

MOST_BARS = 100_000
"""Bars of one batch, unless the user chooses another number."""
_IDLE_S = 1.0
"""Seconds after which the runner looks whether it should end, while no bars come."""


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """How the runner works.

    Attributes:
        available_now: End when all is read that the source had at the start.
        most_bars: About the most bars of one batch.
        skip_gone: Go on with what is there if the next bars are gone.
        stop: Asked between two batches; True ends the stream.
        every_s: Shortest time between the starts of two batches in seconds.
    """

    available_now: bool = False
    most_bars: int = MOST_BARS
    skip_gone: bool = False
    stop: Callable[[], bool] = field(default=lambda: False)
    every_s: float = 0.0


def run(
    source: Source, work: BatchWork, journal: Journal, options: LocalOptions,
    watch: Callable[[BatchDocument | None], None], tell: Callable[[str], None],
) -> int:  # fmt: skip
    """Works until the source has ended, `stop` says so, or an error.

    Args:
        source: Where bars come from.
        work: The work on a batch.
        journal: What was done before.
        options: How the runner works.
        watch: Called after each batch, and with None while no bars come.
        tell: Shows a line to the user.

    Returns:
        The number of finished batches.

    Raises:
        OffsetGoneError: The source no longer has the next bars.
        StreamError: The source or a sink failed; the same stream goes on from the last finished batch.
    """
    last, state, done = journal.last(), journal.state(), 0
    position: Position = dict(last.end) if last else {}

    def finish(taken: Any, found: Taken, *, again: bool) -> None:
        nonlocal state, position, done
        finished = work.finish(taken, found, state, again=again, lag=source.lag(taken.end))
        state, position, done = finished.state, taken.end, done + 1
        watch(finished.document)

    if begun := journal.unfinished():
        tell(f"batch {begun.number} was not finished; it is done again")
        finish(begun, _again(source, begun, options, tell), again=True)
    while not options.stop():
        started = time.monotonic()
        try:
            found = source.take(position, options.most_bars, 0.2 if options.available_now else _IDLE_S)
        except OffsetGoneError:
            if not options.skip_gone:
                raise
            position, lost = source.skip_gone(position)
            tell(f"the next bars are gone; the stream goes on without {lost}")
            continue
        if found is not None:
            work.expect(found.bars)
            finish(work.begin(journal.newest + 1, found.start, found.end), found, again=False)
        else:
            watch(None)
        if options.available_now and source.ended(position if found is None else found.end):
            break
        while (left := started + options.every_s - time.monotonic()) > 0 and not options.stop():
            time.sleep(min(left, _IDLE_S))
    return done


def _again(source: Source, begun: TakenDocument, options: LocalOptions, tell: Callable[[str], None]) -> Taken:
    """The bars of a batch that was begun; those that are gone only stop it unless the user lets them go."""
    try:
        return source.again(begun.start, begun.end)
    except OffsetGoneError as error:
        if not options.skip_gone:
            raise
        tell(f"{error.message}; the batch is finished with what is there")
        return source.again(begun.start, begun.end, skip_gone=True)
