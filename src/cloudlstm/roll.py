"""Which machines wait for a generation: each rewrites its announcement, and those that go on doing so are alive.

No clocks are compared: whoever calls the roll has seen by its own clock that an announcement changed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError
from cloudlstm.layout import RunLayout
from cloudlstm.runs.liveness import Changes

_ANNOUNCE_S = 1.0
_ALIVE_S = 15.0
"""An announcement that has not changed for this long is that of a machine which is gone."""


class Roll:
    """The announcements for one generation.

    Args:
        layout: The run.
        generation: The number of the generation.
        address: This machine's.
        record: What it announces.
    """

    def __init__(self, layout: RunLayout, generation: int, address: str, record: Mapping[str, Any]) -> None:
        self._layout, self._generation, self._address = layout, generation, address
        self._record = dict(record)
        self._count = 0
        self._announced = -_ANNOUNCE_S
        self._changes = Changes()

    def call(self) -> set[str]:
        """Announces this machine, and returns the addresses of all that are alive, this one included."""
        now = time.monotonic()
        if now - self._announced >= _ANNOUNCE_S:
            self._count += 1
            uri = self._layout.member(self._generation, self._address)
            storage.write_json(uri, self._record | {"count": self._count})
            self._announced = now
        folder = self._layout.members(self._generation)
        listed = announced(folder)
        for address, etag in listed.items():
            self._changes.see(address, etag)
        return {address for address in listed if self._changes.have(address, _ALIVE_S)} | {self._address}

    def records(self, addresses: Iterable[str]) -> dict[str, dict[str, Any]]:
        """What these machines have announced."""
        found = {}
        for address in addresses:
            with suppress(ObjectNotFoundError, CorruptObjectError):
                found[address] = storage.read_json(self._layout.member(self._generation, address))
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
