"""Hard checks: each passes at its limit, fails beyond it, and says what it found."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from cloudlstm.models.checks import CHECKS, Check, DayFacts, Limits, failures, hard_checks

TICKERS = [f"T{number:03d}" for number in range(100)]


def facts(**changes):
    n = len(changes.get("tickers", TICKERS))
    usual = {
        "universe": TICKERS, "tickers": TICKERS, "forecast": np.full(n, 0.01), "return_sd": np.full(n, 0.02),
        "champion_tickers": TICKERS, "age_sessions": np.zeros(100, np.int64), "bars": 100, "refused": 0,
    }  # fmt: skip
    return DayFacts(**{**usual, **changes})


def with_one(value, place=7):
    values = np.full(100, 0.01)
    values[place] = value
    return values


def ages(*old, length=100):
    found = np.zeros(length, np.int64)
    found[: len(old)] = old
    return found


def failed(changes, limits=None):
    return [check for check in hard_checks(facts(**changes), limits) if not check.passed]


def test_a_usual_day_passes_all_checks():
    found = hard_checks(facts())
    assert all(check.passed for check in found)
    assert len({check.name for check in found}) == len(CHECKS) == 7
    json.dumps([asdict(check) for check in found], allow_nan=False)
    assert failures(found) == []


@pytest.mark.parametrize(
    ("changes", "name", "value", "tickers"),
    [
        ({"universe": [*TICKERS, *"ABC"], "age_sessions": ages(length=103)}, "coverage", 100 / 103, tuple("ABC")),
        ({"champion_tickers": [*TICKERS, *"ABC"]}, "kept", 100 / 103, tuple("ABC")),
        ({"tickers": [*TICKERS[:99], "T000"]}, "tickers", 99, ()),
        ({"refused": 2}, "refused", 0.02, ()),
        ({"bars": 0}, "refused", 0.0, ()),
        ({"forecast": with_one(np.nan)}, "finite", 1, ("T007",)),
        ({"forecast": with_one(0.0601)}, "size", 3.005, ("T007",)),
        ({"forecast": with_one(-0.0601)}, "size", 3.005, ("T007",)),
        ({"return_sd": np.where(np.arange(100) == 7, 0.0, 0.02)}, "size", 1e300, ("T007",)),
        ({"return_sd": np.where(np.arange(100) == 7, np.nan, 0.02)}, "size", 1e300, ("T007",)),
        ({"age_sessions": ages(1, 5, 2)}, "stale", 0.03, ("T000", "T001", "T002")),
    ],
)  # fmt: skip
def test_one_fault_fails_one_check(changes, name, value, tickers):
    (found,) = failed(changes)
    assert (found.name, found.tickers) == (name, tickers)
    assert found.value == pytest.approx(value)
    (text,) = failures([found])
    assert text.startswith(f"check {name}: ")
    assert all(ticker in text for ticker in tickers)
    json.dumps(asdict(found), allow_nan=False)


def test_an_infinite_forecast_fails_as_infinite_and_as_too_large():
    assert {check.name for check in failed({"forecast": with_one(np.inf)})} == {"finite", "size"}


@pytest.mark.parametrize(
    "changes",
    [
        {"universe": [*TICKERS, "A", "B"], "age_sessions": np.zeros(102, np.int64)},  # 100 of 102: 98.04 %
        {"champion_tickers": []},
        {"refused": 1},
        {"forecast": with_one(0.06)},
        {"forecast": with_one(0.0), "return_sd": np.where(np.arange(100) == 7, 0.0, 0.02)},
        {"age_sessions": ages(9, 9)},
    ],
)
def test_at_the_limit_a_check_passes(changes):
    assert failed(changes) == []


def test_limits_can_be_set():
    assert [check.name for check in failed({}, Limits(tickers=101))] == ["tickers"]
    assert [check.name for check in failed({}, Limits(forecast_sd=0.4))] == ["size"]
    assert failed({"age_sessions": ages(*[3] * 100)}, replace(Limits(), age_sessions=3)) == []


def test_without_forecasts_the_day_is_refused():
    empty = facts(tickers=[], forecast=np.zeros(0), return_sd=np.zeros(0))
    assert {check.name for check in hard_checks(empty) if not check.passed} == {"coverage", "kept", "tickers"}
    nothing = facts(universe=[], age_sessions=np.zeros(0, np.int64))
    assert {check.name for check in hard_checks(nothing) if not check.passed} == {"stale"}


def test_only_five_tickers_are_named():
    (found,) = failed({"age_sessions": ages(*[4] * 50)})
    assert len(found.tickers) == 5
    assert "50 of 100" in found.text
    assert "oldest has 4" in found.text


def test_arrays_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="lengths differ"):
        facts(forecast=np.zeros(3))
    with pytest.raises(ValueError, match="lengths differ"):
        facts(age_sessions=np.zeros(3, np.int64))


def test_a_passed_check_is_no_failure():
    assert failures([Check("a", passed=True, value=1.0, limit=1.0, text="all is there")]) == []
