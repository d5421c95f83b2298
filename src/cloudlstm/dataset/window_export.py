"""The layout `windows`: one Example per window, for readers that do not know sequences.

    ticker  bytes_list  [1]
    date    int64_list  [1]                       the window's last bar, days (or minutes) since 1970-01-01
    inputs  float_list  [window_bars * features]  raw feature values row by row, oldest bar first
    target  float_list  [1]                       log-return over the horizon, NaN in the split "forecast"

It needs about `window_bars` times the space of sequences. Windows of one ticker whose dates have varints of the same
length have the same byte layout, so they are written as one block of bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.config import DatasetConfig
from cloudlstm.dataset import example, tfrecord
from cloudlstm.dataset.sequences import BuiltShard, origins_of
from cloudlstm.dataset.splits import FORECAST, SPLITS, LabelledBars, label
from cloudlstm.features import EIGHT, FeatureSet
from cloudlstm.market.grid import Grid
from cloudlstm.market.members import Members


def export(
    table: pa.Table,
    config: DatasetConfig,
    members: Members | None = None,
    features: FeatureSet = EIGHT,
    grid: Grid | None = None,
) -> dict[str, BuiltShard]:
    """The windows of every split of a features shard, ordered by ticker and date.

    Args:
        table: Sorted by ticker and date.
        config: Window, horizon and split dates.
        members: The members of the universe; None if every ticker is one at all dates.
        features: The columns that become values.
        grid: The trading hours, for bars within a day.
    """
    bars = label(table, config, members, features, grid)
    built = {}
    for split in SPLITS:
        origins = origins_of(bars, split)
        data = b"".join(_blocks(bars, origins, config.window_bars, known=split != FORECAST))
        built[split] = BuiltShard(data, len(origins), len(origins), len(origins) * config.window_bars)
    return built


def _blocks(bars: LabelledBars, origins: NDArray[np.int64], window: int, *, known: bool) -> Iterator[bytes]:
    """Framed records, in blocks with one ticker and one length of the date."""
    if len(origins) == 0:
        return
    dates, offsets = example.varints(bars.dates[origins])
    lengths = np.diff(offsets)
    tickers = bars.tickers.take(pa.array(origins)).dictionary_encode().indices.to_numpy()
    begins = np.flatnonzero(np.diff(tickers, prepend=-1) | np.diff(lengths, prepend=-1))
    for begin, end in zip(begins, np.append(begins[1:], len(origins)), strict=True):
        block = origins[begin:end]
        targets = bars.targets[block] if known else np.full(len(block), np.nan, np.float32)
        contents = (
            dates[offsets[begin] : offsets[end]].reshape(len(block), -1),
            bars.values[block[:, None] + np.arange(1 - window, 1)].astype("<f4").view(np.uint8).reshape(len(block), -1),
            targets.astype("<f4").view(np.uint8).reshape(len(block), -1),
        )
        yield _records(bars.tickers[int(block[0])].as_py().encode(), *contents)


def _records(ticker: bytes, dates: NDArray[np.uint8], inputs: NDArray[np.uint8], targets: NDArray[np.uint8]) -> bytes:
    """Framed Examples of equal layout, from the bytes of their values, (windows, bytes) each."""

    def filled_with(byte: int) -> NDArray[np.uint8]:
        date, values, target = (bytes([byte]) * part.shape[1] for part in (dates, inputs, targets))
        payload = example.encode(
            {
                "ticker": example.bytes_feature([ticker]),
                "date": example.int64_feature(date),
                "inputs": example.float_feature(np.frombuffer(values, "<f4")),
                "target": example.float_feature(np.frombuffer(target, "<f4")),
            }
        )
        return np.frombuffer(payload, np.uint8)

    template = filled_with(0)
    contents = np.flatnonzero(template != filled_with(1))  # bytes that differ are values, the others layout
    payloads = np.tile(template, (len(dates), 1))
    payloads[:, contents] = np.concatenate([dates, inputs, targets], axis=1)
    crcs = np.array([tfrecord.masked_crc(payload) for payload in payloads], "<u4").view(np.uint8).reshape(-1, 4)
    header = np.tile(np.frombuffer(tfrecord.header(template.size), np.uint8), (len(dates), 1))
    return np.concatenate([header, payloads, crcs], axis=1).tobytes()
