"""Cleaning of real bars with known faults. Other tests check the same rules on generated bars."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from cloudlstm.config import CleanConfig
from cloudlstm.errors import QualityGateError
from cloudlstm.market.cleaning.quality_gate import evaluate_gate
from cloudlstm.market.cleaning.rules import RULES, of_action
from real_data import real_data

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def tables() -> Iterator[ModuleType]:
    """The script that makes the tables of docs/data-quality.md."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        patch.setenv("CLOUDLSTM_DATA", str(real_data("dirty_yahoo_repair_cases.csv.gz").parent))
        import data_quality

        yield data_quality
    for name in ("data_quality", "known_faults"):
        sys.modules.pop(name, None)


def test_the_docs_list_all_rules():
    page = (ROOT / "docs" / "data-quality.md").read_text()
    lines = [line for line in page.splitlines() if line.startswith("| `")]
    shown = {line.split("`")[1]: line for line in reversed(lines)}
    assert list(dict.fromkeys(line.split("`")[1] for line in lines))[: len(RULES)] == [rule.reason for rule in RULES]
    for rule in RULES:
        where = rule.looks_at + ("" if rule.causal else " (labels only)")
        assert shown[rule.reason] == f"| `{rule.reason}` | {where} | {rule.action} | {rule.meaning} |"


@pytest.fixture(scope="module")
def by_rule(tables) -> list[tuple]:
    return list(tables.by_rule())


def test_the_docs_contain_the_tables_of_the_script(tables, by_rule):
    page = (ROOT / "docs" / "data-quality.md").read_text()
    assert tables.markdown(by_rule) in page
    for part in (tables.rules, tables.fault_cases, tables.adjustment_cases, tables.real_moves, tables.gate):
        assert tables.markdown(part()) in page, part.__name__


def test_every_recorded_price_fault_is_rejected_or_in_its_own_segment(tables):
    for case, faulty, refused, alone, missed, *_ in list(tables.fault_cases())[1:]:
        assert (missed, refused + alone) == (0, faulty), case


def test_controls_stay_unchanged_and_dividend_faults_reject_no_valid_close(tables):
    for problem, ticker, raw, fixed in tables.cases():
        before, after = (tables.cleaned(tables.to_bars(state), None) for state in (raw, fixed))
        if problem == tables.CONTROL:
            assert tables.found_by(before) == Counter(), ticker
            assert before.bars.num_rows == len(raw)
        elif problem not in tables.PRICE_FAULTS and ticker != "ADIG.L":  # its special dividend looks like a new level
            refused, as_repaired = (
                {row["date"] for row in result.quarantine.to_pylist()} for result in (before, after)
            )
            assert len(refused ^ as_repaired) <= 1, ticker


def test_the_core_six_and_index_members_keep_all_moves(tables):
    core = tables.result_of(tables.CORE)
    assert (core.bars.num_rows, tables.found_by(core)) == (21_923, Counter())
    assert set(core.bars["segment"].to_pylist()) == {0}
    assert not any(core.bars["withdrawn"].to_pylist())
    for name, most in ((tables.MEMBERS, 0), (tables.MORE_MEMBERS, 1)):
        result = tables.result_of(name)
        by = tables.found_by(result)
        assert {reason for reason in by if reason not in ("stale", "stale_begin", "level_shift")} == set()
        assert tables.summed(by, "start_segment") <= most
        stale = {ticker for ticker, counts in result.counts.items() if "stale" in counts or "stale_begin" in counts}
        assert stale <= {"AMCR"}  # not AMD, GEN, PEAK, PFG with a day without a trade, not HWM without volume


def test_known_splits_are_found(by_rule):
    rows = {(row[0], str(row[1]).split(",")[0]): row for row in by_rule}
    for data, count in (("Lean", 3), ("crawl drops", 10)):
        assert rows["`unmarked_split`, `level_shift`", data][2:5] == (count, count, "0")
    assert rows["`wild_range`", "Lean"][2:] == (2, 2, 0, 0)


@pytest.mark.parametrize(("name", "over"), [("DROPS", 4), ("BROAD", 32)])
def test_the_gate_fails_on_incomplete_tickers_and_passes_without_them(tables, name, over):
    counts = tables.result_of(getattr(tables, name)).counts
    with pytest.raises(QualityGateError, match=f"over the limit of 25.0% of their bars rejected: {over} tickers"):
        evaluate_gate([counts], None, CleanConfig(max_filled_fraction=1.0))
    gated = [rule.reason for rule in of_action("reject") if rule.gated]
    left = {
        ticker: each
        for ticker, each in counts.items()
        if ticker and sum(each.get(reason, 0) for reason in gated) <= 0.25 * each["rows"]
    }
    facts = evaluate_gate([left], tuple(left), CleanConfig(max_filled_fraction=1.0))
    assert facts["tickers"] == len(left)
    assert facts["refused_fraction"] < 0.01
