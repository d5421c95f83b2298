"""The competition of a model's versions: promotion, refresh, retirement and rollback, by the code that a day uses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cloudlstm.errors import DataError
from cloudlstm.models import competition
from cloudlstm.models import watch as watches
from cloudlstm.models.betting import Process
from cloudlstm.models.competition import NAIVE, Standing
from cloudlstm.models.documents import Challenger, Decided, Outcome
from cloudlstm.models.policy import Policy
from cloudlstm.models.watch import Watch

SD = 1e-5
BOUND = 3 * SD


def every(_: str) -> bool:
    return True


def outcome(number: int, champion: int, losses: dict[int, float]) -> Outcome:
    loss = {str(version): value for version, value in losses.items()} | {NAIVE: 1e-4}
    return Outcome(f"{2000 + number // 360}-{number // 30 % 12 + 1:02d}-{number % 30 + 1:02d}", 5, champion, loss, 0.7)


def play(standing: Standing, policy: Policy, advantage: dict[int, np.ndarray]) -> tuple[Standing, list[Decided], int]:
    """Plays sessions until a decision other than "wait"; returns the standing, the decisions, and the sessions."""
    for number in range(len(next(iter(advantage.values())))):
        losses = {version: 1e-4 - values[number] for version, values in advantage.items()}
        day = outcome(number, standing.champion, losses)
        standing = competition.advance(standing, [day], every)
        standing, decided = competition.decide(standing, policy, {}, lambda *_: BOUND)
        if any(each.action != "wait" for each in decided):
            return standing, decided, number + 1
    return standing, [], number + 1


def noise(rng: np.random.Generator, mean_sd: float, n: int = 252) -> np.ndarray:
    return rng.normal(mean_sd * SD, SD, n)


def with_challenger(policy: Policy, kind: str) -> Standing:
    own = competition.enter(2, kind, policy, "2000-01-01", BOUND)
    return Standing(1, None, (own,), None, None)


def test_a_better_challenger_is_promoted_on_skill_and_then_watched() -> None:
    policy = Policy(warm_every=None, cold_every=252)
    rng = np.random.default_rng(1)
    advantage = {1: np.zeros(252), 2: noise(rng, 0.6)}
    standing, decided, sessions = play(with_challenger(policy, "cold"), policy, advantage)
    assert (decided[0].action, decided[0].basis) == ("promote", "skill")
    assert sessions < 252
    assert (standing.champion, standing.previous, standing.challengers) == (2, 1, ())
    assert standing.rollback_watch == Watch(BOUND)


def test_skill_alone_promotes_few_that_are_no_better_and_most_that_are() -> None:
    """Looked at every day for a year, with the code that a day calls."""
    policy = Policy(warm_every=None, cold_every=252)
    promoted = {0.0: 0, 0.2: 0}
    retired_early = 0
    years = 150
    for seed in range(years):
        for effect in promoted:
            rng = np.random.default_rng([seed, int(effect * 10)])
            advantage = {1: np.zeros(252), 2: noise(rng, effect)}
            _, decided, sessions = play(with_challenger(policy, "cold"), policy, advantage)
            promoted[effect] += bool(decided) and decided[0].action == "promote"
            retired_early += effect > 0 and bool(decided) and decided[0].action == "retire" and sessions < 252
    assert promoted[0.0] <= 0.09 * years  # 5 % and the noise of 150 years
    assert promoted[0.2] >= 0.65 * years
    assert retired_early <= 0.02 * years


def test_a_refresh_is_labelled_and_needs_no_skill() -> None:
    policy = Policy(refresh_after=5)
    rng = np.random.default_rng(3)
    standing, decided, sessions = play(with_challenger(policy, "warm"), policy, {1: np.zeros(30), 2: noise(rng, 0, 30)})
    assert (decided[0].action, decided[0].basis, sessions) == ("promote", "refresh", 5)
    assert "not shown to be better" in decided[0].reasons[0]
    assert standing.champion == 2


def test_failed_checks_keep_the_champion() -> None:
    policy = Policy(refresh_after=5)
    standing = with_challenger(policy, "warm")
    for number in range(10):
        standing = competition.advance(standing, [outcome(number, 1, {1: 1e-4, 2: 1e-4 + SD * (-1) ** number})], every)
    after, decided = competition.decide(standing, policy, {2: ["check finite: one is infinite"]}, lambda *_: BOUND)
    assert [each.action for each in decided] == ["wait"]
    assert decided[0].reasons[0] == "check finite: one is infinite"
    assert after.champion == 1


def test_a_decayed_champion_is_rolled_back() -> None:
    policy = Policy(warm_every=None)
    found = 0
    for seed in range(20):
        rng = np.random.default_rng([9, seed])
        decay = np.concatenate([noise(rng, 0.2, 126), noise(rng, -0.4, 200)])
        standing = Standing(2, 1, (), None, Watch(BOUND))
        standing, decided, sessions = play(standing, policy, {2: decay, 1: np.zeros(len(decay))})
        if decided and decided[0].action == "rollback":
            found += sessions > 126
            assert (standing.champion, standing.previous, standing.rollback_watch) == (1, None, None)
            assert decided[0].version == 1
    assert found >= 16


def test_a_challenger_competes_with_whatever_serves() -> None:
    """A refresh in between does not end another challenger's gate."""
    policy = Policy()
    standing = with_challenger(policy, "cold")
    days = [outcome(number, 1 if number < 10 else 3, {1: 1e-4, 2: 1e-4 - SD, 3: 1e-4}) for number in range(20)]
    standing = competition.advance(standing, days[:10], every)
    standing = competition.advance(replace(standing, champion=3), days[10:], every)
    assert standing.challengers[0].gate.sessions == 20


