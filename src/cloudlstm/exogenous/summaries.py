"""Count, mean and strongest value of what became available for a session so far, such as headlines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudlstm.exogenous.asof import Bars, lookup
from cloudlstm.exogenous.rows import Rows
from cloudlstm.market import columns

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Summary:
    """The rows that became available after the last cut of the session before each bar's, up to the bar's own cut.

    Attributes:
        count: Their number; 0 without any (bars,).
        mean: Their mean; NaN without any (bars,).
        strongest: The value with the largest absolute value, with its sign; the later of two. NaN without any (bars,).
    """

    count: Values
    mean: Values
    strongest: Values


def summarise(rows: Rows, bars: Bars) -> Summary:
    """Returns the summaries of a series for each bar.

    Bars within a day see the rows of their session so far, those of the night before it included; so the last bar of a
    session sees what a daily bar sees. The session before is that of the calendar, so a bar that is missing does not
    move its news to the next bar.

    A bar uses the rows of its ticker if one of them was available at its cut, in whatever session, else those of the
    whole market. Each number depends on the rows of its session only, bit for bit: they are added one after the other
    in the order of `Rows`. A difference of cumulative sums would carry the rounding of all rows before them.
    """
    cuts = bars.cuts
    n_places = len(cuts.cuts)
    if not len(rows) or not n_places:
        nothing = np.full(len(bars.place), np.nan)
        return Summary(np.zeros(len(bars.place)), nothing, nothing.copy())
    place = cuts.first_that_sees(rows.available_at)
    session = np.append(cuts.session, cuts.session[-1] + 1)[place]
    nth, total, strongest = _so_far(rows.value, rows.entity * (int(cuts.session[-1]) + 2) + session)
    found = lookup(rows.entity * (n_places + 1) + place, rows.entity, np.arange(len(rows)), bars)
    inside = (found >= 0) & (session[found] == np.append(cuts.session, -1)[bars.place])
    found = np.where(inside, found, len(rows))
    return Summary(
        np.append(nth, 0.0)[found], np.append(total / nth, np.nan)[found], np.append(strongest, np.nan)[found]
    )


def _so_far(value: Values, group: NDArray[np.int64]) -> tuple[Values, Values, Values]:
    """The number, the sum and the strongest of the values of each group up to each value.

    Args:
        value: The values (rows,).
        group: Runs of equal numbers are groups (rows,).
    """
    starts = columns.group_starts(group)
    lengths = np.diff(np.append(starts, len(value)))
    nth = (np.arange(len(value)) - np.repeat(starts, lengths)).astype(np.float64) + 1
    total, strongest = value.copy(), value.copy()
    for number in range(1, int(lengths.max())):  # the n-th values of all groups together
        at = starts[lengths > number] + number
        total[at] += total[at - 1]
        stays = np.abs(strongest[at - 1]) > np.abs(value[at])
        strongest[at[stays]] = strongest[at[stays] - 1]
    return nth, total, strongest
