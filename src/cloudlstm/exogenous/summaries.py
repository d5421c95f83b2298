"""Count, mean and strongest value of what became available in one session, such as headlines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudlstm.exogenous.asof import Bars, lookup
from cloudlstm.exogenous.rows import Rows
from cloudlstm.market import columns


@dataclass(frozen=True, slots=True)
class Summary:
    """The rows that became available after the cut of the session before each bar's, up to the bar's own cut.

    Attributes:
        count: Their number; 0 without any (bars,).
        mean: Their mean; NaN without any (bars,).
        strongest: The value with the largest absolute value, with its sign; the later of two. NaN without any (bars,).
    """

    count: NDArray[np.float64]
    mean: NDArray[np.float64]
    strongest: NDArray[np.float64]


def summarise(rows: Rows, bars: Bars) -> Summary:
    """Returns the summaries of a series for the session of each bar.

    The session before is that of the calendar, so a bar that is missing does not move its news to the next bar.

    A bar uses the rows of its ticker if one of them was available at its cut, in whatever session, else those of the
    whole market. Each number depends on the rows of its session only, bit for bit: they are added one after the other
    in the order of `Rows`. A difference of cumulative sums would carry the rounding of all rows before them.
    """
    n_sessions = len(bars.sessions.cuts)
    session = bars.sessions.first_that_sees(rows.available_at)
    place = rows.entity * (n_sessions + 1) + session
    starts = columns.group_starts(place)
    group = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(rows))))
    count = np.bincount(group, minlength=len(starts)).astype(np.float64)
    # bincount adds the weights in the order in which they come.
    mean = np.bincount(group, rows.value, minlength=len(starts)) / count
    by_size = np.lexsort((np.arange(len(rows)), np.abs(rows.value), group))
    strongest = rows.value[by_size[np.cumsum(count).astype(np.int64) - 1]]
    if not len(rows) or not n_sessions:
        found, inside = np.zeros(len(bars.session), np.int64), np.zeros(len(bars.session), np.bool_)
    else:
        found = lookup(place[starts], rows.entity[starts], np.arange(len(starts)), bars)
        inside = (found >= 0) & (np.append(session[starts], -1)[found] == bars.session)
    nothing = len(starts)
    found = np.where(inside, found, nothing)
    return Summary(np.append(count, 0.0)[found], np.append(mean, np.nan)[found], np.append(strongest, np.nan)[found])
