"""Tries a function that computes a feature: a value must depend on its look-back bars only, bit for bit.

A table alone cannot prove that; the function can be tried. On random bars in random segments it changes what a value
must not depend on, and compares the values:

- later bars: other numbers in all bars after a cut, and no bars after it;
- bars before the look-back: other numbers in all bars before a cut;
- both at once: other numbers in single bars, which lie just outside the look-backs of many others;
- where a segment or a shard begins: a segment that begins later, and a table without its first bars;
- anything else, such as random numbers or the calls before: the same call again.

A dependence that random bars do not meet, such as one on a certain date, is not found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Starts = NDArray[np.intp]
Columns = Mapping[str, Values]
"""Columns of bars by name, (bars,) each."""

Compute = Callable[[Columns, Starts], Values]
"""The values of a feature, (bars,): NaN where the segment has fewer bars than the look-back."""

Reason = Literal["later bars", "bars before the look-back", "where the segment begins", "other calls"]

SOURCES = ("open", "high", "low", "close", "volume")
"""The columns of cleaned bars that a feature can be computed from. The adjusted close is none of them: it is adjusted
by the dividends of later dates."""

_ROUNDS = 4
_CUTS = 3
"""Cuts of each kind in a round."""

_MORE_BARS = 200
"""Bars of a segment beyond the look-backs that it holds."""


@dataclass(frozen=True, slots=True)
class Dependence:
    """What a value depends on although it must not.

    Attributes:
        reason: What was changed.
        bar: The bar whose value has changed, counted from 1 over all bars of the table.
        bars: Number of bars in the table.
        reach: How many bars lie between the bar and the furthest bar that changes its value; 0 if that says nothing.
    """

    reason: Reason
    bar: int
    bars: int
    reach: int = 0


def find_dependence(compute: Compute, lookback_bars: int, *, seed: int = 0) -> Dependence | None:
    """The first forbidden dependence that is found; None if there is none.

    Args:
        compute: The function to try. It is called some dozens of times with about five look-backs of bars.
        lookback_bars: The bars that a value may depend on, its own included.
        seed: Of the bars and the cuts.
    """
    rng = np.random.default_rng(seed)
    for _ in range(_ROUNDS):
        trial = _Trial(compute, lookback_bars, rng)
        if found := next(trial.dependences(), None):
            return found
    return None


class _Trial:
    """One table of random bars, and the values of the feature on it."""

    def __init__(self, compute: Compute, lookback_bars: int, rng: np.random.Generator) -> None:
        self._compute, self._lookback, self._rng = compute, lookback_bars, rng
        long = 2 * lookback_bars + _MORE_BARS
        lengths = [long + int(rng.integers(7)), int(rng.integers(1, lookback_bars + 2)), long]
        self._starts = np.cumsum([0, *lengths[:-1]]).astype(np.intp)
        self._bars = sum(lengths)
        self._columns, self._others = _random_bars(lengths, rng), _random_bars(lengths, rng)
        self._values = compute(self._columns, self._starts)

    def dependences(self) -> Iterator[Dependence]:
        """Every dependence that one change of each kind shows."""
        for row in self._differing(self._compute(self._columns, self._starts), 0, self._bars)[:1]:
            yield Dependence("other calls", row + 1, self._bars)
        for _ in range(_CUTS):
            yield from self._on_single()
        for cut in self._cuts():
            yield from self._on_later(cut)
        for cut in self._cuts():
            yield from self._on_earlier(cut)
        for cut in self._cuts():
            yield from self._on_beginning(cut)

    def _cuts(self) -> list[int]:
        return sorted(int(cut) for cut in self._rng.integers(1, self._bars - 1, size=_CUTS))

    def _on_later(self, cut: int) -> Iterator[Dependence]:
        """Other bars from `cut` on, and none."""
        kept = {name: column[:cut] for name, column in self._columns.items()}
        without = self._compute(kept, self._starts[self._starts < cut])
        for after in (self._with_others(slice(cut, None)), without):
            if len(rows := self._differing(after, 0, cut)):
                yield self._later(int(rows[-1]))

    def _on_earlier(self, cut: int) -> Iterator[Dependence]:
        """Other bars before `cut`."""
        if len(rows := self._differing(self._with_others(slice(0, cut)), cut + self._lookback - 1, self._bars)):
            yield self._earlier(int(rows[0]))

    def _on_single(self) -> Iterator[Dependence]:
        """Other numbers in bars that are a little more than a look-back apart."""
        gaps = self._lookback + self._rng.integers(1, 6, size=self._bars // self._lookback)
        single = np.cumsum(gaps)
        single = single[single < self._bars]
        hit = np.zeros(self._bars + self._lookback, np.intp)  # changed bars in the look-back of each bar
        np.add.at(hit, single, 1)
        np.subtract.at(hit, single + self._lookback, 1)
        untouched = np.flatnonzero(np.cumsum(hit)[: self._bars] == 0)
        rows = np.intersect1d(self._differing(self._with_others(single), 0, self._bars), untouched)
        if len(rows):
            row = int(rows[0])
            found = self._later(row)
            yield found if found.reach else self._earlier(row)

    def _later(self, row: int) -> Dependence:
        reach = self._reach(row, lambda k: slice(row + k, None), self._bars - 1 - row)
        return Dependence("later bars", row + 1, self._bars, reach)

    def _earlier(self, row: int) -> Dependence:
        reach = self._reach(row, lambda k: slice(0, max(row - k + 1, 0)), row)
        return Dependence("bars before the look-back", row + 1, self._bars, reach)

    def _on_beginning(self, cut: int) -> Iterator[Dependence]:
        """A segment that begins at `cut`, and a table that begins there."""
        split = self._compute(self._columns, np.union1d(self._starts, [cut]).astype(np.intp))
        if len(rows := self._differing(split, 0, cut)):  # the end of a segment is later
            yield Dependence("later bars", int(rows[-1]) + 1, self._bars, cut - int(rows[-1]))
        rest = self._starts[self._starts > cut] - cut
        cut_off = self._compute({n: c[cut:] for n, c in self._columns.items()}, np.concatenate([[0], rest]))
        longer = np.concatenate([self._values[:cut], cut_off])
        for after in (split, longer):
            for row in self._differing(after, cut + self._lookback - 1, self._bars)[:1]:
                yield Dependence("where the segment begins", int(row) + 1, self._bars)

    def _with_others(self, rows: slice | NDArray[np.intp]) -> Values:
        """The values with other numbers in some rows."""
        changed = {name: column.copy() for name, column in self._columns.items()}
        for name, column in changed.items():
            column[rows] = self._others[name][rows]
        return self._compute(changed, self._starts)

    def _differing(self, after: Values, begin: int, end: int) -> NDArray[np.intp]:
        """The rows in [begin, end) whose value differs by a bit."""
        x, y = self._values[begin:end], after[begin:end]
        same = (x.view(np.int64) == y.view(np.int64)) | (np.isnan(x) & np.isnan(y))
        return np.flatnonzero(~same) + begin

    def _reach(self, row: int, beyond: Callable[[int], slice], most: int) -> int:
        """The largest distance k, found by bisection, at which bars k and more away still change the value of a row.

        Args:
            row: The row.
            beyond: The rows at a distance of k and more.
            most: The largest distance in the table.
        """
        known, high = 0, most + 1
        while high - known > 1:
            k = (known + high) // 2
            if row in self._differing(self._with_others(beyond(k)), row, row + 1):
                known = k
            else:
                high = k
        return known


def _random_bars(lengths: Sequence[int], rng: np.random.Generator) -> dict[str, Values]:
    """Plausible bars in segments of these lengths, each with a price level of its own."""
    bars = sum(lengths)
    levels = -2 + 9 * (rng.permutation(len(lengths)) + rng.random(len(lengths))) / len(lengths)  # from cents to 1,000
    level = np.repeat(levels, lengths)
    close = np.exp(level + np.cumsum(rng.normal(0, 0.03, bars)))
    opened = close * np.exp(rng.normal(0, 0.01, bars))
    high = np.maximum(opened, close) * np.exp(np.abs(rng.normal(0, 0.01, bars)))
    low = np.minimum(opened, close) * np.exp(-np.abs(rng.normal(0, 0.01, bars)))
    volume = np.floor(np.exp(rng.normal(12, 1, bars)))
    return {"open": opened, "high": high, "low": low, "close": close, "volume": volume}
