"""Whether a process on this or another machine is alive, without comparing the clocks of two machines.

A process that is alive rewrites a small object, its heartbeat, every few seconds. A watcher measures by its own clock:
if the object changes, the process is alive. On the same machine and in the same PID namespace, the process table gives
the answer at once.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError, StorageError
from cloudlstm.runs import documents

_LOOK_EVERY_S = 0.5
_LONGEST_LOOK_S = 10.0
_AT_ONCE = 16
"""Watches that look at the same time."""


class ProcessState(StrEnum):
    """State of a process in the process table."""

    RUNNING = "running"
    STOPPED = "stopped"
    GONE = "gone"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Owner:
    """The identity of a process, by which another process can find it.

    Attributes:
        host: Name of its machine, for people; several machines may have the same name.
        pid: Its process id in its PID namespace.
        started: When it became the owner, in seconds since the epoch by its own clock; for people.
        boot: Boot id of its machine's kernel; empty if unknown.
        namespace: Its PID namespace, such as that of a container; empty if unknown.
        ticks: When it was started, in clock ticks since boot; 0 if unknown.
    """

    host: str
    pid: int
    started: float
    boot: str = ""
    namespace: str = ""
    ticks: int = 0

    @classmethod
    def me(cls) -> Owner:
        """The identity of this process."""
        boot, namespace = _machine()
        _, ticks = _entry("self")
        return cls(socket.gethostname(), os.getpid(), time.time(), boot, namespace, ticks)

    def process(self) -> ProcessState:
        """Its state in this machine's process table; unknown if it runs on another machine or in another namespace."""
        if not (self.boot and self.namespace and self.ticks) or (self.boot, self.namespace) != _machine():
            return ProcessState.UNKNOWN
        state, ticks = _entry(str(self.pid))
        if not ticks and _exists(self.pid):  # /proc hides processes of other users on some machines
            return ProcessState.UNKNOWN
        if ticks != self.ticks or state in ("Z", "X"):  # no process, another one, or a zombie
            return ProcessState.GONE
        return ProcessState.STOPPED if state in ("T", "t") else ProcessState.RUNNING


def _machine() -> tuple[str, str]:
    """The boot id of this kernel and the PID namespace of this process; empty without /proc."""
    try:
        if str(Path("/proc/self").readlink()) != str(os.getpid()):  # /proc belongs to another namespace
            return "", ""
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return boot, str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return "", ""


