"""What the promotion gate can find: the smallest advantage that it promotes with 65 % probability.

The table comes from a simulation with a fixed seed: daily differences are normal, and their bound is three standard
deviations. A test computes it again. Heavier tails than the normal's make the gate stronger, since the clipped
differences then vary less than the unclipped ones.
"""

from __future__ import annotations

import numpy as np

from cloudlstm.evaluation.significance import FloatArray
from cloudlstm.models.betting import BOUND_SD, e_value_paths

CHANCE = 0.65
"""Probability with which the detectable effect is found."""

_SESSIONS = (21, 42, 63, 126, 252)
_CHALLENGERS = (1, 2, 3, 5, 10, 20, 50)
_EFFECTS = {
    21: (0.80, 0.93, 1.01, 1.11, 1.26, 1.41, 1.62),
    42: (0.47, 0.54, 0.58, 0.62, 0.68, 0.75, 0.83),
    63: (0.36, 0.41, 0.43, 0.46, 0.50, 0.54, 0.60),
    126: (0.24, 0.27, 0.29, 0.31, 0.33, 0.35, 0.38),
    252: (0.17, 0.19, 0.20, 0.22, 0.23, 0.24, 0.26),
}
"""Sessions -> detectable effect for each number of challengers."""


def detectable_effect(sessions: int, challengers: int) -> float | None:
    """Returns the advantage that is found with 65 % probability, in standard deviations of the daily difference.

    Between two entries of the table the less favourable one counts: fewer sessions, more challengers.

    Args:
        sessions: Sessions of the gate.
        challengers: The gate's number of challengers; 1 also for the e-value that a challenger is worse.

    Returns:
        None for fewer than 21 sessions or more than 50 challengers.
    """
    rows = [row for row in _SESSIONS if row <= sessions]
    columns = [column for column, number in enumerate(_CHALLENGERS) if number >= challengers]
    return _EFFECTS[rows[-1]][columns[0]] if rows and columns else None


def simulated_effect(noise: FloatArray, e_value: float) -> float:
    """Returns the effect with which `CHANCE` of the series reach `e_value`, by bisection, to 0.001 sd.

    Args:
        noise: Standard normal numbers (series, sessions).
        e_value: E-value that is needed.
    """
    low, high = 0.0, 3.0
    while high - low > 0.001:
        middle = (low + high) / 2.0
        x = np.clip((noise + middle) / BOUND_SD, -1.0, 1.0)
        found = float((e_value_paths(x).max(axis=1) >= e_value).mean())
        low, high = (low, middle) if found >= CHANCE else (middle, high)
    return (low + high) / 2.0
