"""One process of a job on this machine: started in a session of its own, looked at, ended with all that it started."""

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

_TURN_S = 2.0
"""A longer time between two looks counts as this much: the launcher itself, or the whole machine, was asleep."""


class Process:
    """A process, what it printed, and how it fares.

    The operating system says whether a process is stopped, so that nothing depends on the process finding time to give
    signs of life: TensorFlow may hold a worker's interpreter for many seconds.

    Args:
        name: Of the worker.
        argv: The command.
        env: What its environment has beyond this process's own, without what other installations have left in that.
        console: The file that takes what it prints.

    Attributes:
        name: Of the worker.
        status: Its exit status, negative for the signal that ended it; None while it lives.
        stopped_s: For how long it has been stopped (SIGSTOP); 0 while it runs.
    """

    def __init__(self, name: str, argv: Sequence[str], env: Mapping[str, str], console: Path) -> None:
        self.name, self._console = name, console
        self.status: int | None = None
        self.stopped_s = 0.0
        self._stopped = False
        self._looked = time.monotonic()
        with console.open("wb") as output:
            self._process = subprocess.Popen(
                argv,
                env={**child_environment(), **env, PARENT_PIPE: "1", "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.PIPE,  # closes when this launcher dies, however it dies
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def look(self) -> None:
        """Brings `status` and `stopped_s` up to date."""
        now = time.monotonic()
        turn_s, self._looked = min(now - self._looked, _TURN_S), now
        self.stopped_s = self.stopped_s + turn_s if self._stopped else 0.0
        while self.status is None:
            try:
                pid, told = os.waitpid(self._process.pid, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            except ChildProcessError:  # whoever embeds this launcher ignores SIGCHLD: how it ended is not to be known
                self.status = self._process.poll()
                return
            if not pid:
                return
            self._take(told)

    def _take(self, told: int) -> None:
        """Takes in what waitpid told of the process."""
        if os.WIFSTOPPED(told):
            self._stopped = True
        elif os.WIFCONTINUED(told):
            self._stopped, self.stopped_s = False, 0.0
        else:
            self.status = self._process.returncode = os.waitstatus_to_exitcode(told)

    def ask_to_end(self) -> None:
        """Sends SIGTERM; one that is stopped would not hear it and is killed."""
        if self.status is None:
            self._signal(signal.SIGKILL if self._stopped else signal.SIGTERM)

    def end(self, deadline: float) -> None:
        """Gives the process until `deadline` (monotonic), then ends it and all that it started; returns when done."""
        while self.status is None and time.monotonic() < deadline:
            self.look()
            time.sleep(0.02)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        while self.status is None:
            self.look()
            time.sleep(0.005)
        if self._process.stdin:
            self._process.stdin.close()

    def printed(self) -> list[str]:
        """The last lines that it printed."""
        return self._console.read_text(errors="replace").splitlines()[-40:]

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, number)
