"""The documents of a model: recipe, version, move of an alias, and day. All are JSON; dates are ISO text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cloudlstm.models.gate import Gate
from cloudlstm.models.policy import Estimator, Policy
from cloudlstm.models.watch import Watch

CHAMPION = "champion"
"""The alias whose version serves."""

Kind = Literal["created", "warm", "cold", "recipe"]
Judged = Literal["refresh", "skill"]
Status = Literal["done", "refused", "late"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the versions of a model are made.

    Attributes:
        name: The model's name.
        run: The run of the first version.
        config: The settings of that run.
        bars: URI of the store of bars.
        policy: When challengers are trained, and how they are judged.
    """

    name: str
    run: str
    config: Mapping[str, Any]
    bars: str
    policy: Policy = field(default_factory=Policy)


@dataclass(frozen=True, slots=True)
class Version:
    """A trained network of a model, or a fitted ridge.

    Attributes:
        number: From 1.
        kind: "created" from a run that the user named, or "warm", "cold" or "recipe" for a challenger.
        recipe: Name of its recipe; empty for the model's own.
        run: URI of the run that trained it.
        parent: The version whose weights it started from.
        made: Date of the last bars when it was trained.
        seen: Last date of its training and validation labels.
        window_bars: Bars in a window.
        horizon_bars: Bars from the end of a window to its label.
        digests: Digest of the run's results by step.
        evidence: Figures of its report, by model and name.
        model: Whether it is the network or the ridge of its run.
    """

    number: int
    kind: Kind
    recipe: str
    run: str
    parent: int | None
    made: str
    seen: str
    window_bars: int
    horizon_bars: int
    digests: Mapping[str, str]
    evidence: Mapping[str, Any] = field(default_factory=dict)
    model: Estimator = "lstm"


@dataclass(frozen=True, slots=True)
class Move:
    """One move of an alias.

    Attributes:
        number: From 1.
        version: The version that the alias names from now on.
        before: The version before; None for the first move.
        date: Date of the newest bars at the move.
        basis: "created", "skill", "refresh", "rollback", or "manual".
        reasons: Sentences for people.
    """

    number: int
    version: int
    before: int | None
    date: str
    basis: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Challenger:
    """A version that competes with the champion.

    Attributes:
        version: The version.
        judged: "refresh": replaces the champion if it is not shown to be worse; "skill": only if it is better.
        since: First session whose forecasts count.
        gate: The evidence so far.
    """

    version: int
    judged: Judged
    since: str
    gate: Gate


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the forecasts for one session.

    Attributes:
        session: The session.
        tickers: Tickers with forecast and outcome.
        champion: The version that was champion when the forecasts were made.
        loss: Mean squared error by version, and of the naive forecast as "naive", over the same tickers.
        inside: Share of outcomes within one standard deviation of the ticker's returns around the champion's forecast.
    """

    session: str
    tickers: int
    champion: int
    loss: Mapping[str, float]
    inside: float


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision about a version.

    Attributes:
        version: The version.
        action: "promote", "retire", "wait", "rollback" or "enter".
        basis: Why; see gate.Decision.
        reasons: Sentences for people.
        detectable_sd: The advantage that the gate would find, in standard deviations of the daily difference.
    """

    version: int
    action: str
    basis: str
    reasons: tuple[str, ...] = ()
    detectable_sd: float | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """A training that the day asks for.

    Attributes:
        kind: "warm", "cold" or "recipe".
        recipe: Name of another recipe; empty for the model's own. A warm challenger has the champion's.
        run: Id of the run.
        parent: The version whose weights it starts from.
        why: A sentence.
    """

    kind: Kind
    recipe: str
    run: str
    parent: int | None
    why: str

    @property
    def name(self) -> str:
        """What is trained from time to time: "warm", "cold", or the name of a recipe."""
        return self.recipe if self.kind == "recipe" else self.kind


@dataclass(frozen=True, slots=True)
class OverBudget:
    """A training that is due and that the month's limit does not pay.

    Attributes:
        due: The training.
        usd: What it may cost, at the prices of the dearest machines.
        left: What is left of the month's limit.
        why: A sentence.
    """

    due: Due
    usd: float
    left: float
    why: str


@dataclass(frozen=True, slots=True)
class Day:
    """What one day found and decided. It is also the state from which the next day goes on.

    Attributes:
        date: The session of the newest bars.
        before: Date of the day before in this model; None for the first.
        missed: Sessions since then that had no day.
        status: "done", "refused" (the data or the forecasts failed a check: no forecasts) or "late" (the next session
            had opened: no forecasts).
        reasons: Why it was refused or late.
        bars: What changed in the store of bars.
        manifest: URI of the manifest of the bars.
        outcomes: Outcomes that became known.
        checks: Hard checks of the champion's forecasts, JSON-ready; see checks.Check.
        drift: Drift of the features, JSON-ready; see drift.FeatureDrift.
        champion: The champion after the decisions.
        previous: The champion before it, which still forecasts while it is watched; None if there is none.
        challengers: Challengers after the decisions.
        loss_watch: The champion against naive; None until a bound is known.
        rollback_watch: The champion against the previous champion.
        decisions: All decisions of the day.
        due: Trainings that are due.
        started: Kind or recipe -> dates of its trainings within the last 252 sessions.
        seen_versions: Versions up to this number have entered the competition.
        session: The session before which the forecasts were made; empty without forecasts.
        record: Digest of the ledger's record; empty without forecasts.
        forecasts: Forecasts by version.
        work: Rows read, requests, windows: what the day has cost in counted work.
        notes: What is missing or refused of macro series and news, as sentences.
        over_budget: Trainings that are due and that the month's limit does not pay; they are due again on the next day.
    """

    date: str
    before: str | None
    missed: tuple[str, ...]
    status: Status
    reasons: tuple[str, ...]
    bars: Mapping[str, Any]
    manifest: str
    outcomes: tuple[Outcome, ...]
    checks: tuple[Mapping[str, Any], ...]
    drift: tuple[Mapping[str, Any], ...]
    champion: int
    previous: int | None
    challengers: tuple[Challenger, ...]
    loss_watch: Watch | None
    rollback_watch: Watch | None
    decisions: tuple[Decided, ...]
    due: tuple[Due, ...]
    started: Mapping[str, tuple[str, ...]]
    seen_versions: int
    session: str
    record: str
    forecasts: Mapping[str, int]
    work: Mapping[str, int]
    notes: tuple[str, ...] = ()
    over_budget: tuple[OverBudget, ...] = ()

    @property
    def drifting(self) -> list[str]:
        """The features whose drift raises an alarm."""
        return [str(each["name"]) for each in self.drift if each["alarm"]]

    @property
    def refused(self) -> bool:
        """True if something was refused: the day, a challenger that was not good enough, or a training for its cost."""
        refused = any(each.action == "retire" and each.basis in ("worse", "expired") for each in self.decisions)
        return self.status == "refused" or refused or bool(self.over_budget)
