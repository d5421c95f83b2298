"""Limits how long a worker waits for its peers.

The launcher and TensorFlow's coordination service notice a dead peer within seconds, and the launcher a stopped one.
The limit is for hangs and for networks that drop packets. It is a multiple of the time that the same work has taken on
this machine, because a busy machine is slow and not lost.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cloudlstm.training.membership import Membership
from cloudlstm.training.runtime import tf
from cloudlstm.workers.restarts import PEER_LOST

_LOG = logging.getLogger(__name__)

START_S = 300.0
"""Limit for the first connection of all workers, which start together; each one imports TensorFlow first."""

_TIMES = 10.0
"""The limit is this multiple of the longest time that the same work has taken."""

_FIRST_TIMES = 20.0
"""Before the first measurement the limit is this multiple of the least limit."""

_ABORT_GRACE_S = 20.0
"""Time for the main thread to end after its collectives were aborted."""


@contextmanager
def start_bounded() -> Iterator[None]:
    """Limits the block to START_S; then SIGALRM kills the process.

    TensorFlow holds the GIL while it waits for peers, so no thread and no signal handler could run.
    """
    if len(addresses := Membership.from_environment().addresses) == 1:
        yield
        return
    previous = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, START_S)
    _LOG.info("waiting up to %.0f s for the workers at %s", START_S, ", ".join(addresses))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


class Limit:
    """The time limit of one kind of work, adapted to the measured times.

    Args:
        least_s: The smallest limit, seconds.
    """

    def __init__(self, least_s: float) -> None:
        self._least_s = least_s
        self._longest_s: float | None = None

    @property
    def seconds(self) -> float:
        """The present limit."""
        if self._longest_s is None:
            return self._least_s * _FIRST_TIMES
        return max(self._least_s, self._longest_s * _TIMES)

    def record(self, seconds: float) -> None:
        """Adds a measured time of the work, with its waiting."""
        self._longest_s = max(self._longest_s or 0.0, seconds)


class Watchdog:
    """Aborts the collectives of this worker when a wait exceeds its limit; the worker then ends with PEER_LOST.

    Args:
        flush: Writes the log; called before the process is killed.
    """

    def __init__(self, flush: Callable[[], None]) -> None:
        self._flush = flush
        self._deadline: float | None = None
        self._doing = ""
        self._changed = threading.Condition()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    @contextmanager
    def bounded(self, doing: str, seconds: float) -> Iterator[None]:
        """Limits the block to `seconds`; `doing` names the work in the log."""
        self._set(time.monotonic() + seconds, f"{doing} for {seconds:.0f} s")
        try:
            yield
        finally:
            self._set(None, "")

    @contextmanager
    def measured(self, doing: str, limit: Limit) -> Iterator[None]:
        """Limits the block to `limit` and records its time there."""
        began = time.monotonic()
        with self.bounded(doing, limit.seconds):
            yield
        limit.record(time.monotonic() - began)

    def _set(self, deadline: float | None, doing: str) -> None:
        with self._changed:
            self._deadline, self._doing = deadline, doing
            self._changed.notify()

    def _watch(self) -> None:
        while True:
            with self._changed:
                while self._deadline is None or (left := self._deadline - time.monotonic()) > 0:
                    self._changed.wait(None if self._deadline is None else left)
                expired, doing = self._deadline, self._doing
            self._abort(doing)
            time.sleep(_ABORT_GRACE_S)
            if self._deadline == expired:  # the main thread still waits
                _LOG.error("no answer from a peer while %s: this worker ends", doing)
                self._flush()
                os._exit(PEER_LOST)

    def _abort(self, doing: str) -> None:
        """Makes waiting collectives raise UnavailableError in the main thread."""
        from tensorflow.python.eager import context

        context.context().abort_collective_ops(tf.errors.UNAVAILABLE, f"no answer from a peer while {doing}")
