"""Windows and labels of the last sessions, from the last bars of each ticker only.

A feature depends on its look-back bars, and cleaning on CLEANING_BARS before a bar. So bars from so far back give the
same windows as the whole history, and a day reads a small part of it. Exogenous columns are joined as in a run: each
bar sees what was known at the close of its session.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm.config import RunConfig
from cloudlstm.dataset.scaling import window_volatility
from cloudlstm.dataset.splits import LabelledBars, label
from cloudlstm.exogenous.columns import columns_of
from cloudlstm.exogenous.join import join
from cloudlstm.exogenous.table import EXOGENOUS, empty
from cloudlstm.features import CLOSE, EIGHT, FeatureSet
from cloudlstm.market import columns
from cloudlstm.market.calendar import sessions, to_date
from cloudlstm.market.cleaning.clean import clean
from cloudlstm.market.members import Members

CLEANING_BARS = 66
"""Bars on which the cleaning of a bar depends, at the default limits; see `bars_needed`."""


def bars_needed(config: RunConfig, window_bars: int, origins: int, features: FeatureSet = EIGHT) -> int:
    """Sessions from which the windows of the last `origins` sessions are the same as from the whole history.

    Args:
        config: Settings, for the look-back of cleaning.
        window_bars: Bars in the longest window.
        origins: Sessions in which windows end.
        features: Features of the windows.
    """
    cleaning = config.clean.outlier_lookback_bars + config.clean.max_fill_bars + 1
    return origins + config.dataset.horizon_bars + window_bars + features.lookback_bars + max(CLEANING_BARS, cleaning)


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows with their tickers and dates, in the order of the bars.

    Attributes:
        values: Raw feature values (n, window, feature).
        tickers: (n,).
        dates: Date of each window's last bar, as days since 1970-01-01 (n,).
        targets: Log-return over the horizon; NaN if it is not known yet (n,).
    """

    values: NDArray[np.float32]
    tickers: NDArray[np.str_]
    dates: NDArray[np.int32]
    targets: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.tickers)

    @property
    def last_close(self) -> NDArray[np.float64]:
        """Close of each window's last bar, (n,)."""
        closes: NDArray[np.float64] = self.values[:, -1, CLOSE].astype(np.float64)
        return closes

    def return_sd(self, horizon_bars: int) -> NDArray[np.float64]:
        """Root mean square of each window's returns, scaled to the horizon, (n,)."""
        scaled: NDArray[np.float64] = window_volatility(self.values).astype(np.float64) * np.sqrt(horizon_bars)
        return scaled


