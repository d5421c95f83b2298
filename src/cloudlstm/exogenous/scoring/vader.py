"""The scorer `vader`: the compound score of VADER, a list of words with rules for negation, emphasis and contrast.

It needs the package vaderSentiment (MIT), which brings its list of words, and no network. VADER was made for posts in
English; it knows "good" and "crash", and does not know that a missed estimate is bad.
"""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.errors import MissingExtraError

_MOST_CHARACTERS = 1000
"""VADER takes a time that grows with the square of a text's length; a headline is shorter."""


@dataclass(frozen=True, slots=True)
class Vader:
    """Scores by VADER. A text of more than 1,000 characters is scored by its first 1,000."""

    name: str = "vader"

    @property
    def version(self) -> str:
        """The version of vaderSentiment.

        Raises:
            MissingExtraError: It is not installed.
        """
        try:
            return importlib.metadata.version("vaderSentiment")
        except importlib.metadata.PackageNotFoundError:
            raise _missing() from None

    def score(self, headlines: pa.StringArray) -> NDArray[np.float32]:
        analyzer = _analyzer()
        scores = [analyzer.polarity_scores(text[:_MOST_CHARACTERS])["compound"] for text in headlines.to_pylist()]
        return np.array(scores, np.float32)


@cache
def _analyzer() -> Any:
    """VADER with its list of words, which is read once a process."""
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
    except ImportError:
        raise _missing() from None
    return SentimentIntensityAnalyzer()


def _missing() -> MissingExtraError:
    return MissingExtraError("the scorer vader needs the package vaderSentiment", hint="pip install 'cloudlstm[news]'")
