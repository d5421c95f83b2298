"""One day of the competition: outcomes advance gates and watches, and these decide.

A challenger is compared with the line of champions: on each date with the version that was champion when that date's
forecasts were made. So a gate goes on when a refresh replaces the champion: if a challenger is not better than what
serves, the expected difference of each session is zero or below, whichever version serves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from cloudlstm.models import gate as gates
from cloudlstm.models import watch as watches
from cloudlstm.models.documents import Challenger, Decided, Outcome, Policy
from cloudlstm.models.gate import Gate
from cloudlstm.models.watch import Watch

NAIVE = "naive"
"""Key of the naive forecast's loss; versions have their number."""

Counts = Callable[[str], bool]
"""True for a session whose forecasts overlap with no other counted session's: every h-th for h bars ahead."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of the competition.

    Attributes:
        champion: The version that serves.
        previous: The champion before it, while it is watched.
        challengers: The versions that compete with it.
        loss_watch: The champion against naive.
        rollback_watch: The champion against the previous champion.
    """

    champion: int
    previous: int | None
    challengers: tuple[Challenger, ...]
    loss_watch: Watch | None
    rollback_watch: Watch | None


def difference(outcome: Outcome, reference: int | str, other: int | str) -> float | None:
    """Loss of `reference` minus loss of `other` in a session; None if one of them has no loss."""
    losses = [outcome.loss.get(str(each)) for each in (reference, other)]
    return None if losses[0] is None or losses[1] is None else losses[0] - losses[1]


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
    ours = outcome.champion == standing.champion and standing.previous is not None
    if ours and rollback_watch is not None:
        x = difference(outcome, standing.champion, standing.previous or 0)
        rollback_watch = rollback_watch if x is None else watches.advance(rollback_watch, x)
    return replace(
        standing, challengers=tuple(challengers), loss_watch=loss_watch, rollback_watch=rollback_watch
    )  # fmt: skip


def decide(
    standing: Standing, policy: Policy, failed: Mapping[int, Sequence[str]], bound_of: Callable[[int, int], float]
) -> tuple[Standing, list[Decided]]:
    """Retires, promotes or rolls back; returns the new standing and every decision.

    At most one version becomes champion on a day. A rollback comes first.

    Args:
        standing: The state after the newest outcomes.
        policy: How challengers are judged.
        failed: Sentences of failed hard checks by version.
        bound_of: Bound for a watch of one version against another, from their forecasts before today.
    """
    decided = []
    if standing.rollback_watch is not None and standing.rollback_watch.alarm and standing.previous is not None:
        evidence = f"e-value {standing.rollback_watch.highest:.3g} of {watches.ALARM_E_VALUE:g}"
        text = f"version {standing.champion} is worse than version {standing.previous}: {evidence}"
        decided.append(Decided(standing.previous, "rollback", "worse", (text,)))
        standing = replace(standing, champion=standing.previous, previous=None, rollback_watch=None)
    found = {each.version: _decision(each, policy, failed.get(each.version, ())) for each in standing.challengers}
    decided += [
        Decided(version, each.action, each.basis, each.reasons, each.detectable_sd) for version, each in found.items()
    ]
    staying = tuple(each for each in standing.challengers if found[each.version].action == "wait")
    winners = [each for each in standing.challengers if found[each.version].action == "promote"]
    if decided and decided[0].action == "rollback":
        winners = []
    # A promotion on skill is evidence, a refresh is not; of several refreshes the newest network serves.
    winners.sort(key=lambda each: (found[each.version].basis == "skill", each.version))
    if winners:
        winner = winners[-1].version
        rollback = Watch(bound_of(winner, standing.champion))
        standing = replace(standing, previous=standing.champion, champion=winner, rollback_watch=rollback)
        others = {each.version for each in winners[:-1]}
        decided = [
            replace(each, action="retire", basis="newer", reasons=(f"version {winner} is newer",))
            if each.version in others
            else each
            for each in decided
        ]
    return replace(standing, challengers=staying), decided


def _decision(challenger: Challenger, policy: Policy, failed: Sequence[str]) -> gates.Decision:
    refresh = policy.refresh_after if challenger.judged == "refresh" else None
    return gates.decide(challenger.gate, failed, refresh_sessions=refresh)


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
