"""A network namespace with only a loopback interface, which only the processes of one job can reach.

TensorFlow's gRPC server always listens on all interfaces, and any client can read and write files through it. So
several workers on one machine run in such a namespace.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cloudlstm.errors import MachineError

_SCRIPT = str(Path(__file__).with_name("namespace.py"))
_PYTHON = (sys.executable, "-I", "-S", _SCRIPT)


class Loopback:
    """A network namespace, held by a child process (the keeper) until `close` or until this process ends.

    Attributes:
        pid: Process id of the keeper.

    Raises:
        MachineError: The kernel does not allow a namespace; the message gives the reason.
    """

    def __init__(self) -> None:
        self._keeper = subprocess.Popen(
            [*_PYTHON, "keep"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, text=True
        )
        assert self._keeper.stdout is not None
        answer = self._keeper.stdout.readline().strip()
        self.pid = self._keeper.pid
        if answer != "ready":
            self.close()
            raise MachineError(f"this machine allows no network namespace: {answer or 'its keeper ended'}")

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command that runs `argv` in the namespace, with the same process id."""
        return [*_PYTHON, "enter", str(self.pid), *argv]

    def close(self) -> None:
        """Ends the keeper. The namespace ends with its last process."""
        for stream in (self._keeper.stdin, self._keeper.stdout):
            if stream:
                with suppress(OSError):
                    stream.close()
        self._keeper.wait()
