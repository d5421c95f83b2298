"""The logs that trainer machines store when their set-up or their agent fails (bootstrap/trainer.sh)."""

from __future__ import annotations

import time
from contextlib import suppress

from cloudlstm import storage
from cloudlstm.errors import CapacityError, StorageError
from cloudlstm.runs import journal
from cloudlstm.runs.paths import RunPaths

GIVES_UP = "this machine gives up: "
"""How the last line of a log begins if the machine leaves its group."""

_LINES = 4
_CHARACTERS = 500
_JOURNAL_LINES = 40


class MachineLogs:
    """The logs of a group's machines. Those that are there at the beginning belong to earlier runs.

    Args:
        coordinates: URI of the group's lease, assignment and logs.
        paths: The run, whose log gets a copy.

    Raises:
        StorageError: they cannot be listed, so an old log could pass for a new one.
    """

    def __init__(self, coordinates: str, paths: RunPaths) -> None:
        self.uri = f"{coordinates}/machines/"
        self._paths = paths
        self._lines: dict[str, list[str]] = {}
        self._etags = self._list()

    def read(self) -> None:
        """Reads new and changed logs, and copies them into the log of the run. Does nothing while storage is away."""
        with suppress(StorageError):
            for uri, etag in self._list().items():
                if self._etags.get(uri) == etag:
                    continue
                lines = storage.read(uri).decode(errors="replace").strip().splitlines()
                machine = _machine(uri)
                message = f"machine {machine} could not work; the end of its log:"
                writer = f"machine-{machine}"
                journal.write_warning(self._paths, "train", writer, message, lines[-_JOURNAL_LINES:], when=time.time())
                self._etags[uri], self._lines[uri] = etag, lines

    @property
    def tail(self) -> str:
        """The last lines of the newest log; empty if there is none."""
        return _tail(next(reversed(self._lines.values()))) if self._lines else ""

    def gave_up(self) -> CapacityError | None:
        """The error for a machine that has left its group, because its set-up or its agent failed; None without one."""
        for uri, lines in self._lines.items():
            if lines and lines[-1].startswith(GIVES_UP):
                return CapacityError(f"machine {_machine(uri)} gave up: {_tail(lines)}", hint=f"see {uri}")
        return None

    def _list(self) -> dict[str, str]:
        return {item.uri: item.etag for item in storage.list_objects(self.uri)}


def _machine(uri: str) -> str:
    return uri.rpartition("/")[2].removesuffix(".log")


def _tail(lines: list[str]) -> str:
    return " / ".join(line.strip().removeprefix(GIVES_UP) for line in lines[-_LINES:])[-_CHARACTERS:]
