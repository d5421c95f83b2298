"""One day of the competition: outcomes advance gates and watches, and these decide.

A challenger is compared with the line of champions: on each date with the version that was champion when that date's
forecasts were made. So a gate goes on when a refresh replaces the champion: if a challenger is not better than what
serves, the expected difference of each session is zero or below, whichever version serves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from cloudlstm.errors import DataError
from cloudlstm.models import gate as gates
from cloudlstm.models import watch as watches
from cloudlstm.models.documents import Challenger, Decided, Outcome
from cloudlstm.models.gate import Gate
from cloudlstm.models.policy import Policy
from cloudlstm.models.watch import Watch

NAIVE = "naive"
"""Key of the naive forecast's loss; versions have their number."""

_NOT_SKILL = "a refresh: this challenger is not judged on skill"
Counts = Callable[[str], bool]
"""True for a session whose forecasts overlap with no other counted session's: every h-th for h bars ahead."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of the competition.

    Attributes:
        champion: The version that serves.
        previous: The champion before the last promotion on skill, or before the first refresh; the reference of the
            rollback watch.
        challengers: The versions that compete with it.
        loss_watch: The champion against naive.
        rollback_watch: The line of champions against the previous champion.
    """

    champion: int
    previous: int | None
    challengers: tuple[Challenger, ...]
    loss_watch: Watch | None
    rollback_watch: Watch | None


def difference(outcome: Outcome, reference: int | str, other: int | str) -> float | None:
    """Loss of `reference` minus loss of `other` in a session; None if one of them has no loss."""
    first, second = outcome.loss.get(str(reference)), outcome.loss.get(str(other))
    return None if first is None or second is None else first - second


def advance(standing: Standing, outcomes: Sequence[Outcome], counts: Counts) -> Standing:
    """The standing after new outcomes, in their order; decides nothing.

    Args:
        standing: The state before.
        outcomes: New outcomes.
        counts: Which sessions count.
    """
    for outcome in outcomes:
        if counts(outcome.session):
            standing = _advanced(standing, outcome)
    return standing


def _advanced(standing: Standing, outcome: Outcome) -> Standing:
    challengers = []
    for each in standing.challengers:
        x = difference(outcome, outcome.champion, each.version) if outcome.session >= each.since else None
        challengers.append(each if x is None else replace(each, gate=gates.advance(each.gate, x)))
    loss_watch, rollback_watch = standing.loss_watch, standing.rollback_watch
    if loss_watch is not None and (x := difference(outcome, outcome.champion, NAIVE)) is not None:
        loss_watch = watches.advance(loss_watch, x)
    if standing.previous is not None and rollback_watch is not None:
        x = difference(outcome, outcome.champion, standing.previous)
        if x is not None and outcome.champion != standing.previous:
            rollback_watch = watches.advance(rollback_watch, x)
    return replace(
        standing, challengers=tuple(challengers), loss_watch=loss_watch, rollback_watch=rollback_watch
    )  # fmt: skip


def decide(
    standing: Standing, policy: Policy, failed: Mapping[int, Sequence[str]], bound_of: Callable[[int, int], float]
) -> tuple[Standing, list[Decided]]:
    """Retires, promotes or rolls back; returns the new standing and every decision.

    At most one version becomes champion on a day. A rollback comes first, and is the day's only decision.

    Args:
        standing: The state after the newest outcomes.
        policy: How challengers are judged.
        failed: Sentences of failed hard checks by version.
        bound_of: Bound for a watch of one version against another, from their forecasts before today.
    """
    if _is_worse(standing):
        return _rolled_back(standing)
    found = {each.version: _decision(each, policy, failed.get(each.version, ())) for each in standing.challengers}
    decided = [
        Decided(version, each.action, each.basis, each.reasons, each.detectable_sd) for version, each in found.items()
    ]
    staying = tuple(each for each in standing.challengers if found[each.version].action == "wait")
    winners = [each for each in standing.challengers if found[each.version].action == "promote"]
    # A promotion on skill is evidence, a refresh is not; of several refreshes the newest network serves.
    winners.sort(key=lambda each: (found[each.version].basis == "skill", each.version))
    if winners:
        winner = winners[-1].version
        decided = [
            replace(each, action="retire", basis="newer", reasons=(f"version {winner} was promoted on the same day",))
            if each.version in {other.version for other in winners[:-1]}
            else each
            for each in decided
        ]
        standing = _promoted(standing, winner, found[winner].basis, bound_of)
    return replace(standing, challengers=staying), decided


def _is_worse(standing: Standing) -> bool:
    """True if the line of champions is shown to be worse than the champion that it replaced."""
    return standing.previous is not None and standing.rollback_watch is not None and standing.rollback_watch.alarm


def _rolled_back(standing: Standing) -> tuple[Standing, list[Decided]]:
    """Gives the previous champion back its place; all challengers wait for the next day."""
    assert standing.previous is not None
    assert standing.rollback_watch is not None
    evidence = f"e-value {standing.rollback_watch.highest:.3g} of {watches.ALARM_E_VALUE:g}"
    text = f"what served since is worse than version {standing.previous}: {evidence}"
    waiting = [Decided(each.version, "wait", "undecided", ("a rollback comes first",)) for each in standing.challengers]
    back = replace(standing, champion=standing.previous, previous=None, loss_watch=None, rollback_watch=None)
    return back, [Decided(standing.previous, "rollback", "worse", (text,)), *waiting]


def _promoted(standing: Standing, winner: int, basis: str, bound_of: Callable[[int, int], float]) -> Standing:
    """The standing after a promotion.

    The champion that is replaced goes on forecasting and is the reference of the rollback watch. A refresh keeps the
    reference: otherwise a slow decay over many refreshes would never be found.
    """
    if basis == "refresh" and standing.previous is not None:
        return replace(standing, champion=winner, loss_watch=None)
    try:
        rollback = Watch(bound_of(winner, standing.champion))
    except DataError:  # they forecast the same, or there are too few dates
        return replace(standing, champion=winner, previous=None, loss_watch=None, rollback_watch=None)
    return replace(
        standing, champion=winner, previous=standing.champion, loss_watch=None, rollback_watch=rollback
    )  # fmt: skip


def _decision(challenger: Challenger, policy: Policy, failed: Sequence[str]) -> gates.Decision:
    if challenger.judged == "skill":
        return gates.decide(challenger.gate, failed)
    found = gates.decide(challenger.gate, failed, refresh_sessions=policy.refresh_after)
    if found.basis == "skill":  # the gate is corrected for the challengers that are judged on skill only
        due = challenger.gate.sessions >= (policy.refresh_after or 0)
        return gates.Decision("promote" if due else "wait", "refresh" if due else "undecided", (_NOT_SKILL,))
    return found


def enter(version: int, kind: str, policy: Policy, since: str, bound: float) -> Challenger:
    """The challenger that a new version becomes; it has no evidence yet.

    Args:
        version: The version.
        kind: "warm", "cold" or "recipe".
        policy: How challengers are judged.
        since: First session whose forecasts count.
        bound: The gate's bound.
    """
    refresh = kind == "warm" and policy.refresh_after is not None
    gate = Gate(bound, max(policy.challengers, 1))
    return Challenger(version, "refresh" if refresh else "skill", since, gate)
