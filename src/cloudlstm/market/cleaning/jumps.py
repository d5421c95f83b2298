"""Closes far from the one before: what the bar itself and its trailing bars say of the cause.

A jump is the log-distance of two closes that follow each other; behind a gap so long that it divides histories anyway
there is none. It is far when it exceeds

    max(outlier_min_move, outlier_mads * 1.4826 * MAD of the trailing log-returns), but at most log 4.

Three things explain one, all of them known at the bar's close:

    traded      the market went there: part of the day was near the last close, or volume surged, in shares and in money
    dividend    adj_close hardly moved, and its distance from close says that a dividend was paid
    split       adj_close did not move, and its distance from close says 2:1 or another simple ratio; or, where
                adj_close tells nothing, open and close stand at a simple ratio to the last close, and volume has
                changed against the price, as when shares are counted anew

What nothing explains is a bad tick or a new level; only a later bar tells which. MAD is the median absolute deviation;
1.4826 of it estimate the standard deviation of a normal law (Hampel, 1974, "The influence curve and its role in robust
estimation").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudlstm.config import CleanConfig
from cloudlstm.market.cleaning.shard import NO_VOLUME, Shard

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Positions = NDArray[np.intp]

LEVEL_BARS = 5
"""Closes whose median is the level: with fewer, two bad ticks in a row would cost the sound bar after them."""

SMALLEST_SPLIT = 0.18
"""Jumps below this are never taken for a split: 5:4 is 0.22."""

_UNTOLD_SPLIT = 0.30
"""The same where adj_close does not tell: 3:2 is 0.41."""

_EXACT, _LARGE = 0.015, 0.65
"""How near a ratio is exact, and which jumps few crashes reach: 2:1 is 0.69."""

_TOLD_RATIOS = np.log([5 / 4, 4 / 3, 3 / 2, 2, 5 / 2, *range(3, 101)])
_UNTOLD_RATIOS = np.log([3 / 2, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50])  # 100 is a decimal error

_MOST_LIMIT = np.log(4.0)  # coarse prices, or two series in one, make the deviation meaningless
_MOST_GAP = np.log(4.0)  # no good news moves the opening price further
_MOST_FALL = np.log(20.0)
_NEAR_GAP = 0.20
_SURGE, _SURGE_OF_FALL = 2.5, 5.0
_FEWEST_VOLUMES = 3
_MOST_DIVIDEND = np.log(4.0)  # three quarters of the price
_MAD_TO_SD = 1.4826
_BLOCK_ROWS = 16_384


@dataclass(frozen=True, slots=True)
class Sound:
    """The rows of a shard that no rule has refused yet. A position counts among them, a row in the whole shard.

    Attributes:
        shard: All rows.
        kept: The sound ones.
        close: Of the sound rows.
        rank: Of the sound rows: which ticker.
    """

    shard: Shard
    kept: Positions | slice
    close: Floats
    rank: NDArray[np.int32]

    @classmethod
    def of(cls, shard: Shard) -> Sound:
        kept = shard.kept()
        return cls(shard, kept, shard.close[kept], shard.rank[kept])

    def rows(self, positions: Positions) -> Positions:
        """The rows in the shard."""
        return positions if isinstance(self.kept, slice) else self.kept[positions]

    def movers(self, move: float) -> Positions:
        """Positions whose close is at least `move`, a log-distance, from the one before: two cheap passes."""
        close, rank, ratio = self.close, self.rank, np.exp(move)
        moved = close[1:] > close[:-1] * ratio
        moved |= close[1:] * ratio < close[:-1]
        moved &= rank[1:] == rank[:-1]
        return np.flatnonzero(moved) + 1

    def adjustment(self, positions: Positions) -> Floats:
        """By how much log(adj_close / close) changed from the bar before; NaN where adj_close does not tell."""
        adjusted, close, rows = self.shard.adj_close, self.shard.close, self.rows(positions)
        before = self.rows(positions - 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            change: Floats = np.log(adjusted[rows] / close[rows]) - np.log(adjusted[before] / close[before])
        change[~np.isfinite(change)] = np.nan
        return change

    def move(self, positions: Positions) -> Floats:
        """log(close / the close before)."""
        moved: Floats = np.log(self.close[positions]) - np.log(self.close[positions - 1])
        return moved


@dataclass(frozen=True, slots=True)
class Jumps:
    """Bars with the evidence about each; `at` are positions among the sound bars, every other array is parallel.

    Attributes:
        far: Whether the close is far from the one before.
        off_level: Whether it is also far from the level, the median of the last five closes, bad ones included.
        traded: Whether the market went there.
        dividend: Whether a dividend explains it.
        split: Whether a split does.
    """

    at: Positions
    far: Bools
    off_level: Bools
    traded: Bools
    dividend: Bools
    split: Bools

    @property
    def unexplained(self) -> Bools:
        """Far, and neither a market's move nor a split nor a dividend."""
        return self.far & ~self.traded & ~self.dividend & ~self.split


def examine(sound: Sound, at: Positions, config: CleanConfig) -> Jumps:
    """The evidence about bars that have at least one earlier bar of their ticker."""
    blocks = [_examine(sound, block, config) for block in np.array_split(at, range(_BLOCK_ROWS, len(at), _BLOCK_ROWS))]
    return Jumps(at, *(np.concatenate([getattr(block, name) for block in blocks]) for name in Jumps.__slots__[1:]))


