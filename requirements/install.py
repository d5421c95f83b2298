"""Installs the packages of a lock file, and shows how far it is.

Usage: install.py LOCK_FILE WHAT_IT_COSTS
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

_PINNED = re.compile(r"^([\w.-]+)==", re.MULTILINE)
_STARTED = re.compile(r"^\s*(?:Collecting|Requirement already satisfied:) ([\w.-]+)")
_FETCHED = re.compile(r"^\s*(?:Downloading|Using cached) \S*?([\w.-]+?)-\d\S* (\([^)]*\))")
_BUILDING = re.compile(r"^Building wheels? for collected packages: (.*)")
_LINE_EVERY = 20
"""Packages between two lines where the output is no terminal."""
_SHOWN_AFTER_A_FAILURE = 20


def main(lock: str, cost: str) -> int:
    """Installs the packages; returns the exit status of pip, whose last lines are printed if it fails."""
    packages = len(set(_PINNED.findall(Path(lock).read_text())))
    _write(f"installing {packages} package{'' if packages == 1 else 's'} into {Path(sys.prefix).name}: {cost}\n")
    began, started, lines = time.monotonic(), 0, list[str]()
    command = [sys.executable, "-m", "pip", "install", "--progress-bar=off", "--disable-pip-version-check"]
    with subprocess.Popen(
        [*command, "--require-hashes", "--requirement", lock],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as pip:  # fmt: skip
        for line in pip.stdout or ():
            lines.append(line)
            if found := _STARTED.match(line):
                started += 1
                _show(f"{started:3d} of {packages}  {found[1]}", line=started % _LINE_EVERY == 0)
            elif found := _FETCHED.match(line):
                _show(f"{started:3d} of {packages}  {found[1]} {found[2]}")
            elif found := _BUILDING.match(line):
                _show(f"building {found[1]}", line=True)
            elif line.startswith("Installing collected packages"):
                _show(f"unpacking {packages} packages", line=True)
    if pip.returncode:
        _write("\n" + "".join(lines[-_SHOWN_AFTER_A_FAILURE:]))
        return pip.returncode
    _show("")
    _write(f"installed in {time.monotonic() - began:.0f} s\n")
    return 0


def _show(text: str, *, line: bool = False) -> None:
    """Replaces the last line of a terminal; elsewhere prints only texts that are worth a line of their own."""
    if sys.stderr.isatty():
        _write(f"\r\x1b[K{text[:79]}")
    elif line:
        _write(f"{text}\n")


def _write(text: str) -> None:
    sys.stderr.write(text)  # standard output belongs to make targets such as cloud-up, whose output a shell evaluates
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
