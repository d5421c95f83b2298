"""The pictures of the README are those that docs/images/make.py draws."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

IMAGES = Path(__file__).resolve().parents[2] / "docs/images"


def test_the_architecture_is_as_drawn() -> None:
    spec = importlib.util.spec_from_file_location("make_images", IMAGES / "make.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    committed = (IMAGES / "architecture.svg").read_text()
    assert shapes(committed) == shapes(module.architecture_picture()), "run `make images`"


def shapes(svg: str) -> str:
    """A picture without its colours, which follow the style sheet of the report."""
    return re.sub("<style>.*</style>", "", svg, flags=re.DOTALL)


@pytest.mark.parametrize("name", ["architecture.svg", "report.svg"])
def test_a_picture_has_a_title_and_colours_for_a_dark_page(name: str) -> None:
    root = ElementTree.parse(IMAGES / name).getroot()
    assert root.findtext("{http://www.w3.org/2000/svg}title")
    assert "prefers-color-scheme: dark" in (root.findtext("{http://www.w3.org/2000/svg}style") or "")
