"""Watches a model in use, without end, for a loss above that of a reference: for rollback, and for drift of the loss.

Each session gives one number: loss of the watched model minus loss of the reference, the mean over tickers.

- **Rollback:** the champion is watched against the previous champion, which goes on forecasting.
- **Drift of the loss:** the champion is watched against naive. A rise of the loss alone would be an alarm whenever
  markets move more than before; the difference to naive is not.

One e-process (betting.py) that has seen good years needs long to notice a decay: it has lost its wealth, and its mean
is far below zero. So a new one starts every 63 sessions and lives for 252. Four start in a year, and each needs an
e-value of 80 = 4 x 20. Hence at most 5 % of years raise an alarm, in the mean over years, if the expected difference
of each session, given the past, is zero or below (simulated: 2 %).

How soon, in simulations: a champion that was better by 0.2 standard deviations a day for two years and is then worse
by 0.4 is found after 63 sessions in the median, in 93 % of cases within 126. Worse by 0.2, it is found within 252 in
65 %. One process without restarts finds almost none of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from cloudlstm.models.betting import Process, clipped

RESTART_SESSIONS = 63
"""A process starts every so many sessions."""
LIFE_SESSIONS = 252
"""And lives for so many."""
_ALIVE = LIFE_SESSIONS // RESTART_SESSIONS
ALARM_E_VALUE = 20.0 * _ALIVE
"""E-value at which a watch raises an alarm."""


@dataclass(frozen=True, slots=True)
class Watch:
    """State of a watch; JSON-ready.

    Attributes:
        bound: Differences are clipped at plus and minus this, in units of the loss (`gate.bound`).
        sessions: Sessions so far.
        processes: The processes that live, oldest first.
        highest: Largest e-value of any process on any day. An alarm stays until a new watch begins.
    """

    bound: float
    sessions: int = 0
    processes: tuple[Process, ...] = ()
    highest: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.bound < math.inf:
            raise ValueError(f"a watch cannot have bound {self.bound}")

    @property
    def alarm(self) -> bool:
        """Whether the watched model is shown to be worse than the reference."""
        return self.highest >= ALARM_E_VALUE


def advance(watch: Watch, difference: float) -> Watch:
    """Returns the state after one more session.

    Args:
        watch: The state before.
        difference: Loss of the watched model minus loss of the reference.

    Raises:
        ValueError: The difference is NaN or infinite.
    """
    x = clipped(difference, watch.bound)
    alive = watch.processes
    if watch.sessions % RESTART_SESSIONS == 0:
        alive = (*alive, Process())[-_ALIVE:]
    alive = tuple(process.advanced(x) for process in alive)
    highest = max(watch.highest, *(process.e_value for process in alive))
    return Watch(watch.bound, watch.sessions + 1, alive, highest)


def advance_all(watch: Watch, differences: Iterable[float]) -> Watch:
    """The state after all of these sessions, in their order."""
    for difference in differences:
        watch = advance(watch, float(difference))
    return watch
