"""docs/reliability.md names tests: every one of them exists."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "reliability.md"


def rows_of_the_matrix() -> list[str]:
    """The rows of every table whose last column is called "test"; others hold measurements."""
    found = []
    for table in re.findall(r"(?:^\|.*\n)+", PAGE.read_text(), re.MULTILINE):
        header, _, *rows = table.splitlines()
        found += rows if header.endswith("| test |") else []
    return found


def test_every_row_names_tests_that_exist() -> None:
    named = 0
    for row in rows_of_the_matrix():
        last = row.rstrip("| ").rsplit(" | ", 1)[1]
        file = ""
        for found in re.finditer(r"`(?P<file>[\w/]+\.py)?::(?P<test>\w+)", last):
            file = found["file"] or file
            same = file or "reliability/test_killed_launchers.py"
            assert re.search(rf"^def {found['test']}\(", (TESTS / same).read_text(), re.MULTILINE), row
            named += 1
        assert "::test_" in last or "the same" in last, row
    assert named > 50
