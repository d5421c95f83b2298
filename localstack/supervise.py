"""Runs one program; kills all its descendants when the program or its owner ends.

Usage: supervise.py PROGRAM [ARGUMENT ...]; standard input is a pipe from the owner.

The owner writes "i" or "t" to send SIGINT or SIGTERM to the program's process group. The pipe closes when the owner
closes it or is killed. Then every descendant is killed, also those in other sessions: this process is their
subreaper. This is a separate script because it must start fast, without the owner's imports.
"""

import contextlib
import ctypes
import os
import pathlib
import select
import signal
import subprocess
import sys
import time

_SET_PARENT_DEATH_SIGNAL = 1
_SET_CHILD_SUBREAPER = 36
_ORDERS = {b"i": signal.SIGINT, b"t": signal.SIGTERM}
_POLL_S = 0.1  # where the system has no file descriptor for the end of a process


def main(command: list[str]) -> int:
    """Runs the program and returns its exit status as a shell does."""
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
    if prctl:
        prctl(_SET_CHILD_SUBREAPER, 1)
    program = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=(lambda: prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)) if prctl else None,
    )
    ended = [os.pidfd_open(program.pid)] if hasattr(os, "pidfd_open") else []
    while program.poll() is None:
        ready, _, _ = select.select([0, *ended], [], [], None if ended else _POLL_S)
        if 0 in ready:
            orders = os.read(0, 64)
            for order in orders:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(program.pid, _ORDERS[bytes([order])])
            if not orders:
                break
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(program.pid, signal.SIGKILL)
    status = program.wait()
    _kill_descendants()
    return status if status >= 0 else 128 - status


def _kill_descendants() -> None:
    """Kills children until there are none: children of a killed process become children of this one."""
    while children := _children():
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.005)


def _children() -> list[int]:
    try:
        return [int(pid) for pid in pathlib.Path("/proc/thread-self/children").read_text().split()]
    except OSError:  # not Linux: only the process group is known
        return []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
