"""Tickers that are the same series: one company under an old and a new name, or one file delivered twice.

Shards do not see each other's tickers, so each ticker leaves a sketch: the smallest hashes of its bars (Broder, 1997,
"On the resemblance and containment of documents"). Tickers that share most of their bars share most of their sketches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import combinations

import numpy as np

from cloudlstm.market.columns import group_starts
from cloudlstm.market.shard import Shard

Sketches = dict[str, list[int]]
"""By ticker; a ticker without enough bars has none."""

_EVERY_DAYS = 32  # every weekday has its turn, and hashing costs nothing
_HASHES = 16
_SHARED = 4
_SHOWN = 20


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
    """Pairs of tickers whose bars are the same, sorted; at most twenty."""
    tickers_of: dict[int, set[str]] = {}
    for shard in shards:
        for ticker, hashes in shard.items():
            for each in hashes:
                tickers_of.setdefault(each, set()).add(ticker)
    shared = Counter(pair for tickers in tickers_of.values() for pair in combinations(sorted(tickers), 2))
    return sorted(list(pair) for pair, times in shared.items() if times >= _SHARED)[:_SHOWN]


def _mix(values: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Spreads 64 bits (the finalizer of splitmix64; Steele, Lea and Flood, 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
