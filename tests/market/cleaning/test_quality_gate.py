from __future__ import annotations

import json
from typing import Any

import pytest

from cloudlstm.config import CleanConfig
from cloudlstm.errors import DataError, QualityGateError
from cloudlstm.market.calendar_fit import Problem
from cloudlstm.market.cleaning.gate_problems import Evidence
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
        evaluate_gate([shard], None, lenient, Evidence(examples={"unreadable_value": "close='1.003,20' in bars.csv"}))


def test_too_many_filled_bars_fail():
    def shard(filled: int) -> dict[str, dict[str, int]]:
        return {"AAA": counts(980) | {"filled": filled}}

    assert evaluate_gate([shard(20)], None, CONFIG)["filled"] == 20
    message = r"2\.10% of all bars would fill sessions without a bar.*21 filled, 980 valid"
    with pytest.raises(QualityGateError, match=message) as caught:
        evaluate_gate([shard(21)], None, CONFIG)
    assert caught.value.hint == "clean.max_filled_fraction=0.03, or clean.max_fill_bars=0"


def test_one_bad_ticker_fails_with_its_name():
    shard = {f"T{i}": counts(1000) for i in range(50)} | {"BAD": counts(10, off_calendar=4)}
    with pytest.raises(QualityGateError, match=r"1 ticker, worst BAD 40.0% of 10 \(off_calendar 4\)") as caught:
        evaluate_gate([shard], None, CONFIG)
    assert caught.value.hint == "universe.exclude=BAD, or clean.max_refused_fraction_ticker=0.4"
    assert "\n" not in str(caught.value)


def test_a_ticker_without_bars_is_missing_if_it_was_requested_or_in_the_source():
    shard = {"AAA": counts(1000), "BBB": counts(2, missing_price=2)}
    limits = CONFIG.model_copy(update={"max_refused_fraction_ticker": 1.0})
    with pytest.raises(QualityGateError, match=r"BBB \(missing_price 2\), CCC \(try: universe.exclude=BBB,CCC\)"):
        evaluate_gate([shard], ("AAA", "BBB", "CCC"), limits)
    with pytest.raises(QualityGateError, match="no bars are left for BBB"):
        evaluate_gate([shard], None, limits)
    with pytest.raises(QualityGateError, match="and 3 more"):
        evaluate_gate([shard], ("BBB", *(f"X{i}" for i in range(7))), limits)


def test_some_tickers_may_be_missing_if_the_limit_allows_it():
    shard = {f"T{i}": counts(1000) for i in range(9)}
    requested = (*shard, "GONE")
    with pytest.raises(QualityGateError, match=r"no bars are left for GONE \(No data found\)"):
        evaluate_gate([shard], requested, CONFIG, Evidence({"GONE": "No data found"}))
    lenient = CONFIG.model_copy(update={"max_missing_fraction": 0.1})
    assert evaluate_gate([shard], requested, lenient)["missing_tickers"] == ["GONE"]
    with pytest.raises(QualityGateError, match="GONE, LOST"):
        evaluate_gate([shard], (*requested, "LOST"), lenient)


def test_no_bars_at_all():
    with pytest.raises(DataError, match="no bars"):
        evaluate_gate([{}, {}], ("AAA",), CONFIG)


def error_of(shard: dict[str, dict[str, int]], requested: tuple[str, ...] | None = None, **evidence: Any) -> DataError:
    with pytest.raises(QualityGateError) as caught:
        evaluate_gate([shard], requested, CONFIG, Evidence(**evidence))
    return caught.value


def good(n: int) -> dict[str, dict[str, int]]:
    return {f"T{number}": counts(1000) for number in range(n)}


def test_a_delisted_ticker_has_words_to_type():
    error = error_of(good(499), (*good(499), "GONE"), causes={"GONE": "No data found"})
    assert error.hint == "universe.exclude=GONE, or clean.max_missing_fraction=0.01"


def test_a_ticker_whose_every_bar_is_rejected_is_missing_and_the_message_has_the_reason():
    error = error_of(good(60) | {"BAD": counts(7, missing_price=7)})
    assert error.message == "no bars are left for BAD (missing_price 7)"
    assert error.hint == "universe.exclude=BAD, or clean.max_missing_fraction=0.02"


def test_no_words_take_out_the_only_ticker():
    error = error_of({"AAA": counts(100, missing_price=100)})
    assert "universe.exclude" not in str(error)
    assert "max_missing_fraction" not in str(error)
    assert error.hint.startswith("correct the source")


@pytest.mark.parametrize(("n", "saved"), [(20, False), (21, True)])
def test_all_names_can_be_typed_or_are_in_a_file(n, saved, tmp_path):
    bad = {f"BAD{number:02d}": counts(100, outlier=26) for number in range(n)}
    path = tmp_path / "all names.txt"

    def save(names: str) -> str:
        path.write_text(names)
        return str(path)

    error = error_of(good(900) | bad, save=save)
    assert f"{n} tickers, worst BAD00" in error.message
    words = f"universe.exclude=\"$(cat '{path}')\"" if saved else f"universe.exclude={','.join(bad)}"
    assert error.hint == f"{words}, or clean.max_refused_fraction_ticker=0.26"
    assert path.exists() == saved
    if saved:
        assert path.read_text() == ",".join(bad)


