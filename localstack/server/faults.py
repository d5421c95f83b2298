"""Faults on demand: what fails, and when. Each part of the emulator checks here before it acts."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import asdict, dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any

KINDS = {
    "step-fails": "the next step fails, at once or after `after_s` seconds of real work",
    "step-hangs": "the next step runs until it is cancelled",
    "executors-hang": "the executors of the next step hang, and so does its driver",
    "throttled": "calls of `service` and `action` are rejected with a throttling error",
    "api-error": "calls of `service` and `action` are answered with `status`",
    "no-capacity": "groups named like `group` get no new machines",
    "preempted": "the platform takes machine number `worker` of `group` back now",
    "fresh-account": "the account has the quotas of a new one",
    "iam-propagation": "roles and instance profiles younger than `after_s` seconds are refused",
    "zone-lacks": "machine types like `machine` are not offered in zones like `zone`",
}
"""Every kind of fault with its meaning."""

_ENDLESS = ("no-capacity", "fresh-account", "iam-propagation", "zone-lacks")
"""Kinds that last until they are cleared. Others happen once. `seconds` or `times` overrides both."""


@dataclass
class Fault:
    """A fault.

    Attributes:
        kind: One of KINDS.
        service: Name of a service in the SDK ("emr"); `*` matches any.
        action: Name of an API action ("DescribeStep"); `*` matches any.
        group: Name of a group of machines; `*` matches any.
        worker: Number of the machine, from 0, in the order of their start.
        zone: Name of a zone; `*` matches any.
        machine: Name of a machine type; `*` matches any.
        status: HTTP status of the answer.
        reason: The platform's reason for a failed step; empty for its usual one.
        message: The platform's message; empty for its usual one.
        after_s: Seconds that the step runs before it fails, or until a role is known everywhere.
        grace_s: Seconds between SIGTERM and the end of a preempted machine; 0 ends it without SIGTERM.
        times: How often it happens; None for no limit.
        seconds: How long it lasts; None for no limit.
        id: Number, given by the emulator.
    """

    kind: str
    service: str = "*"
    action: str = "*"
    group: str = "*"
    worker: int = 0
    zone: str = "*"
    machine: str = "*"
    status: int = 500
    reason: str = ""
    message: str = ""
    after_s: float = 0.0
    grace_s: float = 0.0
    times: int | None = None
    seconds: float | None = None
    id: int = 0
    began: float = field(default_factory=time.monotonic, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"there is no fault {self.kind!r}: use one of {', '.join(KINDS)}")
        if self.times is None and self.seconds is None and self.kind not in _ENDLESS:
            self.times = 1

    @property
    def over(self) -> bool:
        """True if it can no longer happen."""
        spent = self.times is not None and self.times <= 0
        return spent or (self.seconds is not None and time.monotonic() > self.began + self.seconds)


class Faults:
    """All faults that can still happen. Thread-safe."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._ids = itertools.count(1)

    def add(self, request: dict[str, Any]) -> Fault:
        """Adds a fault from a JSON object with the attributes of Fault.

        Raises:
            ValueError: if the object is not a valid fault; the message says why.
        """
        known = {each.name for each in fields(Fault)} - {"id", "began"}
        if unknown := sorted(request.keys() - known):
            raise ValueError(f"a fault has no {', '.join(unknown)}: it has {', '.join(sorted(known))}")
        if "kind" not in request:
            raise ValueError(f"a fault needs a kind: one of {', '.join(KINDS)}")
        fault = Fault(**request)
        with self._lock:
            fault.id = next(self._ids)
            if fault.kind != "preempted":  # the engine does this one at once
                self._faults.append(fault)
        return fault

    def take(self, *kinds: str, service: str = "", action: str = "", group: str = "") -> Fault | None:
        """Returns the oldest fault of these kinds for this service, action or group, and counts it as happened."""
        with self._lock:
            self._faults = [fault for fault in self._faults if not fault.over]
            for fault in self._faults:
                pairs = zip((fault.service, fault.action, fault.group), (service, action, group), strict=True)
                if fault.kind in kinds and all(not name or fnmatchcase(name, pattern) for pattern, name in pairs):
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None

    def lasting(self, kind: str) -> list[Fault]:
        """Returns the faults of a kind that can still happen, the oldest first, and counts none."""
        with self._lock:
            return [fault for fault in self._faults if fault.kind == kind and not fault.over]

    def clear(self) -> None:
        """Removes all faults."""
        with self._lock:
            self._faults.clear()

    def waiting(self) -> list[dict[str, Any]]:
        """Returns the faults that can still happen as JSON objects."""
        with self._lock:
            return [_document(fault) for fault in self._faults if not fault.over]


def _document(fault: Fault) -> dict[str, Any]:
    document = asdict(fault)
    del document["began"]
    return document
