"""The Python environment of examples/scorers/finbert.py: the user's, one that was made before, or a new one.

It lies beside those of the benchmarks' peers ($CLOUDLSTM_PEERS, by default in the user's cache) and stays there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

FINBERT = Path(__file__).resolve().parents[3] / "examples" / "scorers" / "finbert.py"
PACKAGES = FINBERT.with_suffix(".txt")
_STAMP = "installed-from"
_LOOK_S, _INSTALL_S = 60, 300


def finbert_python() -> str:
    """The Python of the environment; skips the test with a reason if there is none and none can be made quickly."""
    if own := os.environ.get("FINBERT_PYTHON"):
        return own
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    place = Path(os.environ.get("CLOUDLSTM_PEERS") or cache / "cloudlstm" / "peers") / "finbert"
    python, stamp = place / "bin" / "python", place / _STAMP
    if not stamp.exists() or stamp.read_text() != PACKAGES.read_text():
        _require_small_torch()
        venv.create(place, with_pip=True, clear=True)
        _pip([str(python), "-m", "pip", "install", "--quiet", "--no-compile"], _INSTALL_S)
        stamp.write_text(PACKAGES.read_text())
    return str(python)


def _require_small_torch() -> None:
    """The build of torch for GPUs brings some GB of NVIDIA's libraries; that of the package index is one, on x86."""
    look = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps"]
    report = json.loads(_pip([*look, "--report", "-"], _LOOK_S))
    needs = [need for each in report["install"] for need in each["metadata"].get("requires_dist", [])]
    if any(need.startswith("nvidia") for need in needs):
        pytest.skip(
            "torch would be the build for GPUs, of some GB: let pip find a build for CPUs, or set FINBERT_PYTHON"
        )


def _pip(command: list[str], seconds: float) -> str:
    words = [*command, "--disable-pip-version-check", "--only-binary", ":all:", "--requirement", str(PACKAGES)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        pytest.skip(f"the packages of {PACKAGES.name} did not come within {seconds} s: set FINBERT_PYTHON")
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"]
        pytest.skip(f"the packages of {PACKAGES.name} cannot be installed: {said[-1][:300]}")
    return done.stdout