def test_names_in_a_bucket_are_named_by_their_uri():
    bad = {f"BAD{number:02d}": counts(100, outlier=26) for number in range(30)}
    assert "names in s3://b/names" in error_of(good(900) | bad, save=lambda _: "s3://b/names").hint


def test_names_are_quoted_for_the_shell():
    assert (
        "universe.exclude='M&M.NS,T 1'"
        in error_of(good(900) | {n: counts(9, outlier=5) for n in ("M&M.NS", "T 1")}).hint
    )


def test_each_problem_has_its_own_words():
    shard = good(9) | {"BAD": counts(1000, outlier=300), "GONE": counts(2, missing_price=2)}
    gone, rejected, ticker = str(error_of(shard)).split("; ")
    assert gone.endswith("GONE (missing_price 2) (try: universe.exclude=GONE, or clean.max_missing_fraction=0.1)")
    assert rejected.startswith("cleaning rejected 3.02% of 10,002 bars")
    assert rejected.endswith("(try: universe.exclude=BAD,GONE, or clean.max_refused_fraction=0.04)")
    assert ticker.endswith("(try: universe.exclude=BAD, or clean.max_refused_fraction_ticker=0.3)")


def test_the_worst_tickers_are_to_be_excluded_only_if_the_others_keep_the_limit():
    shard = {f"T{place}": counts(1000, outlier=20) for place in range(9)} | {"BAD": counts(1000, outlier=240)}
    assert error_of(shard).hint == "universe.exclude=BAD, or clean.max_refused_fraction=0.05"
    with pytest.raises(QualityGateError) as caught:
        evaluate_gate([shard], None, CONFIG.model_copy(update={"max_refused_fraction": 0.01}))
    assert "universe.exclude" not in caught.value.hint


def test_a_calendar_that_fits_most_tickers_is_the_one_hint():
    shard = {f"{number}.TW": counts(1000, off_calendar=40) | {"filled": 60} for number in range(4)}
    asked = []

    def dates(ticker: str) -> Problem:
        asked.append(ticker)
        return Problem("the dates fit the calendar XTAI", "market.calendar=XTAI")

    error = error_of(shard, dates=dates)
    assert len(asked) == 1
    assert error.message.startswith(f"{asked[0]}: the dates fit the calendar XTAI; cleaning rejected 4.00%")
    assert "would fill" in error.message
    assert "over the limit" not in str(error_of({"2330.TW": counts(100, off_calendar=30)}, dates=dates))
    assert error.hint == "market.calendar=XTAI"


def test_one_ticker_of_another_exchange_is_to_be_excluded():
    error = error_of(
        good(60) | {"BTC-USD": counts(1000, off_calendar=310)},
        dates=lambda _: Problem("the dates fit the calendar 24/7", "market.calendar=24/7"),
    )
    assert "BTC-USD: the dates fit the calendar 24/7" in error.message
    assert error.hint.startswith("universe.exclude=BTC-USD, or")


def test_names_that_differ_only_in_case_are_told_where_rows_conflict():
    one = error_of({"AAA": counts(1000, duplicate_conflict=500)})
    assert "duplicate_conflict 500: several rows for one ticker and date; tickers that differ only in" in one.message
    assert one.hint.startswith("one row for each ticker and date")
    other = error_of(good(60) | {"BACPL": counts(1000, duplicate_conflict=500)})
    assert "BACPL 50.0% of 1,000 (duplicate_conflict 500): several rows for one ticker and date" in other.message
    assert "only in case" not in error_of(good(60) | {"BAD": counts(1000, outlier=500)}).message
    minutes = Problem("the bars are less than a day apart", "daily bars")
    assert (
        "only in case" not in error_of({"AAA": counts(1000, duplicate_conflict=500)}, dates=lambda _: minutes).message
    )


def test_gaps_that_rejected_rows_left_are_no_problem_of_their_own():
    assert "would fill" not in str(error_of({"AAA": counts(1000, outlier=30) | {"filled": 40}}))
    assert "would fill" in str(error_of({"AAA": counts(1000, outlier=30) | {"filled": 61}}))


def test_only_the_most_frequent_reason_and_unreadable_values_have_an_example():
    examples = {reason: f"row of {reason}" for reason in ("outlier", "missing_price", "unreadable_value")}
    error = error_of({"AAA": counts(1000, outlier=20, missing_price=30, unreadable_value=10)}, examples=examples)
    assert (
        "missing_price 30 (the first: row of missing_price), outlier 20, unreadable_value 10 (the first:"
        in error.message
    )
    assert error.hint.endswith("clean.max_refused_fraction=0.06")


def test_the_names_of_two_problems_are_in_files_of_their_own(tmp_path):
    saved = []

    def save(names: str) -> str:
        saved.append(names)
        return f"{tmp_path}/{len(saved)}"

    bad = {f"BAD{number:02d}": counts(100, outlier=26) for number in range(21)}
    gone = {f"GONE{number:02d}": counts(10, missing_price=10) for number in range(21)}
    error = error_of(good(900) | bad | gone, save=save)
    assert len(saved) == len(set(saved)) == 2
    assert all(f"$(cat {tmp_path}/{number})" in str(error) for number in (1, 2))
