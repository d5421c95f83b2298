"""A sign of life: one small object that its owner rewrites every few seconds, and what others can tell from it."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError, StorageError


@dataclass(frozen=True, slots=True)
class Beat:
    """The last sign of life.

    Attributes:
        time: When it was given, by its owner's clock, in seconds since the epoch.
        ended: Whether it was the last one there will be.
    """

    time: float
    ended: bool

    @property
    def age_s(self) -> float:
        """How long it is ago."""
        return time.time() - self.time


def last_beat(uri: str) -> Beat | None:
    """The last sign of life at `uri`; None if there is none that can be read."""
    try:
        found = storage.read_json(uri)
        return Beat(float(found["time"]), bool(found["ended"]))
    except (ObjectNotFoundError, CorruptObjectError, KeyError, TypeError, ValueError):
        return None


class Heartbeat:
    """Gives signs of life from a thread of its own, from `start` until `end` or `leave`.

    Args:
        uri: Where.
        every_s: Seconds between them.
    """

    def __init__(self, uri: str, every_s: float) -> None:
        self._uri, self._every_s = uri, every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Gives the first one; raises StorageError if that cannot be written."""
        self._write(ended=False)
        self._thread.start()

    def end(self) -> None:
        """Says that this was the last, unless it was left before."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join()
        with suppress(StorageError):  # what ended its owner may be storage itself; that error must be shown
            self._write(ended=True)

    def leave(self) -> None:
        """Stops without a word."""
        self._stop.set()

    def _write(self, *, ended: bool) -> None:
        storage.write_json(self._uri, {"time": time.time(), "ended": ended})

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            with suppress(StorageError):
                self._write(ended=False)
