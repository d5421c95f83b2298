"""Finds the listening sockets of processes and their network namespaces."""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

_PROC = Path("/proc")
_OWN = _PROC / "self" / "ns" / "net"

OWN_NETWORK = str(_OWN.readlink()) if _OWN.exists() else ""
"""The network namespace of this process, which all users of the machine share."""

Seen = TypeVar("Seen")

_PAUSE_S = 0.25
_LISTENS = "0A"


@dataclass(frozen=True)
class Listener:
    """A listening socket of a process; `network` is the name of its namespace in /proc."""

    pid: int
    network: str
    address: str
    port: int

    @property
    def is_here(self) -> bool:
        """True if it is in the machine's network, so that other users can connect."""
        return self.network == OWN_NETWORK

    @property
    def is_on_loopback(self) -> bool:
        """True if its address is a loopback address, to which no other machine can connect."""
        found = ipaddress.ip_address(self.address)
        return (getattr(found, "ipv4_mapped", None) or found).is_loopback


class Watch(Generic[Seen]):
    """Calls a function several times a second and collects its results.

    Args:
        look: Returns the current items.

    Attributes:
        seen: All items so far.
    """

    def __init__(self, look: Callable[[], set[Seen]]) -> None:
        self._look = look
        self.seen: set[Seen] = set()
        self._stopped = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()

    def _watch(self) -> None:
        while not self._stopped.is_set():
            self.seen |= self._look()
            self._stopped.wait(_PAUSE_S)


def listeners(pids: Iterable[int]) -> set[Listener]:
    """Returns the listening TCP sockets of these processes in all networks."""
    processes = [_PROC / str(pid) for pid in pids]
    sockets: dict[str, tuple[str, str, int]] = {}
    networks = set()
    for each in processes:
        with suppress(OSError):  # the process has ended
            network = str((each / "ns" / "net").readlink())
            if network not in networks:
                sockets |= _sockets(each, network)
                networks.add(network)
    found = set()
    for each in processes:
        with suppress(OSError):
            for descriptor in (each / "fd").iterdir():
                with suppress(OSError):
                    name = str(descriptor.readlink())
                    if name in sockets:
                        found.add(Listener(int(each.name), *sockets[name]))
    return found


def working_in(folder: Path) -> set[int]:
    """Returns the processes whose working directory is in the folder."""
    return {int(each.name) for each in _PROC.glob("[0-9]*") if _works_in(each, folder)}


def _works_in(process: Path, folder: Path) -> bool:
    try:
        return (process / "cwd").readlink().is_relative_to(folder)
    except OSError:
        return False


def _sockets(process: Path, network: str) -> dict[str, tuple[str, str, int]]:
    """Returns network, address and port of the listening sockets of a process's network, by their names in /proc."""
    found = {}
    for table in ("tcp", "tcp6"):
        for line in (process / "net" / table).read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == _LISTENS:
                address, port = words[1].split(":")
                found[f"socket:[{words[9]}]"] = (network, _address(address), int(port, 16))
    return found


def _address(text: str) -> str:
    """Parses the kernel's format of an address: words of four bytes, each in the processor's byte order."""
    raw = bytes.fromhex(text)
    return str(ipaddress.ip_address(b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))))
