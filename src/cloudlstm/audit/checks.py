"""What every check gets, and how it reports what it could check."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from cloudlstm.audit.findings import Finding
from cloudlstm.audit.leads import Later, PastReturns
from cloudlstm.audit.outcomes import Outcomes
from cloudlstm.audit.panel import Panel
from cloudlstm.audit.roles import Settings


@dataclass(frozen=True, slots=True)
class Facts:
    """A table and what is known of it.

    Attributes:
        panel: The table.
        settings: What the user said.
        outcomes: What comes later than each row.
        later: The values that no feature may know.
        past: Takes what past returns explain out of a column.
        tests: Number of statistical tests of the audit.
        revised: Another vintage of the table.
        exogenous: When each exogenous value was published, a table of EXOGENOUS.
        train_end: Last time of the training rows, in seconds; None if it is not given.
    """

    panel: Panel
    settings: Settings
    outcomes: Outcomes
    later: list[Later]
    past: PastReturns
    tests: int
    revised: Panel | None
    exogenous: pa.Table | None
    train_end: int | None


Found = Iterator[Finding]


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        name: Its name.
        looks_for: What it looks for, in a few words.
        find: Yields its findings; it is not called if `lacking` says something.
        columns: The columns that it can check; None for a check of the whole table.
        lacking: Why it cannot check anything; empty if it can.
    """

    name: str
    looks_for: str
    find: Callable[[Facts], Found]
    columns: Callable[[Facts], tuple[str, ...]] | None = None
    lacking: Callable[[Facts], str] = lambda _: ""
