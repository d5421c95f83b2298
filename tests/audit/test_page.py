"""docs/audit.md shows what the command really prints, and has every check."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cloudlstm.audit.run import CHECKS
from cloudlstm.cli import main

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "audit.md").read_text()


def test_the_tour_prints_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = re.search(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    shown = re.search(r"^```\n\$ cloudlstm audit (\S+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert program
    assert shown
    subprocess.run([sys.executable, "-c", program[1]], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    assert main(["audit", shown[1]]) == 1
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    expected = [line.rstrip() for line in shown[2].splitlines()]
    assert [line for line in printed if line] == [line for line in expected if line]


def test_the_page_has_every_check() -> None:
    rows = re.findall(r"^\| `([\w, -]+?)` \|", PAGE.replace("`, `", ", "), re.MULTILINE)
    assert [row for row in rows if not row.startswith("--")] == [check.name for check in CHECKS]
