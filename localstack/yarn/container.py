"""A container: its working folder with the localized files, its environment, and its processes.

The folder, the variables and the script are made as YARN's node manager makes them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import tarfile
import threading
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from localstack.processes import Process

ABORTED, KILLED_FOR_MEMORY = -1000, -104
"""Exit codes of YARN: the container could not be started; it used too much memory."""

_ARCHIVES = (".zip", ".jar", ".tar", ".tar.gz", ".tgz")


@dataclass(frozen=True)
class Resource:
    """A file that is localized.

    Attributes:
        path: Its path on this machine.
        archive: True to unpack it.
        changed_ms: When it was last changed, as the application was told.
    """

    path: Path
    archive: bool
    changed_ms: int


@dataclass(frozen=True)
class Context:
    """What an application asks for in a container.

    Attributes:
        environment: Its variables; values may contain `{{NAME}}` for the value of another variable.
        commands: The words of its command.
        resources: Its files, by their names in the working folder.
    """

    environment: Mapping[str, str]
    commands: Sequence[str]
    resources: Mapping[str, Resource]


class LaunchError(Exception):
    """The container cannot be started; the message is that of YARN."""


class Container:
    """A container on a node; it has not started yet.

    Args:
        name: Its id.
        application: The id of its application.
        node: The node's folder.
        limit_mib: The memory that it may use.
    """

    def __init__(self, name: str, application: str, node: Path, limit_mib: int) -> None:
        self.name, self.application, self.limit_mib = name, application, limit_mib
        self.folder = node / "appcache" / application / name
        self.logs = node / "logs" / application / name
        self._node = node
        self._lock = threading.Lock()
        self._process: Process | None = None
        self._status: int | None = None
        self.diagnostics = ""

    @property
    def tokens(self) -> Path:
        """The file of its tokens."""
        return self.folder / "container_tokens"

    def prepare(self) -> None:
        """Makes its folders."""
        self.folder.mkdir(parents=True)
        self.logs.mkdir(parents=True)

    def start(self, context: Context, cache: Path, environment: Mapping[str, str]) -> None:
        """Localizes its files and starts its command.

        Args:
            context: What the application asked for.
            cache: The folder of unpacked and copied files.
            environment: The variables of every container on this node.

        Raises:
            LaunchError: if a file is missing, has changed or cannot be unpacked.
        """
        for link, resource in context.resources.items():
            place = self.folder / link
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(_localized(resource, cache))
        script = self.folder / "launch_container.sh"
        script.write_text(self._script(context, environment))
        with self._lock:
            if self._status is None:
                self._process = Process(
                    ["/bin/bash", script],
                    folder=self.folder,
                    stdout=self.logs / "prelaunch.out",
                    stderr=self.logs / "prelaunch.err",
                    environment={"PATH": environment["PATH"]},
                )

    def _script(self, context: Context, environment: Mapping[str, str]) -> str:
        """Returns the script of the command. Values stand in double quotes, so the shell replaces `$NAME` in them."""
        own = {
            "CONTAINER_ID": self.name,
            "HADOOP_TOKEN_FILE_LOCATION": str(self.tokens),
            "HOME": str(_no_home(self._node)),
            "LOCAL_DIRS": str(self.folder.parent),
            "LOG_DIRS": str(self.logs),
            "NM_HOST": "127.0.0.1",
            "PWD": str(self.folder),
            "USER": "hadoop",
            "LOGNAME": "hadoop",
        }
        asked = {name: self._expanded(value) for name, value in context.environment.items()}
        lines = ["#!/bin/bash", "set -o pipefail -e"]
        for variables in (environment, own, {name: asked[name] for name in asked if name not in own}):
            lines += [f'export {name}="{value}"' for name, value in variables.items()]
        command = self._expanded(" ".join(context.commands))
        return "\n".join([*lines, f'exec /bin/bash -c "{command}"', ""])

    def _expanded(self, text: str) -> str:
        text = text.replace("<LOG_DIR>", str(self.logs)).replace("<CPS>", os.pathsep)
        return text.replace("{{", "$").replace("}}", "")

    def status(self) -> int | None:
        """Returns its exit status; None while it runs."""
        if self._status is None and self._process and (status := self._process.poll()) is not None:
            self._end(status)
        return self._status

    def check_memory(self) -> None:
        """Kills it if its processes use more memory than it may."""
        if self._process is None or self._status is not None:
            return
        used = sum(_memory_mib(pid) for pid in _descendants(self._process.pid))
        if used > self.limit_mib:
            self.kill(KILLED_FOR_MEMORY)
            self.diagnostics = (
                f"Container [containerID={self.name}] is running beyond physical memory limits. Current usage: "
                f"{used:.0f} MB of {self.limit_mib} MB physical memory used. Killing container."
            )

    def freeze(self) -> None:
        """Stops its processes without ending them."""
        with self._lock:
            for pid in _descendants(self._process.pid)[1:] if self._process and self._status is None else ():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)

    def kill(self, status: int = 143) -> None:
        """Kills its processes."""
        self._end(status)

    def fail(self, why: str) -> None:
        """Ends it because it could not be started."""
        self.diagnostics = why
        self._end(ABORTED)

    def _end(self, status: int) -> None:
        with self._lock:
            if self._status is not None:
                return
            if self._process:
                self._process.kill()
            self._status = status
        if status:
            self.diagnostics = self.diagnostics or f"Container exited with a non-zero exit code {status}."

    def remove(self) -> None:
        """Deletes its working folder, as YARN does when its application has ended; logs stay."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def _localized(resource: Resource, cache: Path) -> Path:
    """Returns the path of a file's copy, or of the folder with the content of an archive; made at first use."""
    try:
        changed_ms = int(resource.path.stat().st_mtime * 1000)
    except OSError:
        raise LaunchError(f"java.io.FileNotFoundException: File {resource.path} does not exist") from None
    if changed_ms // 1000 != resource.changed_ms // 1000:
        raise LaunchError(
            f"java.io.IOException: Resource {resource.path} changed on src filesystem "
            f"(expected {resource.changed_ms}, was {changed_ms})"
        )
    with resource.path.open("rb") as file:  # each application has its own copy of the same archive
        content = hashlib.file_digest(file, "sha256").hexdigest()
    home = cache / f"{content[:16]}-{'archive' if resource.archive else 'file'}" / resource.path.name
    if not home.exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        fresh = cache / f".{os.urandom(8).hex()}"
        try:
            _place(resource, fresh)
        except (OSError, zipfile.BadZipFile, tarfile.TarError) as error:
            raise LaunchError(f"java.io.IOException: cannot unpack {resource.path}: {error}") from error
        try:
            fresh.rename(home)
        except OSError:  # another container was faster
            shutil.rmtree(fresh)
    return home


def _place(resource: Resource, place: Path) -> None:
    """Copies a file to `place`, or unpacks it; a file with an unknown ending is copied, even as an archive."""
    if not (resource.archive and resource.path.name.endswith(_ARCHIVES)):
        shutil.copyfile(resource.path, place)
    elif resource.path.name.endswith((".zip", ".jar")):
        with zipfile.ZipFile(resource.path) as archive:
            archive.extractall(place)
    else:
        shutil.unpack_archive(resource.path, place, filter="data")


def _no_home(node: Path) -> Path:
    """Returns the value of HOME in containers: a folder that they cannot make, like `/home/` on a cluster."""
    nowhere = node / "home"
    nowhere.touch()
    return nowhere / "hadoop"


def _descendants(pid: int) -> list[int]:
    """Returns a process and all its descendants."""
    found, new = [pid], [pid]
    while new:
        children: list[int] = []
        for parent in new:
            with suppress(OSError):
                for thread in Path(f"/proc/{parent}/task").iterdir():
                    with suppress(OSError):
                        children += map(int, (thread / "children").read_text().split())
        found, new = found + children, children
    return found


def _memory_mib(pid: int) -> float:
    """Returns the resident memory of a process."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    except OSError:
        return 0.0
