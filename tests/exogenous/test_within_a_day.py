"""Bars within a day see what was known at their end minus the embargo, and news of their session so far."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cloudlstm.exogenous.columns import NEWS, NOVELTY
from cloudlstm.exogenous.join import join
from cloudlstm.market import columns
from cloudlstm.market.columns import MOMENT
from cloudlstm.market.grid import Grid
from cloudlstm.market.interval import Interval
from exogenous.asof_tables import COLUMNS, EMBARGO, Row, bars_table, bits, rows_table
from minute_bars import START, grid

INTERVALS = {"XNYS": "1h", "XTKS": "15m", "XASX": "1h"}
"""Half days, a break, and sessions that open on the day before their date."""
GRIDS = {code: grid(interval, code) for code, interval in INTERVALS.items()}
Case = tuple[str, list[tuple[str, int]], list[Row]]
"""An exchange, bars as ticker and place in its grid, and rows."""
Join = Callable[[str, pa.Table, pa.Table], pa.Table]


def at(minute: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=minute)


def end_of(own: Grid, place: int) -> int:
    """The end of a bar, read from the next start and the hours of its session, apart from `Grid.ends`."""
    start, hours = int(own.starts[place]), own.hours
    stops = [*hours.break_starts.tolist(), *hours.closes.tolist()]
    return min(start + own.interval.minutes, *(int(stop) for stop in stops if stop > start))


def cut_of(own: Grid, place: int) -> dt.datetime:
    return at(end_of(own, place) - EMBARGO)


def bars_of(own: Grid, bars: list[tuple[str, int]]) -> pa.Table:
    places = np.array([place for _, place in bars], int)
    return pa.table({"ticker": [ticker for ticker, _ in bars], "date": columns.from_days(own.starts[places], MOMENT)})


_OFFSETS = st.one_of(
    st.sampled_from([dt.timedelta(0), dt.timedelta(microseconds=1), dt.timedelta(microseconds=-1)]),
    st.integers(-600, 600).map(lambda minutes: dt.timedelta(minutes=minutes)),
)


def rows_near(own: Grid) -> st.SearchStrategy[Row]:
    """Rows that become available near the cuts of bars."""
    return st.builds(
        lambda series, entity, period, place, offset, value, vintage: Row(
            series, entity, START + dt.timedelta(period), cut_of(own, place) + offset, value, vintage
        ),
        st.sampled_from(["CPI", NEWS, NOVELTY]), st.sampled_from(["", "A", "B"]), st.integers(-40, 8),
        st.integers(0, len(own.starts) - 1), _OFFSETS, st.sampled_from([0.1, 0.2, 0.3, -0.3, 0.7, 0.0, 3.25]),
        st.integers(-1, 2),
    )  # fmt: skip


@st.composite
def cases(draw: st.DrawFn) -> Case:
    code = draw(st.sampled_from(sorted(GRIDS)))
    own = GRIDS[code]
    bars = st.tuples(st.sampled_from(["A", "B", "C"]), st.integers(0, len(own.starts) - 1))
    return code, draw(st.lists(bars, min_size=1, max_size=12, unique=True)), draw(st.lists(rows_near(own), max_size=14))


def joined(code: str, bars: pa.Table, rows: pa.Table) -> pa.Table:
    return join(bars, rows, COLUMNS, code, EMBARGO, Interval(INTERVALS[code]))


def joined_as_of_the_close(code: str, bars: pa.Table, rows: pa.Table) -> pa.Table:
    """The mistake: every bar of a session sees what was known at its close."""
    days = GRIDS[code].session_of(columns.days(bars["date"]))
    return join(bars.set_column(1, "date", columns.from_days(days)), rows, COLUMNS, code, EMBARGO)


def check_that_later_rows_change_nothing(do_join: Join, case: Case, data: st.DataObject) -> None:
    code, bars, rows = case
    own = GRIDS[code]
    cut = cut_of(own, data.draw(st.sampled_from(bars))[1])
    others = data.draw(st.lists(rows_near(own), max_size=8))
    kept = [row for row in rows if row.available_at <= cut]
    coming = [row._replace(value=-row.value) for row in rows if row.available_at > cut and data.draw(st.booleans())]
    changed = data.draw(st.permutations([*kept, *coming, *(row for row in others if row.available_at > cut)]))
    before = [number for number, (_, place) in enumerate(bars) if cut_of(own, place) <= cut]
    table = bars_of(own, bars)
    one, two = (do_join(code, table, rows_table(each)) for each in (rows, changed))
    for column in COLUMNS:
        assert np.array_equal(bits(one, column)[before], bits(two, column)[before]), column.name


@settings(max_examples=150)
@given(cases(), st.data())
def test_rows_after_the_cut_of_a_bar_change_no_bit(case: Case, data: st.DataObject) -> None:
    check_that_later_rows_change_nothing(joined, case, data)


def test_the_same_check_catches_a_join_as_of_the_close() -> None:
    quick = settings(
        max_examples=300, database=None, derandomize=True, phases=[Phase.generate], report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip

    @quick
    @given(cases(), st.data())
    def naive(case: Case, data: st.DataObject) -> None:
        check_that_later_rows_change_nothing(joined_as_of_the_close, case, data)

    with pytest.raises(AssertionError, match=r"macro_cpi|news_"):
        naive()


@settings(max_examples=100)
@given(cases())
def test_the_last_bar_of_a_session_sees_what_a_daily_bar_sees(case: Case) -> None:
    """Count, mean, strongest and age of news are bit for bit those of daily bars."""
    code, _, rows = case
    own = GRIDS[code]
    place = own.place_of(own.starts)
    last: NDArray[np.intp] = np.append(np.flatnonzero(place[1:] != place[:-1]), len(own.starts) - 1)
    bars = [(ticker, int(number)) for ticker in "ABC" for number in last]
    within = joined(code, bars_of(own, bars), rows_table(rows))
    days = [(ticker, START + dt.timedelta(int(own.days[number] - own.hours.days[0]))) for ticker, number in bars]
    daily = join(bars_table(days), rows_table(rows), COLUMNS, code, EMBARGO)
    for column in COLUMNS:
        assert np.array_equal(bits(within, column), bits(daily, column)), column.name


@settings(max_examples=60)
@given(cases(), st.data())
def test_a_bar_does_not_depend_on_other_bars_or_on_the_order_of_rows(case: Case, data: st.DataObject) -> None:
    code, bars, rows = case
    whole = joined(code, bars_of(GRIDS[code], bars), rows_table(rows))
    kept = data.draw(st.lists(st.integers(0, len(bars) - 1), min_size=1, unique=True))
    shuffled = data.draw(st.permutations([*rows, *rows[: len(rows) // 2]]))
    part = joined(code, bars_of(GRIDS[code], [bars[number] for number in kept]), rows_table(shuffled))
    for column in COLUMNS:
        assert np.array_equal(bits(whole, column)[kept], bits(part, column)), column.name


def test_news_of_the_session_so_far() -> None:
    """News of the night stand in every bar of the session; those of the day from their bar on; then it begins anew."""
    own = GRIDS["XNYS"]  # 1h: seven bars a session, the first from 14:30 to 15:30
    night, day = at(int(own.starts[0]) - 300), at(int(own.starts[2]) + 10)
    rows = [Row(NEWS, "A", START, night, 0.5), Row(NEWS, "A", START, day, -0.75)]
    found = joined("XNYS", bars_of(own, [("A", place) for place in range(9)]), rows_table(rows))
    assert found["news_count"].to_pylist() == [1, 1, 2, 2, 2, 2, 2, 0, 0]
    assert found["news_mean"].to_pylist()[:7] == [0.5, 0.5, *[-0.125] * 5]
    assert found["news_strongest"].to_pylist()[:7] == [0.5, 0.5, *[-0.75] * 5]
    ages = found["news_age_days"].to_numpy() * 1440
    np.testing.assert_allclose(ages[:3], [345.0, 405.0, 35.0])
