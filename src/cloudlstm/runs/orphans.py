"""Orphans: jobs on a cloud that still run although their launcher has died.

The time of the launcher's last heartbeat and of the jobs' last progress both come from the clock of the store. Only the
age of that progress depends on this machine's clock, which may be wrong by a minute.
"""

from __future__ import annotations

import time

from cloudlstm import storage
from cloudlstm.errors import ObjectNotFoundError
from cloudlstm.runs import attempts
from cloudlstm.runs.liveness import last_beat
from cloudlstm.runs.paths import RunPaths

_LATER_S = 2 * attempts.HEARTBEAT_EVERY_S
"""Jobs on the launcher's machine end with it, and write nothing later than this after its last heartbeat."""

_SILENT_S = 120.0
"""Jobs that have not reported for this long have ended."""


def may_have_orphans(paths: RunPaths, number: int) -> bool:
    """True if jobs of the attempt may run on a cloud: its launcher died without a final heartbeat.

    Only jobs on a cloud have phases. Jobs on the launcher's machine end with it.
    """
    beat = last_beat(paths.heartbeat(number, attempts.latest_launcher(paths, number)))
    return not (beat and beat.ended) and storage.exists(paths.phase(number))


def has_orphans(paths: RunPaths, number: int) -> bool:
    """True if jobs of the attempt have reported recently, and after the launcher's last heartbeat."""
    if not attempts.was_lost(paths, number):
        return False
    try:
        beat = storage.stat(paths.heartbeat(number, attempts.latest_launcher(paths, number)))
    except ObjectNotFoundError:
        return False
    reported = max((item.modified for item in storage.list_objects(paths.progresses)), default=0.0)
    return reported > beat.modified + _LATER_S and time.time() - reported < _SILENT_S
