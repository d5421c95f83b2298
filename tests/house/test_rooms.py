"""The shape of the package: rooms with a docstring, modules of a readable size, and a page that names every room."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import cloudlstm

PACKAGE = Path(cloudlstm.__file__).parent
REPO = Path(__file__).resolve().parents[2]
ROOMS = sorted(path.parent for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE)
LINES = {path: len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"}
MOST_LINES = 300
FEW_LINES = 40
MOST_SHORT_MODULES = 5


def names(paths: list[Path]) -> list[str]:
    return sorted(f"{path.relative_to(PACKAGE)}: {LINES[path]} lines" for path in paths)


def test_few_modules_are_short() -> None:
    short = [path for path, lines in LINES.items() if lines < FEW_LINES]
    assert len(short) <= MOST_SHORT_MODULES, names(short)


def test_no_module_is_long() -> None:
    long = [path for path, lines in LINES.items() if lines > MOST_LINES]
    assert not long, names(long)


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: str(room.relative_to(PACKAGE)))
def test_a_room_says_what_it_is_for(room: Path) -> None:
    first = (ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or "").partition("\n\n")[0]
    assert first.endswith((".", ":")), f"{room}/__init__.py needs one sentence: {first!r}"


def test_the_architecture_names_every_room() -> None:
    page = (REPO / "ARCHITECTURE.md").read_text()
    drawn = page.split("## Rooms")[1].split("## ")[0].split()
    at_the_top = [path for path in PACKAGE.iterdir() if path.is_dir() and path in ROOMS]
    below_targets = [path for path in ROOMS if path.parent.name in ("targets", "market")]
    missing = sorted(path.name for path in [*at_the_top, *below_targets] if f"{path.name}/" not in drawn)
    assert not missing, f"ARCHITECTURE.md, Rooms, lacks {missing}"


def test_targets_emulators_and_infrastructure_have_the_same_clouds() -> None:
    clouds = {path.name for path in (REPO / "infra/terraform").iterdir() if path.is_dir()}
    assert clouds == {"aws", "gcp"}
    for cloud in clouds:
        assert (PACKAGE / "targets" / cloud).is_dir()
        assert (REPO / "localstack" / cloud).is_dir()
