"""Finds the ports of a test's processes to which other machines can connect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from listening_sockets import Listener, Watch, listeners
from process_tree import descendants


def open_ports(pids: Iterable[int]) -> set[str]:
    """Returns the listening sockets that are not on a loopback address, as "address:port of command".

    Sockets in a network namespace that has only a loopback interface do not count.
    """
    found = set()
    for each in listeners(pids):
        if each.is_on_loopback:
            continue
        try:
            if each.is_here or _interfaces(each) != {"lo"}:
                found.add(f"{each.address}:{each.port} of {_command(each)}")
        except OSError:  # the process has ended
            continue
    return found


@contextmanager
def watch_open_ports(pid: int) -> Iterator[set[str]]:
    """Collects the open ports of a process and its descendants during the block, several times a second."""
    watch: Watch[str] = Watch(lambda: open_ports({pid, *descendants(pid)}))
    with watch.watching():
        yield watch.seen


def _interfaces(listener: Listener) -> set[str]:
    lines = Path(f"/proc/{listener.pid}/net/dev").read_text().splitlines()[2:]
    return {line.split(":")[0].strip() for line in lines}


def _command(listener: Listener) -> str:
    return Path(f"/proc/{listener.pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200]
