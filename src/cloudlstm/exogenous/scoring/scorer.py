"""What a scorer is, which one the settings name, and the check of what it returns."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.config.exogenous import NewsConfig
from cloudlstm.errors import CloudLSTMError, DataError, UsageError

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")


class Scorer(Protocol):
    """Says how good or bad headlines are.

    The score of a headline depends on its text only: scores are kept by text, and headlines come in any order, each
    text once, in chunks. A scorer may be used in several processes at the same time.
    """

    @property
    def name(self) -> str:
        """Its name: lower-case letters, digits and hyphens, at most 40, beginning with a letter."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever a score may change: the version of a package, a hash of a file, the revision of a model."""
        ...

    def score(self, headlines: pa.StringArray) -> NDArray[np.float32]:
        """Returns the score of each headline, from -1 (bad) over 0 (neutral, or unknown) to 1 (good).

        Args:
            headlines: Texts (n,) without nulls; n may be 0.

        Returns:
            Scores (n,).
        """
        ...


@dataclass(frozen=True, slots=True)
class OwnScorer:
    """A scorer of the user's own code. It can be pickled: each process imports the object by its name.

    Attributes:
        object_name: `package.module:NAME`; NAME is a scorer, or a class of scorers that takes no arguments.
    """

    object_name: str

    @property
    def name(self) -> str:
        return str(_loaded(self.object_name).name)

    @property
    def version(self) -> str:
        return str(_loaded(self.object_name).version)

    def score(self, headlines: pa.StringArray) -> NDArray[np.float32]:
        scorer = _loaded(self.object_name)
        try:
            found: NDArray[np.float32] = scorer.score(headlines)
        except CloudLSTMError:
            raise
        except Exception as error:
            raise _user_code().failure(f"the scorer {self.object_name} failed", error, self.object_name) from error
        return found


def open_scorer(news: NewsConfig) -> Scorer:
    """Returns the scorer that `exogenous.news.scorer` names; all scorers can be pickled.

    Raises:
        UsageError: The user's object is not there, or is no scorer.
        MissingExtraError: The scorer needs a package that is not installed.
        StorageError, DataError: The file of the scorer `lexicon` cannot be read, or is no dictionary.
    """
    if news.scorer == "vader":
        from cloudlstm.exogenous.scoring.vader import Vader

        return Vader()
    if news.scorer == "lexicon":
        from cloudlstm.exogenous.scoring.lexicon import Lexicon

        return Lexicon.read(str(news.lexicon))
    return OwnScorer(news.scorer)


def identity(scorer: Scorer) -> dict[str, Any]:
    """What the scores depend on, JSON-ready, for fingerprints and for the place of cached scores.

    For a scorer of the user's it has a hash of all files of its package too, so that a change of its code counts even
    if its version stays the same.
    """
    found: dict[str, Any] = {"name": scorer.name, "version": scorer.version}
    if isinstance(scorer, OwnScorer):
        found["object"] = scorer.object_name
        found["code"] = _user_code().identity([scorer.object_name])
    return found


def checked_scores(scorer: Scorer, headlines: pa.StringArray) -> NDArray[np.float32]:
    """Calls a scorer and checks what it returns.

    Returns:
        Scores (n,), finite, in [-1, 1].

    Raises:
        DataError: It returned something else; the message names the scorer and the first wrong headline.
    """
    found = scorer.score(headlines)
    try:
        scores = np.asarray(found).astype(np.float32)
    except (TypeError, ValueError):
        raise DataError(
            f"the scorer {scorer.name} returned no numbers but {type(found).__name__}", hint=_PROTOCOL
        ) from None
    if scores.shape != (len(headlines),):
        raise DataError(
            f"the scorer {scorer.name} returned scores of shape {scores.shape} for {len(headlines)} headlines",
            hint=_PROTOCOL,
        )
    wrong = np.flatnonzero(~(np.abs(scores) <= 1))  # also NaN
    if len(wrong):
        text = headlines[int(wrong[0])].as_py()[:80]
        raise DataError(
            f"the scorer {scorer.name} gave {scores[wrong[0]]} to the headline {text!r}, which is not between -1 and 1",
            hint=_PROTOCOL,
        )
    return scores


_PROTOCOL = "docs/scoring.md says what a scorer returns"


@cache
def _loaded(object_name: str) -> Any:
    """The user's scorer, once a process."""
    found = _user_code().load_object(object_name)
    scorer = found() if isinstance(found, type) else found
    lacking = [each for each in ("name", "version", "score") if not hasattr(scorer, each)]
    if lacking:
        raise UsageError(f"{object_name} is no scorer: it lacks {', '.join(lacking)}", hint=_PROTOCOL)
    if not _NAME.fullmatch(str(scorer.name)):
        raise UsageError(
            f"{object_name}: the name {scorer.name!r} is not lower-case letters, digits and hyphens, at most 40",
            hint="for example finbert",
        )
    return scorer


def _user_code() -> Any:
    return importlib.import_module("cloudlstm.runs.user_code")
