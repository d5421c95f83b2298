"""Programs that live no longer than this process, whatever kills it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

START_S = 60.0
"""How long a server may take to answer."""

_SUPERVISE = Path(__file__).with_name("supervise.py")


class Process:
    """A running program with a supervisor that ends it, and all it started, with its owner.

    Args:
        command: Program and arguments.
        folder: Where it runs.
        stdout: The file that takes its standard output.
        stderr: The file for its standard error; None joins it to the output.
        environment: All of its environment; None for this process's own.
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
                umask=0o077,  # what it writes, sockets included, is nobody else's
            )

    @property
    def pid(self) -> int:
        """The supervisor's process id; the program is its child."""
        return self._supervisor.pid

    def poll(self) -> int | None:
        """The exit status as a shell gives it (128 + n after signal n); None while the program runs."""
        return self._supervisor.poll()

    def interrupt(self) -> None:
        """Asks the program's process group to end by SIGINT."""
        self._order(b"i")

    def terminate(self) -> None:
        """Asks the program's process group to end by SIGTERM."""
        self._order(b"t")

    def _order(self, word: bytes) -> None:
        assert self._supervisor.stdin is not None
        with suppress(BrokenPipeError, ValueError):
            self._supervisor.stdin.write(word)
            self._supervisor.stdin.flush()

    def kill(self) -> None:
        """Ends the program and all its descendants now; returns when they are gone."""
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
    """Runs a server, with its log in `folder`/log.txt, from the moment it is ready until the block ends.

    Raises:
        RuntimeError: when the server ends or stays silent, with the end of its log.
    """
    log = folder / "log.txt"
    log.write_bytes(b"")
    server = Process(command, folder=folder, stdout=log, environment=environment)
    try:
        give_up = time.monotonic() + START_S
        while not ready():
            if server.poll() is not None or time.monotonic() > give_up:
                state = "is silent" if server.poll() is None else f"ended with {server.poll()}"
                raise RuntimeError(f"{Path(command[0]).name} {state}; its log ends:\n{tail(log)}")
            time.sleep(0.1)
        yield server
    finally:
        server.kill()


def own_environment() -> dict[str, str]:
    """What a child needs to find this package as we do, without any account's credentials."""
    accounts = ("AWS_", "GOOGLE_", "CLOUDSDK_", "STORAGE_EMULATOR_")
    mine = {name: value for name, value in os.environ.items() if not name.startswith(accounts)}
    here = str(Path(__file__).parents[1])
    return mine | {"PYTHONPATH": os.pathsep.join([here, *(each for each in sys.path if each not in ("", here))])}


def tail(path: Path, n_bytes: int = 4000) -> str:
    """The end of a text file; empty if there is none."""
    try:
        return path.read_bytes()[-n_bytes:].decode(errors="replace")
    except FileNotFoundError:
        return ""


def program(name: str) -> str:
    """A program of this virtual environment, be it activated or not."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if not found:
        raise RuntimeError(f"no program {name}: install the dev dependencies")
    return found


def free_ports(count: int) -> list[int]:
    """TCP ports of 127.0.0.1 that were free a moment ago, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
