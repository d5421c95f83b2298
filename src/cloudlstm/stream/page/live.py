"""The facts about a stream that its page and the line on the terminal show."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from cloudlstm.stream.documents import BatchDocument, Scores, StreamSettings
from cloudlstm.stream.kafka_client import SCHEME
from cloudlstm.text.numbers import amount, count, duration, signed_percent

_KEPT = 1500
"""Batches that charts show at most."""
_RATE_S = 60.0
"""The rate is that of so many seconds up to the newest batch."""


@dataclass(slots=True)
class Live:
    """The newest batches of a stream.

    Attributes:
        name: The stream's name.
        settings: Its settings.
        recent: The newest batches, the oldest first.
        resumed: Batches before this process.
    """

    name: str
    settings: StreamSettings
    recent: deque[BatchDocument] = field(default_factory=lambda: deque(maxlen=_KEPT))
    resumed: int = 0

    def add(self, batches: Iterable[BatchDocument]) -> None:
        """Adds batches in order."""
        self.recent.extend(batches)

    @property
    def last(self) -> BatchDocument | None:
        """The newest batch."""
        return self.recent[-1] if self.recent else None

    @property
    def waiting(self) -> str:
        """What the lag counts, as words."""
        topic = self.settings.source.startswith(SCHEME)
        return "messages that wait in the topic" if topic else "files that wait in the folder"

    @property
    def scores(self) -> Scores:
        """All outcomes so far."""
        return self.last.all_scores if self.last else Scores()

    @property
    def synthetic(self) -> int:
        """Bars so far whose source says that they are synthetic."""
        return self.last.totals.get("synthetic", 0) if self.last else 0

    @property
    def rate(self) -> float | None:
        """Bars a second of the last minute of work; None before there are two batches."""
        if self.last is None:
            return None
        inside = [each for each in self.recent if each.finished >= self.last.finished - _RATE_S]
        if len(inside) == 1:
            return inside[0].counts["used"] / inside[0].took_s if inside[0].took_s > 0 else None
        span = inside[-1].finished - inside[0].finished
        return sum(each.counts["used"] for each in inside[1:]) / span if span > 0 else None

    @property
    def latency(self) -> tuple[float, float] | None:
        """p50 and p95 of the seconds from sending a bar to the end of its batch: medians over the recent batches."""
        inside = [each.latency_s for each in list(self.recent)[-100:] if each.latency_s]
        if not inside:
            return None
        middle = len(inside) // 2
        return sorted(each["p50"] for each in inside)[middle], sorted(each["p95"] for each in inside)[middle]

    @property
    def skill(self) -> float | None:
        """Share of naive's squared error that the forecasts save so far; None without outcomes.

        It is the R² out of sample of a report: naive forecasts a return of 0.
        """
        scores = self.scores
        if not scores.outcomes or scores.squared_return <= 0:
            return None
        return 1.0 - scores.squared_error / scores.squared_return

    @property
    def right_direction(self) -> float | None:
        """Share of outcomes other than 0 whose sign was forecast."""
        scores = self.scores
        return scores.same_sign / scores.moved if scores.moved else None

    def line(self) -> str:
        """The facts on one line of a terminal."""
        last = self.last
        if last is None:
            return f"{self.name}: no bars yet"
        parts = [f"{self.name}: batch {count(last.number)}", f"{count(last.totals['used'])} bars"]
        if self.rate is not None:
            parts.append(f"{amount(self.rate)} bars/s")
        if last.lag is not None:
            parts.append(f"lag {count(last.lag)}")
        if self.latency:
            parts.append(f"latency p50 {duration(self.latency[0])}, p95 {duration(self.latency[1])}")
        if self.skill is not None:
            parts.append(f"skill {signed_percent(self.skill)} of {count(self.scores.outcomes)} outcomes")
        if self.synthetic:
            parts.append("synthetic data")
        kinds = [name for name in ("corrections", "refused") if last.totals.get(name)]
        parts += [f"{count(last.totals[name])} {name}" for name in kinds]
        return "; ".join(parts)
