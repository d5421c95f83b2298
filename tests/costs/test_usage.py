"""The records of machines' time, over attempts and launchers, and their cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudlstm import storage
from cloudlstm.costs.usage import Meter, Rate, Usage, as_json, cost, machine_hours, read_usage
from cloudlstm.runs.paths import RunPaths

RATE = Rate("g4dn.xlarge", 2, 1.08, spot=False, prices="list prices of us-east-1, 2026-11")


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    found = RunPaths(f"file://{tmp_path}/run")
    for number in (1, 2):
        storage.write_json(found.attempt(number), {})
    return found


def test_the_cost_is_hours_times_price_over_all_attempts(paths: RunPaths) -> None:
    for attempt, hours in ((1, 0.5), (2, 1.5)):
        record = {"attempt": attempt, "job": "train", "rate": as_json(RATE), "began": 1e9, "ended": 1e9 + hours * 3600}
        storage.write_json(paths.usage(attempt, "train"), record)
    spark = {
        "attempt": 2,
        "job": "prepare",
        "rate": as_json(RATE) | {"usd_per_hour": None},
        "began": 0.0,
        "ended": 60.0,
    }
    storage.write_json(paths.usage(2, "prepare"), spark)
    found = read_usage(paths)
    assert [(each.attempt, each.job) for each in found] == [(1, "train"), (2, "prepare"), (2, "train")]
    assert machine_hours(found, "train") == pytest.approx(2 * 2.0)
    assert found[1].usd is None
    assert cost(found) == pytest.approx(2 * 1.08)


def test_a_later_launcher_goes_on_counting_where_the_first_one_began(paths: RunPaths) -> None:
    Meter(paths, 1, "train", as_json(RATE)).record(1000.0)
    Meter(paths, 1, "train", as_json(RATE)).record(2000.0)
    (found,) = read_usage(paths)
    assert found.began == 1000.0
    assert found.rate == RATE


def test_nothing_is_recorded_without_machines_or_price(paths: RunPaths) -> None:
    Meter(paths, 1, "train", as_json(RATE)).record(None, at_once=True)
    Meter(paths, 1, "train", None).record(1000.0, at_once=True)
    assert read_usage(paths) == []


def test_hours_are_never_negative() -> None:
    assert Usage(1, "train", RATE, began=10.0, ended=5.0).hours == 0.0
