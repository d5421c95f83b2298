"""The processes of a job on this machine, which end with the launcher."""

from __future__ import annotations

import json
import signal
import socket
import time

from cloudlstm.runs.environment import GENERATION, OWN_CODE, RESTARTS, WAITS
from cloudlstm.runs.paths import RunPaths
from cloudlstm.storage.local import disk_errors
from cloudlstm.targets.base import JobState, Request, Restart, fill_placeholders
from cloudlstm.targets.bundle.archive import OWN, pack_own
from cloudlstm.targets.local.java import find_java
from cloudlstm.targets.local.temp_dir import JobTempDir
from cloudlstm.workers.loopback import Loopback
from cloudlstm.workers.processes import Process
from cloudlstm.workers.restarts import TERMINATED, Restarts, describe_exit, describe_exits, is_retryable

_GRACE_S = 10.0
"""How long processes may take to end when the job is cancelled."""

_ENDING_S = 10.0
"""How long workers may take to write a checkpoint and end after one of them was lost."""

_STOPPED_S = 10.0
"""A process that was stopped (SIGSTOP) for this long counts as lost."""

_STOPPED_GRACE_S = 2.0
"""How long the peers of a stopped worker may take to end."""

_LOOK_EVERY_S = 0.02
"""Pause between two looks at the processes, while the launcher waits for news of them."""


