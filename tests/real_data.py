"""Finds real market data for tests; the data is not part of the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"


def real_data(name: str) -> Path:
    """Returns the path of a data file, or skips the test with a message if the file is missing."""
    folder = Path(os.environ.get("CLOUDLSTM_DATA") or _BESIDE)
    path = folder / name
    if not path.exists():
        pytest.skip(f"no {name} in {folder}: set CLOUDLSTM_DATA to a folder of real market data")
    return path
