"""Temporary folder of a local job: console output, Spark's blocks, temporary files.

It is removed when the job has ended. A killed launcher cannot do that, but its lock in the folder is released with it:
the next launcher on this machine removes every such folder whose lock is free.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from cloudlstm.storage.local import disk_errors
from cloudlstm.storage.locks import locked

_PREFIX = "cloudlstm-job-"
_LOCK = "launcher.lock"


class JobTempDir:
    """Creates a folder in the system's temporary folder; removes those of dead launchers.

    Raises:
        StorageFullError: the disk is full.
    """

    def __init__(self) -> None:
        base = Path(tempfile.gettempdir())
        _remove_abandoned(base)
        with disk_errors(f"make a folder for temporary files in {base}"):
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
            self._lock = (self.path / "new.lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            # Renamed while locked: a free lock of this name always means a dead launcher.
            (self.path / "new.lock").rename(self.path / _LOCK)

    def environment(self) -> dict[str, str]:
        """Returns environment variables that make Python and Spark use this folder; a set SPARK_LOCAL_DIRS stays."""
        places = {"TMPDIR": str(self.path)}
        return places if "SPARK_LOCAL_DIRS" in os.environ else places | {"SPARK_LOCAL_DIRS": str(self.path)}

    def remove(self) -> None:
        """Removes the folder with its contents; may be called again."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def _remove_abandoned(base: Path) -> None:
    for path in base.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if _is_ours(path):
                with locked(path / _LOCK, wait=False, create=False):
                    shutil.rmtree(path, ignore_errors=True)


def _is_ours(path: Path) -> bool:
    """True if this is a folder of this user into which nobody else can write.

    Any user of the machine can create a folder or a link with this name in the temporary folder.
    """
    found = path.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022