def _entry(pid: str) -> tuple[str, int]:
    """State and start time (clock ticks since boot) of a process; ("", 0) if there is none."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rsplit(")", 1)[1].split()
        return state, int(fields[18])
    except (OSError, ValueError, IndexError):
        return "", 0


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


@dataclass(frozen=True, slots=True)
class Beat:
    """The content of a heartbeat.

    Attributes:
        time: When it was written, in seconds since the epoch by its owner's clock; for people.
        ended: True for the last heartbeat of a process that ended normally.
    """

    time: float
    ended: bool


def last_beat(uri: str) -> Beat | None:
    """Reads the heartbeat at `uri`; None if it is missing or damaged."""
    try:
        return documents.read(Beat, uri)
    except (ObjectNotFoundError, CorruptObjectError):
        return None


class Heartbeat:
    """Writes heartbeats from a thread, from `start` until `end` or `abandon`.

    Args:
        uri: Where they are written.
        every_s: Seconds between two heartbeats.
    """

    def __init__(self, uri: str, every_s: float) -> None:
        self._uri, self._every_s = uri, every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Writes the first heartbeat; raises StorageError if that fails."""
        self._write(ended=False)
        self._thread.start()

    def end(self) -> None:
        """Writes the final heartbeat, unless `abandon` was called before."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join()
        with suppress(StorageError):  # if storage is the reason for the end, that error is shown, not this one
            self._write(ended=True)

    def abandon(self) -> None:
        """Stops without writing a final heartbeat."""
        self._stop.set()

    def _write(self, *, ended: bool) -> None:
        storage.write_json(self._uri, {"time": time.time(), "ended": ended})

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            with suppress(StorageError):
                self._write(ended=False)


class Changes:
    """For how long objects have not changed, by this process's clock.

    Time between two observations counts at most `_LONGEST_LOOK_S`, because this process or its machine may have been
    suspended meanwhile.
    """

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def observe(self, name: str, etag: str) -> None:
        """Records the present etag of the object `name`."""
        now = time.monotonic()
        seen = self._seen.get(name)
        if seen is None or seen.etag != etag:
            self._seen[name] = _Seen(etag, now, changed=seen is not None)
        else:
            seen.unchanged_s += min(now - seen.looked, _LONGEST_LOOK_S)
            seen.looked = now

    def changed_within(self, name: str, seconds: float) -> bool:
        """True if the object has changed in the last seconds; the first observation is not a change."""
        seen = self._seen.get(name)
        return seen is not None and seen.changed and seen.unchanged_s < seconds

    def unchanged_s(self, name: str) -> float:
        """Seconds since the last change or the first observation."""
        return self._seen[name].unchanged_s


@dataclass(slots=True)
class _Seen:
    """Etag of an object, time of the last observation, whether it ever changed, and seconds since then."""

    etag: str
    looked: float
    changed: bool
    unchanged_s: float = 0.0


class Verdict(StrEnum):
    """Result of a watch; ENDED and DEAD both mean that the process does not run."""

    UNDECIDED = "undecided"
    ALIVE = "alive"
    ENDED = "ended"
    DEAD = "dead"


class Watch:
    """Finds out whether a process is alive, from its heartbeat first and from the process table second.

    Args:
        owner: The process; None if its identity cannot be read.
        heartbeat: URI of its heartbeat, which may not exist yet.
        dead_after_s: The process is dead if its heartbeat has not changed for this many seconds.
    """

    def __init__(self, owner: Owner | None, heartbeat: str, dead_after_s: float) -> None:
        self._owner, self._uri, self._dead_after_s = owner, heartbeat, dead_after_s
        self._changes = Changes()

    def look(self) -> Verdict:
        """The result so far. Raises StorageError while storage does not answer."""
        try:
            etag = storage.stat(self._uri).etag
        except ObjectNotFoundError:
            etag = ""
        self._changes.observe(self._uri, etag)
        if (beat := last_beat(self._uri)) and beat.ended:
            return Verdict.ENDED
        if self._changes.changed_within(self._uri, self._dead_after_s):
            return Verdict.ALIVE
        process = self._owner.process() if self._owner else ProcessState.UNKNOWN
        if process is ProcessState.GONE:
            return Verdict.DEAD
        if process is ProcessState.RUNNING:
            return Verdict.ALIVE
        return Verdict.DEAD if self._changes.unchanged_s(self._uri) >= self._dead_after_s else Verdict.UNDECIDED

    def wait(self, seconds: float) -> Verdict:
        """Looks until the result is decided, for at most this many seconds."""
        return watch_all([self], seconds)[0]


def watch_all(watches: Sequence[Watch], seconds: float) -> list[Verdict]:
    """Looks at all watches until each is decided, for at most this many seconds; returns their results in order."""
    give_up = time.monotonic() + seconds
    verdicts = [Verdict.UNDECIDED] * len(watches)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        while undecided := [index for index, verdict in enumerate(verdicts) if verdict is Verdict.UNDECIDED]:
            found = pool.map(Watch.look, [watches[index] for index in undecided])
            for index, verdict in zip(undecided, found, strict=True):
                verdicts[index] = verdict
            if Verdict.UNDECIDED not in verdicts or time.monotonic() >= give_up:
                break
            time.sleep(min(_LOOK_EVERY_S, seconds / 4))
    return verdicts
