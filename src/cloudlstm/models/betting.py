"""A one-sided e-process: evidence that the mean of daily numbers is above zero, valid however often it is looked at.

The e-value is the wealth of a gambler who starts with 1 and bets a share of it, every day, that the day's number x
will be above zero: wealth x (1 + bet x x). The bet is fixed before x is known. If the expected x of every day, given
all days before, is zero or below, wealth is a supermartingale of start 1. So it ever reaches 1 / alpha with
probability alpha at most (Ville's inequality): at most 5 % of all series reach 20, with a look every day. Nothing is
assumed of the distribution, of its variance or of how that changes; only the bound |x| <= 1.

- The bet is aGRAPA (Waudby-Smith and Ramdas 2024): mean / mean square of the days before, the maximum of the expected
  log-wealth up to second order, cut off at 0 and MOST_BET. One day costs at most nine tenths of the wealth.
- Before there are days, the bet is that for an advantage of 0.2 standard deviations a day, with the weight of 60 days.
  A prior changes what is found early, not the level. Against no prior, an advantage of 0.2 sd is found within 252
  sessions in 78 % of series instead of 70 %.
- Only + - x / and comparisons are used, which IEEE 754 defines to the bit: all machines, and any cut of a series into
  batches, give equal states. Logarithms would not.

It needs numbers that do not overlap: of forecasts h bars ahead only every h-th date.

Waudby-Smith, Ramdas: Estimating means of bounded random variables by betting. Journal of the Royal Statistical Society
B 86(1), 2024. Ville: Étude critique de la notion de collectif. 1939.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from cloudlstm.evaluation.significance import FloatArray

BOUND_SD = 3.0
"""Numbers are divided by a bound of so many standard deviations and clipped at -1 and 1."""
MOST_BET = 0.9
"""Largest share of the wealth that is bet."""
MOST_E_VALUE = 1e12
"""Wealth above it is given away, so that a state never holds infinity."""
PRIOR_DAYS = 60.0
PRIOR_EFFECT = 0.2
"""The first bet expects this mean, in standard deviations a day."""
PRIOR_TOTAL = PRIOR_DAYS * PRIOR_EFFECT / BOUND_SD
PRIOR_SQUARES = PRIOR_DAYS / BOUND_SD**2

Number = TypeVar("Number", float, FloatArray)


def grown(e_value: Number, total: Number, squares: Number, x: Number) -> Number:
    """E-value after one more day; elementwise for arrays.

    Args:
        e_value: E-value before the day.
        total: Sum of the numbers before the day.
        squares: Sum of their squares.
        x: The day's number, from -1 to 1.
    """
    bet = np.minimum(np.maximum((PRIOR_TOTAL + total) / (PRIOR_SQUARES + squares), 0.0), MOST_BET)
    after: Number = np.minimum(e_value * (1.0 + bet * x), MOST_E_VALUE)
    return after


@dataclass(frozen=True, slots=True)
class Process:
    """State of one e-process; JSON-ready.

    Attributes:
        total: Sum of the numbers so far.
        squares: Sum of their squares.
        e_value: Wealth now.
        highest: Largest wealth on any day so far. Ville's inequality holds for it.
    """

    total: float = 0.0
    squares: float = 0.0
    e_value: float = 1.0
    highest: float = 1.0

    def advanced(self, x: float) -> Process:
        """The state after one more day.

        Raises:
            ValueError: x is not from -1 to 1.
        """
        if not -1.0 <= x <= 1.0:
            raise ValueError(f"{x} is not from -1 to 1")
        e_value = float(grown(self.e_value, self.total, self.squares, x))
        return Process(self.total + x, self.squares + x * x, e_value, max(self.highest, e_value))


def e_value_paths(x: FloatArray) -> FloatArray:
    """E-values of many series after each day, for simulations: to the bit what `Process` computes (series, days).

    Args:
        x: Numbers from -1 to 1 (series, days).
    """
    paths = np.empty(x.shape)
    total, squares, e_value = np.zeros(len(x)), np.zeros(len(x)), np.ones(len(x))
    for day in range(x.shape[1]):
        today = x[:, day]
        e_value = grown(e_value, total, squares, today)
        total, squares = total + today, squares + today * today
        paths[:, day] = e_value
    return paths


def clipped(difference: float, bound: float) -> float:
    """`difference` in units of `bound`, clipped at -1 and 1.

    Raises:
        ValueError: The difference is NaN or infinite.
    """
    if not np.isfinite(difference):
        raise ValueError(f"a daily difference is {difference}")
    return max(-1.0, min(1.0, difference / bound))
