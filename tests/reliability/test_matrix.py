"""docs/reliability.md names tests: every one of them exists."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "reliability.md"


def test_every_row_names_tests_that_exist() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and "---" not in line]
    named = 0
    for row in rows:
        last = row.rstrip("| ").rsplit(" | ", 1)[1]
        file = ""
        for found in re.finditer(r"`(?P<file>[\w/]+\.py)?::(?P<test>\w+)", last):
            file = found["file"] or file
            same = file or "reliability/test_killed_launchers.py"
            assert re.search(rf"^def {found['test']}\(", (TESTS / same).read_text(), re.MULTILINE), row
            named += 1
        assert last in ("test", "goes") or "test" in last or "the same" in last, row
    assert named > 30
