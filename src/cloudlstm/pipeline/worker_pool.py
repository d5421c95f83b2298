"""Worker processes of this machine, as the driver sees them: starts them, gives them tasks, replaces those that die."""

from __future__ import annotations

import logging
import os
import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any, cast

from cloudlstm import errors
from cloudlstm.pipeline.engine import TASK_TRIES
from cloudlstm.pipeline.worker_server import FUNCTION, ITEM, READY, describe

_LOG = logging.getLogger(__name__)

_SERVER = "cloudlstm.pipeline.worker_server"
_START_S = 120.0
"""How long the server may take to import its modules, on a machine that is very busy."""
_END_S = 5.0
_DYING_S = 1.0

# Tasks allocate arrays of tens of MiB again and again. By default glibc returns each to the system, and the page faults
# take as long as the work itself. With these settings workers keep freed memory (no effect without glibc).
ALLOCATOR = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(512 << 20),
}

_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""The server forks, so it must have one thread; and each worker has one core."""


class WorkerPool:
    """Up to `processes` workers, forked by a server process of their own.

    Args:
        processes: The number of workers.
        modules: What the server imports before it forks, so that no worker has to.

    Attributes:
        start_seconds: How long all starts of the server took.
    """

    def __init__(self, processes: int, modules: Sequence[str]) -> None:
        self._processes, self._modules = processes, modules
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._workers: list[Connection] = []
        self.start_seconds = 0.0

    def start(self) -> None:
        """Starts the server unless it runs, and waits until it is ready.

        Raises:
            MachineError: it does not start.
        """
        if self._server and self._server.poll() is None:
            return
        self._end_server()
        began = time.monotonic()
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", _SERVER, str(theirs.fileno()), *self._modules]
        path = os.pathsep.join(filter(None, sys.path))
        ours.settimeout(_START_S)
        try:
            with theirs:
                self._server = subprocess.Popen(
                    command,
                    env={**ALLOCATOR, **os.environ, **_ONE_THREAD, "PYTHONPATH": path},
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                )
            self._control = ours
            ready = ours.recv(1)
        except OSError as error:
            ready, reason = b"", str(error)
        else:
            reason = "it ended; `cloudlstm logs` shows its output"
        if not ready:
            ours.close()
            self._end_server()
            raise errors.MachineError(
                f"the processes of prepare did not start: {reason}",
                hint="free memory, or raise the limit on it or on processes (ulimit -v, ulimit -u, a container's)",
            )
        ours.settimeout(None)
        self.start_seconds += time.monotonic() - began

    def close(self) -> None:
        """Ends the server and all workers at once, whatever they are doing."""
        for connection in self._workers:
            connection.close()
        self._workers.clear()
        self._end_server()

    def _end_server(self) -> None:
        if self._control:
            self._control.close()
            self._control = None
        if self._server:
            try:
                self._server.wait(_END_S)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()
            self._server = None

    def run(self, function: Callable[[Any], Any], items: Sequence[Any], done: Callable[[Any], None]) -> list[Any]:
        """The results of a function for all items, in their order.

        Args:
            function: Picklable.
            items: Its arguments, picklable.
            done: Called with each result as it arrives.

        Raises:
            CloudLSTMError: a task raised it, or a task killed its worker TASK_TRIES times.
        """
        self.start()
        try:
            return _Round(self, FUNCTION + pickle.dumps(function), items, done).run()
        except BaseException:
            self.close()  # other tasks are still running
            raise

    def take(self, wanted: int) -> list[Connection]:
        """As many workers as are wanted, at most `processes`."""
        while len(self._workers) < min(wanted, self._processes):
            self.add()
        return self._workers[:wanted]

    def add(self) -> Connection:
        """A new worker. If none can be forked, the round finds a dead one."""
        worker = self._fork()
        if not _is_ready(worker) and self._server_has_died():
            worker.close()
            worker = self._fork()  # by a new server
            _is_ready(worker)
        self._workers.append(worker)
        return worker

    def _fork(self) -> Connection:
        self.start()
        ours, theirs = socket.socketpair()
        with theirs, suppress(OSError):
            if self._control:
                socket.send_fds(self._control, [b"w"], [theirs.fileno()])
        return Connection(ours.detach())

    def _server_has_died(self) -> bool:
        """True if the server has ended; a process that was killed takes a moment to end."""
        with suppress(subprocess.TimeoutExpired):
            return self._server is None or self._server.wait(_DYING_S) is not None
        return False

    def replace(self, dead: Connection) -> Connection:
        """A new worker instead of one that has died."""
        self._workers.remove(dead)
        dead.close()
        return self.add()


class Waiting:
    """The items of a round that no worker has yet.

    A worker gets consecutive items for as long as there are any, because neighbours often read the same piece of a
    file, and the worker keeps the last one. Then it gets the middle of the longest range that is left.

    Args:
        number: The number of items.
    """

    def __init__(self, number: int) -> None:
        self._ranges = [range(number)] if number else []

    def take(self, last: int | None) -> int | None:
        """The next item for a worker, None if there is none.

        Args:
            last: The item that the worker had; None for a new worker.
        """
        if not self._ranges:
            return None
        following = None if last is None else last + 1
        found = next((each for each in self._ranges if each.start == following), None)
        if found is not None:
            item = found.start
        else:
            found = max(self._ranges, key=len)
            item = 0 if found.start == 0 else found[len(found) // 2]
        place = self._ranges.index(found)
        rest = (range(found.start, item), range(item + 1, found.stop))
        self._ranges[place : place + 1] = [each for each in rest if each]
        return item


class _Round:
    """One function on many items."""

    def __init__(self, pool: WorkerPool, function: bytes, items: Sequence[Any], done: Callable[[Any], None]) -> None:
        self._pool, self._function, self._items, self._done = pool, function, items, done
        self._waiting = Waiting(len(items))
        self._at_work: dict[Connection, int] = {}
        self._deaths = [0] * len(items)
        self._results: list[Any] = [None] * len(items)

    def run(self) -> list[Any]:
        for worker in self._pool.take(len(self._items)):
            self._begin(worker)
        while self._at_work:
            for ready in wait(list(self._at_work)):
                self._receive(cast(Connection, ready))
        return self._results

    def _begin(self, worker: Connection, number: int | None = None) -> None:
        """Gives the function and an item to a worker; without a number, the one that it should begin with."""
        with suppress(OSError):  # if it has died, _receive finds out
            worker.send_bytes(self._function)
        self._give(worker, self._waiting.take(None) if number is None else number)

    def _give(self, worker: Connection, number: int | None) -> None:
        """Gives an item to a worker; None: there is none."""
        if number is not None:
            self._at_work[worker] = number
            with suppress(OSError):
                worker.send_bytes(ITEM + pickle.dumps(self._items[number], pickle.HIGHEST_PROTOCOL))

    def _receive(self, worker: Connection) -> None:
        number = self._at_work.pop(worker)
        try:
            result, failure = worker.recv()
        except (EOFError, OSError):
            self._count_death(number)
            self._begin(self._pool.replace(worker), number)
            return
        if failure:
            raise to_error(failure)
        self._results[number] = result
        self._done(result)
        self._give(worker, self._waiting.take(number))

    def _count_death(self, number: int) -> None:
        self._deaths[number] += 1
        _LOG.warning("a worker process of prepare was killed; its task starts again")
        if self._deaths[number] == TASK_TRIES:
            raise errors.JobError(
                f"a worker process was killed, {TASK_TRIES} times in one task",
                hint="a smaller market.tickers_per_shard if memory ran out; see `cloudlstm logs`",
            )


def _is_ready(worker: Connection) -> bool:
    """Waits for a worker; False if it does not exist."""
    try:
        return worker.recv_bytes() == READY
    except (EOFError, OSError):
        return False


def run_here(function: Callable[[Any], Any], items: Sequence[Any], done: Callable[[Any], None]) -> list[Any]:
    """The same as `WorkerPool.run` in this process, one item after the other."""
    results = []
    for item in items:
        try:
            results.append(function(item))
        except Exception as error:
            raise to_error(describe(error)) from error
        done(results[-1])
    return results


def to_error(text: str) -> errors.CloudLSTMError:
    """The error in a text of `worker_server.describe`."""
    lines = text.splitlines() or [""]
    return errors.from_mark(text) or errors.JobError(f"a task failed: {lines[-1]}", hint="see `cloudlstm logs`")
