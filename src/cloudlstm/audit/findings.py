"""What an audit returns: findings, and what it could check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Level = Literal["alarm", "warning", "note"]
"""Alarm: the table, or its split, uses the future, with evidence beyond chance. Warning: probable, or a fault whose
effect depends on the use of the table. Note: worth knowing."""

State = Literal["done", "partly", "not done"]

LEVELS: tuple[Level, ...] = ("alarm", "warning", "note")

Numbers = Mapping[str, float | int | str | None]


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault, or one thing to know.

    Attributes:
        check: The name of the check.
        level: How certain and how harmful it is.
        column: The column concerned; empty if it is the whole table.
        evidence: What was measured, in one sentence with numbers.
        meaning: What this means for a forecast.
        action: What to do.
        numbers: The numbers of the evidence, for programs.
    """

    check: str
    level: Level
    column: str
    evidence: str
    meaning: str
    action: str
    numbers: Numbers = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far one check could be done.

    Attributes:
        check: The name of the check.
        looks_for: What it looks for.
        state: Whether it was done.
        columns: Number of columns that it could check; of a check of the whole table 0 or 1.
        of: Number of columns that there are for it.
        reason: Why not all were checked; empty if all were.
    """

    check: str
    looks_for: str
    state: State
    columns: int
    of: int
    reason: str


@dataclass(frozen=True, slots=True)
class Audit:
    """The result of an audit.

    Attributes:
        rows: Rows of the table.
        entities: Number of distinct entities.
        first: First date or time, ISO 8601.
        last: Last one.
        roles: Which column has which role; the features are listed in `features`.
        features: The columns that were checked as features.
        target_kind: "returns" if the target behaves like returns, so that the limit of R² applies; "other" if not;
            "none" without a target.
        horizon: Rows ahead at which the target is known.
        horizon_from: How the horizon was found.
        findings: All findings; alarms first.
        coverage: Every check, in order.
    """

    rows: int
    entities: int
    first: str
    last: str
    roles: Mapping[str, str | None]
    features: tuple[str, ...]
    target_kind: Literal["returns", "other", "none"]
    horizon: int
    horizon_from: str
    findings: tuple[Finding, ...]
    coverage: tuple[Coverage, ...]

    @property
    def share_checked(self) -> float:
        """Share of all pairs of a check and a column that could be checked."""
        return sum(each.columns for each in self.coverage) / max(sum(each.of for each in self.coverage), 1)

    def of_level(self, level: Level) -> tuple[Finding, ...]:
        """Returns the findings of one level."""
        return tuple(each for each in self.findings if each.level == level)
