"""Sequences: each bar stored once, windows cut when read.

An Example holds one run of bars of one ticker, segment and split:

    ticker    bytes_list  [1]
    dates     int64_list  [length]             days since 1970-01-01
    values    float_list  [length * features]  row by row, in the order of features.FEATURE_NAMES
    targets   float_list  [length]             the label of the window that ends at this bar, NaN where it carries none

The run begins `window_bars` - 1 bars before the split's first label and ends with the target bar of its last one; so
the date and the close of every target stand in the same Example. In the split "forecast" each Example is one window.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm.config import DatasetConfig
from cloudlstm.dataset import example, tfrecord
from cloudlstm.dataset.splits import FORECAST, SPLITS, LabelledBars, label
from cloudlstm.errors import DataError


@dataclass(frozen=True, slots=True)
class BuiltShard:
    """One split's share of a shard.

    Attributes:
        data: The TFRecord file.
        windows: Windows that carry a label (in "forecast": windows).
        sequences: Examples.
        bars: Bars in all Examples.
    """

    data: bytes
    windows: int
    sequences: int
    bars: int


@dataclass(frozen=True, slots=True)
class Run:
    """Bars [start, stop) of a shard that one Example holds, and how many of them end a window."""

    start: int
    stop: int
    windows: int


def build(features: pa.Table, config: DatasetConfig) -> dict[str, BuiltShard]:
    """Every split's sequences of a features shard (sorted by ticker and date). Equal tables give equal bytes.

    A split without windows has empty data.
    """
    bars = label(features, config)
    packed, offsets = example.varints(bars.dates)
    dates = packed.tobytes()
    built = {}
    for index, split in enumerate(SPLITS):
        chunks = []
        runs = list(runs_of(bars, split, config))
        for run in runs:
            start, stop = run.start, run.stop
            carried = bars.split[start:stop] == index  # never true for "forecast": its targets stay NaN
            payload = example.encode(
                {
                    "ticker": example.bytes_feature([bars.tickers[start].as_py().encode()]),
                    "dates": example.int64_feature(dates[offsets[start] : offsets[stop]]),
                    "values": example.float_feature(bars.values[start:stop]),
                    "targets": example.float_feature(np.where(carried, bars.targets[start:stop], np.float32(np.nan))),
                }
            )
            chunks.append(tfrecord.frame(payload))
        built[split] = BuiltShard(
            data=b"".join(chunks),
            windows=sum(run.windows for run in runs),
            sequences=len(runs),
            bars=sum(run.stop - run.start for run in runs),
        )
    return built


def longest_segment(features: pa.Table) -> int:
    """Bars in the longest run without a gap of a features shard."""
    if not features.num_rows:
        return 0
    lengths = features.group_by(["ticker", "segment"], use_threads=False).aggregate([([], "count_all")])
    return int(pc.max(lengths["count_all"]).as_py())


def require_windows(counts: Mapping[str, int], config: DatasetConfig, longest: int | None = None) -> None:
    """Refuses a data set in which a split has no window.

    Args:
        counts: Windows by split.
        config: The lengths and dates that the splits were cut by.
        longest: Bars of the longest run without a gap, where that is known.

    Raises:
        DataError: naming the empty splits and what they would need.
    """
    needed = [split for split in SPLITS if split != FORECAST and not counts.get(split)]
    if needed:
        found = f"; the longest run of bars without a gap has {longest}" if longest is not None else ""
        raise DataError(
            f"no window of {config.window_bars} bars with a label {config.horizon_bars} ahead in {', '.join(needed)}: "
            f"train ends {config.train_end}, validation ends {config.validation_end}{found}",
            hint="a shorter dataset.window_bars, other split dates, or tickers with a longer history",
        )


def runs_of(bars: LabelledBars, split: str, config: DatasetConfig) -> Iterator[Run]:
    """The runs of bars that `split` needs, in order."""
    origins = origins_of(bars, split)
    if not len(origins):
        return
    if split == FORECAST:
        yield from (Run(int(origin) - config.window_bars + 1, int(origin) + 1, 1) for origin in origins)
        return
    begins = np.flatnonzero(np.diff(bars.segment[origins], prepend=-1))
    ends = np.append(begins[1:], len(origins))
    for begin, end in zip(begins, ends, strict=True):
        first, last = int(origins[begin]), int(origins[end - 1])
        yield Run(first - config.window_bars + 1, last + config.horizon_bars + 1, int(end - begin))


def origins_of(bars: LabelledBars, split: str) -> NDArray[np.int64]:
    """The bars that end a window of `split`."""
    return np.flatnonzero(bars.forecast if split == FORECAST else bars.split == SPLITS.index(split))
