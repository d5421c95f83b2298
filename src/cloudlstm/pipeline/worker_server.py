"""The process that forks workers, and what a worker does.

    python -m cloudlstm.pipeline.worker_server FD MODULE...

The driver has threads and open connections, so it must not fork. This process has neither: it imports the modules,
then forks a worker for every socket that it receives over the socket FD. When the driver closes that socket or dies, it
kills its workers and ends.

A worker receives a pickled function and then its items, and answers each item with a pickled pair: the result and "",
or None and the text of an error. It ends when its socket is closed.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import pickle
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from cloudlstm import errors

FUNCTION, ITEM = b"f", b"i"
"""First byte of a message: what the rest holds."""

READY = b"r"
"""Sent by the server when the modules are imported, and by a worker when it begins."""

_PR_SET_PDEATHSIG = 1


def main(control: socket.socket) -> None:
    """Forks a worker for each socket that arrives over `control`, until that is closed."""
    children: set[int] = set()
    try:
        while True:
            _, received, _, _ = socket.recv_fds(control, 1, 1)
            if not received:
                return
            children -= _ended()
            with suppress(OSError):  # without a worker the driver finds the socket closed
                child = os.fork()
                if not child:
                    control.close()
                    _be_worker(received[0])
                children.add(child)
            os.close(received[0])
    finally:
        for child in children - _ended():
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)


def _ended() -> set[int]:
    """The children that have ended since the last call. Only then may the system use their numbers again."""
    found = set()
    with suppress(ChildProcessError):
        while (child := os.waitpid(-1, os.WNOHANG)[0]) != 0:
            found.add(child)
    return found


def _be_worker(descriptor: int) -> None:
    """Works until the socket is closed, then ends this process."""
    status = 1
    try:
        with suppress(OSError, AttributeError):  # Linux: a worker does not outlive the server
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with suppress(EOFError, ConnectionError):
            _answer(Connection(descriptor))
        status = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _answer(connection: Connection) -> None:
    function: Callable[[Any], Any] | None = None
    connection.send_bytes(READY)
    while True:
        message = connection.recv_bytes()
        if message[:1] == FUNCTION:
            received = message[1:]
            function = None
            continue
        try:
            function = function or pickle.loads(received)
            answer = pickle.dumps((function(pickle.loads(message[1:])), ""), pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            answer = pickle.dumps((None, describe(error)))
        connection.send_bytes(answer)


def describe(error: Exception) -> str:
    """The text of an error, in which `errors.from_mark` finds one of ours; the traceback of any other is printed."""
    if isinstance(error, errors.CloudLSTMError):
        return errors.to_mark(error)
    traceback.print_exception(error)
    return "".join(traceback.format_exception_only(error)).strip()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the driver, which ends this process
    opened = socket.socket(fileno=int(sys.argv[1]))
    for name in sys.argv[2:]:
        importlib.import_module(name)
    opened.send(READY)
    main(opened)
