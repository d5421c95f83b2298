"""Runs a cloud in the background: one for each folder, until `down` or the end of the process."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from localstack.cloud import Cloud, Options
from localstack.processes import START_S, tail

FOLDER = Path(".localstack")
"""The usual folder of a cloud."""

_ENVIRONMENT = "environment"
_TERRAFORM = "terraform-environment"
_DATA = "data"


class NotRunningError(Exception):
    """No cloud runs in this folder."""


def hold(
    folder: Path,
    options: Options,
    target: str,
    target_file: Path | None,
    *,
    wheelhouse: bool = False,
    schedule: Mapping[str, Any] | None = None,
) -> None:
    """Runs a cloud in the folder until this process gets SIGTERM. It holds the folder's lock while it runs.

    Args:
        folder: Where the cloud keeps its files.
        options: The cloud's options.
        target: Name of the target to make; empty for none.
        target_file: Another file for the target document.
        wheelhouse: Whether the target's trainers install Python and packages from the bucket.
        schedule: Time, time zone and models of the target's schedule; None for none.

    Raises:
        RuntimeError: if a cloud runs there already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    (folder / ".gitignore").write_text("*\n")
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT)  # never closed, so this process holds it until its end
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RuntimeError(f"a cloud runs in {folder} already: end it with {command_line('down', folder)}") from None
    for name in (_ENVIRONMENT, _TERRAFORM):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / _DATA, ignore_errors=True)
    os.truncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Cloud(folder / _DATA, options) as cloud:
        if target:
            made = cloud.make_target(target, wheelhouse=wheelhouse, schedule=schedule)
            document = json.dumps(made, indent=1) + "\n"
            if target_file:
                write_private(target_file, document)
        for name, variables in ((_TERRAFORM, cloud.terraform_environment), (_ENVIRONMENT, cloud.environment)):
            write_private(folder / name, "".join(f"{key}={value}\n" for key, value in variables.items()))
        try:
            while True:
                signal.pause()
        finally:
            for name in (_ENVIRONMENT, _TERRAFORM):
                (folder / name).unlink(missing_ok=True)


def start(folder: Path, arguments: Sequence[str]) -> dict[str, str]:
    """Starts a process that calls `hold`; returns the cloud's environment once it runs.

    Args:
        folder: Where the cloud keeps its files.
        arguments: The arguments of the command `up`.


    Raises:
        RuntimeError: if it did not start, with the end of its log.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if _holder(folder):
        raise RuntimeError(f"a cloud runs in {folder} already: end it with {command_line('down', folder)}")
    (folder / _ENVIRONMENT).unlink(missing_ok=True)
    log = folder / "log.txt"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "localstack", "up", "--foreground", f"--folder={folder}", *arguments]
        held = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
    deadline = time.monotonic() + 3 * START_S
    while not (folder / _ENVIRONMENT).exists():
        if held.poll() is not None or time.monotonic() > deadline:
            held.kill()
            raise RuntimeError(f"the cloud did not start; its log ends:\n{tail(log)}")
        time.sleep(0.1)
    return environment(folder)


def command_line(name: str, folder: Path) -> str:
    """Returns the command line that does this with the cloud of the folder."""
    place = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    where = "" if place == FOLDER else f" --folder={shlex.quote(str(place))}"
    return f"python -m localstack {name}{where}"


def environment(folder: Path, *, terraform: bool = False) -> dict[str, str]:
    """Returns the environment of the cloud that runs in the folder.

    Args:
        folder: Where the cloud keeps its files.
        terraform: Whether to return the environment for Terraform.

    Raises:
        NotRunningError: if no cloud runs there.
        RuntimeError: if Terraform cannot apply a root to this cloud.
    """
    exported = written(folder)
    if not exported or not _holder(folder):
        raise NotRunningError(f"no cloud runs in {folder}: start one with {command_line('up', folder)}")
    if not terraform:
        return exported
    if not (variables := _read(folder / _TERRAFORM)):
        raise RuntimeError("Terraform can apply a root to the emulated AWS only: see localstack/README.md")
    return variables


def written(folder: Path) -> dict[str, str]:
    """Returns the environment that the folder's cloud has written; empty if the cloud ended normally."""
    return _read(folder / _ENVIRONMENT)


def exported_by(folder: Path) -> list[str]:
    """Returns the names of all variables that commands may have set for the folder's cloud."""
    return list(_read(folder / _ENVIRONMENT) | _read(folder / _TERRAFORM))


def _read(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        lines = []
    return dict(line.split("=", 1) for line in lines)


def stop(folder: Path) -> None:
    """Ends the cloud of the folder; returns when its last process has ended.

    Raises:
        NotRunningError: if no cloud runs there.
    """
    pid = _holder(folder)
    if not pid:
        raise NotRunningError(f"no cloud runs in {folder}")
    for number, timeout_s in ((signal.SIGTERM, 30.0), (signal.SIGKILL, 10.0)):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if not _holder(folder):
                return
            time.sleep(0.05)
    raise RuntimeError(f"process {pid} does not end")


def _holder(folder: Path) -> int:
    """Returns the id of the process that holds the folder's lock, or 0. The lock ends with its process."""
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
    """Writes a file that only its owner may read, in one step."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.replace(path)
