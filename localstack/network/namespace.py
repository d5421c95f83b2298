"""The network of an emulated cloud: a namespace with only a loopback interface, closed to other processes.

TensorFlow's server in a trainer and the storage servers serve everybody who can connect. Therefore they run in a
network namespace of their own, to which no other user and no other machine can connect. Relays (relay.py) pass the
allowed connections in and out.
"""

from __future__ import annotations

import ipaddress
import itertools
import json
import re
import secrets
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from cloudlstm.errors import MachineError
from cloudlstm.workers.loopback import Loopback
from localstack.processes import own_environment, serving

# Random, because two clouds may run at the same time and all workers use the same port.
_ADDRESSES = itertools.count(int(ipaddress.ip_address("127.64.0.4")) + 256 * secrets.randbelow(64 * 256))

COUNTS = "counts.json"
"""The file in a relay's folder with the bytes that it has passed on."""

_ON_LOOPBACK = re.compile(r"https?://(?:127\.0\.0\.1|localhost):(\d+)\b")


@dataclass(frozen=True)
class Network:
    """A cloud's network.

    Attributes:
        enter: The command prefix that runs a program in it; empty for the machine's own network.
        missing: Why there is no namespace; empty if there is one.
    """

    enter: tuple[str, ...] = ()
    missing: str = ""

    @property
    def exposed(self) -> str:
        """Returns one line that says what other users can reach; empty if there is a namespace."""
        if not self.missing:
            return ""
        return (
            f"{self.missing}: while trainers work, whoever can connect to this machine can read and write your files "
            "through TensorFlow's ports, and other users of this machine can read and write the buckets"
        )


@dataclass(frozen=True)
class Route:
    """A route of a relay: connections to `port` are passed on to `to`.

    Attributes:
        port: The port of 127.0.0.1 where the relay listens.
        listens: The networks where it listens: "machine", "cloud".
        to: The port of 127.0.0.1 to which it connects.
        inside: True if `to` is in the cloud's network.
        secret: The beginning of the path that each HTTP request needs; empty to pass all bytes.
        name: What its bytes are counted as.
    """

    port: int
    listens: Sequence[str]
    to: int
    inside: bool
    secret: str = ""
    name: str = "other"


@contextmanager
def cloud_network() -> Iterator[Network]:
    """Makes a network for the block. Yields the machine's own where the kernel allows no namespace."""
    try:
        loopback = Loopback()
    except MachineError as error:
        yield Network(missing=error.message)
        return
    try:
        yield Network(tuple(loopback.command([])))
    finally:
        loopback.close()


@contextmanager
def relayed(folder: Path, network: Network, routes: Iterable[Route]) -> Iterator[None]:
    """Runs a relay for these routes during the block; the new `folder` is for its settings, counts and log."""
    folder.mkdir(parents=True)
    settings, ready = folder / "settings.json", folder / "ready"
    settings.touch(mode=0o600)
    settings_document = {
        "enter": network.enter,
        "ready": str(ready),
        "counts": str(folder / COUNTS),
        "routes": [asdict(route) for route in routes],
    }
    settings.write_text(json.dumps(settings_document, indent=1))
    with serving(
        [sys.executable, "-m", "localstack.network.relay", str(settings)], folder, ready.exists, own_environment()
    ):
        yield


def ports_of(urls: Iterable[str]) -> set[int]:
    """Returns the ports of those URLs that are at 127.0.0.1."""
    return {int(port) for url in urls for port in _ON_LOOPBACK.findall(url)}


def next_address() -> str:
    """Returns an unused address of 127.64.0.0/10 for an instance of this cloud."""
    return str(ipaddress.ip_address(next(_ADDRESSES)))
