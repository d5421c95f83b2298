"""A cloud in the background: one a folder, found again by the folder, ended by `down` or with the machine."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from localstack.cloud import Cloud, Options
from localstack.processes import START_S, tail

_ENVIRONMENT = "environment"
_DATA = "data"


class NotRunningError(Exception):
    """There is no cloud in this folder."""


def hold(folder: Path, options: Options, target: str, target_file: Path | None) -> None:
    """Runs a cloud in the folder until this process is told to end; the folder's lock says that it runs.

    Args:
        folder: Where it keeps everything.
        options: How it is set up.
        target: The name of the target to make; empty makes none.
        target_file: Where to write the target document as well.

    Raises:
        RuntimeError: when one runs there already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    (folder / ".gitignore").write_text("*\n")
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT)  # never closed: held to the process's very end
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RuntimeError(f"a cloud runs in {folder} already: end it by `down`") from None
    (folder / _ENVIRONMENT).unlink(missing_ok=True)
    shutil.rmtree(folder / _DATA, ignore_errors=True)
    os.truncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Cloud(folder / _DATA, options) as cloud:
        if target:
            document = json.dumps(cloud.make_target(target), indent=1) + "\n"
            if target_file:
                write_private(target_file, document)
        lines = [f"{name}={value}\n" for name, value in cloud.environment.items()]
        write_private(folder / _ENVIRONMENT, "".join(lines))
        try:
            while True:
                signal.pause()
        finally:
            (folder / _ENVIRONMENT).unlink(missing_ok=True)


def start(folder: Path, words: Sequence[str]) -> dict[str, str]:
    """Starts `hold` with these words of its command line in a process of its own; the environment once it is up.

    Raises:
        RuntimeError: when it did not come up, with the end of its log.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if _holder(folder):
        raise RuntimeError(f"a cloud runs in {folder} already: end it by `down`")
    (folder / _ENVIRONMENT).unlink(missing_ok=True)
    log = folder / "log.txt"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "localstack", "up", "--foreground", f"--folder={folder}", *words]
        held = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
    give_up = time.monotonic() + 3 * START_S
    while not (folder / _ENVIRONMENT).exists():
        if held.poll() is not None or time.monotonic() > give_up:
            held.kill()
            raise RuntimeError(f"the cloud did not come up; its log ends:\n{tail(log)}")
        time.sleep(0.1)
    return environment(folder)


def environment(folder: Path) -> dict[str, str]:
    """The environment of the cloud that runs in the folder.

    Raises:
        NotRunningError: when none does.
    """
    exported = written(folder)
    if not exported or not _holder(folder):
        raise NotRunningError(f"no cloud runs in {folder}: start one by `python -m localstack up`")
    return exported


def written(folder: Path) -> dict[str, str]:
    """The environment of the cloud that runs in the folder, or that was killed there; empty if it was ended."""
    try:
        lines = (folder / _ENVIRONMENT).read_text().splitlines()
    except FileNotFoundError:
        lines = []
    return dict(line.split("=", 1) for line in lines)


def stop(folder: Path) -> None:
    """Ends the cloud of the folder; returns when its last process is gone.

    Raises:
        NotRunningError: when there is none.
    """
    pid = _holder(folder)
    if not pid:
        raise NotRunningError(f"no cloud runs in {folder}")
    for number, patience_s in ((signal.SIGTERM, 30.0), (signal.SIGKILL, 10.0)):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        give_up = time.monotonic() + patience_s
        while time.monotonic() < give_up:
            if not _holder(folder):
                return
            time.sleep(0.05)
    raise RuntimeError(f"process {pid} does not end")


def _holder(folder: Path) -> int:
    """The process that holds the folder's lock; 0 if none does. The system drops a lock with its process."""
    try:
        with (folder / "lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(lock.read() or 0)
    except FileNotFoundError:
        pass
    return 0


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner may read; it is never there in part."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.replace(path)
