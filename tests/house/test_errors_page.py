"""docs/errors.md has every kind of error and every message of the source, and no other."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from cloudlstm import errors

REPO = Path(__file__).resolve().parents[2]
PAGE = (REPO / "docs" / "errors.md").read_text()
GAP = "…"

FEWEST_WORDS = 2
"""Messages with fewer fixed words, such as f"{item}: {problem}", repeat another message or a list of phrases."""


def kinds(kind: type[errors.CloudLSTMError] = errors.CloudLSTMError) -> set[str]:
    return {kind.__name__}.union(*(kinds(sub) for sub in kind.__subclasses__() if sub.__module__ == errors.__name__))


def symptoms() -> dict[str, list[str]]:
    """The messages in the first column of the page, by kind of error."""
    found: dict[str, list[str]] = {}
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        cells = re.findall(r"^\| (`.+?`) \|", section, re.MULTILINE)
        quoted = [pair for cell in cells for pair in re.findall(r"`` (.+?) ``|`([^`]+)`", cell)]
        found[section.partition("\n")[0]] = [double or single for double, single in quoted]
    return found


def pattern(symptom: str) -> re.Pattern[str]:
    """Matches the strings that have the fixed parts of a symptom in this order."""
    fixed = [re.escape(part.strip()) for part in symptom.split(GAP) if part.strip(" :,;")]
    return re.compile(("" if symptom.startswith(GAP) else "^") + ".*".join(fixed), re.DOTALL)


def template(node: ast.AST) -> str | None:
    """A string of the source, with … for the expressions in it; None for any other node."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else GAP for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


@cache
def nodes() -> list[ast.AST]:
    return [node for path in (REPO / "src").rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))]


@pytest.fixture(scope="module")
def templates() -> list[str]:
    """Every string of the package that is not a docstring."""
    docstrings = {id(node.value) for node in nodes() if isinstance(node, ast.Expr)}
    return [text for node in nodes() if id(node) not in docstrings and (text := template(node)) is not None]


@pytest.fixture(scope="module")
def messages() -> list[tuple[str, str]]:
    """The kind and the message of every error that the package makes from a string."""
    found = []
    for node in nodes():
        if isinstance(node, ast.Call) and node.args and (text := template(node.args[0])) is not None:
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in kinds():
                found.append((name, text))
    return found


def test_every_kind_of_error_is_in_the_catalogue() -> None:
    headings = set(symptoms())
    missing = sorted(kinds() - headings)
    assert not missing, (
        f"docs/errors.md lacks {', '.join(missing)}: add for each a heading `## {missing[0]}` and a table "
        "`| symptom | cause | fix |` whose symptoms are messages in backticks, with … for what differs"
    )
    unknown = sorted(headings - kinds())
    assert not unknown, f"docs/errors.md has {', '.join(unknown)}, which errors.py does not define: remove the section"


def test_every_message_of_the_catalogue_is_in_the_source(templates: list[str]) -> None:
    listed = [symptom for found in symptoms().values() for symptom in found]
    assert len(listed) > 200
    gone = [symptom for symptom in listed if not any(map(pattern(symptom).search, templates))]
    assert not gone, f"no string in src/ matches; correct docs/errors.md: {gone}"


def test_every_message_of_the_source_is_in_the_catalogue(messages: list[tuple[str, str]]) -> None:
    assert len(messages) > 200
    patterns = {kind: [pattern(symptom) for symptom in found] for kind, found in symptoms().items()}
    missing = [
        f"{kind}: {message}"
        for kind, message in messages
        if len(re.findall(r"\w+", message)) >= FEWEST_WORDS and not any(each.search(message) for each in patterns[kind])
    ]
    assert not missing, "add to the section of its kind in docs/errors.md:\n" + "\n".join(missing)
