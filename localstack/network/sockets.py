"""Makes TCP sockets in another network namespace.

A socket belongs to the namespace in which it was made. A child process enters the other namespace, makes sockets
there and sends them to this process. Nothing else has to run there.

Usage: python -I -S sockets.py NUMBER. NUMBER is the file descriptor from which the child reads its requests. This file
imports only the standard library, so that the child starts fast.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Sequence


class Sockets:
    """Makes TCP sockets in this process's network and in another one.

    Args:
        enter: The command prefix that runs a program in the other network; empty if there is no other network.
    """

    def __init__(self, enter: Sequence[str]) -> None:
        self._requests: socket.socket | None = None
        if enter:
            self._requests, theirs = socket.socketpair()
            with theirs:
                descriptor = theirs.fileno()
                command = [*enter, sys.executable, "-I", "-S", __file__, str(descriptor)]
                subprocess.Popen(command, pass_fds=[descriptor], stdin=subprocess.DEVNULL)

    def make(self, *, inside: bool) -> socket.socket:
        """Returns a new non-blocking socket, in the other network if `inside`.

        Raises:
            OSError: if the other network has ended.
        """
        if inside and self._requests:
            self._requests.sendall(b"1")
            descriptors = socket.recv_fds(self._requests, 1, 1)[1]
            if not descriptors:
                raise ConnectionError("the other network has ended")
            created = socket.socket(fileno=descriptors[0])
        else:
            created = socket.socket()
        created.settimeout(0)
        return created


def _serve(descriptor: int) -> None:
    """Sends a new socket for each byte that it receives."""
    with socket.socket(fileno=descriptor) as requests:
        while requests.recv(1):
            with socket.socket() as created:
                socket.send_fds(requests, [b"1"], [created.fileno()])


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
