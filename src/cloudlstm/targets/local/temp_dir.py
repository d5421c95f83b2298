"""A folder for all that a job keeps on this machine while it runs: its consoles, Spark's blocks, temporary files.

It goes when the job has ended. A launcher that is killed cannot do that; but the lock that it holds in the folder ends
with it, and the next launcher on this machine removes every such folder whose lock is free.
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
        with suppress(OSError):
            if _is_ours(path):
                with locked(path / _LOCK, wait=False, create=False):
                    shutil.rmtree(path, ignore_errors=True)


def _is_ours(path: Path) -> bool:
    """Whether this is a folder of this user's, which nobody else can have put something into.

    Everybody on the machine can make a folder of our name in the folder for temporary files, or a link to another one.
    """
    found = path.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022