def test_only_sessions_that_do_not_overlap_count() -> None:
    standing = with_challenger(Policy(), "cold")
    days = [outcome(number, 1, {1: 1e-4, 2: 1e-4 - SD}) for number in range(21)]
    standing = competition.advance(standing, days, lambda session: int(session[-2:]) % 5 == 1)
    assert standing.challengers[0].gate.sessions == 5


def test_sessions_before_the_entry_do_not_count() -> None:
    standing = with_challenger(Policy(), "cold")
    standing = replace(standing, challengers=(replace(standing.challengers[0], since="2000-01-11"),))
    days = [outcome(number, 1, {1: 1e-4, 2: 1e-4 - SD}) for number in range(15)]
    assert competition.advance(standing, days, every).challengers[0].gate.sessions == 5


@pytest.mark.parametrize(("policy", "number"), [
    (Policy(), 2), (Policy(cold_every=252), 1), (Policy(cold_every=None), 1), (Policy(refresh_after=None), 14),
])  # fmt: skip
def test_the_number_of_challengers_is_fixed_by_the_policy(policy: Policy, number: int) -> None:
    assert policy.challengers == number
    assert competition.enter(2, "cold", policy, "2000-01-01", BOUND).gate.challengers == number


def ready(version: int, better: float, policy: Policy, kind: str = "cold") -> Challenger:
    """A challenger whose gate has this e-value that it is better, after ten sessions."""
    own = competition.enter(version, kind, policy, "2000-01-01", BOUND)
    gate = replace(own.gate, sessions=10, total=SD, better=Process(e_value=better, highest=better))
    return replace(own, gate=gate)


def test_a_rollback_comes_alone() -> None:
    """A challenger that would be promoted on the same day waits."""
    policy = Policy()
    watch = replace(Watch(BOUND), highest=1e3)
    standing = Standing(2, 1, (ready(3, 1e6, policy), ready(4, 1.0, policy, "warm")), None, watch)
    after, decided = competition.decide(standing, policy, {}, lambda *_: BOUND)
    assert [(each.version, each.action) for each in decided] == [(1, "rollback"), (3, "wait"), (4, "wait")]
    assert (after.champion, after.previous, [each.version for each in after.challengers]) == (1, None, [3, 4])


def test_a_refresh_keeps_the_reference_of_the_rollback() -> None:
    policy, watch = Policy(), watches.advance_all(Watch(BOUND), [SD] * 5)
    standing = Standing(2, 1, (ready(3, 1.0, policy, "warm"),), Watch(BOUND), watch)
    after, _ = competition.decide(standing, policy, {}, lambda *_: BOUND)
    assert (after.champion, after.previous, after.rollback_watch, after.loss_watch) == (3, 1, watch, None)
    later = competition.advance(after, [outcome(1, 3, {3: 2e-4, 1: 1e-4})], every)
    assert later.rollback_watch == watches.advance(watch, 1e-4)


def test_a_warm_challenger_is_never_promoted_on_skill() -> None:
    policy = Policy(refresh_after=20)
    standing = Standing(1, None, (ready(2, 1e9, policy, "warm"),), None, None)
    after, decided = competition.decide(standing, policy, {}, lambda *_: BOUND)
    assert (after.champion, decided[0].action) == (1, "wait")


def test_a_promotion_without_a_bound_has_no_watch() -> None:
    def none(*_: int) -> float:
        raise DataError("too few dates")

    standing = Standing(1, None, (ready(2, 1e9, Policy()),), None, None)
    after, decided = competition.decide(standing, Policy(), {}, none)
    assert (after.champion, after.previous, after.rollback_watch, decided[0].basis) == (2, None, None, "skill")


def test_a_challenger_without_a_loss_in_a_session_does_not_move() -> None:
    standing = with_challenger(Policy(), "cold")
    after = competition.advance(standing, [outcome(3, 1, {1: 1e-4})], every)
    assert after.challengers == standing.challengers
