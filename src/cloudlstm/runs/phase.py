"""What a launcher waits for before its job reports progress, for those who look at the run from elsewhere."""

from __future__ import annotations

from contextlib import suppress

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError, StorageError
from cloudlstm.layout import RunLayout


class PhaseNote:
    """The phase of one job, written whenever it is another one.

    Args:
        layout: The run.
        attempt: The attempt that the job works for.
        job: Its name.
    """

    def __init__(self, layout: RunLayout, attempt: int, job: str) -> None:
        self._uri, self._job = layout.phase(attempt), job
        self._written = ""

    def tell(self, phase: str) -> None:
        """Writes the phase unless it is the one that was written last; a failure to write is no harm."""
        if phase != self._written:
            with suppress(StorageError):
                storage.write_json(self._uri, {"job": self._job, "phase": phase})
                self._written = phase


def read_phase(layout: RunLayout, attempt: int) -> tuple[str, str]:
    """The job that an attempt's launcher watched last, and its phase; both may be empty."""
    try:
        found = storage.read_json(layout.phase(attempt))
        return str(found["job"]), str(found["phase"])
    except (ObjectNotFoundError, CorruptObjectError, KeyError, TypeError):
        return "", ""
