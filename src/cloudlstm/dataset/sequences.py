"""Sequences: each bar is stored once, and windows are cut when read.

An Example holds one run of bars of one ticker, segment and split:

    ticker    bytes_list  [1]
    dates     int64_list  [length]             days since 1970-01-01; of bars within a day, minutes
    values    float_list  [length * features]  row by row, in the order of the FeatureSet of the run
    targets   float_list  [length]             the label of the window that ends at this bar, NaN without a label

The run begins `window_bars` - 1 bars before the split's first label and ends with the target bar of its last label, so
the same Example has the date and the close of every target. In the split "forecast" each Example is one window.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm.config import DatasetConfig
from cloudlstm.dataset import example, tfrecord
from cloudlstm.dataset.sequence_faults import fault_of
from cloudlstm.dataset.splits import (
    FORECAST,
    LABELLED,
    SPLITS,
    LabelledBars,
    bars_before_label,
    label,
    propose_splits,
    splits_without_dates,
)
from cloudlstm.errors import CorruptObjectError, DataError
from cloudlstm.features import EIGHT, FeatureSet
from cloudlstm.market.calendar import to_date
from cloudlstm.market.grid import Grid
from cloudlstm.market.members import Members
from cloudlstm.runs.manifest import ManifestRow

_MAX_SHOWN = 12
_SHORTEST_WINDOW = 2


@dataclass(frozen=True, slots=True)
class BuiltShard:
    """The sequences of one split of a shard.

    Attributes:
        data: The TFRecord file.
        windows: Windows with a label (in "forecast": all windows).
        sequences: Examples.
        bars: Bars in all Examples.
        left_out: Windows that membership leaves out.
    """

    data: bytes
    windows: int
    sequences: int
    bars: int
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """The bars [start, stop) of a shard in one Example, and the number of windows in them."""

    start: int
    stop: int
    windows: int


@dataclass(frozen=True, slots=True)
class Lengths:
    """The bars that a reader needs before and after the last bar of a window.

    Attributes:
        window_bars: Bars in a window.
        horizon_bars: Bars from a window's last bar to its target.
        unit: The unit of dates since 1970-01-01: D for days, m for minutes.
    """

    window_bars: int
    horizon_bars: int
    unit: str = "D"


def build(
    table: pa.Table,
    config: DatasetConfig,
    members: Members | None = None,
    features: FeatureSet = EIGHT,
    grid: Grid | None = None,
) -> dict[str, BuiltShard]:
    """The sequences of every split of a features shard.

    Equal tables give equal bytes. A split without windows has empty data.

    Args:
        table: Sorted by ticker and date.
        config: Window, horizon and split dates.
        members: The members of the universe; None if every ticker is one at all dates.
        features: The columns that become values.
        grid: The trading hours, for bars within a day.
    """
    bars = label(table, config, members, features, grid)
    packed, offsets = example.varints(bars.dates)
    dates = packed.tobytes()
    built = {}
    for index, split in enumerate(SPLITS):
        chunks = []
        runs = list(runs_of(bars, split, config))
        for run in runs:
            start, stop = run.start, run.stop
            labelled = bars.split[start:stop] == index  # never true for "forecast": its targets stay NaN
            payload = example.encode(
                {
                    "ticker": example.bytes_feature([bars.tickers[start].as_py().encode()]),
                    "dates": example.int64_feature(dates[offsets[start] : offsets[stop]]),
                    "values": example.float_feature(bars.values[start:stop]),
                    "targets": example.float_feature(np.where(labelled, bars.targets[start:stop], np.float32(np.nan))),
                }
            )
            chunks.append(tfrecord.frame(payload))
        built[split] = BuiltShard(
            data=b"".join(chunks),
            windows=sum(run.windows for run in runs),
            sequences=len(runs),
            bars=sum(run.stop - run.start for run in runs),
            left_out=bars.left_out[split],
        )
    return built


def longest_segment(features: pa.Table) -> int:
    """The number of bars in the longest run without a gap."""
    if not features.num_rows:
        return 0
    lengths = features.group_by(["ticker", "segment"], use_threads=False).aggregate([([], "count_all")])
    return int(pc.max(lengths["count_all"]).as_py())


def require_windows(
    counts: Mapping[str, int],
    config: DatasetConfig,
    longest: int,
    dates: NDArray[np.int32],
    left_out: Mapping[str, int] | None = None,
    features: FeatureSet = EIGHT,
    by_session: bool = False,
) -> None:
    """Checks that every labelled split has a window.

    Args:
        counts: Windows by split.
        config: Window, horizon and split dates.
        longest: Bars in the longest run without a gap.
        dates: The sessions from the first to the last bar, as days since 1970-01-01, one entry for each bar.
        left_out: Windows that membership leaves out, by split.
        features: The features, for the longest look-back.
        by_session: True if no window reaches into another session.

    Raises:
        DataError: a split has no window.
    """
    needed = [split for split in LABELLED if not counts.get(split)]
    if not needed:
        return
    if outside := {split: left_out[split] for split in needed if left_out and left_out.get(split)}:
        windows = ", ".join(f"{split} ({n:,} windows)" for split, n in outside.items())
        raise DataError(
            f"membership leaves no window in {windows}: their tickers are no members on the last date of the window",
            hint="periods of universe.path that reach into this split, other split dates, or bars of its members",
        )
    first_last = " to ".join(str(to_date(int(day))) for day in dates[[0, -1]]) if len(dates) else "no date"
    raise DataError(
        f"no window of {config.window_bars} bars with a label {config.horizon_bars} ahead in {', '.join(needed)}: "
        f"its bars are of {first_last}, train ends {config.train_end}, validation ends {config.validation_end}; "
        f"the longest run of bars without a gap has {longest}",
        hint=_more_windows(config, longest, dates, features, by_session),
    )


def _more_windows(
    config: DatasetConfig, longest: int, dates: NDArray[np.int32], features: FeatureSet, by_session: bool
) -> str:
    """What gives every split a window."""
    too_long = bars_before_label(config, features) - longest
    if too_long > 0:
        window = config.window_bars - too_long
        shorter = f"dataset.window_bars={window}, " if window >= _SHORTEST_WINDOW else ""
        if by_session:
            return f"{shorter}market.bridge_sessions=true, or a shorter market.interval"
        return f"{shorter}tickers with a longer history, or a higher clean.max_fill_bars"
    proposed = propose_splits(dates, config) if splits_without_dates(dates, config) else ""
    return proposed or "a shorter dataset.window_bars, other split dates, or tickers with a longer history"


def runs_of(bars: LabelledBars, split: str, config: DatasetConfig) -> Iterator[Run]:
    """The runs of bars of a split, in order."""
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
    """The last bar of each window of a split."""
    return np.flatnonzero(bars.forecast if split == FORECAST else bars.split == SPLITS.index(split))


def decode(
    data: bytes, row: ManifestRow, bars: int, lengths: Lengths, width: int = EIGHT.width
) -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
    """Ticker and columns of every sequence of a shard.

    Args:
        data: The shard.
        row: Its manifest row.
        bars: Bars of the split before this shard.
        lengths: For the check of windows and targets.
        width: Number of features.
    """
    windows = 0
    for record in tfrecord.records(data, row.uri):
        features = example.decode(record, row.uri)
        ticker, dates = features.get("ticker"), features.get("dates")
        values, targets = features.get("values"), features.get("targets")
        if not (
            isinstance(ticker, list)
            and len(ticker) == 1
            and isinstance(dates, np.ndarray)
            and isinstance(values, np.ndarray)
            and isinstance(targets, np.ndarray)
            and dates.dtype.kind + values.dtype.kind + targets.dtype.kind == "iff"
            and len(values) == len(dates) * width
            and len(targets) == len(dates)
        ):
            found = ", ".join(f"{name}[{len(value)}]" for name, value in sorted(features.items())[:_MAX_SHOWN])
            raise _invalid_sequence(row.uri, found or "it has no feature")
        # In "forecast" a sequence is one window, whose target is not known yet.
        ahead = 0 if row.kind == FORECAST else lengths.horizon_bars
        ends = np.flatnonzero(~np.isnan(targets)) if ahead else np.array([len(dates) - 1])
        if fault := fault_of(dates, targets, ends, lengths.window_bars, ahead, lengths.unit):
            raise _invalid_sequence(row.uri, fault)
        try:
            name = ticker[0].decode()
        except UnicodeDecodeError:
            raise _invalid_sequence(row.uri, f"its ticker {ticker[0][:_MAX_SHOWN]!r} is not UTF-8") from None
        windows += len(ends)
        yield (
            name,
            {
                "values": values.astype("<f4", copy=False),
                "targets": targets.astype("<f4", copy=False),
                "dates": dates.astype("<i4"),
                "origins": (ends + bars).astype("<i8"),
            },
        )
        bars += len(dates)
    if windows != row.rows:
        raise CorruptObjectError(f"{row.uri} has {windows} windows, its manifest says {row.rows}")


def _invalid_sequence(uri: str, why: str) -> CorruptObjectError:
    return CorruptObjectError(
        f"{uri} has an Example that is not a sequence: {why}",
        hint="delete it and submit again: the step that made it runs again",
    )
