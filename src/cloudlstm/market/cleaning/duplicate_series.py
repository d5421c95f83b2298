"""Finds tickers with the same bars: a company under an old and a new name, or a file that was delivered twice.

Shards do not see the tickers of other shards. So each ticker gets a MinHash sketch: the smallest hashes of its bars
(Broder, 1997, "On the resemblance and containment of documents"). Tickers that share most of their bars share most of
the hashes in their sketches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from cloudlstm.market.cleaning.shard import Shard
from cloudlstm.market.columns import group_starts

Sketches = dict[str, list[int]]
"""MinHash sketches by ticker; a ticker with too few bars has no sketch."""

_EVERY_DAYS = 32  # every 32nd calendar day: hits all weekdays, at little cost
_HASHES = 16
_SHARED = 4
_SHOWN = 20
_OWNERS = 8
"""Number of groups that are stored per hash. Without duplicates a hash belongs to one group only."""


def sketches(shard: Shard) -> Sketches:
    """Returns the sketch of every ticker, from its valid bars with volume."""
    rows = np.flatnonzero((shard.day & (_EVERY_DAYS - 1)) == 0)
    rows = rows[(shard.verdict[rows] == 0) & (shard.volume[rows] > 0)]
    mixed = shard.day[rows].astype(np.uint64)
    for values in (shard.open, shard.high, shard.low, shard.close):
        mixed = _mix(mixed ^ np.ascontiguousarray(values[rows]).view(np.uint64))
    mixed = _mix(mixed ^ shard.volume[rows].astype(np.uint64))
    order = np.lexsort((mixed, shard.rank[rows]))
    rank, mixed = shard.rank[rows][order], mixed[order]
    starts = group_starts(rank)
    return {
        shard.names[rank[start]]: mixed[start:end][:_HASHES].tolist()
        for start, end in zip(starts, np.append(starts, len(rank))[1:], strict=True)
        if end - start >= _SHARED
    }


def find_duplicate_series(shards: Iterable[Mapping[str, list[int]]]) -> list[list[str]]:
    """Returns groups of tickers with the same bars, sorted: at most 20 groups of at most 20 tickers.

    Tickers that share at least four hashes are in one group; two tickers that share fewer can be linked by a third one.
    Each ticker is compared with a few groups per hash, so the time grows with the number of tickers, not of pairs.

    Args:
        shards: The sketches of each shard.
    """
    groups = _Groups()
    hashes_of = sorted((ticker, set(hashes)) for shard in shards for ticker, hashes in shard.items())
    owners: dict[int, list[str]] = {}
    for ticker, hashes in hashes_of:
        shared = Counter(group for each in hashes for group in {groups.root(owner) for owner in owners.get(each, ())})
        for group, times in shared.items():
            if times >= _SHARED:
                groups.join(ticker, group)
        for each in hashes:
            known = owners.setdefault(each, [])
            if len(known) < _OWNERS and groups.root(ticker) not in map(groups.root, known):
                known.append(ticker)
    found = groups.larger_than_one(ticker for ticker, _ in hashes_of)
    return [tickers[:_SHOWN] for tickers in sorted(found)[:_SHOWN]]


class _Groups:
    """Disjoint sets of tickers (union-find)."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def root(self, ticker: str) -> str:
        """Returns the representative of a ticker's group."""
        top = ticker
        while (parent := self._parent.get(top, top)) != top:
            top = parent
        while (parent := self._parent.get(ticker, top)) != top:  # path compression
            self._parent[ticker], ticker = top, parent
        return top

    def join(self, one: str, other: str) -> None:
        """Merges the groups of two tickers; the first name in alphabetical order represents the result."""
        first, second = sorted((self.root(one), self.root(other)))
        self._parent[second] = first

    def larger_than_one(self, tickers: Iterable[str]) -> list[list[str]]:
        """Returns the groups with more than one of these tickers, in the order of the tickers."""
        members: dict[str, list[str]] = {}
        for ticker in tickers:
            members.setdefault(self.root(ticker), []).append(ticker)
        return [group for group in members.values() if len(group) > 1]


def _mix(values: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Mixes the bits of each value (the finalizer of splitmix64; Steele, Lea and Flood, 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
