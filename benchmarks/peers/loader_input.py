"""Writes the windows that all contenders of the group "loader" deliver.

    python loader_input.py --output=FOLDER --tickers=32

    run/               sequences of the split "train", as cloudlstm writes them
    windows.tfrecord   the same windows, one Example for each
    windows.npy, targets.npy   the same as arrays, from which other loaders write their own files

Prints the number of windows as JSON.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from cloudlstm.config import RunConfig, parse
from cloudlstm.dataset import sequences, window_export
from cloudlstm.dataset.reader import SequenceSet
from cloudlstm.features import compute
from cloudlstm.market.calendar import sessions
from cloudlstm.market.cleaning.clean import clean
from cloudlstm.market.sources.synthetic import make_bars, ticker_names
from cloudlstm.runs.manifest import Manifest, write_object
from cloudlstm.runs.paths import RunPaths


def config(tickers: int) -> RunConfig:
    """The configuration for fifteen years of daily bars."""
    return parse({"name": "bench", "market": {"source": "synthetic", "synthetic": {"tickers": tickers}}})


def write(folder: Path, tickers: int) -> int:
    """Writes the windows and returns their number."""
    chosen = config(tickers)
    market = chosen.market
    days = sessions(market.calendar, market.start, market.end)
    bars = make_bars(market.synthetic, ticker_names(market.synthetic), days)
    features = compute(clean(bars, chosen.clean, days).bars)
    made = sequences.build(features, chosen.dataset)["train"]
    paths = RunPaths((folder / "run").resolve().as_uri())
    row = write_object(paths.data("sequences", "made", "train.tfrecord"), made.data, kind="train", rows=made.windows)
    Manifest("sequences", "made", (row,), 0.0, {}).save(paths)
    (folder / "windows.tfrecord").write_bytes(window_export.export(features, chosen.dataset)["train"].data)
    staged = SequenceSet.stage(
        [row], window_bars=chosen.dataset.window_bars, horizon_bars=chosen.dataset.horizon_bars,
        cache_dir=folder / "cache",
    )  # fmt: skip
    indices = np.arange(len(staged))
    np.save(folder / "windows.npy", staged.windows(indices))
    np.save(folder / "targets.npy", staged.targets(indices))
    return len(staged)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--tickers", type=int, default=32)
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    print(json.dumps({"units": write(args.output, args.tickers)}))
