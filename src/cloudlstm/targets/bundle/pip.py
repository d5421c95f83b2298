"""Fetches pinned wheels for machines of another platform, with pip and its settings on this machine."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cloudlstm.errors import MachineError

_GLIBC = range(34, 4, -1)
"""Minor versions of glibc 2 for which wheels are built and which the nodes and machines of every target provide."""

_TIMEOUT_S = 1800.0
_POLL_S = 0.2


def run_pip(
    action: Sequence[str],
    requirements: Path,
    python: str,
    architecture: str,
    machines: str,
    turn: Callable[[], object] = lambda: None,
) -> None:
    """Runs an action of pip on a complete list of pinned wheels; pip checks every wheel against its hash.

    Args:
        action: The action and its own options, such as `["download", "--dest", "…"]`.
        requirements: The list, with hashes.
        python: Minor version of the machines' Python.
        architecture: Their processor, as in wheel tags.
        machines: What the packages are for, in messages.
        turn: Called some times a second; if it raises an error, pip is killed.

    Raises:
        MachineError: pip is missing, fails or hangs; the message has its last error.
    """
    if importlib.util.find_spec("pip") is None:
        raise MachineError(
            f"the packages of {machines} are fetched by pip, which this Python lacks",
            hint=f"{sys.executable} -m ensurepip",
        )
    tags = [f"manylinux_2_{minor}" for minor in _GLIBC] + ["manylinux2014", "manylinux2010", "manylinux1"]
    platforms = [word for tag in tags for word in ("--platform", f"{tag}_{architecture}")]
    verb, *options = action
    command = [
        sys.executable, "-m", "pip", verb, "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes",
        "--only-binary=:all:", "--implementation=cp", f"--python-version={python}", *platforms, *options,
        "--requirement", str(requirements),
    ]  # fmt: skip
    give_up = time.monotonic() + _TIMEOUT_S
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as pip:
        try:
            while True:
                turn()
                try:
                    _, output = pip.communicate(timeout=_POLL_S)
                    break
                except subprocess.TimeoutExpired:
                    if time.monotonic() > give_up:
                        raise MachineError(
                            f"pip took longer than {_TIMEOUT_S:.0f} s to fetch the packages of {machines}",
                            hint="check the network and pip's settings, then submit again: fetched packages are kept",
                        ) from None
        except BaseException:
            pip.kill()
            raise
    if pip.returncode:
        errors = [line for line in output.splitlines() if line.startswith("ERROR")] or ["ERROR: no reason given"]
        raise MachineError(
            f"pip could not fetch the packages of {machines}: {errors[-1].removeprefix('ERROR: ')}",
            hint="check the network and pip's settings (pip config list)",
        )
