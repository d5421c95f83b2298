from __future__ import annotations

import json

import pytest

from cloudlstm.config import CleanConfig
from cloudlstm.errors import DataError, QualityGateError
from cloudlstm.market.cleaning.quality_gate import evaluate_gate

CONFIG = CleanConfig(max_refused_fraction=0.02, max_refused_fraction_ticker=0.25)


def counts(rows: int, **refused: int) -> dict[str, int]:
    return {"rows": rows, "kept": rows - sum(refused.values()), "filled": 0} | refused


def test_good_data_passes_with_facts():
    first = {"AAA": counts(1000, outlier=1), "": counts(2, unreadable_key=2)}
    second = {"BBB": counts(1000, missing_price=3, duplicate_exact=900), "": counts(1, unreadable_key=1)}
    facts = evaluate_gate([first, second], ("AAA", "BBB"), CONFIG)
    assert json.loads(json.dumps(facts)) == facts
    assert facts["rows"] == 2003
    assert facts["kept"] == 999 + 97
    assert facts["refused"] == {"unreadable_key": 3, "missing_price": 3, "duplicate_exact": 900, "outlier": 1}
    assert facts["refused_fraction"] == pytest.approx(7 / 2003)  # an exact copy does not count
    assert (facts["tickers"], facts["missing_tickers"]) == (2, [])
    assert [worst["ticker"] for worst in facts["worst_tickers"]] == ["", "BBB", "AAA"]


def test_segments_dropped_labels_and_notes_are_reported_and_do_not_count():
    found = {"unmarked_split": 2, "stale_begin": 10, "reverted_spike": 1, "odd_adjustment": 40}
    stale = counts(1000, stale=700)  # not counted by the gate: before a listing there is nothing to lose
    facts = evaluate_gate([{"AAA": counts(1000) | found, "BBB": stale}], None, CONFIG)
    assert facts["refused"] == {"stale": 700}
    assert facts["refused_fraction"] == 0.0
    assert facts["divided"] == {"unmarked_split": 2}
    assert facts["withdrawn"] == {"stale_begin": 10, "reverted_spike": 1}
    assert facts["noted"] == {"odd_adjustment": 40}


def test_too_many_rejected_bars_fail_with_the_reasons():
    with pytest.raises(QualityGateError) as caught:
        evaluate_gate([{"AAA": counts(1000, outlier=5, missing_price=20)}], None, CONFIG)
    assert "rejected 2.50% of 1,000 bars (limit 2.00%): missing_price 20, outlier 5" in str(caught.value)
    assert evaluate_gate([{"AAA": counts(1000, outlier=5, missing_price=15)}], None, CONFIG)["refused_fraction"] == 0.02


def test_the_message_shows_the_first_value_that_was_not_understood():
    shard = {"AAA": counts(1510, unreadable_value=1310)}
    lenient = CONFIG.model_copy(update={"max_refused_fraction_ticker": 1.0})
    with pytest.raises(QualityGateError, match=r"unreadable_value 1,310 \(the first: close='1\.003,20' in bars\.csv\)"):
        evaluate_gate([shard], None, lenient, unreadable="close='1.003,20' in bars.csv")


def test_too_many_filled_bars_fail():
    def shard(filled: int) -> dict[str, dict[str, int]]:
        return {"AAA": counts(980) | {"filled": filled}}

    assert evaluate_gate([shard(20)], None, CONFIG)["filled"] == 20
    message = r"2\.10% of all bars would fill sessions without a bar.*21 filled, 980 valid"
    with pytest.raises(QualityGateError, match=message) as caught:
        evaluate_gate([shard(21)], None, CONFIG)
    assert "market.calendar" in caught.value.hint


def test_one_bad_ticker_fails_with_its_name():
    shard = {f"T{i}": counts(1000) for i in range(50)} | {"BAD": counts(10, off_calendar=4)}
    with pytest.raises(QualityGateError, match=r"1 tickers, worst BAD 40.0% of 10 \(off_calendar 4\)") as caught:
        evaluate_gate([shard], None, CONFIG)
    assert "market.calendar" in caught.value.hint
    assert "\n" not in str(caught.value)


def test_a_ticker_without_bars_is_missing_if_it_was_requested_or_in_the_source():
    shard = {"AAA": counts(1000), "BBB": counts(2, missing_price=2)}
    limits = CONFIG.model_copy(update={"max_refused_fraction_ticker": 1.0})
    with pytest.raises(QualityGateError, match="no bars are left for BBB, CCC"):
        evaluate_gate([shard], ("AAA", "BBB", "CCC"), limits)
    with pytest.raises(QualityGateError, match="no bars are left for BBB"):
        evaluate_gate([shard], None, limits)
    with pytest.raises(QualityGateError, match="and 3 more"):
        evaluate_gate([shard], ("BBB", *(f"X{i}" for i in range(7))), limits)


def test_some_tickers_may_be_missing_if_the_limit_allows_it():
    shard = {f"T{i}": counts(1000) for i in range(9)}
    requested = (*shard, "GONE")
    with pytest.raises(QualityGateError, match=r"no bars are left for GONE \(No data found\)"):
        evaluate_gate([shard], requested, CONFIG, {"GONE": "No data found"})
    lenient = CONFIG.model_copy(update={"max_missing_fraction": 0.1})
    assert evaluate_gate([shard], requested, lenient)["missing_tickers"] == ["GONE"]
    with pytest.raises(QualityGateError, match="GONE, LOST"):
        evaluate_gate([shard], (*requested, "LOST"), lenient)


def test_no_bars_at_all():
    with pytest.raises(DataError, match="no bars"):
        evaluate_gate([{}, {}], ("AAA",), CONFIG)