def told_split(move: Floats, adjustment: Floats) -> Bools:
    """Whether close jumped by a simple ratio that adj_close does not have."""
    told = (np.abs(move) > SMALLEST_SPLIT) & (np.abs(move + adjustment) < np.minimum(0.4, np.abs(move) / 2))
    return told & (_off_ratio(np.abs(adjustment), _TOLD_RATIOS) < 0.005)


def _examine(sound: Sound, at: Positions, config: CleanConfig) -> Jumps:
    shard, row, before = sound.shard, sound.rows(at), sound.rows(at - 1)
    earlier = at - np.searchsorted(sound.rank, sound.rank[at], side="left")
    back = np.arange(1, config.outlier_lookback_bars + 2)
    places = sound.rows(np.maximum(at[:, None] - back, 0))  # (bar, bars back)
    absent = back > earlier[:, None]
    past = np.log(shard.close[places])
    past[absent] = np.nan

    move = sound.move(at)
    now = past[:, 0] + move
    sd = _MAD_TO_SD * _mad(past[:, :-1] - past[:, 1:])
    limit = np.maximum(config.outlier_min_move, config.outlier_mads * np.nan_to_num(sd))
    limit = np.minimum(limit, max(_MOST_LIMIT, config.outlier_min_move))
    joined = shard.session[row] - shard.session[before] <= config.max_fill_bars + 1
    # Of an even number of closes both middle ones are the level: two bars ago may be the sound one of the two.
    low, high = _middle(past[:, :LEVEL_BARS])
    from_level = np.minimum(np.abs(now - low), np.abs(now - high))

    adjustment = sound.adjustment(at)
    surge = _surge(shard.volume[row], shard.volume[places], absent)
    gap = np.maximum(np.log(shard.low[row]) - past[:, 0], past[:, 0] - np.log(shard.high[row]))
    in_money = surge * np.minimum(np.exp(move), 1.0)
    traded = (in_money >= 1.0) & (gap <= _NEAR_GAP)
    traded |= (in_money >= _SURGE) & (gap <= _MOST_GAP)
    traded |= (in_money >= _SURGE_OF_FALL) & (move < 0.0) & (gap <= _MOST_FALL)
    told = told_split(move, adjustment)
    paid = (
        (adjustment > 0.0) & (adjustment <= _MOST_DIVIDEND) & (np.abs(move + adjustment) <= config.outlier_min_move / 2)
    )
    opened = np.log(shard.open[row]) - past[:, 0]
    return Jumps(
        at,
        far=joined & (np.abs(move) > limit),
        off_level=from_level > limit,
        traded=traded,
        dividend=paid & (move < 0.0) & ~told,
        split=joined & (told | _untold_split(move, opened, surge, sd, traded)),
    )


def _untold_split(move: Floats, opened: Floats, surge: Floats, sd: Floats, traded: Bools) -> Bools:
    """Whether open and close stand at a simple ratio to the last close, and volume has changed against the price.

    The nearer the ratio, the less volume must agree: news brings many times the money, a split does not.

    Args:
        move: log(close / the close before).
        opened: log(open / the close before).
        surge: Volume against its trailing median.
        sd: Robust trailing deviation of log-returns: how near a ratio can be expected.
        traded: Whether the market may have gone there.
    """
    size, off = np.abs(move), _off_ratio(np.abs(opened), _UNTOLD_RATIOS)
    with np.errstate(divide="ignore"):
        in_money = np.log(surge) + move
    tolerance = np.clip(2.0 * np.nan_to_num(sd), 0.03, 0.10)
    within_day = np.abs(move - opened)
    near = (off < tolerance) & (within_day < np.minimum(2.0 * tolerance, size / 3)) & (size > _UNTOLD_SPLIT)
    exact = near & (off < _EXACT) & (surge > 0.0)
    exact &= ~traded | ((size > _LARGE) & (in_money < np.log(10.0)))
    split: Bools = (near & ~traded & (np.abs(in_money) < size / 2)) | (exact & (move < 0.0))
    return split


def _off_ratio(values: Floats, ratios: Floats) -> Floats:
    """The distance of each value from the nearest of the sorted ratios."""
    place = np.searchsorted(ratios, values)
    below, above = ratios[np.maximum(place - 1, 0)], ratios[np.minimum(place, len(ratios) - 1)]
    off: Floats = np.minimum(np.abs(values - below), np.abs(values - above))
    return off


def _surge(volume: NDArray[np.int64], past: NDArray[np.int64], absent: Bools) -> Floats:
    """Volume against its trailing median; NaN where the ticker has hardly traded."""
    values = past.astype(np.float64)
    values[absent | (past == NO_VOLUME)] = np.nan
    low, high = _middle(values)
    usual = (low + high) / 2
    usual[(np.isfinite(values).sum(axis=1) < _FEWEST_VOLUMES) | ~(usual > 0.0)] = np.nan
    surge: Floats = volume / usual
    return surge


def _middle(values: Floats) -> tuple[Floats, Floats]:
    """The lower and upper median of each row's numbers; NaN for a row that has none."""
    ordered = np.sort(values, axis=1)  # NaN goes to the end
    numbers = np.isfinite(values).sum(axis=1)
    row = np.arange(len(values))
    return ordered[row, np.maximum(numbers - 1, 0) // 2], ordered[row, np.minimum(numbers // 2, values.shape[1] - 1)]


def _mad(returns: Floats) -> Floats:
    """The median absolute deviation of each row's numbers; NaN for a row that has none."""
    low, high = _middle(returns)
    low, high = _middle(np.abs(returns - ((low + high) / 2)[:, None]))
    mad: Floats = (low + high) / 2
    return mad
