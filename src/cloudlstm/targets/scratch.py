"""A folder for all that a job keeps on this machine while it runs: its consoles, Spark's blocks, temporary files.

It goes when the job has ended. A launcher that is killed cannot do that; but the lock that it holds in the folder ends
with it, and the next launcher on this machine removes every such folder whose lock is free.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from cloudlstm.storage.local import disk_errors

_PREFIX = "cloudlstm-job-"
_LOCK = "launcher.lock"


class Scratch:
    """A new folder below the system's folder for temporary files; those of dead launchers are removed.

    Raises:
        StorageFullError: there is no space for it.
    """

    def __init__(self) -> None:
        base = Path(tempfile.gettempdir())
        _remove_abandoned(base)
        with disk_errors(f"make a folder for temporary files in {base}"):
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
            self._lock = (self.path / "new.lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            # Only now: a lock that is seen and free is that of a dead launcher.
            (self.path / "new.lock").rename(self.path / _LOCK)

    def environment(self) -> dict[str, str]:
        """The variables by which Python and Spark put their temporary files here, unless the user has a place."""
        places = {"TMPDIR": str(self.path)}
        return places if "SPARK_LOCAL_DIRS" in os.environ else places | {"SPARK_LOCAL_DIRS": str(self.path)}

    def remove(self) -> None:
        """Removes the folder and all in it; nothing happens the second time."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def _remove_abandoned(base: Path) -> None:
    for path in base.glob(f"{_PREFIX}*"):
        with suppress(OSError), (path / _LOCK).open() as lock:  # a folder that is not ours cannot be opened
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
