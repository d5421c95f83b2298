"""Ends a job that works longer than it may, even if it hangs.

A hung driver keeps its cluster busy, so that the cluster never ends by itself and costs money. A thread of Python ends
the job in order, as long as Python runs. If even that hangs, for example in native code that keeps Python's lock, a
thread that needs no Python ends the process.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cloudlstm.errors import JobError

if TYPE_CHECKING:
    from cloudlstm.config import RunConfig

_LOG = logging.getLogger(__name__)

TARGET_HOURS = 6.0
"""The limit of the job "prepare" on a target, if the configuration sets none."""

_GRACE_S = 20.0
"""Time for the job to end after SIGTERM."""

_NATIVE_GRACE_S = 120.0
"""Time until the process is ended without Python."""

_HOUR_S = 3600


def prepare_hours(config: RunConfig, *, target: bool) -> float | None:
    """Returns the limit of the job "prepare"; on this machine there is none by default, because nobody pays for it."""
    return config.spark.max_hours or (TARGET_HOURS if target else None)


def too_long(job: str, hours: float) -> JobError:
    """Returns the error of a job that has reached its limit."""
    return JobError(
        f"the job {job} was ended after its {hours:g} hours",
        hint="submit again: finished steps are skipped; cloudlstm logs shows where it was; or raise spark.max_hours",
    )


@contextmanager
def ended_after(job: str, hours: float | None, store: Callable[[JobError], None]) -> Iterator[None]:
    """Ends this process if the block takes longer than the limit.

    The stacks of all threads are written to standard error and the error is stored. Then the process gets SIGTERM, and
    is ended if it does not follow.

    Args:
        job: The job's name.
        hours: The limit; None for none.
        store: Stores the error for the launcher.
    """
    if hours is None:
        yield
        return
    finished = threading.Event()

    def watch() -> None:
        if finished.wait(hours * _HOUR_S):
            return
        error = too_long(job, hours)
        _LOG.error("%s", error)
        faulthandler.dump_traceback(sys.stderr)
        store(error)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE_S)
        os._exit(1)

    threading.Thread(target=watch, name="deadline", daemon=True).start()
    faulthandler.dump_traceback_later(hours * _HOUR_S + _NATIVE_GRACE_S, exit=True, file=sys.stderr)
    try:
        yield
    finally:
        finished.set()
        faulthandler.cancel_dump_traceback_later()
