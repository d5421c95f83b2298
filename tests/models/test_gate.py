"""The promotion gate: states by hand, decisions, and error rates by simulation with the code itself."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudlstm.errors import DataError
from cloudlstm.models import betting, gate, power
from cloudlstm.models.betting import Process, e_value_paths
from cloudlstm.models.gate import Gate, advance, advance_all, decide
from cloudlstm.runs import documents

YEARS = 4000


def first_day(reached):
    """First session on which each series reaches something, from 0; the number of sessions if never."""
    return np.where(reached.any(axis=1), reached.argmax(axis=1), reached.shape[1])


def decided(differences, bound, challengers=1):
    """Share of series that are promoted on skill, and share retired as worse before, with a look every session."""
    x = np.clip(differences / bound, -1.0, 1.0)
    better, worse = (np.maximum.accumulate(e_value_paths(side), axis=1) for side in (x, -x))
    promoted = first_day(gate.shows_better(better, differences.cumsum(axis=1), challengers))
    retired = first_day(worse >= gate.NEEDED_E_VALUE)
    days = differences.shape[1]
    return float(((promoted < days) & (promoted < retired)).mean()), float(
        ((retired < days) & (retired <= promoted)).mean()
    )


# --- one process by hand ---------------------------------------------------------------------------------------------


def test_e_values_by_hand():
    # Prior: total 60 x 0.2 / 3 = 4, squares 60 / 9 = 20 / 3. First bet 4 / (20 / 3) = 0.6: 1 + 0.6 x 0.5 = 1.3.
    # Second bet 4.5 / (20 / 3 + 0.25) = 4.5 / 6.91667 = 0.650602; e-value 1.3 x (1 - 0.650602) = 0.454217.
    # Third bet 3.5 / (20 / 3 + 1.25) = 0.442105; nothing won or lost at x = 0.
    process = Process().advanced(0.5)
    assert process == Process(0.5, 0.25, pytest.approx(1.3), pytest.approx(1.3))
    process = process.advanced(-1.0)
    assert process == Process(-0.5, 1.25, pytest.approx(0.45421687), pytest.approx(1.3))
    assert process.advanced(0.0).e_value == process.e_value


def test_a_bet_is_never_negative_nor_above_nine_tenths():
    losing = Process(total=-10.0, squares=10.0, e_value=0.5, highest=1.0)
    assert losing.advanced(-1.0).e_value == losing.advanced(1.0).e_value == 0.5
    winning = Process(total=50.0, squares=30.0, e_value=2.0, highest=2.0)
    assert winning.advanced(-1.0).e_value == pytest.approx(0.2)
    assert winning.advanced(1.0).e_value == pytest.approx(3.8)


@settings(max_examples=200, deadline=None)
@given(st.floats(-1e3, 1e3), st.floats(0, 1e3), st.floats(-1, 1), st.floats(0, 1))
def test_a_fair_day_does_not_raise_the_expected_e_value(total, squares, x, weight):
    """For any two-point law of mean zero, whatever happened before: the supermartingale property."""
    other = -x * weight
    if x == other:
        return
    chance = -other / (x - other)  # of x, so that the mean is zero
    before = Process(total, squares, 1.0, 1.0)
    expected = chance * before.advanced(x).e_value + (1 - chance) * before.advanced(other).e_value
    assert expected <= 1.0 + 1e-9


@pytest.mark.parametrize("x", [math.nan, math.inf, 1.0000001, -2.0])
def test_a_number_out_of_range_is_refused(x):
    with pytest.raises(ValueError, match="from -1 to 1"):
        Process().advanced(x)


def test_an_e_value_stays_finite():
    process = Process()
    for _ in range(2000):
        process = process.advanced(1.0)
    assert process.e_value == betting.MOST_E_VALUE


def test_simulated_paths_are_the_states_to_the_bit():
    x = np.random.default_rng(3).uniform(-1, 1, (5, 300))
    paths = e_value_paths(x)
    for series, path in zip(x.tolist(), paths.tolist(), strict=True):
        process, found = Process(), []
        for each in series:
            process = process.advanced(each)
            found.append(process.e_value)
        assert found == path


# --- the state -------------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-5, 5, allow_nan=False), max_size=40), st.data())
def test_any_cut_into_batches_with_json_between_gives_the_same_bits(differences, data):
    whole = advance_all(Gate(1.3, 2), differences)
    state, rest = Gate(1.3, 2), differences
    while rest:
        number = data.draw(st.integers(1, len(rest)))
        state = advance_all(state, rest[:number])
        rest = rest[number:]
        state = documents.built(Gate, json.loads(json.dumps(asdict(state), allow_nan=False)), "gate")
    assert state == whole
    assert state.better.e_value.hex() == whole.better.e_value.hex()


def test_the_state_counts_by_hand():
    state = advance_all(Gate(bound=2.0), [1.0, 5.0, -2.5, 2.0])
    assert (state.sessions, state.at_bound, state.total) == (4, 2, 5.5)
    assert (state.better.total, state.better.squares) == (0.5 + 1.0 - 1.0 + 1.0, 0.25 + 3.0)
    assert (state.worse.total, state.worse.squares) == (-1.5, 3.25)


def test_a_gate_closes_after_252_sessions():
    closed = advance_all(Gate(1.0), [0.0] * 252)
    assert advance_all(closed, [1.0] * 50) == closed


def test_swapping_the_models_swaps_the_e_values():
    differences = np.random.default_rng(4).normal(0.1, 1, 100)
    ours, theirs = advance_all(Gate(3.0), differences), advance_all(Gate(3.0), -differences)
    assert (ours.better, ours.worse) == (theirs.worse, theirs.better)


def test_a_challenger_with_smaller_losses_has_positive_differences():
    date = np.array([2, 1, 2, 1])
    found = gate.daily_differences(np.array([3.0, 1.0, 5.0, 2.0]), np.array([1.0, 2.0, 1.0, 2.0]), date)
    assert found.tolist() == [-0.5, 3.0]


def test_the_bound_is_three_standard_deviations():
    assert gate.bound(np.random.default_rng(0).normal(7.0, 2.0, 100_000)) == pytest.approx(6.0, rel=0.01)
    assert gate.bound(np.array([-1.0, 1.0] * 10)) == pytest.approx(3 * math.sqrt(math.pi / 2))  # mean deviation 1


@pytest.mark.parametrize(
    ("history", "text"),
    [
        (np.ones(19), "needs 20 finite"),
        (np.r_[np.arange(30.0), np.nan], "are 30 in 31"),
        (np.zeros(30), "equal loss differences"),
        (np.full(30, 0.1), "equal loss differences"),
    ],
)
def test_a_history_without_a_bound_is_refused(history, text):
    with pytest.raises(DataError, match=text):
        gate.bound(history)


@pytest.mark.parametrize(("bound", "challengers"), [(0.0, 1), (-1.0, 1), (math.inf, 1), (math.nan, 1), (1.0, 0)])
def test_an_impossible_gate_is_refused(bound, challengers):
    with pytest.raises(ValueError, match="cannot have"):
        Gate(bound, challengers)


@pytest.mark.parametrize("difference", [math.nan, math.inf, -math.inf])
def test_a_difference_that_is_not_finite_is_refused(difference):
    with pytest.raises(ValueError, match="daily difference is"):
        advance(Gate(1.0), difference)


# --- decisions -------------------------------------------------------------------------------------------------------


def state_of(better=1.0, worse=1.0, sessions=100, total=1.0, challengers=1):
    sides = {name: Process(highest=number, e_value=number) for name, number in (("better", better), ("worse", worse))}
    return Gate(3.0, challengers, sessions, 0, total, **sides)


@pytest.mark.parametrize(
    ("state", "failed", "refresh", "action", "basis"),
    [
        (state_of(), (), None, "wait", "undecided"),
        (state_of(better=20.0), (), None, "promote", "skill"),
        (state_of(better=19.99), (), None, "wait", "undecided"),
        (state_of(better=20.0, challengers=3), (), None, "wait", "undecided"),
        (state_of(better=60.0, challengers=3), (), None, "promote", "skill"),
        (state_of(better=20.0, total=0.0), (), None, "wait", "undecided"),
        (state_of(better=20.0), ("NaN",), None, "wait", "checks"),
        (state_of(better=20.0, sessions=252), ("NaN",), None, "wait", "checks"),
        (state_of(worse=20.0), (), None, "retire", "worse"),
        (state_of(worse=20.0, better=30.0), (), 21, "retire", "worse"),
        (state_of(worse=20.0, challengers=3), ("NaN",), None, "retire", "worse"),
        (state_of(sessions=251), (), None, "wait", "undecided"),
        (state_of(sessions=252), (), None, "retire", "expired"),
        (state_of(sessions=252), ("NaN",), None, "retire", "expired"),
        (state_of(sessions=20), (), 21, "wait", "undecided"),
        (state_of(sessions=21), (), 21, "promote", "refresh"),
        (state_of(sessions=21, worse=19.9), (), 21, "promote", "refresh"),
        (state_of(sessions=21, better=25.0), (), 21, "promote", "skill"),
        (state_of(sessions=21), ("NaN",), 21, "wait", "checks"),
    ],
)  # fmt: skip
def test_decisions(state, failed, refresh, action, basis):
    found = decide(state, failed, refresh_sessions=refresh)
    assert (found.action, found.basis) == (action, basis)
    assert (found.detectable_sd is None) == (action == "promote")
    json.dumps(asdict(found), allow_nan=False)


def test_every_refusal_states_what_the_gate_would_find():
    state = replace(advance_all(Gate(3e-4), [1e-4, -1e-4] * 60))
    found = decide(state)
    assert found.detectable_sd == 0.17
    # The bound's own sd, 1e-4, for 60 sessions, and 1e-4 in each of 120.
    assert found.detectable_loss == pytest.approx(0.17e-4)
    assert "0.17 sd a day" in found.reasons[-1]
    assert "65%" in found.reasons[-1]
    assert decide(replace(state, challengers=2)).detectable_sd == 0.19
    assert "hardly anything" in decide(replace(state, challengers=99)).reasons[-1]
    assert decide(state, ["bars are missing"]).reasons[0] == "bars are missing"


def test_a_refresh_says_that_it_is_no_evidence():
    text = decide(state_of(sessions=63), refresh_sessions=21).reasons[0]
    assert "not shown to be better" in text
    assert "worse by 0.36 sd a day would be noticed with 65% probability" in text
    assert "too few to notice" in decide(state_of(sessions=5), refresh_sessions=5).reasons[0]


# --- simulation ------------------------------------------------------------------------------------------------------


def garch(rng, years, days):
    """Student-t(5) shocks, standardised, with GARCH(1, 1) volatility of half-life 13 days, mean variance 1."""
    z = rng.standard_t(5, (years, days + 250)) / math.sqrt(5 / 3)
    variance, out = np.ones(years), np.empty_like(z)
    for day in range(z.shape[1]):
        out[:, day] = z[:, day] * np.sqrt(variance)
        variance = 0.05 + 0.13 * out[:, day] ** 2 + 0.82 * variance
    return out[:, 250:]


def tickers(rng, years, days):
    """Mean loss difference of 6 tickers with a common shock; two equally bad forecasts of equal quality."""
    market = garch(rng, years, days)[:, :, None]
    actual = market + rng.normal(size=(years, days, 6))
    champion, challenger = (0.3 * rng.normal(size=actual.shape) for _ in range(2))
    return ((actual - champion) ** 2 - (actual - challenger) ** 2).mean(axis=2)


NULLS = {
    "normal": lambda rng, n, days: rng.normal(size=(n, days)),
    "heavy tails": lambda rng, n, days: rng.standard_t(2.5, (n, days)),
    "changing volatility": garch,
    "common shocks": lambda rng, n, days: tickers(rng, n // 2, days),
    "two points": lambda rng, n, days: rng.choice([-1.0, 1.0], (n, days)),
}


@pytest.mark.parametrize("null", NULLS)
@pytest.mark.parametrize("bound", [1.0, 3.0, 12.0])
def test_no_better_challenger_is_promoted_in_at_most_5_percent_of_years(null, bound):
    differences = NULLS[null](np.random.default_rng(11), YEARS, 252)
    scale = float(np.abs(differences).mean()) * math.sqrt(math.pi / 2)
    promoted, retired = decided(differences, bound * scale)
    assert promoted <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / len(differences))
    assert promoted > 0.0 or bound == 12.0  # a gate that never opens would pass as well
    assert retired <= 0.06


def test_the_best_of_twelve_challengers_is_promoted_in_at_most_5_percent_of_years():
    """All have the same champion, so their differences are correlated."""
    rng = np.random.default_rng(12)
    champion = rng.normal(size=(500, 1, 252))
    differences = (champion + rng.normal(size=(500, 12, 252))).reshape(-1, 252)
    bound = 3 * math.sqrt(2)
    x = np.clip(differences / bound, -1, 1)
    highest = e_value_paths(x).max(axis=1).reshape(500, 12)
    assert (highest.max(axis=1) >= 240.0).mean() <= 0.05
    assert (highest.max(axis=1) >= 20.0).mean() > 0.08  # what the correction is for


@pytest.mark.parametrize("shocks", ["normal", "heavy tails", "changing volatility"])
def test_an_advantage_of_a_fifth_of_a_standard_deviation_is_promoted_within_a_year(shocks):
    makers = {**NULLS, "heavy tails": lambda rng, n, days: rng.standard_t(4, (n, days)) / math.sqrt(2)}
    noise = makers[shocks](np.random.default_rng(13), YEARS, 252)
    history = makers[shocks](np.random.default_rng(14), 1, 252)[0]
    promoted, retired = decided(noise + 0.2, gate.bound(history))
    assert promoted >= 0.70
    assert retired <= 0.002


def test_simulated_decisions_are_those_of_the_gate():
    rng = np.random.default_rng(15)
    differences = rng.standard_t(3, (40, 252)) + np.repeat([-0.5, 0.0, 0.5, 0.7], 10)[:, None]
    for row in differences:
        state, action = Gate(4.0, 2), "wait"
        for difference in row:
            state = advance(state, float(difference))
            action = decide(state).action
            if action != "wait":
                break
        expected = {(1.0, 0.0): "promote", (0.0, 1.0): "retire", (0.0, 0.0): "retire"}[decided(row[None], 4.0, 2)]
        assert action == expected


def test_a_lottery_is_not_promoted_once_its_loss_was_seen():
    """It wins 0.1 on most days and loses 100 on a few: better when clipped at 0.3, worse on average."""
    rare = np.where(np.random.default_rng(16).random((500, 252)) < 0.02, -100.0, 0.1)
    x = np.clip(rare / 0.3, -1, 1)
    assert (e_value_paths(x).max(axis=1) >= 20).mean() > 0.9
    promoted, _ = decided(rare, 0.3)
    seen = (rare[:, :10] < 0).any(axis=1)
    assert decided(rare[seen], 0.3)[0] == 0.0
    assert promoted < 0.9


@pytest.mark.parametrize(("sessions", "challengers"), [(252, 1), (252, 10), (63, 1), (21, 3)])
def test_the_table_of_detectable_effects_is_what_the_simulation_gives(sessions, challengers):
    noise = np.random.default_rng(99).normal(size=(2000, sessions))
    found = power.simulated_effect(noise, gate.NEEDED_E_VALUE * challengers)
    assert power.detectable_effect(sessions, challengers) == pytest.approx(found, abs=0.015 + 0.2 / sessions)


def test_between_entries_the_less_favourable_one_counts():
    assert power.detectable_effect(251, 1) == power.detectable_effect(126, 1)
    assert power.detectable_effect(252, 4) == power.detectable_effect(252, 5)
    assert power.detectable_effect(20, 1) is None
    assert power.detectable_effect(252, 51) is None