class Tail:
    """The last bars of all tickers, cleaned, with features.

    Args:
        raw: BARS table of the last bars of each ticker.
        config: Settings of cleaning, calendar, horizon and exogenous columns.
        first: First session of the table.
        as_of: Last session.
        members: Limits the tickers of a date; None for no limit.
        features: Features of the windows; those that are joined are columns of the settings.
        exogenous: EXOGENOUS rows for the columns that are joined; None for none, then they are missing.
    """

    def __init__(
        self,
        raw: pa.Table,
        config: RunConfig,
        first: int,
        as_of: int,
        members: Members | None,
        features: FeatureSet = EIGHT,
        exogenous: pa.Table | None = None,
    ) -> None:
        self._config, self._members, self.feature_set = config, members, features
        self.as_of = as_of
        self.sessions = sessions(config.market.calendar, to_date(first), to_date(as_of))
        cleaned = clean(raw, config.clean, self.sessions)
        self.quarantine, self.features = cleaned.quarantine, features.compute(cleaned.bars)
        if columns := [each for each in columns_of(config.exogenous) if each.name in features.names]:
            rows = empty(EXOGENOUS) if exogenous is None else exogenous
            calendar, embargo = config.market.calendar, config.exogenous.embargo_minutes
            self.features = join(self.features, rows, columns, calendar, embargo)
        self.rows, self._days = raw.num_rows, raw["date"].cast(pa.int32())
        self._labelled: dict[int, LabelledBars] = {}

    def refused(self, after: int) -> int:
        """Bars after a date (days since 1970-01-01) that cleaning has refused."""
        days = self.quarantine["date"].cast(pa.int32())
        return int(pc.sum(pc.greater(days, after)).as_py() or 0)

    def new_rows(self, after: int) -> int:
        """Bars after a date (days since 1970-01-01), refused ones included."""
        return int(pc.sum(pc.greater(self._days, after)).as_py() or 0)

    @cached_property
    def ages(self) -> dict[str, int]:
        """Ticker -> sessions since its last bar that was not filled."""
        real = self.features.filter(pc.invert(self.features["filled"]))
        table = real.select(["ticker", "date"])
        table = table.set_column(0, "ticker", table["ticker"].cast(pa.string()))
        last = table.group_by("ticker").aggregate([("date", "max")])
        days = last["date_max"].cast(pa.int32()).to_numpy()
        age = len(self.sessions) - 1 - np.searchsorted(self.sessions, days)
        return dict(sorted(zip(last["ticker"].to_pylist(), age.tolist(), strict=True)))

    def expected(self, window_bars: int) -> set[str]:
        """The tickers that are members on the last session and have bars enough for a window since their last gap."""
        bars = self._bars(window_bars)
        codes, names = columns.codes(self.features["ticker"])
        ends = np.flatnonzero(np.append(codes[1:] != codes[:-1], True)[: len(codes)])
        lengths = np.bincount(bars.segment, minlength=1)[bars.segment[ends]]
        members = self._members
        return {
            names[codes[row]]
            for row, length in zip(ends.tolist(), lengths.tolist(), strict=True)
            if length >= window_bars + self.feature_set.lookback_bars - 1
            and (members is None or members.on(names[codes[row]], np.array([self.as_of], np.int32))[0])
        }

    def newest(self, window_bars: int) -> Windows:
        """The windows that end on the last session."""
        bars = self._bars(window_bars)
        ends = np.flatnonzero(bars.forecast & (bars.dates == self.as_of))
        return _cut(bars, ends, np.full(len(ends), np.nan), window_bars)

    def outcomes(self, window_bars: int) -> Windows:
        """All labels, without the values of their windows."""
        bars = self._bars(window_bars)
        ends = np.flatnonzero(bars.split >= 0)
        return _cut(bars, ends, bars.targets[ends].astype(np.float64), 0)

    def sample(self, window_bars: int, origins: int, most_tickers: int) -> Windows:
        """The windows with a label of up to `most_tickers` tickers that end in the last `origins` sessions."""
        bars = self._bars(window_bars)
        first = int(self.sessions[-min(origins, len(self.sessions))])
        names = bars.tickers if pa.types.is_dictionary(bars.tickers.type) else bars.tickers.dictionary_encode()
        codes = names.indices.to_numpy()
        present = np.unique(codes)
        chosen = present[np.unique(np.linspace(0, len(present) - 1, min(most_tickers, len(present))).astype(int))]
        ends = np.flatnonzero((bars.split >= 0) & (bars.dates >= first) & np.isin(codes, chosen))
        return _cut(bars, ends, bars.targets[ends].astype(np.float64), window_bars)

    def _bars(self, window_bars: int) -> LabelledBars:
        """The bars with their labels; no border of splits lies in them."""
        if window_bars not in self._labelled:
            before: dict[str, Any] = {"train_end": to_date(0), "validation_end": to_date(1)}
            dataset = self._config.dataset.model_copy(update=before | {"window_bars": window_bars})
            self._labelled[window_bars] = label(self.features, dataset, self._members, self.feature_set)
        return self._labelled[window_bars]


def _cut(bars: LabelledBars, ends: NDArray[np.int64], targets: NDArray[np.float64], window_bars: int) -> Windows:
    """The windows that end at some bars; with 0 window_bars without values."""
    rows = ends[:, None] + np.arange(1 - window_bars, 1)[:window_bars]
    tickers = np.array(bars.tickers.take(pa.array(ends)).cast(pa.string()).to_pylist(), dtype=np.str_)
    return Windows(bars.values[rows], tickers, bars.dates[ends], targets)
