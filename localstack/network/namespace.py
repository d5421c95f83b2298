"""The network of an emulated cloud: one with a loopback interface only, which nobody can reach from outside.

TensorFlow's server in a trainer and the storage servers take anybody who can connect. Therefore they are in a network
namespace of the cloud's own, where no other user and no other machine can connect. Everything that is to be reached
from there, or in there, has a relay (relay.py).
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

# A random network, as two clouds may run beside each other and workers use one port everywhere.
_CHOSEN = itertools.count(int(ipaddress.ip_address("127.64.0.4")) + 256 * secrets.randbelow(64 * 256))

_ON_LOOPBACK = re.compile(r"https?://(?:127\.0\.0\.1|localhost):(\d+)\b")


@dataclass(frozen=True)
class Network:
    """A cloud's network.

    Attributes:
        enter: The words that begin a command in it; none where it is the machine's own network.
        missing: Why there is none but the machine's own; empty where there is one.
    """

    enter: tuple[str, ...] = ()
    missing: str = ""

    @property
    def exposed(self) -> str:
        """One line that says what others can reach because there is no network; empty where there is one."""
        if not self.missing:
            return ""
        return (
            f"{self.missing}: while trainers work, whoever can connect to this machine can read and write your files "
            "through TensorFlow's ports, and other users of this machine can read and write the buckets"
        )


@dataclass(frozen=True)
class Route:
    """Connections that are passed on.

    Attributes:
        port: Where it listens, at 127.0.0.1.
        listens: In which networks: "machine", "cloud".
        to: The port of 127.0.0.1 to which it leads.
        inside: Whether that is in the cloud's network.
        secret: What the path of each HTTP request has to begin with; empty passes all bytes.
    """

    port: int
    listens: Sequence[str]
    to: int
    inside: bool
    secret: str = ""


@contextmanager
def cloud_network() -> Iterator[Network]:
    """A network for the block; the machine's own where the kernel allows no other."""
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
    """Keeps routes open during the block; `folder`, which must be new, gets the relay's settings and its log."""
    folder.mkdir(parents=True)
    settings, ready = folder / "settings.json", folder / "ready"
    settings.touch(mode=0o600)
    order = {"enter": network.enter, "ready": str(ready), "routes": [asdict(route) for route in routes]}
    settings.write_text(json.dumps(order, indent=1))
    with serving(
        [sys.executable, "-m", "localstack.network.relay", str(settings)], folder, ready.exists, own_environment()
    ):
        yield


def ports_of(urls: Iterable[str]) -> set[int]:
    """The ports of 127.0.0.1 to which the URLs lead; those that lead elsewhere are left out."""
    return {int(port) for url in urls for port in _ON_LOOPBACK.findall(url)}


def next_address() -> str:
    """An address of 127.64.0.0/10 that no other instance of this cloud has."""
    return str(ipaddress.ip_address(next(_CHOSEN)))
