"""`submit --detach`: the launcher runs in the background and does not end with the terminal."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from cloudlstm.cli import terminal
from cloudlstm.runs import attempts
from cloudlstm.runs.liveness import Owner
from cloudlstm.runs.paths import RunPaths
from cloudlstm.storage.local import disk_errors, user_cache

_POLL_S = 0.5
_KEPT = 50
"""Output files that are kept. They show why a launcher ended; the log of a run has everything else."""


def detach(words: Sequence[str], run: str, watch: str) -> int:
    """Starts a command in the background. Returns 0 when it holds the run, or its exit status if it ended before.

    Args:
        words: The words of the command without --detach.
        run: URI of the run.
        watch: The command line that shows its logs.
    """
    paths = RunPaths(run)
    with _new_console(paths.run_id) as console:
        launcher = subprocess.Popen(
            [sys.executable, "-m", "cloudlstm", *words],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
    while not _holds_run(paths, launcher.pid):
        if (status := launcher.poll()) is not None:
            terminal.write_error(Path(console.name).read_text(errors="replace"))
            return status
        time.sleep(_POLL_S)
    terminal.write(f"{paths.run_id} runs in the background (process {launcher.pid}, {console.name})\n{watch}\n")
    return 0


def _new_console(run_id: str) -> BinaryIO:
    """A new open file in the user's cache for the output of a launcher; only the newest files are kept."""
    folder = user_cache("consoles")
    with disk_errors(f"make a file in {folder}"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        earlier = sorted(folder.glob("*.txt"), key=lambda path: path.lstat().st_mtime, reverse=True)
        for path in earlier[_KEPT - 1 :]:
            path.unlink(missing_ok=True)
        opened, name = tempfile.mkstemp(prefix=f"{run_id}-", suffix=".txt", dir=folder)
        os.close(opened)
        return Path(name).open("wb")


def _holds_run(paths: RunPaths, pid: int) -> bool:
    number = attempts.latest_attempt(paths)
    owner = attempts.read_owner(paths, number) if number else None
    return owner is not None and owner.pid == pid and owner.host == Owner.me().host
