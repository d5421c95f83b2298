"""Decides what to do about a jump (see jumps.py): reject a bad tick, or start a segment at a new level or a split.

An unexplained jump is rejected while it is also far from the trailing level. So a bad tick costs one bar, and the valid
bars after it stay, also after two bad ticks in a row. A new level, from another unit or an unknown event, costs one
bar as well: the next bar confirms it.

Prices before and after a new level or a split are not comparable. A new segment starts there, so that no window and no
label spans the jump. No rule here uses later bars except `reverted_spikes`, which only drops labels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cloudlstm.config import CleanConfig
from cloudlstm.market.cleaning.jumps import SMALLEST_SPLIT, Jumps, ValidRows, adj_close_shows_split, examine
from cloudlstm.market.cleaning.shard import Shard

Rows = NDArray[np.intp]

_ADJUSTED = 0.10
"""Smallest change of log(adj_close / close) that is checked: a dividend of a tenth of the price."""


def outliers(shard: Shard, config: CleanConfig) -> Rows:
    """Returns rows whose close is an unexplained jump, far from the trailing level. A first bar is never one."""
    valid = ValidRows.of(shard)
    # No limit is below min_move, so only bars that moved at least this far are examined.
    jumps = examine(valid, valid.movers(config.outlier_min_move * shard.scale.within_session), config)
    return valid.rows(jumps.at[jumps.unexplained & jumps.off_level])


def unmarked_splits(shard: Shard, config: CleanConfig) -> Rows:
    """Returns rows that are the first after a split for which prices were not adjusted."""
    valid, jumps = _segment_jumps(shard, config)
    return valid.rows(jumps.at[jumps.split])


def level_shifts(shard: Shard, config: CleanConfig) -> Rows:
    """Returns rows that are the first of a new price level that nothing explains."""
    valid, jumps = _segment_jumps(shard, config)
    return valid.rows(jumps.at[jumps.unexplained])


def _segment_jumps(shard: Shard, config: CleanConfig) -> tuple[ValidRows, Jumps]:
    """Examines all jumps that may start a segment."""
    valid = ValidRows.of(shard)
    at = valid.movers(min(SMALLEST_SPLIT, config.outlier_min_move * shard.scale.within_session))
    move = valid.move(at)
    # Small jumps are common: they are examined only if adj_close shows a split.
    wide = np.abs(move) > np.minimum(0.30, config.outlier_min_move * valid.scale(at))
    return valid, examine(valid, at[wide | adj_close_shows_split(move, valid.adjustment(at))], config)


def reverted_spikes(shard: Shard, config: CleanConfig) -> Rows:
    """Returns rows whose close is far from the bars before and after, while these two agree."""
    valid = ValidRows.of(shard)
    at = valid.movers(config.outlier_min_move * shard.scale.within_session)
    if shard.scale.within_session < 1.0:
        at = at[np.abs(valid.move(at)) >= config.outlier_min_move * valid.scale(at)]
    at = at[np.isin(at + 1, at, assume_unique=True)]
    if not len(at):
        return at
    there, back = valid.move(at), valid.move(at + 1)
    return valid.rows(at[np.abs(there + back) < config.outlier_min_move * valid.scale(at) / 2])


def odd_adjustments(shard: Shard, _: CleanConfig) -> Rows:
    """Returns rows whose adj_close is not a price, or changes for an event that close does not show."""
    valid = ValidRows.of(shard)
    adjusted = shard.adj_close[valid.kept]
    if not np.isfinite(adjusted).any():
        return np.empty(0, np.intp)
    factor = adjusted / valid.close
    ratio = np.exp(_ADJUSTED)
    changed = factor[1:] > factor[:-1] * ratio
    changed |= factor[1:] * ratio < factor[:-1]
    changed &= valid.rank[1:] == valid.rank[:-1]
    at = np.flatnonzero(changed) + 1
    move, change = valid.move(at), valid.adjustment(at)
    paid = (change > 0.0) & (move < -change / 3)
    odd = at[~paid & ~adj_close_shows_split(move, change) & np.isfinite(change)]
    return valid.rows(np.union1d(odd, np.flatnonzero(adjusted <= 0.0)))
