"""Writes what all contenders of the group "training" train on.

    python training_input.py --output=FOLDER --steps=100

    inputs.npy     scaled windows in the order of training, (step * 256, 50, 8) float32
    labels.npy     their labels, (step * 256,) float32
    series.parquet the features from which the windows are cut
    weights.npz    the untrained network: kernel, recurrent, bias of the LSTM, kernel and bias of the output

Prints the number of windows as JSON.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from training_cloudlstm import config

from cloudlstm.dataset import sequences
from cloudlstm.dataset.inputs import Relative
from cloudlstm.dataset.reader import SequenceSet
from cloudlstm.features import FEATURE_NAMES, compute
from cloudlstm.market.calendar import sessions
from cloudlstm.market.cleaning.clean import clean
from cloudlstm.market.sources.synthetic import make_bars, ticker_names
from cloudlstm.runs.manifest import write_object
from cloudlstm.training.model import build_model
from cloudlstm.training.sampling import Order


def write(folder: Path, steps: int) -> int:
    """Writes the arrays and returns the number of windows."""
    chosen = config(steps)
    market, dataset = chosen.market, chosen.dataset
    days = sessions(market.calendar, market.start, market.end)
    bars = make_bars(market.synthetic, ticker_names(market.synthetic), days)
    features = compute(clean(bars, chosen.clean, days).bars)
    pq.write_table(features.select(["ticker", "date", *FEATURE_NAMES]), folder / "series.parquet")
    made = sequences.build(features, dataset)["train"]
    row = write_object((folder / "train.tfrecord").as_uri(), made.data, kind="train", rows=made.windows)
    train = SequenceSet.stage(
        [row], window_bars=dataset.window_bars, horizon_bars=dataset.horizon_bars, cache_dir=folder / "cache"
    )
    order = Order(len(train), chosen.train.batch_windows, chosen.train.seed).permutation(0)
    indices = order[: steps * chosen.train.batch_windows]
    transform, raw, tickers = Relative(dataset.horizon_bars), train.windows(indices), train.tickers(indices)
    np.save(folder / "inputs.npy", transform.inputs(raw, tickers))
    np.save(folder / "labels.npy", transform.labels(raw, tickers, train.targets(indices)))
    network = build_model((dataset.window_bars, len(FEATURE_NAMES)), chosen.model, seed=chosen.train.seed)
    names = ("kernel", "recurrent", "bias", "output_kernel", "output_bias")
    np.savez(folder / "weights.npz", **dict(zip(names, network.get_weights(), strict=True)))
    return len(indices)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=100)
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    print(json.dumps({"units": write(args.output.resolve(), args.steps)}))
