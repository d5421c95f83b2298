"""Bad ticks, new levels, unmarked splits: what becomes of a jump (jumps.py) once its evidence is in.

A jump that nothing explains is refused while it is also far from the trailing level. So a bad tick costs its own bar
and makes no other of the sound bar after it, also when two come in a row; and a new level, of another unit or an
unknown event, costs one bar: the next one confirms it.

Sound bars on the two sides of such a jump, or of a split, are not one history. They are divided: a segment begins, no
window spans the jump and no label crosses it. Nothing here looks ahead but `reverted_spikes`, which withdraws labels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cloudlstm.config import CleanConfig
from cloudlstm.market.cleaning.jumps import SMALLEST_SPLIT, Jumps, Sound, examine, told_split
from cloudlstm.market.cleaning.shard import Shard

Rows = NDArray[np.intp]

_ADJUSTED = 0.10
"""Smallest change of log(adj_close / close) that is looked at: a dividend of a tenth of the price."""


def outliers(shard: Shard, config: CleanConfig) -> Rows:
    """Rows of sound bars whose close is a bad tick as far as one can tell; a ticker's first bar has no past."""
    sound = Sound.of(shard)
    # No limit is below min_move, so only bars that moved that far need a closer look.
    jumps = examine(sound, sound.movers(config.outlier_min_move), config)
    return sound.rows(jumps.at[jumps.unexplained & jumps.off_level])


def unmarked_splits(shard: Shard, config: CleanConfig) -> Rows:
    """Rows of sound bars that are the first after a split that the prices are not adjusted for."""
    sound, jumps = _divides(shard, config)
    return sound.rows(jumps.at[jumps.split])


def level_shifts(shard: Shard, config: CleanConfig) -> Rows:
    """Rows of sound bars that are the first of a new level that nothing explains."""
    sound, jumps = _divides(shard, config)
    return sound.rows(jumps.at[jumps.unexplained])


def _divides(shard: Shard, config: CleanConfig) -> tuple[Sound, Jumps]:
    sound = Sound.of(shard)
    at = sound.movers(min(SMALLEST_SPLIT, config.outlier_min_move))
    move = sound.move(at)
    # Small jumps are common; of those, only what adj_close tells of needs a closer look.
    wide = np.abs(move) > min(0.30, config.outlier_min_move)
    return sound, examine(sound, at[wide | told_split(move, sound.adjustment(at))], config)


def reverted_spikes(shard: Shard, config: CleanConfig) -> Rows:
    """Rows of kept bars whose close is far from both neighbours, which agree with each other."""
    sound = Sound.of(shard)
    at = sound.movers(config.outlier_min_move)
    at = at[np.isin(at + 1, at, assume_unique=True)]
    if not len(at):
        return at
    there, back = sound.move(at), sound.move(at + 1)
    return sound.rows(at[np.abs(there + back) < config.outlier_min_move / 2])


def odd_adjustments(shard: Shard, _: CleanConfig) -> Rows:
    """Rows of kept bars whose adj_close is no price, or was adjusted for what close does not show."""
    sound = Sound.of(shard)
    adjusted = shard.adj_close[sound.kept]
    if not np.isfinite(adjusted).any():
        return np.empty(0, np.intp)
    factor = adjusted / sound.close
    ratio = np.exp(_ADJUSTED)
    changed = factor[1:] > factor[:-1] * ratio
    changed |= factor[1:] * ratio < factor[:-1]
    changed &= sound.rank[1:] == sound.rank[:-1]
    at = np.flatnonzero(changed) + 1
    move, change = sound.move(at), sound.adjustment(at)
    paid = (change > 0.0) & (move < -change / 3)
    odd = at[~paid & ~told_split(move, change) & np.isfinite(change)]
    return sound.rows(np.union1d(odd, np.flatnonzero(adjusted <= 0.0)))
