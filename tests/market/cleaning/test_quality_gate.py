from __future__ import annotations

import json

import pytest

from cloudlstm.config import CleanConfig
from cloudlstm.errors import DataError, QualityGateError
from cloudlstm.market.cleaning.quality_gate import judge

CONFIG = CleanConfig(max_refused_fraction=0.02, max_refused_fraction_ticker=0.25)


def counts(rows: int, **refused: int) -> dict[str, int]:
    return {"rows": rows, "kept": rows - sum(refused.values()), "filled": 0} | refused


def test_good_data_passes_with_facts():
    first = {"AAA": counts(1000, outlier=1), "": counts(2, unreadable_key=2)}
    second = {"BBB": counts(1000, missing_price=3, duplicate_exact=900), "": counts(1, unreadable_key=1)}
    facts = judge([first, second], ("AAA", "BBB"), CONFIG)
    assert json.loads(json.dumps(facts)) == facts
    assert facts["rows"] == 2003
    assert facts["kept"] == 999 + 97
    assert facts["refused"] == {"unreadable_key": 3, "missing_price": 3, "duplicate_exact": 900, "outlier": 1}
    assert facts["refused_fraction"] == pytest.approx(7 / 2003)  # an exact copy is no loss
    assert (facts["tickers"], facts["missing_tickers"]) == (2, [])
    assert [worst["ticker"] for worst in facts["worst_tickers"]] == ["", "BBB", "AAA"]


def test_what_divides_withdraws_or_is_noted_is_told_and_costs_nothing():
    found = {"unmarked_split": 2, "stale_begin": 10, "reverted_spike": 1, "odd_adjustment": 40}
    stale = counts(1000, stale=700)  # gated by nothing: before a listing nothing is lost
    facts = judge([{"AAA": counts(1000) | found, "BBB": stale}], None, CONFIG)
    assert facts["refused"] == {"stale": 700}
    assert facts["refused_fraction"] == 0.0
    assert facts["divided"] == {"unmarked_split": 2}
    assert facts["withdrawn"] == {"stale_begin": 10, "reverted_spike": 1}
    assert facts["noted"] == {"odd_adjustment": 40}


def test_too_much_refused_fails_with_the_reasons():
    with pytest.raises(QualityGateError) as caught:
        judge([{"AAA": counts(1000, outlier=5, missing_price=20)}], None, CONFIG)
    assert "refused 2.50% of 1,000 bars (limit 2.00%): missing_price 20, outlier 5" in str(caught.value)
    assert judge([{"AAA": counts(1000, outlier=5, missing_price=15)}], None, CONFIG)["refused_fraction"] == 0.02


def test_too_much_made_up_fails_too():
    def shard(filled: int) -> dict[str, dict[str, int]]:
        return {"AAA": counts(980) | {"filled": filled}}

    assert judge([shard(20)], None, CONFIG)["filled"] == 20
    with pytest.raises(QualityGateError, match=r"2\.10% of the bars would be made up.*21 beside 980") as caught:
        judge([shard(21)], None, CONFIG)
    assert "market.calendar" in caught.value.hint


def test_one_bad_ticker_fails_with_its_name():
    shard = {f"T{i}": counts(1000) for i in range(50)} | {"BAD": counts(10, off_calendar=4)}
    with pytest.raises(QualityGateError, match=r"1 tickers, worst BAD 40.0% of 10 \(off_calendar 4\)") as caught:
        judge([shard], None, CONFIG)
    assert "market.calendar" in caught.value.hint
    assert "\n" not in str(caught.value)


def test_a_ticker_with_nothing_left_is_missing_if_it_was_asked_for_or_was_there():
    shard = {"AAA": counts(1000), "BBB": counts(2, missing_price=2)}
    limits = CONFIG.model_copy(update={"max_refused_fraction_ticker": 1.0})
    with pytest.raises(QualityGateError, match="no bars are left for BBB, CCC"):
        judge([shard], ("AAA", "BBB", "CCC"), limits)
    with pytest.raises(QualityGateError, match="no bars are left for BBB"):
        judge([shard], None, limits)
    with pytest.raises(QualityGateError, match="and 3 more"):
        judge([shard], ("BBB", *(f"X{i}" for i in range(7))), limits)


def test_some_may_be_missing_where_that_is_allowed():
    shard = {f"T{i}": counts(1000) for i in range(9)}
    asked = (*shard, "GONE")
    with pytest.raises(QualityGateError, match=r"no bars are left for GONE \(No data found\)"):
        judge([shard], asked, CONFIG, {"GONE": "No data found"})
    lenient = CONFIG.model_copy(update={"max_missing_fraction": 0.1})
    assert judge([shard], asked, lenient)["missing_tickers"] == ["GONE"]
    with pytest.raises(QualityGateError, match="GONE, LOST"):
        judge([shard], (*asked, "LOST"), lenient)


def test_no_bars_at_all():
    with pytest.raises(DataError, match="no bars"):
        judge([{}, {}], ("AAA",), CONFIG)
