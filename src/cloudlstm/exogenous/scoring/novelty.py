"""How new a headline is: 1 minus its likeness to the most similar earlier headline of its ticker.

The likeness of two headlines is the Jaccard similarity of their sets of lower-case words: words in both, divided by
words in either. Only headlines that were known earlier count, so the value of a headline never changes later.

A headline shares words with few others, so the work goes from each word to the earlier headlines that have it. Pairs
without a common word are never looked at.
"""

from __future__ import annotations

import itertools
import re

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_WORD = re.compile(r"\w+")
_PAIRS = 1 << 22
"""Pairs of headlines that are worked on at once; 4 million need about 200 MB."""

_DAY_US = 86_400_000_000


def novelty(headlines: pa.Table, novelty_days: int) -> NDArray[np.float64]:
    """Returns how new each headline is: 1 if nothing like it came before, 0 if the same words did.

    A headline is compared with those of its entity that became available at most `novelty_days` times 24 hours before
    it. Of headlines with the same time, those that stand before it in the table count as earlier.

    Args:
        headlines: HEADLINES in the order (entity, available_at, …), as `ordered` makes it.
        novelty_days: Days.

    Returns:
        Values (n,) in [0, 1]; 1 for a headline without words; NaN for null.
    """
    rows = headlines.num_rows
    if not rows:
        return np.empty(0, np.float64)
    text = headlines.column("headline").combine_chunks()
    first = _window_starts(headlines, novelty_days)
    word, owner, sizes = _words(text)
    begin, end, sharers = _postings(word, owner, first)
    likeness = np.zeros(rows, np.float64)
    counts = np.bincount(owner, minlength=rows)
    entries = np.concatenate([[0], np.cumsum(counts)])  # the words of row i are entries[i]:entries[i + 1]
    pairs = np.concatenate([[0], np.cumsum(end - begin)])[entries]
    spans = np.concatenate([[0], np.cumsum(np.arange(rows) - first)])
    cost = pairs + spans
    low = 0
    while low < rows:
        high = max(low + 1, int(np.searchsorted(cost, cost[low] + _PAIRS, side="right")) - 1)
        part = slice(int(entries[low]), int(entries[high]))
        likeness[low:high] = _likeness(low, high, first, sizes, owner[part], begin[part], end[part], sharers)
        low = high
    values = 1.0 - likeness
    if text.null_count:
        values[text.is_null().to_numpy(zero_copy_only=False)] = np.nan
    return values


def _window_starts(headlines: pa.Table, novelty_days: int) -> NDArray[np.int64]:
    """For each row the first row of its entity that is not too old."""
    time = headlines.column("available_at").cast(pa.int64()).to_numpy()
    entity = headlines.column("entity").combine_chunks().dictionary_encode()
    code = (entity.combine_chunks() if isinstance(entity, pa.ChunkedArray) else entity).indices.to_numpy()
    edges = np.concatenate([[0], np.flatnonzero(code[1:] != code[:-1]) + 1, [len(code)]])
    first = np.empty(len(code), np.int64)
    for low, high in itertools.pairwise(edges.tolist()):
        own = time[low:high]
        first[low:high] = low + np.searchsorted(own, own - novelty_days * _DAY_US)
    return first


def _words(text: pa.StringArray) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Each different word of each row, by row: number of the word, row; and the number of such words of each row."""
    known: dict[str, int] = {}
    sets: dict[str, list[int]] = {}
    found: list[list[int]] = []
    for each in text.to_pylist():
        numbers = sets.get(each)
        if numbers is None:
            words = dict.fromkeys(_WORD.findall(each.lower())) if each else {}
            numbers = sets[each] = [known.setdefault(word, len(known)) for word in words]
        found.append(numbers)
    sizes = np.array([len(numbers) for numbers in found], np.int64)
    word = np.fromiter((number for numbers in found for number in numbers), np.int64, int(sizes.sum()))
    return word, np.repeat(np.arange(len(found)), sizes), sizes


def _postings(
    word: NDArray[np.int64], owner: NDArray[np.int64], first: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """For each word of each row, where the earlier rows with this word are: sharers[begin:end]."""
    order = np.argsort(word, kind="stable")  # within a word by row
    rows = len(first) + 1
    keys = word[order] * rows + owner[order]
    end = np.empty(len(word), np.int64)
    end[order] = np.arange(len(word))
    begin = np.searchsorted(keys, word * rows + first[owner])
    return begin, end, owner[order]


def _likeness(
    low: int,
    high: int,
    first: NDArray[np.int64],
    sizes: NDArray[np.int64],
    owner: NDArray[np.int64],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    sharers: NDArray[np.int64],
) -> NDArray[np.float64]:
    """The largest likeness of the rows low to high with an earlier row in their windows; 0 without one."""
    row = np.arange(low, high)
    span = row - first[low:high]
    offset = np.concatenate([[0], np.cumsum(span)])  # where the pairs of a row begin among all pairs
    count = end - begin
    place = np.repeat(begin - (np.cumsum(count) - count), count) + np.arange(count.sum())
    later, earlier = np.repeat(owner, count), sharers[place]
    common = np.bincount(offset[later - low] + earlier - first[later], minlength=int(offset[-1]))
    pair = np.flatnonzero(common)
    at = np.searchsorted(offset, pair, side="right") - 1
    other = pair - offset[at] + first[low + at]
    shared = common[pair]
    found = np.zeros(high - low, np.float64)
    np.maximum.at(found, at, shared / (sizes[low + at] + sizes[other] - shared))
    return found