class LocalJob:
    """The processes of one job. If the request allows restarts, the loss of one restarts all.

    A generation ends when a worker is killed by a signal, exits after SIGTERM, loses a peer, or is stopped. The others
    get SIGTERM, and SIGKILL at most `_ENDING_S` later; then all start as the next generation on new ports. Any other
    failure is not retryable and fails the job.

    If the request says so, the processes run in an isolated network namespace.

    Args:
        request: The processes.
        waits: Whether the processes load their packages and then wait for `begin`. Until then they do nothing that
            others could see.

    Attributes:
        job: The name of the job.
        restarts: The restarts so far.
        phase: Always empty.
    """

    phase = ""
    working_since = None

    def __init__(self, request: Request, *, waits: bool = False) -> None:
        self._request, self._waits = request, waits
        self.job = str(request["job"])
        self._folder = JobTempDir()
        self._processes: list[Process] = []
        self._loopback: Loopback | None = None
        self._allowed = self._new_restarts()
        self._lost: dict[str, int] = {}
        self._deadline = 0.0
        self._final: JobState | None = None
        self._own: dict[str, str] = {}
        self.restarts: list[Restart] = []
        self._start()

    def _new_restarts(self) -> Restarts | None:
        """A count of restarts from now on; None if the request allows none."""
        if "max_restarts" not in self._request:
            return None
        return Restarts(RunPaths(self._request["run"]), self.job, self._request["max_restarts"])

    def _start(self) -> None:
        """Starts all processes on free ports."""
        causes = json.dumps([restart.cause for restart in self.restarts])
        places = self._folder.environment()
        ours = {GENERATION: str(len(self.restarts)), RESTARTS: causes} | ({WAITS: "1"} if self._waits else {})
        self._processes.clear()
        self._lost = {}
        try:
            values = _values_of_placeholders(self._request)
            if (packages := self._request.get("packages")) and not self._own:  # all restarts run the same code
                self._own = {OWN_CODE: str(pack_own(packages, self._folder.path / OWN))}
            if self._request.get("network") == "loopback only" and self._loopback is None:
                self._loopback = Loopback()
            for process in self._request["processes"]:
                argv = self._loopback.command(process["argv"]) if self._loopback else process["argv"]
                env = fill_placeholders(process["env"], values.get)
                name = str(process["worker"])
                console = self._folder.path / f"{name}.txt"
                with disk_errors(f"start {self.job} with {console}"):
                    self._processes.append(Process(name, argv, places | env | ours | self._own, console))
        except BaseException:
            self.cancel()
            raise

    def begin(self, request: Request) -> bool:
        """Lets waiting processes do the job; False if they are not those of `request`, or one of them has ended."""
        for process in self._processes:
            process.poll()
        if request != self._request or any(process.status is not None for process in self._processes):
            return False
        self._waits, self._allowed = False, self._new_restarts()
        for process in self._processes:
            process.release()
        return True

    def wait(self, seconds: float) -> None:
        """Waits for `seconds`, or until one of the processes ends."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_EVERY_S))
            for process in self._processes:
                known = process.status
                process.poll()
                if process.status != known:
                    return

    def state(self) -> JobState:
        """Returns the state and handles lost workers; call it about once a second."""
        if self._final is None:
            for process in self._processes:
                process.poll()
            self._final = self._ending() if self._lost else self._running()
        return self._final or JobState.RUNNING

    def _running(self) -> JobState | None:
        """Returns the final state; None while workers run, or when a generation has begun to end."""
        if all(process.status == 0 for process in self._processes):
            return JobState.DONE
        self._lost = {p.name: p.status for p in self._processes if p.status is not None and p.status != 0}
        # If a peer failed first because of a stopped worker, the stopped one is the cause.
        patience_s = 0.0 if self._lost else _STOPPED_S
        stopped = [process for process in self._processes if process.stopped_s > patience_s]
        self._lost |= {process.name: -signal.SIGSTOP for process in stopped}
        if not self._lost:
            return None
        if self._allowed is None or not is_retryable(self._lost.values()):
            return JobState.FAILED
        for process in self._processes:
            process.terminate()
        # Peers of a stopped worker have already had the time to finish writing.
        self._deadline = time.monotonic() + (_STOPPED_GRACE_S if stopped else _ENDING_S)
        return None

    def _ending(self) -> JobState | None:
        """Starts the next generation when all processes have ended or the deadline has passed."""
        if any(process.status is None for process in self._processes) and time.monotonic() < self._deadline:
            return None
        # A worker that fails now may have the root cause.
        statuses = {p.name: p.status or 0 for p in self._processes}
        self._lost |= {name: status for name, status in statuses.items() if status > 0 and status != TERMINATED}
        for process in self._processes:
            process.stop(0.0)
        if (
            not is_retryable(self._lost.values())
            or self._allowed is None
            or not self._allowed.take_restart(self._lost.values())
        ):
            return JobState.FAILED
        self.restarts.append(Restart(time.time(), describe_exits(self._lost), self.explain()))
        self._start()
        return None

    def cancel(self) -> None:
        """Sends SIGTERM, then SIGKILL after some seconds, to the processes and their descendants.

        This removes their output: call `explain` before.
        """
        self._final = self._final or JobState.CANCELLED
        for process in self._processes:
            process.terminate()
        deadline = time.monotonic() + _GRACE_S
        for process in self._processes:
            process.stop(deadline)
        if self._loopback:
            self._loopback.close()
        self._folder.remove()

    def abandon(self) -> None:
        """Cancels the job: its processes belong to this launcher."""
        self.cancel()

    def explain(self) -> str:
        """Returns how each lost process ended, and its last lines of output."""
        parts = []
        for process in self._processes:
            if process.name in self._lost:
                parts += [f"{self.job}/{describe_exit(process.name, self._lost[process.name])}", *process.last_lines()]
        return "\n".join(parts)


def _values_of_placeholders(request: Request) -> dict[str, str]:
    """Returns the values of the request's placeholders: free ports, and Java's home."""
    values = {}
    if any("JAVA_HOME" in process["env"] for process in request["processes"]):
        values["java.home"] = str(find_java().home)
    sockets = [socket.socket() for _ in request["processes"]]
    for index, opened in enumerate(sockets):
        opened.bind(("127.0.0.1", 0))
        values[f"port.{index}"] = str(opened.getsockname()[1])
    for opened in sockets:
        opened.close()
    return values
