"""Looks for ports through which other machines reach the processes of a test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from listening_sockets import Listener, Watch, listeners
from process_tree import descendants


def open_ports(pids: Iterable[int]) -> set[str]:
    """Listening sockets of these processes that are not on a loopback address, as "address:port of command".

    A process in a network namespace of its own has none if that namespace has only a loopback interface.
    """
    found = set()
    for each in listeners(pids):
        if each.is_on_loopback:
            continue
        try:
            if each.is_here or _interfaces(each) != {"lo"}:
                found.add(f"{each.address}:{each.port} of {_command(each)}")
        except OSError:  # it has ended
            continue
    return found


@contextmanager
def watch_open_ports(pid: int) -> Iterator[set[str]]:
    """Collects the open doors of a process and of all that it starts, several times a second while the block lasts."""
    watch: Watch[str] = Watch(lambda: open_ports({pid, *descendants(pid)}))
    with watch.watching():
        yield watch.seen


def _interfaces(listener: Listener) -> set[str]:
    lines = Path(f"/proc/{listener.pid}/net/dev").read_text().splitlines()[2:]
    return {line.split(":")[0].strip() for line in lines}


def _command(listener: Listener) -> str:
    return Path(f"/proc/{listener.pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200]
