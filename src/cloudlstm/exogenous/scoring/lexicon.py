"""The scorer `lexicon`: counts positive and negative words of a dictionary that the user has.

The file has the form of the Loughran-McDonald master dictionary: CSV with the columns Word, Negative and Positive, each
word once. A flag above 0 is the year in which the word came into the list; 0 means that it is not in it; a flag below 0
is the year in which it was taken out. The dictionary is not part of cloudlstm: its authors ask for a licence for
commercial use.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm import storage
from cloudlstm.errors import UnreadableSourceError

_MOST_BYTES = 64 << 20
_COLUMNS = ("word", "positive", "negative")
_WORD = re.compile(r"[^\W\d_]+")
"""Letters only, as in the dictionary."""


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Scores by (positive - negative) / (positive + negative), the numbers of such words; 0 if there are none.

    A word counts as often as it occurs, in any case. Negations ("not good") are not understood.

    Attributes:
        positive, negative: The words, in lower case; a word in both lists counts in both.
        version: The beginning of the SHA-256 of the file.
        name: Of the scorer.
    """

    positive: frozenset[str]
    negative: frozenset[str]
    version: str
    name: str = "lexicon"

    @classmethod
    def read(cls, uri: str) -> Lexicon:
        """Reads a dictionary, at most 64 MB.

        Raises:
            StorageError: There is no such file, or it is larger.
            UnreadableSourceError: It does not have the form, or names no positive or negative word.
        """
        data = storage.read_small(storage.absolute(uri), _MOST_BYTES)
        positive, negative = _read_lists(data, uri)
        return cls(positive, negative, hashlib.sha256(data).hexdigest()[:16])

    def score(self, headlines: pa.StringArray) -> NDArray[np.float32]:
        counts = np.zeros((len(headlines), 2), np.int64)  # (headline, positive or negative)
        for row, text in enumerate(headlines.to_pylist()):
            words = _WORD.findall(text.lower())
            counts[row] = sum(word in self.positive for word in words), sum(word in self.negative for word in words)
        balance = (counts[:, 0] - counts[:, 1]) / np.maximum(counts.sum(axis=1), 1)
        return np.asarray(balance, np.float32)


_FORM = "a CSV file with the columns Word, Negative and Positive, as the Loughran-McDonald master dictionary has them"


def _read_lists(data: bytes, uri: str) -> tuple[frozenset[str], frozenset[str]]:
    """The positive and the negative words of a file, in lower case."""
    try:
        lines = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(str(error), uri) from None
    header = lines[0] if lines else []
    names = [name.strip().lower() for name in header]
    if lacking := [each.capitalize() for each in _COLUMNS if each not in names]:
        has = f"it has {', '.join(header)[:200]}" if header else "it is empty"
        raise _unreadable(f"it lacks {', '.join(lacking)}; {has}", uri)
    word, *flags = (names.index(each) for each in _COLUMNS)
    lists: tuple[set[str], set[str]] = (set(), set())
    for number, line in enumerate(lines[1:], start=2):
        try:
            for words, column in zip(lists, flags, strict=True):
                if line and float(line[column] or 0) > 0:
                    words.add(line[word].strip().lower())
        except (ValueError, IndexError):
            raise _unreadable(f"line {number} has no word, or a flag that is no number", uri) from None
    positive, negative = (frozenset(words - {""}) for words in lists)
    if not positive or not negative:
        raise _unreadable("it names no positive, or no negative words", uri)
    return positive, negative


def _unreadable(what: str, uri: str) -> UnreadableSourceError:
    return UnreadableSourceError(f"{uri} is no dictionary of words: {what}", hint=_FORM, uri=uri)
