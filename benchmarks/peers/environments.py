"""Makes a virtual environment for each peer, from its pinned packages in requirements/peers/.

They lie in $CLOUDLSTM_PEERS, by default in the user's cache, and stay there. An environment is made anew when its list
changes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements" / "peers"
_STAMP = "installed-from"


class NotInstalledError(Exception):
    """An environment cannot be made; the message is what pip says."""


def folder() -> Path:
    """Where the environments are."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return Path(os.environ.get("CLOUDLSTM_PEERS") or cache / "cloudlstm" / "peers")


def python_of(environment: str | None) -> Path:
    """The Python of an environment, which is made if it is not there; None means the one that runs this program.

    Raises:
        NotInstalledError: the packages cannot be installed.
    """
    if environment is None:
        return Path(sys.executable)
    # petastorm-torch.txt is installed after petastorm.txt.
    lists = sorted(REQUIREMENTS.glob(f"{environment}*.txt"), key=lambda path: len(path.name))
    if not lists:
        raise NotInstalledError(f"{REQUIREMENTS.name} has no {environment}.txt")
    text = "".join(each.read_text() for each in lists)
    place = folder() / environment
    python, stamp = place / "bin" / "python", place / _STAMP
    if not stamp.exists() or stamp.read_text() != text:
        print(f"making {place} ({', '.join(each.name for each in lists)})", flush=True)
        shutil.rmtree(place, ignore_errors=True)
        venv.create(place, with_pip=True)
        for each in lists:
            command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", each]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
                raise NotInstalledError((errors or done.stderr.splitlines() or ["pip failed"])[-1])
        stamp.write_text(text)
    return python
