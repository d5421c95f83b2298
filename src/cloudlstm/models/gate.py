"""The promotion gate: decides, with a look every day, whether a challenger replaces the champion.

Each session gives one number: loss of the champion minus loss of the challenger, the mean over the tickers that both
forecast. Above zero the challenger was better. Two e-processes (betting.py) read it, clipped at the gate's bound: one
has an e-value that grows while the challenger is better, that of the other while it is worse.

- **Promotion on skill:** an e-value of 20 x (number of challengers), and a sum of unclipped differences above zero. If
  no challenger is better, at most 5 % of years promote one, at whatever day somebody looks. Simulated: 3 %, also with
  heavy tails, changing volatility and shocks that all tickers share. An advantage of 0.2 standard deviations a day is
  promoted within 252 sessions in 78 % of cases by a gate for one challenger, in 64 % by one for three.
- **Number of challengers** is how many may start within 252 sessions, and is fixed before the first starts. To count
  those that compete at the moment would be too few: retired ones had their chance as well. The factor is Bonferroni's,
  since one definite challenger is promoted. The mean of all e-values is itself an e-value, however they depend on each
  other, but it shows only that some challenger is better, not which.
- **Retirement:** an e-value of 20 that it is worse, or 252 sessions without promotion. An average disadvantage alone
  does not retire it.
- **Refresh:** if the policy allows it, a retrained model is promoted after a number of sessions if it was not shown to
  be worse and the checks pass. This is no evidence of skill, and the decision says so.

What is tested is the mean of clipped differences. A challenger that wins a little on most days and loses far beyond
the bound on a few can be better in that sense and worse on average; the condition on the unclipped sum refuses it once
such a day was seen. The level holds if the expected difference of each session, given the past, is not above zero. For
forecasts one bar ahead that is what "not better" means. Differences that follow each other with a correlation of 0.1
raise the 3 % to 5 %, of 0.2 to 9 %. Gates go on after a promotion: see competition.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from cloudlstm.errors import DataError
from cloudlstm.evaluation.significance import FloatArray, IntArray, daily_means
from cloudlstm.models.betting import BOUND_SD, PRIOR_DAYS, PRIOR_SQUARES, Process, clipped
from cloudlstm.models.power import CHANCE, detectable_effect

MOST_SESSIONS = 252
"""A gate closes after so many sessions."""
NEEDED_E_VALUE = 20.0
"""E-value that an error rate of 5 % asks for."""
FEWEST_FOR_BOUND = 20


def daily_differences(champion: FloatArray, challenger: FloatArray, date: IntArray) -> FloatArray:
    """Mean loss of the champion minus that of the challenger on each date, in the order of the dates (dates,).

    Args:
        champion: Loss of the champion on each label that both have forecast (n,).
        challenger: Loss of the challenger (n,).
        date: Date of each label, in any integer form (n,).
    """
    return daily_means(champion - challenger, date)


def bound(history: FloatArray) -> float:
    """Returns the bound at which daily differences are clipped: three standard deviations, in units of the loss.

    The standard deviation is that of a normal distribution with the same mean absolute deviation, so a few large days
    matter little. A bound that is half or twice the right one costs power, never validity: an advantage of 0.2 sd is
    promoted within 252 sessions in 77 % or 69 % of cases instead of 78 %.

    Args:
        history: Daily differences of the two models on dates before the gate opens, at least 20 (dates,). Both models
            forecast dates that the champion's ledger has; the mean of these numbers is not used.

    Raises:
        DataError: Too few differences, one that is not finite, or all of them equal.
    """
    if len(history) < FEWEST_FOR_BOUND or not np.isfinite(history).all():
        raise DataError(
            f"the bound of a gate needs {FEWEST_FOR_BOUND} finite daily loss differences, and there are "
            f"{int(np.isfinite(history).sum())} in {len(history)}",
            hint="let both models forecast more dates that lie before the gate opens",
        )
    deviation = float(np.abs(history - np.median(history)).mean()) * math.sqrt(math.pi / 2.0)
    if deviation <= 1e-12 * float(np.abs(history).max()) or deviation == 0.0:
        raise DataError(
            "champion and challenger have equal loss differences on all dates",
            hint="the challenger forecasts the same as the champion: train it on new data or with another recipe",
        )
    return BOUND_SD * deviation


@dataclass(frozen=True, slots=True)
class Gate:
    """State of one challenger's gate; JSON-ready.

    Attributes:
        bound: Differences are clipped at plus and minus this, in units of the loss.
        challengers: How many challengers may start within 252 sessions.
        sessions: Sessions so far.
        at_bound: Sessions whose difference was clipped.
        total: Sum of the unclipped differences.
        better: E-process for the claim that the challenger is better.
        worse: E-process for the claim that it is worse.
    """

    bound: float
    challengers: int = 1
    sessions: int = 0
    at_bound: int = 0
    total: float = 0.0
    better: Process = field(default_factory=Process)
    worse: Process = field(default_factory=Process)

    def __post_init__(self) -> None:
        if not (0.0 < self.bound < math.inf and self.challengers >= 1):
            raise ValueError(f"a gate cannot have bound {self.bound} and {self.challengers} challengers")


def advance(gate: Gate, difference: float) -> Gate:
    """Returns the state after one more session; after 252 sessions the gate is closed and nothing changes.

    Args:
        gate: The state before.
        difference: Loss of the champion minus loss of the challenger.

    Raises:
        ValueError: The difference is NaN or infinite.
    """
    x = clipped(difference, gate.bound)
    if gate.sessions >= MOST_SESSIONS:
        return gate
    return replace(
        gate,
        sessions=gate.sessions + 1,
        at_bound=gate.at_bound + (abs(difference) > gate.bound),
        total=gate.total + difference,
        better=gate.better.advanced(x),
        worse=gate.worse.advanced(-x),
    )


def advance_all(gate: Gate, differences: Iterable[float]) -> Gate:
    """The state after all of these sessions, in their order."""
    for difference in differences:
        gate = advance(gate, float(difference))
    return gate


def shows_better(highest: Any, total: Any, challengers: int) -> npt.NDArray[np.bool_]:
    """Whether a challenger is shown to be better; elementwise, for the gate and for simulations.

    Args:
        highest: Largest e-value so far that it is better.
        total: Sum of the unclipped differences.
        challengers: How many challengers may start within 252 sessions.
    """
    shown: npt.NDArray[np.bool_] = (np.asarray(highest) >= NEEDED_E_VALUE * challengers) & (np.asarray(total) > 0.0)
    return shown


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate decides.

    Attributes:
        action: "promote", "retire" (the challenger ends) or "wait".
        basis: Why: "skill" and "refresh" promote, "worse" and "expired" retire, "checks" and "undecided" wait.
        reasons: Sentences for people.
        detectable_sd: Refusals only: the advantage that this gate promotes on skill within 252 sessions with a
            probability of 65 %, in standard deviations of the daily difference.
        detectable_loss: The same in units of the loss.
    """

    action: Literal["promote", "retire", "wait"]
    basis: Literal["skill", "refresh", "worse", "expired", "checks", "undecided"]
    reasons: tuple[str, ...]
    detectable_sd: float | None = None
    detectable_loss: float | None = None


