"""Child processes that end with this process, even if it is killed."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

START_S = 60.0
"""How long a server may take to start, in seconds."""

_SUPERVISE = Path(__file__).with_name("supervise.py")


class Process:
    """A running program. A supervisor ends the program and all its descendants when this process ends.

    Args:
        command: Program and arguments.
        folder: Its working directory.
        stdout: The file for its standard output.
        stderr: The file for its standard error; None for the file of the output.
        environment: Its whole environment; None for that of this process.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        folder: Path,
        stdout: Path,
        stderr: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.command = [str(word) for word in command]
        with ExitStack() as stack:
            out = stack.enter_context(stdout.open("ab"))
            err = stack.enter_context(stderr.open("ab")) if stderr else subprocess.STDOUT
            self._supervisor = subprocess.Popen(
                [sys.executable, "-I", "-S", _SUPERVISE, *self.command],
                cwd=folder,
                env=None if environment is None else dict(environment),
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                start_new_session=True,
                umask=0o077,  # its files and sockets are for this user only
            )

    @property
    def pid(self) -> int:
        """The supervisor's process id; the program is its child."""
        return self._supervisor.pid

    def poll(self) -> int | None:
        """Returns the exit status as a shell does (128 + n after signal n); None while the program runs."""
        return self._supervisor.poll()

    def interrupt(self) -> None:
        """Sends SIGINT to the program's process group."""
        self._send_order(b"i")

    def terminate(self) -> None:
        """Sends SIGTERM to the program's process group."""
        self._send_order(b"t")

    def _send_order(self, word: bytes) -> None:
        assert self._supervisor.stdin is not None
        with suppress(BrokenPipeError, ValueError):
            self._supervisor.stdin.write(word)
            self._supervisor.stdin.flush()

    def kill(self) -> None:
        """Kills the program and all its descendants; returns when they have ended."""
        assert self._supervisor.stdin is not None
        with suppress(BrokenPipeError):
            self._supervisor.stdin.close()
        self._supervisor.wait()


@contextmanager
def serving(
    command: Sequence[str | Path],
    folder: Path,
    ready: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
) -> Iterator[Process]:
    """Runs a server during the block; its log is `folder`/log.txt.

    Args:
        command: Program and arguments.
        folder: Its working directory.
        ready: Returns True once the server answers.
        environment: Its whole environment; None for that of this process.


    Raises:
        RuntimeError: if the server ends or does not become ready, with the end of its log.
    """
    log = folder / "log.txt"
    log.write_bytes(b"")
    server = Process(command, folder=folder, stdout=log, environment=environment)
    try:
        deadline = time.monotonic() + START_S
        while not ready():
            if server.poll() is not None or time.monotonic() > deadline:
                state = "does not answer" if server.poll() is None else f"ended with {server.poll()}"
                raise RuntimeError(f"{Path(command[0]).name} {state}; its log ends:\n{tail(log)}")
            time.sleep(0.1)
        yield server
    finally:
        server.kill()


def own_environment() -> dict[str, str]:
    """Returns the environment for a child that imports this package, without credentials of cloud accounts."""
    accounts = ("AWS_", "GOOGLE_", "CLOUDSDK_", "STORAGE_EMULATOR_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(accounts)}
    here = str(Path(__file__).parents[1])
    return kept | {"PYTHONPATH": os.pathsep.join([here, *(each for each in sys.path if each not in ("", here))])}


def tail(path: Path, n_bytes: int = 4000) -> str:
    """Returns the end of a text file; empty if there is no file."""
    try:
        return path.read_bytes()[-n_bytes:].decode(errors="replace")
    except FileNotFoundError:
        return ""


def program(name: str) -> str:
    """Returns the path of a program of this virtual environment, activated or not."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if not found:
        raise RuntimeError(f"no program {name}: install the dev dependencies")
    return found


_PORTS = range(15_000, 32_000)
"""Below the ports that Linux gives to outgoing connections and to servers that ask for any (32,768 and above), so that
no other program gets one of ours by chance before our server has bound it."""


def free_ports(count: int) -> list[int]:
    """Returns different TCP ports of 127.0.0.1 that were free a moment ago, chosen at random."""
    with ExitStack() as stack:
        found: list[int] = []
        while len(found) < count:
            port, each = secrets.choice(_PORTS), stack.enter_context(socket.socket())
            with suppress(OSError):  # taken
                each.bind(("127.0.0.1", port))
                found.append(port)
        return found
