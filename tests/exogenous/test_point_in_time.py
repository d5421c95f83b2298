"""Nothing that became known after the cut of a bar changes a bit of its columns; a naive join fails the same test."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cloudlstm.exogenous.asof import session_cuts
from cloudlstm.exogenous.join import join
from cloudlstm.exogenous.table import EXOGENOUS
from exogenous.rows import COLUMNS, bars, days

Join = Callable[[pa.Table, pa.Table], pa.Table]

TICKERS = ("A", "B", "C")
HOUR = 3_600_000_000
CALENDARS = {
    # With half days, both changes of the clock, weekends and a holiday of several days.
    "XNYS": days("2023-10-16", "2024-03-22"),
    "XTKS": days("2023-12-18", "2024-02-02", "XTKS"),
}
EMBARGO = 15


def as_of(calendar: str) -> Join:
    return lambda table, rows: join(table, rows, COLUMNS, calendar, EMBARGO)


def by_period(table: pa.Table, rows: pa.Table) -> pa.Table:
    """The naive join: the newest row whose period is the bar's date or earlier, whenever it was known."""
    moved = rows.set_column(3, "available_at", rows["period"].cast(pa.timestamp("us", "UTC")))
    return join(table, moved, COLUMNS, "XNYS", EMBARGO)


def random_rows(rng: np.random.Generator, first: int, last: int, number: int) -> pa.Table:
    """Rows of all series, known on the day of their period or up to 40 days later, some in several versions."""
    period = rng.integers(first - 60, last + 1, number)
    lag = rng.integers(0, 24 * np.where(rng.random(number) < 0.5, 2, 40))
    series = rng.choice(["RATE", "news.score", "news.novelty"], number)
    value = np.where(rng.random(number) < 0.1, np.nan, np.round(rng.uniform(-1, 1, number), 3))
    return pa.table(
        {
            "series": series, "entity": rng.choice(["", *TICKERS], number),
            "period": pa.array(period, pa.int32()).cast(pa.date32()),
            "available_at": pa.array(period.astype(np.int64) * 24 * HOUR + lag * HOUR).cast(pa.timestamp("us", "UTC")),
            "value": value, "vintage": rng.integers(0, 3, number), "source": ["test"] * number,
        },
    ).cast(EXOGENOUS)  # fmt: skip


def disturbed(rng: np.random.Generator, rows: pa.Table, cut: int, change: str, last: int) -> pa.Table:
    """The rows with others after a time: changed values and periods, new rows, or none."""
    later = pc.greater(rows["available_at"].cast(pa.int64()), cut)
    kept, after = rows.filter(pc.invert(later)), rows.filter(later)
    if change == "remove":
        return kept
    if change == "change":
        after = after.set_column(4, "value", pa.array(rng.normal(size=after.num_rows)))
        moved = rng.integers(-90, 30, after.num_rows)
        period = after["period"].cast(pa.int32()).to_numpy() + moved
        after = after.set_column(2, "period", pa.array(period, pa.int32()).cast(pa.date32()))
        return pa.concat_tables([kept, after.cast(EXOGENOUS)])
    new = random_rows(rng, last - 30, last, 30)
    times = pa.array(cut + 1 + rng.integers(0, 60 * 24 * HOUR, 30)).cast(pa.timestamp("us", "UTC"))
    return pa.concat_tables([rows, new.set_column(3, "available_at", times).cast(EXOGENOUS)])


def changed_bits(made: Join, seed: int, change: str, calendar: str) -> int:
    """How many values of bars up to a random cut change if rows after the cut of the last of them do."""
    rng = np.random.default_rng(seed)
    sessions = CALENDARS[calendar]
    table = bars(TICKERS, sessions)
    rows = random_rows(rng, int(sessions[0]), int(sessions[-1]), 200)
    place = int(rng.integers(1, len(sessions)))
    cut = int(session_cuts(calendar, sessions[place : place + 1], EMBARGO).of_bars[0])
    until = np.tile(np.arange(len(sessions)) <= place, len(TICKERS))
    other = disturbed(rng, rows, cut, change, int(sessions[-1]))
    other = other.take(pa.array(rng.permutation(other.num_rows)))
    before, after = made(table, rows), made(table, other)
    return sum(int((bits(before, each.name) != bits(after, each.name))[until].sum()) for each in COLUMNS)


def bits(table: pa.Table, name: str) -> NDArray[np.int64]:
    return table[name].to_numpy().view(np.int64)


@settings(max_examples=400, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), change=st.sampled_from(["change", "add", "remove"]),
    calendar=st.sampled_from(sorted(CALENDARS)),
)  # fmt: skip
def test_later_rows_change_no_bit(seed: int, change: str, calendar: str) -> None:
    assert changed_bits(as_of(calendar), seed, change, calendar) == 0


@pytest.mark.parametrize("change", ["change", "add", "remove"])
def test_the_same_test_catches_a_naive_join(change: str) -> None:
    assert sum(changed_bits(by_period, seed, change, "XNYS") for seed in range(8)) > 100


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_other_bars_change_no_bit(seed: int) -> None:
    """The rows of a bar alone give what all bars of all tickers give: values do not depend on the shard."""
    rng = np.random.default_rng(seed)
    sessions = CALENDARS["XNYS"]
    table = bars(TICKERS, sessions)
    rows = random_rows(rng, int(sessions[0]), int(sessions[-1]), 300)
    whole = as_of("XNYS")(table, rows)
    some = np.sort(rng.choice(table.num_rows, 40, replace=False))
    part = as_of("XNYS")(table.take(pa.array(some)), rows)
    for column in COLUMNS:
        np.testing.assert_array_equal(bits(part, column.name), bits(whole, column.name)[some])


def test_a_run_as_of_an_old_day_sees_the_old_values() -> None:
    """Rows that were not known on a day, such as later vintages, change nothing until that day."""
    sessions = CALENDARS["XNYS"]
    rows = random_rows(np.random.default_rng(5), int(sessions[0]), int(sessions[-1]), 400)
    old = sessions[: len(sessions) // 2]
    known = pc.less_equal(rows["available_at"].cast(pa.int64()), int(session_cuts("XNYS", old, EMBARGO).of_bars[-1]))
    then, now = as_of("XNYS")(bars(TICKERS, old), rows.filter(known)), as_of("XNYS")(bars(TICKERS, sessions), rows)
    first = np.tile(np.arange(len(sessions)) < len(old), len(TICKERS))
    for column in COLUMNS:
        np.testing.assert_array_equal(bits(then, column.name), bits(now, column.name)[first])
