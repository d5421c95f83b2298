"""How the trainer machines of a run agree on a worker group, by objects in storage.

The machines do not know each other. Each one announces itself as a member of the next rendezvous round. When enough
members are alive, the one with the lowest address writes the round: the addresses of all workers in order. The others
read it. A lost worker ends its round, and all machines join the next. The last round of an attempt has no addresses,
but an outcome.

Liveness compares no clocks: a member is alive while its announcement changes, measured by the reader's own clock.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from ipaddress import ip_address
from typing import Any

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError
from cloudlstm.runs import documents, numbered
from cloudlstm.runs.liveness import Changes
from cloudlstm.runs.paths import RunPaths

DONE, FAILED = "done", "failed"
"""Outcomes."""


@dataclass(frozen=True, slots=True)
class Generation:
    """One membership of the workers.

    Attributes:
        number: From 1, over all attempts of the run.
        attempt: The attempt that it belongs to.
        addresses: Of all workers in their order, as in TF_CONFIG; none when it is all over.
        restarts: The restarts of this attempt so far: when (epoch seconds) and why.
        budget: State of the policy about restarts, for whoever decides about the next one.
        outcome: When there are no addresses, "done" or "failed".
        told: Of a failure, the last lines of its worker.
        time: When it was written.
        devices: Into how many devices each worker divides its cores; older releases know one.
    """

    number: int
    attempt: int
    addresses: tuple[str, ...] = ()
    restarts: tuple[tuple[float, str], ...] = ()
    budget: Mapping[str, Any] = field(default_factory=dict)
    outcome: str = ""
    told: str = ""
    time: float = field(default_factory=time.time)
    devices: int = 1


def write(paths: RunPaths, generation: Generation) -> bool:
    """Writes it; False when somebody else has written the generation of this number."""
    return numbered.create(paths.generation(generation.number), asdict(generation))


def read(paths: RunPaths, number: int) -> Generation:
    """The generation of this number; ObjectNotFoundError if there is none."""
    return documents.read(Generation, paths.generation(number))


def newest(paths: RunPaths) -> int:
    """The number of the run's newest generation; 0 when there was none."""
    return numbered.newest(paths.generations)


_ANNOUNCE_S = 1.0
_ALIVE_S = 15.0
"""An announcement that has not changed for this long is that of a machine which is gone."""


class Roll:
    """The announcements for one generation.

    Args:
        paths: The run.
        generation: The number of the generation.
        address: This machine's.
        record: What it announces.
    """

    def __init__(self, paths: RunPaths, generation: int, address: str, record: Mapping[str, Any]) -> None:
        self._paths, self._generation, self._address = paths, generation, address
        self._record = dict(record)
        self._count = 0
        self._announced = -_ANNOUNCE_S
        self._changes = Changes()

    def call(self) -> set[str]:
        """Announces this machine, and returns the addresses of all that are alive, this one included."""
        now = time.monotonic()
        if now - self._announced >= _ANNOUNCE_S:
            self._count += 1
            uri = self._paths.member(self._generation, self._address)
            storage.write_json(uri, self._record | {"count": self._count})
            self._announced = now
        folder = self._paths.members(self._generation)
        listed = announced(folder)
        for address, etag in listed.items():
            self._changes.see(address, etag)
        return {address for address in listed if self._changes.have(address, _ALIVE_S)} | {self._address}

    def records(self, addresses: Iterable[str]) -> dict[str, dict[str, Any]]:
        """What these machines have announced."""
        found = {}
        for address in addresses:
            with suppress(ObjectNotFoundError, CorruptObjectError):
                found[address] = storage.read_json(self._paths.member(self._generation, address))
        return found


def announced(folder: str) -> dict[str, str]:
    """The etag of each announcement in a folder of members, by address; other files are not ours."""
    found = {}
    for item in storage.list_objects(folder):
        address = item.uri.removeprefix(folder).removesuffix(".json")
        if item.uri.endswith(".json") and _is_address(address):
            found[address] = item.etag
    return found


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
