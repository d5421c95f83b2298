"""Rendezvous: the trainer machines of a run agree on the workers of the next generation, by objects in storage.

A generation is a rendezvous round as in torchelastic: a fixed list of workers that train together. The machines do not
know each other. Each announces itself as a member of the next generation. When enough members are alive, the one with
the lowest address writes the generation, with the addresses of all workers in order, and the others read it. When a
worker is lost its generation ends, and all machines join the next one. The last generation of an attempt has an
outcome instead of addresses.

No clocks are compared: a member is alive while its announcement changes, measured by the clock of the reader.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from ipaddress import ip_address
from typing import Any

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError
from cloudlstm.runs import documents, numbered, settings
from cloudlstm.runs.liveness import Changes
from cloudlstm.runs.paths import RunPaths
from cloudlstm.workers.assignment import Assignment
from cloudlstm.workers.restarts import Restarts, describe_exits, is_retryable

DONE, FAILED = "done", "failed"
"""Outcomes of an attempt."""

_JOB = "train"
_ANNOUNCE_EVERY_S = 1.0
_DEAD_AFTER_S = 15.0
"""A member whose announcement has not changed for this long is dead."""


@dataclass(frozen=True, slots=True)
class Generation:
    """A rendezvous round: the workers that train together, or the outcome of the attempt.

    Attributes:
        number: From 1, over all attempts of the run.
        attempt: The attempt that it belongs to.
        addresses: host:port of all workers in order, as in TF_CONFIG; empty if there is an outcome.
        restarts: The restarts of this attempt so far: time (seconds since the epoch) and cause.
        budget: State of the restart policy, with which the next generation is decided.
        outcome: "done" or "failed" in the last generation of an attempt; else empty.
        message: Of a failure, how the worker ended and its last lines.
        time: When it was written, in seconds since the epoch.
        devices: Number of devices into which each worker divides its cores.
    """

    number: int
    attempt: int
    addresses: tuple[str, ...] = ()
    restarts: tuple[tuple[float, str], ...] = ()
    budget: Mapping[str, Any] = field(default_factory=dict)
    outcome: str = ""
    message: str = ""
    time: float = field(default_factory=time.time)
    devices: int = 1

    @property
    def hosts(self) -> list[str]:
        """The addresses without ports."""
        return [host_of(address) for address in self.addresses]


def host_of(address: str) -> str:
    """The host of host:port."""
    return address.rsplit(":", 1)[0]


def write(paths: RunPaths, generation: Generation) -> bool:
    """Writes a generation; False if another machine has written the generation of this number."""
    return numbered.create(paths.generation(generation.number), asdict(generation))


def read(paths: RunPaths, number: int) -> Generation:
    """Reads the generation of this number; ObjectNotFoundError if there is none."""
    return documents.read(Generation, paths.generation(number))


def newest(paths: RunPaths) -> int:
    """The number of the run's newest generation; 0 if there is none."""
    return numbered.newest(paths.generations)


class Membership:
    """Announces this machine as a member of a generation, and finds the other members.

    Args:
        paths: The run.
        generation: The number of the generation.
        address: Address of this machine.
        record: What this machine announces, JSON-ready.
    """

    def __init__(self, paths: RunPaths, generation: int, address: str, record: Mapping[str, Any]) -> None:
        self._paths, self._generation, self._address = paths, generation, address
        self._record = dict(record)
        self._count = 0
        self._announced = -_ANNOUNCE_EVERY_S
        self._changes = Changes()

    def alive_members(self) -> set[str]:
        """Announces this machine, and returns the addresses of all members that are alive, with its own."""
        now = time.monotonic()
        if now - self._announced >= _ANNOUNCE_EVERY_S:
            self._count += 1
            uri = self._paths.member(self._generation, self._address)
            storage.write_json(uri, self._record | {"count": self._count})
            self._announced = now
        etags = announcements(self._paths, self._generation)
        for address, etag in etags.items():
            self._changes.observe(address, etag)
        alive = {address for address in etags if self._changes.changed_within(address, _DEAD_AFTER_S)}
        return alive | {self._address}

    def records(self, addresses: Iterable[str]) -> dict[str, dict[str, Any]]:
        """What these members have announced, by address."""
        found = {}
        for address in addresses:
            with suppress(ObjectNotFoundError, CorruptObjectError):
                found[address] = storage.read_json(self._paths.member(self._generation, address))
        return found


def announcements(paths: RunPaths, generation: int) -> dict[str, str]:
    """The etag of each announcement for a generation, by address; other files in the folder are ignored."""
    folder = paths.members(generation)
    found = {}
    for item in storage.list_objects(folder):
        address = item.uri.removeprefix(folder).removesuffix(".json")
        if item.uri.endswith(".json") and _is_address(address):
            found[address] = item.etag
    return found


def next_generation(assignment: Assignment, number: int, records: Mapping[str, Mapping[str, Any]]) -> Generation:
    """Decides what follows generation `number - 1`: a generation of these members, or a failure of the attempt.

    Args:
        assignment: What the group trains.
        number: Of the next generation.
        records: The announcements of the members that are alive, by address: host:port, devices, and the status with
            which the last worker of that machine ended.
    """
    paths, attempt = assignment.paths, assignment.attempt
    chosen = sorted(records, key=address_order)[: assignment.workers]
    addresses = tuple(str(records[member]["address"]) for member in chosen)
    devices = min(int(records[member].get("devices", 1)) for member in chosen)  # all workers need the same number
    allowed = settings.read(paths, attempt).train.max_restarts
    last = read(paths, number - 1) if number > 1 else None
    if last is None or last.attempt != attempt:
        return Generation(number, attempt, addresses, budget=Restarts(paths, _JOB, allowed).state, devices=devices)
    statuses: dict[str, int] = {}
    lost = []
    for index, host in enumerate(last.hosts):
        status = records.get(host, {}).get("status")
        if status is None:
            lost.append(f"the machine of worker-{index} was lost")
        statuses[f"worker-{index}"] = -int(signal.SIGKILL) if status is None else int(status)
    cause = ", ".join(lost) or describe_exits(statuses)
    budget = Restarts(paths, _JOB, allowed, last.budget)
    if not is_retryable(statuses.values()) or not budget.take_restart(statuses.values()):
        return Generation(number, attempt, restarts=last.restarts, outcome=FAILED, message=cause)
    restarts = (*last.restarts, (time.time(), cause))
    return Generation(number, attempt, addresses, restarts, budget.state, devices=devices)


def address_order(address: str) -> tuple[int, str]:
    """Sort key of addresses, the same on all machines."""
    return len(address), address


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
