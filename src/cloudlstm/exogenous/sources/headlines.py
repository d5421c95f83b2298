"""Headlines of the synthetic market: phrases with a known score of VADER, from very bad to very good news.

A test compares the scores with those of vaderSentiment, so this module does not need the package. The text around a
phrase has no word that VADER knows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PHRASES = (
    (-0.9100, "a terrible crisis and severe losses"),
    (-0.8271, "severe losses and weak demand"),
    (-0.7269, "heavy losses and weak demand"),
    (-0.6124, "problems and lost orders"),
    (-0.5267, "weak demand"),
    (-0.4215, "an alarming loss of orders"),
    (-0.3182, "lost orders"),
    (-0.2263, "a lawsuit"),
    (0.0, "a routine filing"),
    (0.1531, "a solid order book"),
    (0.2023, "a fine quarter"),
    (0.3182, "an optimistic outlook"),
    (0.4215, "satisfied customers"),
    (0.5267, "a gain in orders"),
    (0.6249, "great orders"),
    (0.7184, "growth and a gain in orders"),
    (0.8225, "strong gains and better margins"),
    (0.9001, "excellent growth and strong gains"),
)
"""Score of VADER and phrase, in the order of the scores."""

_SCORES = np.array([score for score, _ in PHRASES])
_BETWEEN = (_SCORES[1:] + _SCORES[:-1]) / 2


def headline(ticker: str, place: int, number: int) -> str:
    """Returns a headline.

    Args:
        ticker: Whom it is about.
        place: The place of its phrase in `PHRASES`.
        number: A number that makes headlines with the same phrase differ.
    """
    return f"{ticker} announces {PHRASES[place][1]}, release {number:04d}"


def nearest(score: NDArray[np.float64]) -> NDArray[np.intp]:
    """Returns the place of the phrase whose score is nearest to each number."""
    return np.searchsorted(_BETWEEN, score)


def score_of(place: NDArray[np.intp]) -> NDArray[np.float64]:
    """Returns the scores of phrases by their places."""
    found: NDArray[np.float64] = _SCORES[place]
    return found
