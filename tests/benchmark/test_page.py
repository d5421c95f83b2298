"""The page and the Markdown text of a benchmark: complete, closed to the network, and safe with any text."""

from __future__ import annotations

import secrets

import pytest

from benchmark.folders import make_benchmark
from cloudlstm.benchmark.build import build
from cloudlstm.benchmark.document import BenchmarkResult, Measurement
from cloudlstm.benchmark.matrix import Cell, Matrix
from cloudlstm.benchmark.records import write_measurement
from cloudlstm.benchmark.render import to_html, to_markdown
from report.pages import Page

HOSTILE = "<script>alert(1)</script> | `x` \x1b[31m _a_"


@pytest.fixture(scope="module")
def result() -> BenchmarkResult:
    """Results with one cell that failed with a hostile message."""
    paths = make_benchmark(f"memory://{secrets.token_hex(6)}/runs", Matrix(tickers=(6, 100), cores=(1, 2), repeats=1))
    write_measurement(
        paths,
        Measurement(
            run=Cell("data", 100, "spark", 2).run_id(1),
            began=0.0,
            seconds=1.0,
            peak_bytes=None,
            load=None,
            error=HOSTILE,
        ),
    )
    return build(paths)


@pytest.fixture(scope="module")
def page(result: BenchmarkResult) -> str:
    return to_html(result)


def test_the_page_is_whole_and_needs_no_network(page: str) -> None:
    found = Page(page)
    assert len(found.ids) == len(set(found.ids))
    assert {name for name, _ in found.tags} & {"script", "iframe", "object"} == set()
    targets = [each for each in found.references if not each.startswith(("#", "data:,"))]
    assert targets == ["benchmark.json"]
    assert {each[1:] for each in found.references if each.startswith("#")} <= set(found.ids)


def test_the_page_has_every_chart_at_both_widths(page: str) -> None:
    assert page.count("<svg") == 2 * 3
    for name in ("data-w", "data-n", "training-w", "training-n", "speed-up-w", "speed-up-n"):
        assert f'id="{name}-t"' in page


def test_page_and_text_say_what_counts_what_does_not_and_what_is_projected(page: str, result: BenchmarkResult) -> None:
    for text in (" ".join(Page(page).text), to_markdown(result)):
        assert "1 of 11 cells does not count" in text
        assert "This is a projection" in text or "Projected, not measured" in text
        assert "No real cluster and no GPU was measured" in text
        assert "serial share" in text


def test_a_hostile_message_is_only_text(page: str, result: BenchmarkResult) -> None:
    assert "<script" not in page
    assert "\x1b" not in page
    text = to_markdown(result)
    assert "<script" not in text
    assert "\x1b" not in text
    assert all(line.count(" | ") == line.count("|") - 2 for line in text.splitlines() if line.startswith("| "))


def test_equal_results_give_equal_pages(page: str, result: BenchmarkResult) -> None:
    assert to_html(BenchmarkResult.model_validate_json(result.model_dump_json())) == page


def test_results_without_a_cell_that_counts_have_a_page(result: BenchmarkResult) -> None:
    refused = [cell.model_copy(update={"state": "missing", "seconds": None, "rate": None}) for cell in result.cells]
    empty = result.model_copy(update={"cells": tuple(refused), "fits": (), "projections": (), "checks": ()})
    assert "<svg" not in to_html(empty)
    assert to_markdown(empty)
