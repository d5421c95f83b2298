"""Any cut of a stream gives the bits of the batch pipeline, and nothing that comes later changes the past."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudlstm.features import FEATURE_NAMES
from cloudlstm.stream.advance import Advanced, Rules, advance
from cloudlstm.stream.state import State
from stream.market import bar, batch_features, grid, market, minute, rules, table


def run(batches: list[list[dict[str, Any]]], rule: Rules, state: State | None = None) -> list[Advanced]:
    state, found = state or State.empty(), []
    for rows in batches:
        made = advance(state, table(rows), rule)
        state = State.from_bytes(made.state().to_bytes(), "a state")  # what a restart reads
        found.append(made)
    return found


def streamed(found: list[Advanced]) -> dict[tuple[str, int], tuple[bool, bytes]]:
    out: dict[tuple[str, int], tuple[bool, bytes]] = {}
    for made in found:
        features = made.feature_table(FEATURE_NAMES)
        matrix = np.stack([features[name].to_numpy() for name in FEATURE_NAMES], axis=1)
        names = features["ticker"].to_pylist()
        for n, key in enumerate(zip(names, features["minute"].to_pylist(), strict=True)):
            assert key not in out, "a bar was given twice"
            out[key] = (features["filled"][n].as_py(), matrix[n].tobytes())
    return out


def wanted(rows: list[dict[str, Any]], fill: int) -> dict[tuple[str, int], tuple[bool, bytes]]:
    return {key: (filled, values.tobytes()) for key, (filled, values) in batch_features(rows, fill).items()}


ROWS = market(tickers=4, sessions=2)


@settings(max_examples=25, deadline=None)
@given(
    cuts=st.lists(st.integers(0, len(ROWS)), max_size=12),
    missing=st.sets(st.integers(0, len(ROWS) - 1), max_size=120),
    fill=st.integers(0, 3),
)
def test_any_cut_gives_the_bits_of_the_batch(cuts: list[int], missing: set[int], fill: int) -> None:
    rows = [row for n, row in enumerate(ROWS) if n not in missing]
    borders = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    batches = [rows[begin:end] for begin, end in pairwise(borders) if end > begin]
    assert streamed(run(batches, rules(fill=fill))) == wanted(rows, fill)


def test_bar_by_bar_is_the_batch() -> None:
    rows = market(tickers=2, sessions=2, bars=30)
    assert streamed(run([[row] for row in rows], rules())) == wanted(rows, 0)


def test_the_state_is_bounded_by_tickers_and_keep() -> None:
    rule = rules()
    rows = market(tickers=5, sessions=3)
    last = run([rows[:400], rows[400:]], rule)[-1].state()
    assert len(last.rows) == 5 * rule.keep_bars
    assert last.tickers == tuple(f"T{n}" for n in range(5))


def test_a_new_session_begins_a_segment() -> None:
    made = run([[bar("A", 0, 59), bar("A", 1, 0, 200.0)]], rules(fill=3))[0]
    table_ = made.feature_table(FEATURE_NAMES)
    assert table_["segment"].to_pylist() == [minute(0, 59), minute(1, 0)]
    assert np.isnan(table_["daily_return"].to_numpy()).all(), "no return over the night"


def test_a_ticker_that_pauses_and_a_new_one() -> None:
    first = [bar("B", 0, place) for place in range(25)]
    then = [bar("A", 0, 30, 10.0), bar("B", 0, 40, 110.0)]
    table_ = run([first, then], rules(fill=2))[-1].feature_table(FEATURE_NAMES)
    assert table_["ticker"].to_pylist() == ["A", "B"]
    assert table_["segment"].to_pylist() == [minute(0, 30), minute(0, 40)]
    assert np.isnan(table_["ma21"].to_numpy()).all()


def one(found: list[Advanced]) -> Advanced:
    return found[-1]


def test_a_doubled_bar_changes_nothing() -> None:
    rows = market(tickers=2, sessions=1, bars=30)
    once, twice = run([rows[:40], rows[40:]], rules()), run([rows[:40] + rows[:10], rows[10:40] + rows[40:]], rules())
    assert streamed(once) == streamed(twice)
    assert sum(made.counts["doubled"] for made in twice) == 10 + 30
    assert not sum(made.counts["corrections"] for made in twice)


def test_bars_of_one_batch_are_put_in_order() -> None:
    rows = market(tickers=2, sessions=1, bars=30)
    mixed = [rows[n] for n in np.random.default_rng(3).permutation(len(rows))]
    assert streamed(run([mixed], rules())) == wanted(rows, 0)


def test_the_last_final_bar_of_a_batch_counts() -> None:
    versions = [
        bar("A", 0, 0, 101.0, final=False), bar("A", 0, 0, 102.0), bar("A", 0, 0, 103.0),
        bar("A", 0, 0, 104.0, final=False),
    ]  # fmt: skip
    made = one(run([versions], rules()))
    assert made.feature_table(FEATURE_NAMES)["close"].to_pylist() == [103.0]
    assert made.counts["replaced"] == 3


def test_a_late_and_a_corrected_bar_go_to_corrections_and_leave_the_past_alone() -> None:
    rows = [bar("A", 0, place, 100.0 + place) for place in (0, 1, 3)]
    changed = [bar("A", 0, 1, 150.0), bar("A", 0, 2, 102.0), bar("A", 0, 3, 103.0)]
    later = [bar("A", 0, 4, 104.0)]
    clean, dirty = run([rows, later], rules(fill=1)), run([rows, changed + later], rules(fill=1))
    assert streamed(clean) == streamed(dirty)
    found = one(dirty).corrections.to_pylist()
    assert [(row["minute"], row["close"], row["used_close"]) for row in found] == [
        (minute(0, 1), 150.0, 101.0),  # corrected
        (minute(0, 2), 102.0, 101.0),  # late: the bar was filled before
    ]
    assert one(dirty).counts["doubled"] == 1


def test_a_correction_of_a_forgotten_bar_says_that_it_is_not_known() -> None:
    rows = [bar("A", 0, place) for place in range(10)]
    made = one(run([rows, [bar("A", 0, 0, 99.0)]], rules(keep=2)))
    assert made.corrections["used_close"].to_pylist() == [None]
    assert made.corrections["used_minute"].to_pylist() == [minute(0, 9)]


def test_bars_outside_the_session_and_off_the_grid_are_refused() -> None:
    made = one(
        run([[bar("A", 0, -1), bar("A", 0, 60), bar("A", 0, 0, minute=minute(0, 0) + 7), bar("A", 0, 1)]], rules())
    )
    assert made.counts["used"] == 1
    assert [each.reason for each in made.refused] == [
        "it is in no session of the exchange", "it is in no session of the exchange",
        "its minute is not on the grid of the interval",
    ]  # fmt: skip


def test_a_bar_of_the_future_is_refused_and_silences_no_ticker() -> None:
    rows = [bar("A", 0, place) for place in range(3)]
    late = [bar("A", 2, 5), bar("A", 0, 0, minute=2**33)]
    made = run([[*rows[:1], *late], rows[1:]], rules(until=minute(0, 2)))
    assert [(each.minute, each.reason) for each in made[0].refused] == [
        (row["minute"], "it starts in the future, by the clock of the stream") for row in late
    ]
    assert [each.counts["used"] for each in made] == [1, 2]
    assert streamed(made) == wanted(rows, 0)


def test_provisional_bars_wait_for_their_final_ones_if_asked() -> None:
    rows = [bar("A", 0, 0, 100.0, final=False), bar("A", 0, 0, 101.0)]
    waits = run([rows[:1], rows[1:]], rules(provisional=False))
    assert [made.counts["waiting"] for made in waits] == [1, 0]
    assert one(waits).feature_table(FEATURE_NAMES)["close"].to_pylist() == [101.0]
    used = run([rows[:1], rows[1:]], rules())
    assert one(used).corrections["used_close"].to_pylist() == [100.0]


@pytest.mark.parametrize("fill", [0, 2])
def test_an_empty_batch_keeps_the_state(fill: int) -> None:
    state = one(run([market(2, 1, 10)], rules(fill=fill))).state()
    made = advance(state, table([]), rules(fill=fill))
    assert made.state().to_bytes() == state.to_bytes()
    assert pa.concat_tables([made.feature_table(FEATURE_NAMES)]).num_rows == 0


def test_the_grid_counts_the_bars_that_are_left() -> None:
    found = grid().places(np.array([minute(0, 0), minute(0, 59), minute(0, 60), minute(2, 1)]))
    assert found.place.tolist() == [0, 59, -1, 1]
    assert found.left.tolist() == [59, 0, 0, 58]
