"""Finds jumps of the close, and what explains each of them: trading, a dividend or a split.

A jump is the log-distance between the closes of two neighbouring bars. Bars on two sides of a gap that is too long to
fill have no jump. A jump exceeds the limit when it is larger than

    max(outlier_min_move, outlier_mads * 1.4826 * MAD of the trailing log-returns), at most log 4.

outlier_min_move is for a session. Bars within a day move less: between two of the same session it is scaled (scale.py),
and no split happens.

Three causes can explain a jump. All of them are known at the close of the bar:

    market_confirmed  the market traded there: part of the day's range is near the last close, or volume is unusually
                      high, both in shares and in money
    dividend          adj_close hardly changes, and adj_close / close changes as it does when a dividend is paid
    split             adj_close does not jump, and adj_close / close changes by a simple ratio such as 2:1. Or, whatever
                      adj_close does, open and close are at a simple ratio to the last close, and volume changes in the
                      opposite direction

A jump without an explanation is a bad tick or a new price level; only the next bar tells which. MAD is the median
absolute deviation; 1.4826 * MAD estimates the standard deviation of a normal distribution (Hampel, 1974, "The influence
curve and its role in robust estimation").
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
"""The level is the median of this many closes. With fewer, two bad ticks in a row would reject the next valid bar."""

SMALLEST_SPLIT = 0.18
"""Smaller jumps (in log terms) are never taken for a split: 5:4 is 0.22."""

_SMALLEST_OPEN_SPLIT = 0.30
"""The same limit for splits that adj_close does not show: 3:2 is 0.41."""

_EXACT, _LARGE = 0.015, 0.65
"""Distance up to which a ratio counts as exact; size of a jump that few crashes reach (2:1 is 0.69)."""

_ADJ_CLOSE_RATIOS = np.log([5 / 4, 4 / 3, 3 / 2, 2, 5 / 2, *range(3, 101)])
_OPEN_RATIOS = np.log([3 / 2, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50])  # 100 is a decimal error

_MOST_LIMIT = np.log(4.0)  # with coarse prices or two mixed series the deviation means nothing
_MOST_GAP = np.log(4.0)  # no news moves the opening price further up
_MOST_FALL = np.log(20.0)
_NEAR_GAP = 0.20
_SURGE, _SURGE_OF_FALL = 2.5, 5.0
_FEWEST_VOLUMES = 3
_MOST_DIVIDEND = np.log(4.0)  # three quarters of the price
_MAD_TO_SD = 1.4826
_BLOCK_ROWS = 16_384


@dataclass(frozen=True, slots=True)
class ValidRows:
    """The rows of a shard that no rule has rejected so far.

    A position is an index into these rows; a row is an index into the whole shard.

    Attributes:
        shard: All rows.
        kept: Indices of the valid rows.
        close: Close of each valid row.
        rank: Ticker of each valid row, as its rank in the shard.
    """

    shard: Shard
    kept: Positions | slice
    close: Floats
    rank: NDArray[np.int32]

    @classmethod
    def of(cls, shard: Shard) -> ValidRows:
        kept = shard.kept()
        return cls(shard, kept, shard.close[kept], shard.rank[kept])

    def rows(self, positions: Positions) -> Positions:
        """Returns the rows in the shard at these positions."""
        return positions if isinstance(self.kept, slice) else self.kept[positions]

    def movers(self, move: float) -> Positions:
        """Returns positions whose close is at least `move` (a log-distance) from the close before."""
        close, rank, ratio = self.close, self.rank, np.exp(move)
        moved = close[1:] > close[:-1] * ratio
        moved |= close[1:] * ratio < close[:-1]
        moved &= rank[1:] == rank[:-1]
        return np.flatnonzero(moved) + 1

    def adjustment(self, positions: Positions) -> Floats:
        """Returns the change of log(adj_close / close) since the bar before; NaN where it is undefined."""
        adjusted, close, rows = self.shard.adj_close, self.shard.close, self.rows(positions)
        before = self.rows(positions - 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            change: Floats = np.log(adjusted[rows] / close[rows]) - np.log(adjusted[before] / close[before])
        change[~np.isfinite(change)] = np.nan
        return change

    def scale(self, positions: Positions) -> Floats:
        """Returns what to multiply limits of moves with: below 1 if the bar before is of the same session."""
        place = self.shard.place
        if place is None:
            return np.ones(len(positions))
        same = place[self.rows(positions)] == place[self.rows(positions - 1)]
        return np.where(same, self.shard.scale.within_session, 1.0)

    def move(self, positions: Positions) -> Floats:
        """Returns log(close / close before)."""
        moved: Floats = np.log(self.close[positions]) - np.log(self.close[positions - 1])
        return moved


@dataclass(frozen=True, slots=True)
class Jumps:
    """What is known about each jump. All arrays have the same length.

    Attributes:
        at: Positions of the bars among the valid rows.
        exceeds_limit: True if the close is beyond the limit from the close before.
        off_level: True if it is also beyond the limit from the level: the median of the last five closes.
        market_confirmed: True if trading explains the jump.
        dividend: True if a dividend explains it.
        split: True if a split explains it.
    """

    at: Positions
    exceeds_limit: Bools
    off_level: Bools
    market_confirmed: Bools
    dividend: Bools
    split: Bools

    @property
    def unexplained(self) -> Bools:
        """True for jumps beyond the limit without any explanation."""
        return self.exceeds_limit & ~self.market_confirmed & ~self.dividend & ~self.split


def examine(valid: ValidRows, at: Positions, config: CleanConfig) -> Jumps:
    """Collects what is known about the bars at the positions `at`; each needs an earlier bar of its ticker."""
    blocks = [_examine(valid, block, config) for block in np.array_split(at, range(_BLOCK_ROWS, len(at), _BLOCK_ROWS))]
    return Jumps(at, *(np.concatenate([getattr(block, name) for block in blocks]) for name in Jumps.__slots__[1:]))


def adj_close_shows_split(move: Floats, adjustment: Floats) -> Bools:
    """True where close jumps by a simple ratio and adj_close does not jump."""
    split = (np.abs(move) > SMALLEST_SPLIT) & (np.abs(move + adjustment) < np.minimum(0.4, np.abs(move) / 2))
    return split & (_off_ratio(np.abs(adjustment), _ADJ_CLOSE_RATIOS) < 0.005)


def _examine(valid: ValidRows, at: Positions, config: CleanConfig) -> Jumps:
    shard, row, before = valid.shard, valid.rows(at), valid.rows(at - 1)
    earlier = at - np.searchsorted(valid.rank, valid.rank[at], side="left")
    back = np.arange(1, config.outlier_lookback_bars + 2)
    places = valid.rows(np.maximum(at[:, None] - back, 0))  # (bar, bars back)
    absent = back > earlier[:, None]
    past = np.log(shard.close[places])
    past[absent] = np.nan

    move = valid.move(at)
    now = past[:, 0] + move
    sd = _MAD_TO_SD * _mad(past[:, :-1] - past[:, 1:])
    scale = valid.scale(at)
    limit = np.maximum(config.outlier_min_move * scale, config.outlier_mads * np.nan_to_num(sd))
    limit = np.minimum(limit, max(_MOST_LIMIT, config.outlier_min_move))
    joined = shard.session[row] - shard.session[before] <= config.max_fill_bars + 1
    # With an even number of closes, both middle ones count as the level: either may be the valid one.
    low, high = _middle(past[:, :LEVEL_BARS])
    from_level = np.minimum(np.abs(now - low), np.abs(now - high))

    adjustment = valid.adjustment(at)
    surge = _surge(shard.volume[row], shard.volume[places], absent)
    gap = np.maximum(np.log(shard.low[row]) - past[:, 0], past[:, 0] - np.log(shard.high[row]))
    in_money = surge * np.minimum(np.exp(move), 1.0)
    market_confirmed = (in_money >= 1.0) & (gap <= _NEAR_GAP * scale)
    market_confirmed |= (in_money >= _SURGE) & (gap <= _MOST_GAP)
    market_confirmed |= (in_money >= _SURGE_OF_FALL) & (move < 0.0) & (gap <= _MOST_FALL)
    adj_split = adj_close_shows_split(move, adjustment)
    paid = (
        (adjustment > 0.0) & (adjustment <= _MOST_DIVIDEND) & (np.abs(move + adjustment) <= config.outlier_min_move / 2)
    )
    opened = np.log(shard.open[row]) - past[:, 0]
    return Jumps(
        at,
        exceeds_limit=joined & (np.abs(move) > limit),
        off_level=from_level > limit,
        market_confirmed=market_confirmed,
        dividend=paid & (move < 0.0) & ~adj_split,
        split=joined & (scale == 1.0) & (adj_split | _open_shows_split(move, opened, surge, sd, market_confirmed)),
    )


def _open_shows_split(move: Floats, opened: Floats, surge: Floats, sd: Floats, market_confirmed: Bools) -> Bools:
    """True where open and close are at a simple ratio to the last close, and volume changes against the price.

    The nearer the ratio, the less volume has to agree. News multiplies the money traded; a split does not.

    Args:
        move: log(close / the close before).
        opened: log(open / the close before).
        surge: Volume / its trailing median.
        sd: Robust trailing deviation of log-returns; it sets the tolerance of the ratio.
        market_confirmed: True if trading may explain the jump.
    """
    size, off = np.abs(move), _off_ratio(np.abs(opened), _OPEN_RATIOS)
    with np.errstate(divide="ignore"):
        in_money = np.log(surge) + move
    tolerance = np.clip(2.0 * np.nan_to_num(sd), 0.03, 0.10)
    within_day = np.abs(move - opened)
    near = (off < tolerance) & (within_day < np.minimum(2.0 * tolerance, size / 3)) & (size > _SMALLEST_OPEN_SPLIT)
    exact = near & (off < _EXACT) & (surge > 0.0)
    exact &= ~market_confirmed | ((size > _LARGE) & (in_money < np.log(10.0)))
    split: Bools = (near & ~market_confirmed & (np.abs(in_money) < size / 2)) | (exact & (move < 0.0))
    return split


def _off_ratio(values: Floats, ratios: Floats) -> Floats:
    """Returns the distance of each value to the nearest of the sorted ratios."""
    place = np.searchsorted(ratios, values)
    below, above = ratios[np.maximum(place - 1, 0)], ratios[np.minimum(place, len(ratios) - 1)]
    off: Floats = np.minimum(np.abs(values - below), np.abs(values - above))
    return off


def _surge(volume: NDArray[np.int64], past: NDArray[np.int64], absent: Bools) -> Floats:
    """Returns volume / its trailing median; NaN where too few trailing bars have a volume."""
    values = past.astype(np.float64)
    values[absent | (past == NO_VOLUME)] = np.nan
    low, high = _middle(values)
    usual = (low + high) / 2
    usual[(np.isfinite(values).sum(axis=1) < _FEWEST_VOLUMES) | ~(usual > 0.0)] = np.nan
    surge: Floats = volume / usual
    return surge


def _middle(values: Floats) -> tuple[Floats, Floats]:
    """Returns the lower and upper median of each row, ignoring NaN; NaN for a row without numbers."""
    ordered = np.sort(values, axis=1)  # NaN goes to the end
    numbers = np.isfinite(values).sum(axis=1)
    row = np.arange(len(values))
    return ordered[row, np.maximum(numbers - 1, 0) // 2], ordered[row, np.minimum(numbers // 2, values.shape[1] - 1)]


def _mad(returns: Floats) -> Floats:
    """Returns the median absolute deviation of each row, ignoring NaN; NaN for a row without numbers."""
    low, high = _middle(returns)
    low, high = _middle(np.abs(returns - ((low + high) / 2)[:, None]))
    mad: Floats = (low + high) / 2
    return mad
