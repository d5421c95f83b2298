"""No bar depends on what became available after its cut; the same check catches a join on the date."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cloudlstm.exogenous.join import join
from exogenous.asof_tables import (
    COLUMNS,
    EMBARGO,
    Case,
    Join,
    bars_table,
    bits,
    cases,
    cut_of,
    join_on_the_date,
    rows_near,
    rows_table,
    slow_join,
)


@st.composite
def changed_cases(draw: st.DrawFn) -> tuple[Case, Case, list[int]]:
    """A case; the same with other rows after the cut of one of its bars; and the bars that may not notice."""
    case = draw(cases())
    cut = cut_of(case.calendar, draw(st.sampled_from(case.bars))[1])
    first = min(day for _, day in case.bars)
    others = draw(st.lists(rows_near(case.calendar, first), max_size=8))
    kept = [row for row in case.rows if row.available_at <= cut]
    coming = [row for row in case.rows if row.available_at > cut and draw(st.booleans())]
    moved = [row._replace(value=-row.value, vintage=row.vintage + 1) for row in coming if draw(st.booleans())]
    new = [row for row in others if row.available_at > cut]
    rows = draw(st.permutations([*kept, *coming, *moved, *new]))
    before = [i for i, (_, day) in enumerate(case.bars) if cut_of(case.calendar, day) <= cut]
    return case, case._replace(rows=rows), before


def check_that_later_rows_change_nothing(do_join: Join, cases: tuple[Case, Case, list[int]]) -> None:
    case, changed, before = cases
    bars = bars_table(case.bars)
    one = do_join(bars, rows_table(case.rows), COLUMNS, case.calendar, EMBARGO)
    two = do_join(bars, rows_table(changed.rows), COLUMNS, case.calendar, EMBARGO)
    for column in COLUMNS:
        assert np.array_equal(bits(one, column)[before], bits(two, column)[before]), column.name


@settings(max_examples=150)
@given(changed_cases())
def test_rows_after_the_cut_change_no_bit(cases: tuple[Case, Case, list[int]]) -> None:
    check_that_later_rows_change_nothing(join, cases)


def test_the_same_check_catches_a_join_on_the_date() -> None:
    """Without this, a check that compares nothing would pass too."""
    quick = settings(
        max_examples=400, database=None, derandomize=True, phases=[Phase.generate], report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip

    @quick
    @given(changed_cases())
    def naive(cases: tuple[Case, Case, list[int]]) -> None:
        check_that_later_rows_change_nothing(join_on_the_date, cases)

    with pytest.raises(AssertionError, match=r"macro_cpi|news_"):
        naive()


@settings(max_examples=150)
@given(cases())
def test_the_join_equals_a_loop_over_bars(case: Case) -> None:
    bars, rows = bars_table(case.bars), rows_table(case.rows)
    fast, slow = (each(bars, rows, COLUMNS, case.calendar, EMBARGO) for each in (join, slow_join))
    for column in COLUMNS:
        assert np.array_equal(bits(fast, column), bits(slow, column)), column.name


@settings(max_examples=60)
@given(cases(), st.data())
def test_a_bar_does_not_depend_on_other_bars_or_on_the_order_of_rows(case: Case, data: st.DataObject) -> None:
    whole = join(bars_table(case.bars), rows_table(case.rows), COLUMNS, case.calendar, EMBARGO)
    kept = data.draw(st.lists(st.integers(0, len(case.bars) - 1), min_size=1, unique=True))
    doubled = [*case.rows, *case.rows[: len(case.rows) // 2]]
    rows = data.draw(st.permutations(doubled))
    part = join(bars_table(case.bars[i] for i in kept), rows_table(rows), COLUMNS, case.calendar, EMBARGO)
    for column in COLUMNS:
        assert np.array_equal(bits(whole, column)[kept], bits(part, column)), column.name
