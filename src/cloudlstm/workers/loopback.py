"""A network that only the processes of one job can reach: a network namespace with nothing but a loopback interface.

TensorFlow's gRPC server listens on every interface, whatever address it is given, and reads and writes files for
anybody who connects. Several workers on one machine therefore share such a namespace.
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
    """A namespace that lasts until `close`, and no longer than this process and those that have entered.

    Attributes:
        pid: Process id of the keeper, whose namespace it is.

    Raises:
        MachineError: the kernel does not allow it; the message says why.
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
        """The command that becomes `argv` in the namespace, under the same process id."""
        return [*_PYTHON, "enter", str(self.pid), *argv]

    def close(self) -> None:
        """Ends the keeper; the namespace goes with the last process in it."""
        for stream in (self._keeper.stdin, self._keeper.stdout):
            if stream:
                with suppress(OSError):
                    stream.close()
        self._keeper.wait()
