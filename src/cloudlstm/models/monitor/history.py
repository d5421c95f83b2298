"""The series of the page, computed from the documents of a model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from cloudlstm.evaluation.significance import ratio_interval
from cloudlstm.models.documents import Challenger, Day, Move, Outcome, Version

NAIVE = "naive"
"""Key of the naive forecast in `Outcome.loss`."""
TRAILING_SESSIONS = 63
"""Sessions of a trailing mean."""
FEWEST_FOR_INTERVAL = 20
"""Sessions below which a mean has no interval."""
INSIDE_ONE_SD = 0.6827
"""Share of a normal distribution within one standard deviation of its mean."""

Role = Literal["champion", "previous", "challenger"]


@dataclass(slots=True)
class SkillLine:
    """Advantage over naive, summed over sessions, in mean session losses of naive.

    Attributes:
        role: What the version was. The champion line follows whichever version was champion.
        version: The version at the end of the line.
        sessions: The sessions, ascending.
        values: The sums up to each session. The first point of another version is one of the champion line: the
            session before its first.
    """

    role: Role
    version: int
    sessions: list[str] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, session: str, value: float) -> None:
        """Adds the sum up to one more session."""
        self.sessions.append(session)
        self.values.append(value)


@dataclass(frozen=True, slots=True)
class Saved:
    """Share of naive's mean squared error that the champion line removed.

    Attributes:
        sessions: Sessions with an outcome.
        mean: The share; below zero the error was larger than naive's. None without an outcome.
        low: Lower end of its 95 % interval (Fieller); None if it has no ends.
        high: Upper end.
    """

    sessions: int
    mean: float | None
    low: float | None = None
    high: float | None = None


class History:
    """The documents of a model in the order of their dates or numbers, and the series that follow from them."""

    def __init__(self, versions: Sequence[Version], moves: Sequence[Move], days: Sequence[Day]) -> None:
        """Sorts the documents.

        Args:
            versions: All versions.
            moves: All moves of the alias "champion".
            days: All days; none is allowed.
        """
        self.versions = tuple(sorted(versions, key=lambda each: each.number))
        self.moves = tuple(sorted(moves, key=lambda each: each.number))
        self.days = tuple(sorted(days, key=lambda each: each.date))

    @property
    def last(self) -> Day | None:
        """The last day; None before the first."""
        return self.days[-1] if self.days else None

    @property
    def champion(self) -> int | None:
        """The version that serves; None if there is none yet."""
        return self.moves[-1].version if self.moves else self.last.champion if self.last else None

    @property
    def challengers(self) -> tuple[Challenger, ...]:
        """The challengers with an open gate."""
        return self.last.challengers if self.last else ()

    @cached_property
    def outcomes(self) -> tuple[Outcome, ...]:
        """The outcomes by session, ascending; of two for one session the first counts."""
        found: dict[str, Outcome] = {}
        for day in self.days:
            for outcome in day.outcomes:
                found.setdefault(outcome.session, outcome)
        return tuple(found[session] for session in sorted(found))

    @cached_property
    def compared(self) -> tuple[Outcome, ...]:
        """The outcomes with a loss of the champion and of naive."""
        return tuple(
            each for each in self.outcomes
            if loss_of(each, each.champion) is not None and loss_of(each, NAIVE) is not None
        )  # fmt: skip

    @cached_property
    def mean_naive_loss(self) -> float:
        """Mean over sessions of naive's mean squared error; 0 without an outcome."""
        losses = [each.loss[NAIVE] for each in self.compared]
        return math.fsum(losses) / len(losses) if losses else 0.0

    @cached_property
    def skill_lines(self) -> list[SkillLine]:
        """The champion line first, then a line for each stretch of sessions that another version forecast."""
        unit = self.mean_naive_loss
        if unit <= 0.0:
            return []
        champion = SkillLine("champion", self.compared[-1].champion)
        done: list[SkillLine] = []
        alive: dict[int, SkillLine] = {}
        total, session_before = 0.0, self.compared[0].session
        for outcome in self.compared:
            before, naive = total, outcome.loss[NAIVE]
            total += (naive - outcome.loss[str(outcome.champion)]) / unit
            champion.add(outcome.session, total)
            others = {each: loss for each in _others(outcome) if (loss := loss_of(outcome, each)) is not None}
            alive = {version: line for version, line in alive.items() if version in others}
            for version, loss in others.items():
                if version not in alive:
                    alive[version] = SkillLine(self._role(version, outcome.session), version)
                    alive[version].add(session_before, before)
                    done.append(alive[version])
                line = alive[version]
                line.add(outcome.session, line.values[-1] + (naive - loss) / unit)
            session_before = outcome.session
        return [champion, *done]

    def _role(self, version: int, session: str) -> Role:
        """What a version that does not serve is: a former champion or a challenger."""
        served = any(move.version == version and move.date < session for move in self.moves)
        return "previous" if served else "challenger"

    @cached_property
    def saved(self) -> Saved:
        """Share of naive's error that the champion line removed, with its interval."""
        rows = self.compared
        naive = np.array([each.loss[NAIVE] for each in rows], dtype=np.float64)
        champion = np.array([each.loss[str(each.champion)] for each in rows], dtype=np.float64)
        if not len(rows) or naive.mean() <= 0.0:
            return Saved(len(rows), None)
        known = {each.number: each.horizon_bars for each in self.versions}
        horizon = max(1, *(known.get(number, 1) for number in {each.champion for each in rows}))
        enough = len(rows) >= max(FEWEST_FOR_INTERVAL, 2 * horizon + 1)
        low, high = ratio_interval(naive - champion, naive, horizon) if enough else (None, None)
        return Saved(len(rows), float((naive - champion).mean() / naive.mean()), low, high)

    @cached_property
    def inside(self) -> tuple[list[str], list[float], list[float]]:
        """Sessions, their share of outcomes inside one standard deviation, and its trailing mean."""
        rows = [each for each in self.outcomes if math.isfinite(each.inside)]
        values = [each.inside for each in rows]
        means = [
            math.fsum(values[max(0, end - TRAILING_SESSIONS) : end]) / min(end, TRAILING_SESSIONS)
            for end in range(1, len(values) + 1)
        ]
        return [each.session for each in rows], values, means


def _others(outcome: Outcome) -> list[int]:
    """The versions that forecast a session beside its champion, ascending."""
    versions = sorted(int(key) for key in outcome.loss if key.isdecimal())
    return [version for version in versions if version != outcome.champion]


def loss_of(outcome: Outcome, version: int | str) -> float | None:
    """The finite loss of a version or of "naive"; None if there is none."""
    value = outcome.loss.get(str(version))
    return value if value is not None and math.isfinite(value) else None
