"""How new a headline is, against a plain computation of the same, and against the future."""

from __future__ import annotations

import re
from datetime import timedelta
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudlstm.exogenous.scoring import novelty as module
from cloudlstm.exogenous.scoring.headlines import novelty_table, ordered
from cloudlstm.exogenous.scoring.novelty import novelty
from exogenous.scoring.made_headlines import Row, at, headlines

WORDS = ["apple", "Apple", "beats", "misses", "estimates", "again", "BEATS", "-", "!"]
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["AAPL", "MSFT", ""]),
        st.integers(0, 400).map(at),
        st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join) | st.none(),
    ),
    max_size=30,
)


def plain(rows: list[Row], days: int) -> list[float]:
    """The definition, pair by pair, for rows in order."""
    found = []
    for place, (entity, time, text) in enumerate(rows):
        own, best = set(re.findall(r"\w+", (text or "").lower())), Fraction(0)
        for other, earlier, other_text in rows[:place]:
            if other == entity and earlier >= time - timedelta(days=days):
                words = set(re.findall(r"\w+", (other_text or "").lower()))
                best = max(best, Fraction(len(own & words), max(len(own | words), 1)))
        found.append(float("nan") if text is None else 1.0 - float(best))
    return found


def as_rows(table: object) -> list[Row]:
    rows = table.select(["entity", "available_at", "headline"]).to_pylist()  # type: ignore[attr-defined]
    return [(row["entity"], row["available_at"], row["headline"]) for row in rows]


@given(ROWS, st.integers(1, 9), st.sampled_from([1, 7, 1 << 22]))
def test_it_is_what_its_definition_says(rows: list[Row], days: int, pairs: int) -> None:
    table = ordered(headlines(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PAIRS", pairs)
        np.testing.assert_array_equal(novelty(table, days), plain(as_rows(table), days))


@given(ROWS, ROWS, st.integers(0, 400))
def test_later_headlines_change_nothing(rows: list[Row], others: list[Row], hours: int) -> None:
    cut = at(hours)
    known = [row for row in rows if row[1] <= cut]
    before = novelty_table(headlines(known), 7)
    after = novelty_table(headlines([*known, *(row for row in others if row[1] > cut)]), 7)
    seen = [row for row in after.to_pylist() if row["available_at"] <= cut]
    assert str(seen) == str(before.to_pylist())  # as text, NaN equals NaN


def test_a_repeated_headline_is_not_new_for_some_days_and_for_its_ticker() -> None:
    text = "Apple beats estimates"
    rows: list[Row] = [
        ("AAPL", at(0), text), ("AAPL", at(1), "estimates: APPLE beats!"), ("AAPL", at(2), "Apple beats Microsoft"),
        ("AAPL", at(24 * 7 + 2.5), text), ("MSFT", at(3), text), ("MSFT", at(3), text),
    ]  # fmt: skip
    values = novelty_table(headlines(rows), 7).column("value").to_pylist()
    assert values == [1.0, 0.0, 0.5, 1.0, 1.0, 0.0]


def test_the_window_has_both_its_ends() -> None:
    rows: list[Row] = [("AAPL", at(0), "Apple falls"), ("AAPL", at(24 * 3), "Apple falls")]
    assert novelty(headlines(rows), 3).tolist() == [1.0, 0.0]
    rows[1] = ("AAPL", at(24 * 3) + timedelta(microseconds=1), "Apple falls")
    assert novelty(headlines(rows), 3).tolist() == [1.0, 1.0]


def test_many_headlines_take_seconds_at_most() -> None:
    """Of 20,000 headlines of one ticker within the window, each is compared with all earlier ones that share a word."""
    rng = np.random.default_rng(1)
    texts = [" ".join(f"w{word}" for word in rng.integers(0, 5000, 10)) for _ in range(20_000)]
    rows: list[Row] = [("AAPL", at(place / 500), text) for place, text in enumerate(texts)]
    rows.append(("AAPL", at(41), texts[0]))
    assert novelty(headlines(rows), 7)[-1] == 0
