"""Reads windows by index from the staged sequences of a split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cloudlstm.config import RunConfig
from cloudlstm.dataset import cache
from cloudlstm.dataset.sequences import Lengths
from cloudlstm.dataset.window_set import Indices
from cloudlstm.features import CLOSE, EIGHT, FeatureSet
from cloudlstm.market.interval import Interval
from cloudlstm.runs.manifest import Manifest, ManifestRow
from cloudlstm.storage.local import user_cache


def features_of(sequences: Manifest) -> FeatureSet:
    """The features in the sequences of a run."""
    return FeatureSet.read(sequences.facts.get("features"))


def interval_of(sequences: Manifest) -> Interval:
    """The interval of the bars in the sequences of a run."""
    return Interval(sequences.facts.get("interval", "1d"))


class SequenceSet:
    """The windows of one split, numbered from 0 in the order of the manifest, then of bars.

    Every method takes window numbers (batch,) and returns one value for each, in the same order.

    Args:
        columns: The split's decoded shards.
        window_bars: Bars in a window.
        horizon_bars: Bars from a window's last bar to its target.
        features: The features of a bar.
        unit: The unit of dates: D, or m for bars within a day.
    """

    def __init__(
        self, columns: cache.Columns, window_bars: int, horizon_bars: int, features: FeatureSet = EIGHT, unit: str = "D"
    ) -> None:
        self._columns, self.features, self.unit = columns, features, unit
        self._horizon = horizon_bars
        self.window_bars = window_bars
        self._names = np.array([ticker for ticker, _ in columns.sequences] or [""], dtype=np.str_)
        self._first = np.array([first for _, first in columns.sequences], np.int64)
        values = columns.values
        # A view of all possible windows, so that indexing copies one contiguous block per window.
        shape = (max(len(values) - window_bars + 1, 0), window_bars, features.width)
        self._views = np.lib.stride_tricks.as_strided(
            values, shape, (values.strides[0], *values.strides), writeable=False
        )

    @classmethod
    def stage(
        cls,
        rows: Sequence[ManifestRow],
        *,
        window_bars: int,
        horizon_bars: int,
        features: FeatureSet = EIGHT,
        unit: str = "D",
        cache_dir: str | Path | None = None,
        report: cache.ReportBytes | None = None,
    ) -> Self:
        """The windows of one split, staged into the local cache if needed.

        Args:
            rows: The manifest rows of the split's shards.
            window_bars: Bars in a window.
            horizon_bars: Bars from a window's last bar to its target.
            features: The features of a bar.
            unit: The unit of dates: D, or m for bars within a day.
            cache_dir: The cache; by default the user's cache folder.
            report: Receives the number of staged bytes.

        Raises:
            CorruptObjectError: a shard differs from its manifest.
            StorageFullError: the cache's disk is full.
        """
        folder = Path(cache_dir).expanduser() if cache_dir else user_cache()
        lengths = Lengths(window_bars, horizon_bars, unit)
        columns = cache.stage(rows, folder / "sequences", lengths, features.width, report)
        return cls(columns, window_bars, horizon_bars, features, unit)

    @classmethod
    def of_split(cls, sequences: Manifest, split: str, config: RunConfig) -> Self:
        """The windows of one split of a run, staged into its cache.

        Args:
            sequences: The manifest of the step "sequences".
            split: The split.
            config: The run's configuration.
        """
        return cls.stage(
            sequences.of_kind(split),
            window_bars=config.dataset.window_bars,
            horizon_bars=config.dataset.horizon_bars,
            features=features_of(sequences),
            unit=interval_of(sequences).unit,
            cache_dir=config.train.cache_dir,
        )

    def __len__(self) -> int:
        return len(self._columns.origins)

    def windows(self, indices: Indices) -> NDArray[np.float32]:
        """Raw feature values, (batch, window, feature), oldest bar first."""
        gathered: NDArray[np.float32] = self._views[self._columns.origins[indices] - (self.window_bars - 1)]
        return gathered

    def last_bars(self, indices: Indices) -> NDArray[np.float32]:
        """Raw feature values of each window's last bar, (batch, feature)."""
        taken: NDArray[np.float32] = self._columns.values[self._columns.origins[indices]]
        return taken

    def targets(self, indices: Indices) -> NDArray[np.float32]:
        """Log-returns over the horizon, (batch,); NaN in the split "forecast"."""
        taken: NDArray[np.float32] = self._columns.targets[self._columns.origins[indices]]
        return taken

    def tickers(self, indices: Indices) -> NDArray[np.str_]:
        """The ticker of each window, (batch,)."""
        return self._names[np.searchsorted(self._first, self._columns.origins[indices], side="right") - 1]

    def last_close(self, indices: Indices) -> NDArray[np.float64]:
        """Close of each window's last bar, (batch,); a forecast price is this times exp(forecast log-return)."""
        return self.last_bars(indices)[:, CLOSE].astype(np.float64)

    def origin_dates(self, indices: Indices) -> NDArray[np.datetime64]:
        """Date of each window's last bar, (batch,) datetime64[D]; within a day its start in UTC, datetime64[m]."""
        return self._dates(self._columns.origins[indices])

    def target_dates(self, indices: Indices) -> NDArray[np.datetime64]:
        """Date of each window's target bar, (batch,), as `origin_dates`; NaT if it is not known yet."""
        origins = self._columns.origins[indices]
        known = ~np.isnan(self._columns.targets[origins])
        dates = self._dates(np.where(known, origins + self._horizon, origins))
        dates[~known] = np.datetime64("NaT")
        return dates

    def _dates(self, bars: Indices) -> NDArray[np.datetime64]:
        return self._columns.dates[bars].astype(f"datetime64[{self.unit}]")
