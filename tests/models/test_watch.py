"""Watching the champion: false alarms, a planted decay for the rollback, and a law that jumps."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from cloudlstm.models import betting, gate, watch
from cloudlstm.models.betting import Process, e_value_paths
from cloudlstm.models.watch import Watch, advance, advance_all
from cloudlstm.runs import documents


def highest_in(x):
    """Largest e-value of any process of a watch for many series (series,), by restarts of simulated paths."""
    days = x.shape[1]
    starts = range(0, days, watch.RESTART_SESSIONS)
    paths = [e_value_paths(x[:, start : start + watch.LIFE_SESSIONS]).max(axis=1) for start in starts]
    return np.maximum(1.0, np.max(paths, axis=0))


def test_the_simulation_is_the_watch_to_the_bit():
    x = np.random.default_rng(1).normal(0.1, 1, (5, 600))
    for series, highest in zip(x, highest_in(np.clip(x / 3, -1, 1)), strict=True):
        assert advance_all(Watch(3.0), series).highest == highest


def test_a_process_starts_each_63_sessions_and_lives_252():
    state, numbers = Watch(1.0), []
    for session in range(400):
        state = advance(state, 0.5 if session < 63 else 0.0)
        numbers.append(len(state.processes))
    assert numbers[0] == numbers[62] == 1
    assert numbers[63] == 2
    assert numbers[189] == numbers[399] == 4
    assert all(process == Process() for process in state.processes)  # those that saw 0.5 have ended
    assert advance_all(Watch(1.0), [0.5] * 63 + [0.0] * 188).processes[0].total == 31.5


def test_json_between_two_days_changes_nothing():
    differences = np.random.default_rng(2).normal(0, 1, 150)
    state = Watch(2.0)
    for difference in differences:
        document = json.loads(json.dumps(asdict(advance(state, float(difference))), allow_nan=False))
        state = documents.built(Watch, document, "watch")
    assert state == advance_all(Watch(2.0), differences)


@pytest.mark.parametrize("bound", [0.0, -1.0, float("inf"), float("nan")])
def test_an_impossible_bound_is_refused(bound):
    with pytest.raises(ValueError, match="cannot have bound"):
        Watch(bound)


def test_an_alarm_stays():
    state = Watch(1.0)
    sessions = 0
    while not state.alarm:
        state, sessions = advance(state, 0.5), sessions + 1
    assert sessions < 25
    assert advance_all(state, [-1.0] * 600).alarm


@pytest.mark.parametrize("shocks", ["normal", "heavy"])
def test_a_champion_that_is_not_worse_raises_an_alarm_in_at_most_5_percent_of_years(shocks):
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(1500, 756)) if shocks == "normal" else rng.standard_t(3, (1500, 756))
    alarms = highest_in(np.clip(noise / betting.BOUND_SD, -1, 1)) >= watch.ALARM_E_VALUE
    assert 0.0 < alarms.mean() <= 3 * 0.05


def test_a_planted_decay_is_found_and_one_process_alone_would_not_find_it():
    """The champion is better than its predecessor by 0.2 sd a day for two years, then worse by 0.4 sd."""
    rng = np.random.default_rng(4)
    differences = rng.normal(-0.2, 1, (300, 504 + 126))
    differences[:, 504:] += 0.6
    x = np.clip(differences / betting.BOUND_SD, -1, 1)
    found = highest_in(x) >= watch.ALARM_E_VALUE
    assert found.mean() >= 0.9
    assert (highest_in(x[:, :504]) >= watch.ALARM_E_VALUE).mean() <= 0.01
    alone = e_value_paths(x).max(axis=1) >= gate.NEEDED_E_VALUE
    assert alone.mean() < 0.2


def test_a_law_that_jumps_is_found_by_the_loss_against_naive():
    """Returns follow their previous value with a coefficient that changes its sign, and no other law."""
    rng = np.random.default_rng(5)
    days, tickers, jump = 900, 20, 700
    returns = np.zeros((days, tickers))
    for day in range(1, days):
        slope = 0.15 if day < jump else -0.15
        shock = 0.5 * rng.normal() + np.sqrt(0.75) * rng.normal(size=tickers)
        returns[day] = slope * returns[day - 1] + np.sqrt(1 - 0.15**2) * shock
    forecast = 0.15 * returns[:-1]
    difference = ((returns[1:] - forecast) ** 2 - returns[1:] ** 2).mean(axis=1)
    before = advance_all(Watch(3 * difference[:250].std()), difference[250 : jump - 1])
    assert not before.alarm
    after = advance_all(before, difference[jump - 1 :])
    assert after.alarm
