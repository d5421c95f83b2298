"""Creates a network namespace with only a loopback interface, or runs a command in one. Linux only.

    python -I namespace.py keep            creates one, prints "ready", and keeps it until standard input ends
    python -I namespace.py enter PID CMD…  runs CMD in the namespace of the keeper process PID, as this process

Only processes in the namespace can connect to each other. Without the right to create one, this process first creates a
user namespace, in which it keeps its user id. Imports only the standard library: `python -I -S` starts in 20 ms.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
import sys
from pathlib import Path

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1
_IFREQ = "16sh14x"  # struct ifreq: name and flags of an interface


def keep() -> int:
    """Creates the namespace and keeps it until standard input ends; prints "ready" or the error."""
    try:
        _unshare()
        _bring_up("lo")
    except OSError as error:
        print(_reason(error), flush=True)  # noqa: T201
        return 1
    print("ready", flush=True)  # noqa: T201
    while os.read(0, 4096):
        pass
    return 0


def enter(keeper: str, command: list[str]) -> None:
    """Replaces this process by `command` in the namespace of the process `keeper`."""
    for kind, flag in (
        ("user", _CLONE_NEWUSER),
        ("net", _CLONE_NEWNET),
    ):  # entering the user namespace gives the right to enter the other
        path = Path(f"/proc/{keeper}/ns/{kind}")
        if path.readlink() != Path(f"/proc/self/ns/{kind}").readlink():
            namespace = os.open(path, os.O_RDONLY)
            _call("setns", namespace, flag)
            os.close(namespace)
    os.execvp(command[0], command)


def _unshare() -> None:
    uid, gid = os.geteuid(), os.getegid()
    try:
        _call("unshare", _CLONE_NEWNET)
    except OSError as error:
        if error.errno != errno.EPERM:
            raise
        _call("unshare", _CLONE_NEWUSER | _CLONE_NEWNET)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def _bring_up(interface: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack(_IFREQ, interface.encode(), 0)
        name, flags = struct.unpack(_IFREQ, fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack(_IFREQ, name, flags | _IFF_UP))


def _call(name: str, *arguments: int) -> None:
    """Calls a C function; raises OSError with its errno if it fails."""
    if not sys.platform.startswith("linux"):
        raise OSError(errno.ENOSYS, f"{sys.platform} has no network namespaces")
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _reason(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{where}"


if __name__ == "__main__":
    if sys.argv[1] == "keep":
        sys.exit(keep())
    enter(sys.argv[2], sys.argv[3:])
