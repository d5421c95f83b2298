"""Whether a process elsewhere is alive, told without comparing the clocks of two machines.

A process that is alive rewrites a small object, its heartbeat, every few seconds. Whoever wants to know watches that
object by a clock of its own: a heartbeat that is seen to change is that of a living process. Only on the very machine
of a process, and in the same PID namespace, its entry in the process table is proof without a wait.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError, StorageError
from cloudlstm.runs import documents

_LOOK_EVERY_S = 0.5
_TURN_S = 10.0


class Process(StrEnum):
    """What the process table says of a process."""

    RUNNING = "running"
    STOPPED = "stopped"
    GONE = "gone"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Owner:
    """A process, so described that another one can look for it.

    Attributes:
        host: Its machine's name, for people: several machines may have one name.
        pid: Its process id in its PID namespace.
        started: When it began to own something, in seconds since the epoch by its own clock; for people.
        boot: The boot id of its machine's kernel; empty where that is not known.
        namespace: Its PID namespace, as a container has one; likewise.
        ticks: When it was started, in clock ticks since boot; likewise 0.
    """

    host: str
    pid: int
    started: float
    boot: str = ""
    namespace: str = ""
    ticks: int = 0

    @classmethod
    def me(cls) -> Owner:
        """Of the process that asks."""
        boot, namespace = _machine()
        _, ticks = _entry("self")
        return cls(socket.gethostname(), os.getpid(), time.time(), boot, namespace, ticks)

    def process(self) -> Process:
        """What this machine's process table says of it; unknown where another table would have to be asked."""
        if not (self.boot and self.namespace and self.ticks) or (self.boot, self.namespace) != _machine():
            return Process.UNKNOWN
        state, ticks = _entry(str(self.pid))
        if not ticks and _exists(self.pid):  # /proc hides processes of other users on some machines
            return Process.UNKNOWN
        if ticks != self.ticks or state in ("Z", "X"):  # nobody, somebody else, or dead and not collected by its parent
            return Process.GONE
        return Process.STOPPED if state in ("T", "t") else Process.RUNNING


def _machine() -> tuple[str, str]:
    """The boot id of this kernel and the PID namespace of this process; empty where there is no /proc."""
    try:
        if str(Path("/proc/self").readlink()) != str(os.getpid()):  # /proc shows another namespace than ours
            return "", ""
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return boot, str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return "", ""


def _entry(pid: str) -> tuple[str, int]:
    """State and start time (clock ticks since boot) of a process; ("", 0) where there is none of this id."""
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
        time: When it was written, by its owner's clock, for people.
        ended: Whether it is the last one.
    """

    time: float
    ended: bool


def last_beat(uri: str) -> Beat | None:
    """The heartbeat at `uri`; None if there is none that can be read."""
    try:
        return documents.read(Beat, uri)
    except (ObjectNotFoundError, CorruptObjectError):
        return None


class Heartbeat:
    """Writes heartbeats from a thread, from `start` until `end` or `leave`.

    Args:
        uri: Where.
        every_s: Seconds between them.
    """

    def __init__(self, uri: str, every_s: float) -> None:
        self._uri, self._every_s = uri, every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Writes the first one; raises StorageError if that fails."""
        self._write(ended=False)
        self._thread.start()

    def end(self) -> None:
        """Writes that this was the last, unless `leave` was called before."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join()
        with suppress(StorageError):  # what ended its owner may be storage itself; that error must be shown
            self._write(ended=True)

    def leave(self) -> None:
        """Stops without writing a last heartbeat."""
        self._stop.set()

    def _write(self, *, ended: bool) -> None:
        storage.write_json(self._uri, {"time": time.time(), "ended": ended})

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            with suppress(StorageError):
                self._write(ended=False)


class Changes:
    """When each of some objects was last seen to change.

    Time counts by this process's clock, and only between looks. Of a longer time without a look, in which this process
    or its whole machine may have been asleep, only `_TURN_S` count.
    """

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def see(self, name: str, etag: str) -> None:
        """Takes in that the object `name` has this etag now."""
        now = time.monotonic()
        seen = self._seen.get(name)
        if seen is None or seen.etag != etag:
            self._seen[name] = _Seen(etag, now, changed=seen is not None)
        else:
            seen.unchanged_s += min(now - seen.looked, _TURN_S)
            seen.looked = now

    def have(self, name: str, within_s: float) -> bool:
        """Whether the object was seen to change within the last seconds; the first sight of it is no change."""
        seen = self._seen.get(name)
        return seen is not None and seen.changed and seen.unchanged_s < within_s

    def unchanged_s(self, name: str) -> float:
        """For how long it was seen unchanged, since its last change or the first sight of it."""
        return self._seen[name].unchanged_s


@dataclass(slots=True)
class _Seen:
    """An object's etag, the time of the last look, whether it has changed, and for how long it is the same since."""

    etag: str
    looked: float
    changed: bool
    unchanged_s: float = 0.0


class Verdict(StrEnum):
    """What a watch has found; the last two mean that the process is not at work."""

    UNDECIDED = "undecided"
    ALIVE = "alive"
    ENDED = "ended"
    DEAD = "dead"


class Watch:
    """Watches the heartbeat of a process. A heartbeat that is seen to change counts more than all else but its end.

    Args:
        owner: The process; None where its description cannot be read.
        heartbeat: URI of its heartbeat, which need not exist yet.
        dead_after_s: It is dead when its heartbeat has not been seen to change for so long.
    """

    def __init__(self, owner: Owner | None, heartbeat: str, dead_after_s: float) -> None:
        self._owner, self._uri, self._dead_after_s = owner, heartbeat, dead_after_s
        self._changes = Changes()

    def look(self) -> Verdict:
        """What is known now. Raises StorageError while storage does not answer."""
        try:
            etag = storage.stat(self._uri).etag
        except ObjectNotFoundError:
            etag = ""
        self._changes.see(self._uri, etag)
        if (beat := last_beat(self._uri)) and beat.ended:
            return Verdict.ENDED
        if self._changes.have(self._uri, self._dead_after_s):
            return Verdict.ALIVE
        process = self._owner.process() if self._owner else Process.UNKNOWN
        if process is Process.GONE:
            return Verdict.DEAD
        if process is Process.RUNNING:
            return Verdict.ALIVE
        return Verdict.DEAD if self._changes.unchanged_s(self._uri) >= self._dead_after_s else Verdict.UNDECIDED

    def wait(self, seconds: float) -> Verdict:
        """Looks until something is known, or for so many seconds."""
        give_up = time.monotonic() + seconds
        while (verdict := self.look()) is Verdict.UNDECIDED and time.monotonic() < give_up:
            time.sleep(min(_LOOK_EVERY_S, seconds / 4))
        return verdict
