"""Tickers that are the same series: one company under an old and a new name, or one file delivered twice.

Shards do not see each other's tickers, so each ticker leaves a sketch: the smallest hashes of its bars (Broder, 1997,
"On the resemblance and containment of documents"). Tickers that share most of their bars share most of their sketches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from cloudlstm.market.cleaning.shard import Shard
from cloudlstm.market.columns import group_starts

Sketches = dict[str, list[int]]
"""By ticker; a ticker without enough bars has none."""

_EVERY_DAYS = 32  # every weekday has its turn, and hashing costs nothing
_HASHES = 16
_SHARED = 4
_SHOWN = 20
_OWNERS = 8
"""Groups that are remembered of one hash. In sound data it has one: a bar of a day, to the last digit."""


def sketches(shard: Shard) -> Sketches:
    """The sketch of every ticker, of its sound bars that traded."""
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


def twins(shards: Iterable[Mapping[str, list[int]]]) -> list[list[str]]:
    """Groups of tickers whose bars are the same, sorted; at most twenty groups with at most twenty tickers each.

    A ticker joins every group with which it shares four hashes; so two of a group that share none may be linked by a
    third. Each ticker is held against a few groups a hash, so the time grows with the tickers and not with their pairs.
    """
    groups = _Groups()
    hashes_of = sorted((ticker, set(hashes)) for shard in shards for ticker, hashes in shard.items())
    owners: dict[int, list[str]] = {}
    for ticker, hashes in hashes_of:
        shared = Counter(group for each in hashes for group in {groups.of(owner) for owner in owners.get(each, ())})
        for group, times in shared.items():
            if times >= _SHARED:
                groups.join(ticker, group)
        for each in hashes:
            known = owners.setdefault(each, [])
            if len(known) < _OWNERS and groups.of(ticker) not in map(groups.of, known):
                known.append(ticker)
    found = groups.of_several(ticker for ticker, _ in hashes_of)
    return [tickers[:_SHOWN] for tickers in sorted(found)[:_SHOWN]]


class _Groups:
    """Tickers in groups, each of one ticker at first."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def of(self, ticker: str) -> str:
        """The ticker that stands for a ticker's group."""
        root = ticker
        while (parent := self._parent.get(root, root)) != root:
            root = parent
        while (parent := self._parent.get(ticker, root)) != root:  # so that the next search is short
            self._parent[ticker], ticker = root, parent
        return root

    def join(self, one: str, other: str) -> None:
        """Makes one group of two tickers' groups; the first name by the alphabet stands for it."""
        first, second = sorted((self.of(one), self.of(other)))
        self._parent[second] = first

    def of_several(self, tickers: Iterable[str]) -> list[list[str]]:
        """The groups with more than one of these tickers, which come in order."""
        members: dict[str, list[str]] = {}
        for ticker in tickers:
            members.setdefault(self.of(ticker), []).append(ticker)
        return [group for group in members.values() if len(group) > 1]


def _mix(values: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Spreads 64 bits (the finalizer of splitmix64; Steele, Lea and Flood, 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
