"""The pictures of the README are those that docs/images/make.py draws."""

from __future__ import annotations

import importlib.util
import re
import secrets
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from benchmark.folders import make_benchmark
from cloudlstm.benchmark.build import build
from cloudlstm.benchmark.matrix import Matrix

IMAGES = Path(__file__).resolve().parents[2] / "docs/images"


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_images", IMAGES / "make.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_benchmark_has_a_picture_with_its_charts(make: ModuleType) -> None:
    matrix = Matrix(tickers=(6,), cores=(1, 2), repeats=1)
    picture = make.benchmark_picture(build(make_benchmark(f"memory://{secrets.token_hex(6)}/runs", matrix)))
    titles = [each.text for each in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}title")]
    assert titles[0] == "Benchmark of cloudlstm"
    assert {"Seconds of the data steps", "Speed of training by workers"} <= set(titles)


def test_the_architecture_is_as_drawn(make: ModuleType) -> None:
    committed = (IMAGES / "architecture.svg").read_text()
    assert shapes(committed) == shapes(make.architecture_picture()), "run `make images`"


def shapes(svg: str) -> str:
    """A picture without its colours, which follow the style sheet of the report."""
    return re.sub("<style>.*</style>", "", svg, flags=re.DOTALL)


@pytest.mark.parametrize("name", ["architecture.svg", "report.svg", "benchmark.svg"])
def test_a_picture_has_a_title_and_colours_for_a_dark_page(name: str) -> None:
    root = ElementTree.parse(IMAGES / name).getroot()
    assert root.findtext("{http://www.w3.org/2000/svg}title")
    assert "prefers-color-scheme: dark" in (root.findtext("{http://www.w3.org/2000/svg}style") or "")
