"""TCP sockets of another network than this process's own.

A socket belongs to the network in which it was made, whoever uses it. A child that has entered the other network makes
sockets there and sends them here, so nothing else has to run there.

Usage: python -I -S sockets.py NUMBER, the number of the file descriptor by which the child gets its orders. The file
imports the standard library only, so that the child starts fast.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Sequence


class Sockets:
    """Makes TCP sockets of this process's network and of another one.

    Args:
        enter: The words that begin a command in the other network; without any there is none but this process's own.
    """

    def __init__(self, enter: Sequence[str]) -> None:
        self._orders: socket.socket | None = None
        if enter:
            self._orders, theirs = socket.socketpair()
            with theirs:
                number = theirs.fileno()
                command = [*enter, sys.executable, "-I", "-S", __file__, str(number)]
                subprocess.Popen(command, pass_fds=[number], stdin=subprocess.DEVNULL)

    def make(self, *, inside: bool) -> socket.socket:
        """A new socket that does not block, of the other network if `inside`.

        Raises:
            OSError: the other network has gone.
        """
        if inside and self._orders:
            self._orders.sendall(b"1")
            numbers = socket.recv_fds(self._orders, 1, 1)[1]
            if not numbers:
                raise ConnectionError("the other network has gone")
            made = socket.socket(fileno=numbers[0])
        else:
            made = socket.socket()
        made.settimeout(0)
        return made


def _serve(number: int) -> None:
    """Sends a new socket for each byte that comes."""
    with socket.socket(fileno=number) as orders:
        while orders.recv(1):
            with socket.socket() as made:
                socket.send_fds(orders, [b"1"], [made.fileno()])


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
