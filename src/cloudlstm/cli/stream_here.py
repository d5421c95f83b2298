"""`cloudlstm stream` in this process: holds the attempt of the stream, runs it, and ends it when it is cancelled."""

from __future__ import annotations

import json as json_format
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from cloudlstm import storage
from cloudlstm.cli import terminal
from cloudlstm.cli.stream_status import JOB
from cloudlstm.errors import JobError, RunBusyError, StorageError, to_record
from cloudlstm.runs import numbered
from cloudlstm.runs.attempts import Attempt, latest_attempt
from cloudlstm.runs.paths import RunPaths
from cloudlstm.stream.serve import ServeOptions, serve

if TYPE_CHECKING:
    from cloudlstm.stream.documents import StreamSettings
    from cloudlstm.stream.paths import StreamPaths

_LOOK_S = 5.0
"""Seconds between two looks whether the stream was cancelled."""


def run(root: str, paths: StreamPaths, settings: StreamSettings, options: ServeOptions, *, as_json: bool) -> str:
    """Runs a stream until its source ends.

    Args:
        root: The folder of all runs and models.
        paths: The stream.
        settings: Its settings.
        options: How it runs.
        as_json: Whether to print the document of each batch.

    Returns:
        The facts about it on one line.

    Raises:
        CloudLSTMError: Another process works on the stream, it was cancelled, or why it cannot go on.
        KeyboardInterrupt: The user has stopped it.
    """
    folder = RunPaths(paths.uri)
    held = Attempt(folder, notice=_tell)
    with _error_kept(folder, held), held:  # on a full disk the last heartbeat counts more than the error
        local = replace(options.local, stop=_Ended(held, paths.name))
        options = replace(options, local=local)
        storage.delete(folder.failure(JOB), within=paths.uri)  # of an earlier process or job
        live = serve(root, paths, settings, options, _tell, terminal.write, _shown if as_json else _nothing)
        numbered.create(folder.complete(held.number), {})
    return live.line()


@contextmanager
def _error_kept(folder: RunPaths, held: Attempt) -> Iterator[None]:
    """Stores an error for `status`, unless the stream was cancelled or taken over; another process has it then."""
    try:
        yield
    except RunBusyError:
        raise
    except Exception as error:
        with suppress(StorageError):
            if latest_attempt(folder) == held.number and not held.cancelled():
                storage.write_json(folder.failure(JOB), to_record(error))
        raise


class _Ended:
    """Asked between two batches; looks every few seconds whether the stream was cancelled or taken over."""

    def __init__(self, held: Attempt, name: str) -> None:
        self._held, self._name, self._next = held, name, 0.0

    def __call__(self) -> bool:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _LOOK_S
            self._held.require_held()
            if self._held.cancelled():
                raise JobError(f"stream {self._name} was cancelled", hint="the same command continues it")
        return False


def _tell(text: str) -> None:
    terminal.write_error(f"{text}\n")


def _nothing(document: Any) -> None:
    del document


def _shown(document: Any) -> None:
    terminal.write(json_format.dumps(asdict(document), sort_keys=True) + "\n")
