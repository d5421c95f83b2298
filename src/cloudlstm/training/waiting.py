"""How long a worker waits for its peers, and what ends the wait.

A peer that died is noticed by its launcher and by TensorFlow's coordination service within seconds, and one that is
stopped by its launcher. What is left are networks that drop packets, and hangs. For those there is a limit, which
follows what the work has really taken on this machine: a busy machine is slow, and not lost.
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
"""Limit until all workers have met for the first time: they are started together, and each imports TensorFlow."""

_TIMES = 10.0
"""A wait may last this many times as long as the same work has taken at its longest."""

_FIRST_TIMES = 20.0
"""The limit of the first time, when nothing has been measured, as a multiple of the least limit."""

_UNHEARD_S = 20.0
"""What the main thread gets to end in order when its collectives have been aborted."""


@contextmanager
def start_bounded() -> Iterator[None]:
    """Limits the block to START_S: then SIGALRM kills the process, as nothing in it can be asked to end.

    TensorFlow holds Python's interpreter while it waits for peers, so neither a thread nor a handler could run.
    """
    if len(addresses := Membership.here().addresses) == 1:
        yield
        return
    former = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, START_S)
    _LOG.info("waiting up to %.0f s for the workers at %s", START_S, ", ".join(addresses))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


class Limit:
    """The limit of one kind of work.

    Args:
        least_s: The limit is never smaller.
    """

    def __init__(self, least_s: float) -> None:
        self._least_s = least_s
        self._longest_s: float | None = None

    @property
    def seconds(self) -> float:
        """The limit as it is now."""
        if self._longest_s is None:
            return self._least_s * _FIRST_TIMES
        return max(self._least_s, self._longest_s * _TIMES)

    def took(self, seconds: float) -> None:
        """Takes in how long the work took, its waiting included."""
        self._longest_s = max(self._longest_s or 0.0, seconds)


class Watchdog:
    """Ends waits that last too long: the collectives of this worker fail, and it ends with PEER_LOST.

    Args:
        flush: Called before the process is ended because it did not hear: writes what has been logged.
    """

    def __init__(self, flush: Callable[[], None]) -> None:
        self._flush = flush
        self._deadline: float | None = None
        self._doing = ""
        self._changed = threading.Condition()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    @contextmanager
    def bounded(self, doing: str, seconds: float) -> Iterator[None]:
        """Limits the block to `seconds`; `doing` says in the log what lasted longer."""
        self._set(time.monotonic() + seconds, f"{doing} for {seconds:.0f} s")
        try:
            yield
        finally:
            self._set(None, "")

    @contextmanager
    def measured(self, doing: str, limit: Limit) -> Iterator[None]:
        """Limits the block to `limit`, which learns how long it took."""
        began = time.monotonic()
        with self.bounded(doing, limit.seconds):
            yield
        limit.took(time.monotonic() - began)

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
            self._end(doing)
            time.sleep(_UNHEARD_S)
            if self._deadline == expired:  # the main thread is still where it was
                _LOG.error("no peer answered while %s: this worker ends", doing)
                self._flush()
                os._exit(PEER_LOST)

    def _end(self, doing: str) -> None:
        """Makes the collectives that are waiting raise UnavailableError in the main thread."""
        from tensorflow.python.eager import context

        context.context().abort_collective_ops(tf.errors.UNAVAILABLE, f"no answer from a peer while {doing}")
