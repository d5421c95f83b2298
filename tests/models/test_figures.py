"""The figures of a day, and what the operations guide says of them and of their alarms."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cloudlstm.models.documents import Day, Outcome
from cloudlstm.models.figures import FIGURES, figures_of

REPO = Path(__file__).parents[2]
GUIDE = (REPO / "docs" / "operations.md").read_text(encoding="utf-8")
ROOTS = sorted((REPO / "infra" / "terraform").glob("*/alarms.tf"))


def day(status: str = "done", outcomes: tuple[Outcome, ...] = (), drifting: int = 0) -> Day:
    drift = tuple({"name": str(number), "alarm": number < drifting} for number in range(3))
    return Day(
        date="2026-11-27", before=None, missed=("2026-11-25",), status=status, reasons=(), bars={}, manifest="",  # type: ignore[arg-type]
        outcomes=outcomes, checks=(), drift=drift, champion=2, previous=None, challengers=(), loss_watch=None,
        rollback_watch=None, decisions=(), due=(), started={}, seen_versions=2, session="", record="",
        forecasts={"2": 7, "1": 6}, work={},
    )  # fmt: skip


def outcome(tickers: int, ours: float, naive: float) -> Outcome:
    return Outcome("2026-11-26", tickers, 2, {"2": ours, "1": 9.0, "naive": naive}, 0.5)


@pytest.mark.parametrize("status", ["done", "refused", "late"])
def test_one_status_is_1(status: str) -> None:
    found = figures_of(day(status))
    assert [name for name in ("done", "refused", "late") if found[name] == 1.0] == [status]
    assert "skill" not in found
    assert found["missed_sessions"] == 1.0
    assert found["forecasts"] == 7.0


def test_skill_weighs_sessions_by_their_tickers() -> None:
    found = figures_of(day(outcomes=(outcome(1, 2.0, 1.0), outcome(3, 0.5, 1.0))))
    assert found["skill"] == pytest.approx(1 - (2.0 + 1.5) / 4.0)
    assert "skill" not in figures_of(day(outcomes=(outcome(0, 0.0, 0.0),)))


def test_alarms_of_drift_are_counted() -> None:
    assert figures_of(day(drifting=2))["drift_alarms"] == 2.0


def test_the_guide_has_every_figure() -> None:
    assert figures_of(day(outcomes=(outcome(1, 1.0, 1.0),))).keys() <= FIGURES.keys()
    for name, meaning in FIGURES.items():
        assert f"| `{name}` | {meaning} |" in GUIDE


@pytest.mark.parametrize("path", ROOTS, ids=lambda path: path.parent.name)
def test_every_alarm_is_of_a_figure_and_has_an_incident(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    rows = dict(re.findall(r'^ +([a-z-]+) += \{ figure = "(\w+)"', text, re.MULTILINE))
    assert rows.keys() == {"failed", "refused", "late", "missed", "over-budget", "cost"}
    assert set(rows.values()) <= FIGURES.keys()
    incidents = re.findall(r"^\| ([a-z-]+) \|", GUIDE.partition("## Incidents")[2], re.MULTILINE)
    assert {"absent", *rows} <= set(incidents)
    assert "up_to_date" in text