def spread(gate: Gate) -> float:
    """Standard deviation of the clipped differences as the gate knows it, in units of the loss.

    The bound's own estimate counts as 60 sessions.
    """
    return gate.bound * math.sqrt((PRIOR_SQUARES + gate.better.squares) / (PRIOR_DAYS + gate.sessions))


def decide(gate: Gate, failed: Sequence[str] = (), *, refresh_sessions: int | None = None) -> Decision:
    """Returns the decision after the sessions that the gate has seen.

    Args:
        gate: The state.
        failed: Sentences of the hard checks that failed (checks.py); any of them prevents a promotion.
        refresh_sessions: Policy "refresh": promote after so many sessions if not shown to be worse; None: only
            on skill.
    """
    needed = NEEDED_E_VALUE * gate.challengers
    if gate.worse.highest >= NEEDED_E_VALUE:
        return _refusal(
            gate, "retire", "worse", [f"it is worse: e-value {gate.worse.highest:.3g} of {NEEDED_E_VALUE:g}"]
        )
    skilled = bool(shows_better(gate.better.highest, gate.total, gate.challengers))
    refreshed = refresh_sessions is not None and gate.sessions >= refresh_sessions
    ended = gate.sessions >= MOST_SESSIONS
    if failed and (skilled or not ended):
        return _refusal(gate, "wait", "checks", failed)
    if skilled:
        return Decision("promote", "skill", (f"it is better: e-value {gate.better.highest:.3g} of {needed:g}",))
    if refreshed and not failed:
        return Decision("promote", "refresh", (_refresh_text(gate),))
    found = f"the e-value that it is better is {gate.better.e_value:.3g} of {needed:g} after {gate.sessions} sessions"
    if gate.better.highest >= needed:
        found = (
            f"the e-value reached {gate.better.highest:.3g}, but with its largest losses it is not better on average"
        )
    return _refusal(gate, "retire" if ended else "wait", "expired" if ended else "undecided", [found])


def _refresh_text(gate: Gate) -> str:
    found = f"{gate.worse.highest:.3g} of {NEEDED_E_VALUE:g}"
    text = f"a refresh, not shown to be better: the e-value that it is worse is {found}"
    worse = detectable_effect(gate.sessions, 1)
    if worse is None:
        return f"{text}; {gate.sessions} sessions are too few to notice a worse model"
    return f"{text}; a model worse by {worse:.2f} sd a day would be noticed with {CHANCE:.0%} probability"


def _refusal(
    gate: Gate, action: Literal["retire", "wait"], basis: Literal["worse", "expired", "checks", "undecided"],
    reasons: Sequence[str],
) -> Decision:  # fmt: skip
    """A decision against promotion, with what the gate could have found."""
    sd = detectable_effect(MOST_SESSIONS, gate.challengers)
    if sd is None:
        power = f"with {gate.challengers} challengers this gate promotes hardly anything"
        return Decision(action, basis, (*reasons, power))
    loss = sd * spread(gate)
    power = (
        f"an advantage of {sd:.2f} sd a day ({loss:.3g} of loss) is promoted within {MOST_SESSIONS} sessions "
        f"with {CHANCE:.0%} probability"
    )
    return Decision(action, basis, (*reasons, power), sd, loss)
