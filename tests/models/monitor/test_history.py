"""The series of the page: sums of the advantage, roles of versions, the interval, and the trailing mean."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudlstm.models.documents import Move, Outcome
from cloudlstm.models.monitor.history import History
from models.monitor.model_days import make_model, sessions_from

SESSIONS = sessions_from("2026-02-02", 40)


def history_of(rows: list[tuple[int, dict[str, float]]], moves: list[Move] | None = None) -> History:
    """A history whose days have one outcome each: champion and losses."""
    day = make_model(1).days[0]
    days = [
        replace(day, date=session, outcomes=(Outcome(session, 6, champion, loss, 0.7),))
        for session, (champion, loss) in zip(SESSIONS, rows, strict=False)
    ]
    return History([], moves or [], days)


@given(st.lists(st.tuples(st.floats(0.1, 10.0), st.floats(0.1, 10.0)), min_size=1, max_size=30))
def test_the_champion_line_ends_at_the_sum_of_differences_over_the_mean_loss_of_naive(
    losses: list[tuple[float, float]],
) -> None:
    history = history_of([(1, {"naive": naive, "1": mine}) for naive, mine in losses])
    mean = sum(naive for naive, _ in losses) / len(losses)
    total = sum(naive - mine for naive, mine in losses) / mean
    assert history.skill_lines[0].values[-1] == pytest.approx(total, abs=1e-9)
    assert history.saved.mean == pytest.approx(total / len(losses), abs=1e-9)


def test_a_challenger_starts_on_the_champion_line_and_a_gap_ends_its_line() -> None:
    history = history_of(
        [
            (1, {"naive": 1.0, "1": 0.5}),
            (1, {"naive": 1.0, "1": 1.0, "2": 0.75}),
            (1, {"naive": 1.0, "1": 1.0}),
            (1, {"naive": 1.0, "1": 1.0, "2": 0.0}),
        ]
    )
    champion, first, second = history.skill_lines
    assert champion.values == [0.5, 0.5, 0.5, 0.5]
    assert (first.sessions, first.values) == (SESSIONS[:2], [0.5, 0.75])
    assert (second.sessions, second.values) == (SESSIONS[2:4], [0.5, 1.5])


def test_the_champion_line_follows_the_champion_and_the_one_before_is_named_former() -> None:
    moves = [Move(1, 1, None, SESSIONS[0], "created"), Move(2, 2, 1, SESSIONS[1], "skill")]
    loss = {"naive": 1.0, "1": 0.9, "2": 0.8}
    history = history_of([(1, loss), (1, loss), (2, loss), (2, loss)], moves)
    champion, challenger, former = history.skill_lines
    assert champion.values == pytest.approx([0.1, 0.2, 0.4, 0.6])
    assert (challenger.role, challenger.version) == ("challenger", 2)
    assert (former.role, former.version) == ("previous", 1)
    assert former.values == pytest.approx([0.2, 0.3, 0.4])


@pytest.mark.parametrize("bad", [{"naive": math.nan, "1": 1.0}, {"naive": 1.0, "1": math.inf}, {"naive": 1.0}, {}])
def test_a_session_without_both_finite_losses_does_not_count(bad: dict[str, float]) -> None:
    history = history_of([(1, {"naive": 1.0, "1": 0.5}), (1, bad)])
    assert history.saved.sessions == 1
    assert history.skill_lines[0].sessions == SESSIONS[:1]


def test_the_interval_needs_sessions_and_contains_the_mean() -> None:
    rows = [(1, {"naive": 1.0 + number % 3, "1": 0.9 + number % 4}) for number in range(40)]
    few, many = history_of(rows[:19]).saved, history_of(rows).saved
    assert (few.low, few.high) == (None, None)
    assert many.low is not None
    assert many.high is not None
    assert many.mean is not None
    assert many.low < many.mean < many.high


def test_an_outcome_that_two_days_report_counts_once() -> None:
    history = history_of([(1, {"naive": 1.0, "1": 0.5})] * 3)
    days = [replace(day, outcomes=history.days[0].outcomes) for day in history.days]
    assert len(History([], [], days).outcomes) == 1


def test_the_trailing_mean_forgets_after_63_sessions() -> None:
    day = make_model(1).days[0]
    sessions = sessions_from("2026-02-02", 100)
    shares = [0.0] * 37 + [1.0] * 63
    outcomes = tuple(
        Outcome(session, 6, 1, {}, share) for session, share in zip(sessions, shares, strict=True)
    )  # fmt: skip
    _, values, means = History([], [], [replace(day, outcomes=outcomes)]).inside
    assert values == shares
    assert means[36] == 0.0
    assert means[-2] == pytest.approx(62 / 63)
    assert means[-1] == 1.0


def test_documents_in_any_order_give_the_same_history() -> None:
    model = make_model(70)
    one = History(model.versions, model.moves, model.days)
    other = History(model.versions[::-1], model.moves[::-1], model.days[::-1])
    assert one.skill_lines == other.skill_lines
    assert one.last == other.last
    assert one.champion == other.champion
