"""Looks for ports through which other machines reach the processes of a test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

_LISTEN = "0A"  # the state in /proc/net/tcp
_EVERY_S = 0.25


def descendants(pid: int) -> set[int]:
    """This process and all that it has started, as far as they are still its children's children."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError, ValueError):
            parents[int(entry.parent.name)] = int(entry.read_text().rsplit(")", 1)[1].split()[1])
    found, before = {pid}, set()
    while found != before:
        before = set(found)
        found |= {child for child, parent in parents.items() if parent in found}
    return found


def open_doors(pids: set[int]) -> set[str]:
    """Listening sockets of these processes that are not on a loopback address, as "address:port of command".

    A process in a network namespace of its own has none if that namespace has only a loopback interface.
    """
    here = Path("/proc/self/ns/net").readlink()
    found = set()
    for pid in pids:
        with suppress(OSError):
            if Path(f"/proc/{pid}/ns/net").readlink() != here and _interfaces(pid) == {"lo"}:
                continue
            found |= {
                f"{address}:{port} of {_command(pid)}" for address, port in listening({pid}) if not address.is_loopback
            }
    return found


def listening(pids: set[int]) -> set[tuple[IPv4Address | IPv6Address, int]]:
    """Address and port of every socket at which one of these processes listens."""
    found = set()
    for pid in pids:
        owned = _sockets(pid)
        found |= {(address, port) for address, port, inode in _listening(pid) if inode in owned}
    return found


@contextmanager
def doors_watched(pid: int) -> Iterator[set[str]]:
    """Collects the open doors of a process and of all that it starts, several times a second while the block lasts."""
    found: set[str] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            found.update(open_doors(descendants(pid)))
            stop.wait(_EVERY_S)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()


def _interfaces(pid: int) -> set[str]:
    lines = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
    return {line.split(":")[0].strip() for line in lines}


def _listening(pid: int) -> Iterator[tuple[IPv4Address | IPv6Address, int, str]]:
    """Address, port and inode of every socket that listens in the namespace of the process."""
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTEN:
                written, port = fields[1].split(":")
                yield _address(written), int(port, 16), fields[9]


def _address(written: str) -> IPv4Address | IPv6Address:
    """An address from /proc/net: words of four bytes, each in the order of this machine."""
    words = [bytes.fromhex(written[i : i + 8])[::-1] for i in range(0, len(written), 8)]
    address = ip_address(b"".join(words))
    return getattr(address, "ipv4_mapped", None) or address


def _sockets(pid: int) -> set[str]:
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            target = str(link.readlink())
            if target.startswith("socket:["):
                found.add(target[8:-1])
    return found


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200]
