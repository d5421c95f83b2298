"""Jobs that are at work although their launcher is gone, as on a cloud.

Times that the store of the run has noted are compared with each other: of the launcher's last heartbeat and of the last
progress of jobs. Only how long ago that progress was is told by this machine's clock, which may be wrong by a minute.
"""

from __future__ import annotations

import time

from cloudlstm import storage
from cloudlstm.errors import ObjectNotFoundError
from cloudlstm.runs import attempts
from cloudlstm.runs.liveness import last_beat
from cloudlstm.runs.paths import RunPaths

_LATER_S = 2 * attempts.HEARTBEAT_EVERY_S
"""Jobs on the launcher's machine end with it: what they write at the last moment is not later than this."""

_SILENT_S = 120.0
"""Jobs that have not reported for this long are not at work any more."""


def may_have_orphans(paths: RunPaths, number: int) -> bool:
    """Whether jobs of the attempt may be at work without having reported: its launcher did not end it, on a cloud.

    Only jobs on a cloud have phases. Those on the launcher's machine end with it.
    """
    beat = last_beat(paths.heartbeat(number, attempts.latest_launcher(paths, number)))
    return not (beat and beat.ended) and storage.exists(paths.phase(number))


def has_orphans(paths: RunPaths, number: int) -> bool:
    """Whether jobs of the attempt have gone on for longer than its launcher, and have reported lately."""
    if not attempts.was_lost(paths, number):
        return False
    try:
        beat = storage.stat(paths.heartbeat(number, attempts.latest_launcher(paths, number)))
    except ObjectNotFoundError:
        return False
    reported = max((item.modified for item in storage.list_objects(paths.progresses)), default=0.0)
    return reported > beat.modified + _LATER_S and time.time() - reported < _SILENT_S
