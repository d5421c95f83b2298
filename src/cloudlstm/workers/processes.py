"""A child process of a job, started in its own session and killed with its descendants."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cloudlstm.runs.environment import PARENT_PIPE
from cloudlstm.workers.child_environment import child_environment

_LONGEST_POLL_S = 2.0
"""A longer time between two polls counts as this much: the launcher or the machine was suspended."""

_OUTPUT_LINES = 40
"""Lines of the output of an ended process that are kept."""

_PYTHON = {"PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"}
"""Modules are never imported from the current folder: there may be a calendar.py, and others may write to it."""

VMSTAT = Path("/proc/vmstat")
"""Where Linux counts the processes that it has killed for want of memory."""


class Process:
    """A process, its output and its state.

    Whether it is suspended comes from the operating system. A heartbeat of the process would not do: TensorFlow may
    hold a worker's interpreter for many seconds.

    Args:
        name: Of the worker.
        argv: The command.
        env: Variables that are added to those of `child_environment`.
        console: The file for its output.

    Attributes:
        name: Of the worker.
        status: Its exit status, or minus the signal that killed it; None while it runs.
        stopped_s: Seconds since it was suspended (SIGSTOP); 0 while it runs.
    """

    def __init__(self, name: str, argv: Sequence[str], env: Mapping[str, str], console: Path) -> None:
        self.name, self._console = name, console
        self.status: int | None = None
        self.stopped_s = 0.0
        self._stopped, self._oom_kills = False, _oom_kills()
        self._polled = time.monotonic()
        with console.open("wb") as output:
            self._process = subprocess.Popen(
                argv,
                env={**child_environment(), **env, PARENT_PIPE: "1", **_PYTHON},
                stdin=subprocess.PIPE,  # closes when this launcher dies for any reason
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def poll(self) -> None:
        """Updates `status` and `stopped_s`."""
        now = time.monotonic()
        passed_s, self._polled = min(now - self._polled, _LONGEST_POLL_S), now
        self.stopped_s = self.stopped_s + passed_s if self._stopped else 0.0
        while self.status is None:
            try:
                pid, wait_status = os.waitpid(self._process.pid, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            except ChildProcessError:  # this process ignores SIGCHLD, so the exit status is lost
                self.status = self._process.poll()
                return
            if not pid:
                return
            self._update(wait_status)

    def _update(self, wait_status: int) -> None:
        if os.WIFSTOPPED(wait_status):
            self._stopped = True
        elif os.WIFCONTINUED(wait_status):
            self._stopped, self.stopped_s = False, 0.0
        else:
            self.status = self._process.returncode = os.waitstatus_to_exitcode(wait_status)

    def release(self) -> None:
        """Lets a process go on that waits for its turn (WAITS)."""
        if self._process.stdin:
            with suppress(BrokenPipeError):
                self._process.stdin.write(b"\n")
                self._process.stdin.flush()

    def terminate(self) -> None:
        """Sends SIGTERM, or SIGKILL to a suspended process, which cannot handle SIGTERM."""
        if self.status is None:
            self._signal(signal.SIGKILL if self._stopped else signal.SIGTERM)

    def stop(self, deadline: float) -> None:
        """Waits for the process until `deadline` (monotonic seconds), then kills it and all its descendants."""
        while self.status is None and time.monotonic() < deadline:
            self.poll()
            time.sleep(0.02)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        while self.status is None:
            self.poll()
            time.sleep(0.005)
        if self._process.stdin:
            self._process.stdin.close()

    @property
    def out_of_memory(self) -> bool:
        """True if it was killed while Linux killed a process of this machine for want of memory."""
        return self.status == -signal.SIGKILL and _oom_kills() > self._oom_kills

    def last_lines(self) -> list[str]:
        """The last lines of its output."""
        return self._console.read_text(errors="replace").splitlines()[-_OUTPUT_LINES:]

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, number)


def _oom_kills() -> int:
    with suppress(OSError):
        for line in VMSTAT.read_text().splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    return 0
