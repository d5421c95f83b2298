"""Speed-up, efficiency, and the serial share of Amdahl's law."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cloudlstm.benchmark.document import AmdahlFit

Floats = NDArray[np.float64]


def amdahl(points: Sequence[tuple[int, float]]) -> tuple[float, float, float] | None:
    """Fits Amdahl's law by least squares of the relative errors.

    Args:
        points: Pairs of a number and its seconds; several cells may have the same number.

    Returns:
        T(1), s and the root mean square of the relative errors; None if all numbers are the same. Seconds that rise
        with the number give s = 1, and a speed-up above the number gives s = 0.
    """
    numbers = np.array([number for number, _ in points], np.float64)
    seconds = np.array([took for _, took in points], np.float64)
    if len(set(numbers)) < 2:
        return None
    # T(n) = serial + divided / n is linear in both.
    serial, divided = relative_fit([np.ones_like(numbers), 1.0 / numbers], seconds)
    error = float(np.sqrt(np.mean(((serial + divided / numbers) / seconds - 1.0) ** 2)))
    return serial + divided, serial / (serial + divided), error


def relative_fit(columns: Sequence[Floats], seconds: Floats) -> list[float]:
    """The coefficients, none below zero, with which the sum of the columns has the least relative errors.

    Tries every choice of columns whose coefficients may differ from zero; there are few.

    Args:
        columns: What the seconds are made of, each (n,).
        seconds: What to fit, all above zero (n,).
    """
    scaled, ones = np.stack([column / seconds for column in columns], axis=1), np.ones(len(seconds))
    best, least = [0.0] * len(columns), np.inf
    for count in range(1, len(columns) + 1):
        for chosen in itertools.combinations(range(len(columns)), count):
            found = np.linalg.lstsq(scaled[:, chosen], ones, rcond=None)[0]
            error = float(((scaled[:, chosen] @ found - ones) ** 2).sum())
            if found.min() >= 0.0 and error < least * (1.0 - 1e-9) - 1e-15:
                least, best = error, [0.0] * len(columns)
                for place, value in zip(chosen, found, strict=True):
                    best[place] = float(value)
    return best


def seconds_at(fit: AmdahlFit, number: float) -> float:
    """The seconds of a fit on a number of processes."""
    share = fit.serial_share or 0.0
    return fit.one_s * (share + (1.0 - share) / number)


def speed_up(baseline_s: float | None, seconds: float | None) -> float | None:
    """How many times faster than the baseline; None if one of them is unknown."""
    return baseline_s / seconds if baseline_s and seconds else None


def efficiency(faster: float | None, number: float | None) -> float | None:
    """The speed-up by process; None if one of them is unknown."""
    return faster / number if faster is not None and number else None


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, least and largest of some values."""
    return float(np.median(values)), min(values), max(values)
