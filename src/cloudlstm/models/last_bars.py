"""The bars of a day: takes the new ones into the store, and reads the last of each ticker with their features."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm.config import RunConfig
from cloudlstm.errors import DataError
from cloudlstm.exogenous.recent import span_of
from cloudlstm.features import features_of_run
from cloudlstm.market.calendar import sessions, to_days
from cloudlstm.market.members import Members
from cloudlstm.market.store.changes import Changes
from cloudlstm.market.store.update import update
from cloudlstm.market.store.version import Store
from cloudlstm.market.universe import read_universe
from cloudlstm.models.exogenous_rows import Score, rows_of_day, stored_rows
from cloudlstm.models.networks import ORIGINS
from cloudlstm.models.paths import ModelPaths
from cloudlstm.models.tail import Tail, bars_needed


@dataclass(frozen=True, slots=True)
class LastBars:
    """The bars of a day.

    Attributes:
        changes: What the update of the store has changed.
        manifest: URI of the manifest of the bars.
        sessions: Sessions from the first bar to the day, as days since 1970-01-01.
        tail: The last bars, cleaned, with features.
        notes: What is missing or refused of macro series and news, as sentences.
    """

    changes: Changes
    manifest: str
    sessions: NDArray[np.int32]
    tail: Tail
    notes: tuple[str, ...]


def last_bars(
    paths: ModelPaths, bars: str, config: RunConfig, as_of: dt.date, window_bars: int, now: dt.datetime,
    score: Score | None,
) -> LastBars:  # fmt: skip
    """Takes the new bars of a day into the store, and reads the last bars.

    Args:
        paths: The model.
        bars: URI of the store of bars.
        config: The settings of the model's run.
        as_of: The day.
        window_bars: Bars in the longest window.
        now: The moment; of macro series and news nothing that was known later is used.
        score: Scores headlines; see exogenous_rows.

    Raises:
        DataError: The store has no bars of the day.
    """
    store = Store(bars)
    changes = update(store, config, as_of, need_bars=True)
    newest = store.newest(as_of)
    if newest is None:
        raise DataError(f"{bars} has no bars of {as_of}")
    market = config.market.model_copy(update={"end": as_of})
    config = config.model_copy(update={"market": market})
    features = features_of_run(config)
    known = sessions(market.calendar, market.start, as_of)
    needed = bars_needed(config, window_bars, ORIGINS + config.dataset.horizon_bars, features)
    first = int(known[-min(needed, len(known))])
    universe = read_universe(config.universe, market)
    raw = newest.tail(needed)
    if universe.tickers is not None:  # the store also keeps tickers that have left the universe
        raw = raw.filter(pc.is_in(raw["ticker"].cast(pa.string()), pa.array(universe.tickers, pa.string())))
    rows: pa.Table | None = None
    notes: tuple[str, ...] = ()
    if config.exogenous.groups:
        span = span_of(market.calendar, first, to_days(as_of), config.exogenous.embargo_minutes)
        collected = partial(rows_of_day, config, universe.tickers, now, span, score)
        rows, notes = stored_rows(paths.exogenous(as_of.isoformat()), collected)
    tail = Tail(raw, config, first, to_days(as_of), Members.of(universe, as_of), features, rows)
    return LastBars(changes, newest.uri, known, tail, notes)
