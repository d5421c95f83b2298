"""examples/notebook.ipynb works as it stands."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cloudlstm

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "notebook.ipynb"


def test_every_cell_runs(run: cloudlstm.Run, root: Path) -> None:
    script = Path(__file__).with_name("notebook_cells.py")
    env = os.environ | {"CLOUDLSTM_ROOT": str(root), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, str(script), NOTEBOOK.name],
        cwd=NOTEBOOK.parent,
        env=env,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    shown = dict(re.findall(r"^cell (\d+):\n(.*?)(?=^cell \d+:|\Z)", done.stdout, re.MULTILINE | re.DOTALL))
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    assert list(shown) == [str(number) for number, cell in enumerate(cells) if cell["cell_type"] == "code"]
    assert all(text.strip() for text in shown.values())
    assert f"<b>{run.id}</b> · done" in shown["1"]
    assert run.report.headline in shown["5"]
    assert "unchanged, skipped" in done.stderr, "the settings of conftest.py are not those of the notebook"
    assert [each.id for each in cloudlstm.list_runs(str(root))] == [run.id]


def test_it_is_stored_without_outputs() -> None:
    document = json.loads(NOTEBOOK.read_text())
    code = [cell for cell in document["cells"] if cell["cell_type"] == "code"]
    assert len(code) >= 8
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert len({cell["id"] for cell in document["cells"]}) == len(document["cells"])


def test_it_is_valid() -> None:
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    nbformat.validate(nbformat.read(NOTEBOOK, as_version=4))
