"""Speed of training on this machine: processes x devices, all arrangements in turn on the same windows.

    python benchmarks/training.py [--repeats=3] [--steps=400] [--tickers=16]

The default network (LSTM 128, 50 bars of 8 features, batch 256). An arrangement is a number of processes and of CPU
devices in each. The arrangements take turns, so that other load on the machine affects all of them. It prints windows/s
without start and compilation (median, least, most) and the ratio to one process with one device. All networks must be
equal.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from cloudlstm import storage
from cloudlstm.config import RunConfig, parse
from cloudlstm.dataset import sequences
from cloudlstm.features.table import compute
from cloudlstm.market.calendar import sessions
from cloudlstm.market.cleaning.clean import clean
from cloudlstm.market.sources.synthetic import make_bars, ticker_names
from cloudlstm.runs.context import RunContext
from cloudlstm.runs.environment import DEVICES
from cloudlstm.runs.manifest import Manifest, read_object, write_object
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets import Plan, launcher
from cloudlstm.targets.local.target import LocalTarget

ARRANGEMENTS = {"1 process, 1 device": (1, 1), "1 process, 2 devices": (1, 2), "2 processes, 1 device each": (2, 1)}


def config(tickers: int, steps: int, seed: int, workers: int) -> RunConfig:
    """The configuration of a training on a synthetic market."""
    return parse(
        {
            "name": "bench",
            "market": {"source": "synthetic", "synthetic": {"tickers": tickers}},
            "train": {"max_steps": steps, "epochs": 1000, "patience_epochs": 1000, "seed": seed, "workers": workers,
                      "checkpoint_every_s": 3600.0},
        }
    )  # fmt: skip


def prepared(tickers: int) -> dict[str, sequences.BuiltShard]:
    """Sequences of a synthetic market, by split."""
    chosen = config(tickers, 1, 1, 1)
    market = chosen.market
    days = sessions(market.calendar, market.start, market.end)
    bars = make_bars(market.synthetic, ticker_names(market.synthetic), days)
    return sequences.build(compute(clean(bars, chosen.clean, days).bars), chosen.dataset)


def trained(
    folder: Path, made: dict[str, sequences.BuiltShard], name: str, chosen: RunConfig, devices: int
) -> tuple[float, Any]:
    """Trains in a separate run; returns windows/s and the weights of the network."""
    paths = RunPaths(f"file://{folder}/{name}")
    storage.write_json(paths.config, chosen.model_dump(mode="json"))
    rows = [
        write_object(paths.data("sequences", "made", f"{split}.tfrecord"), shard.data, kind=split, rows=shard.windows)
        for split, shard in made.items()
        if shard.windows
    ]
    Manifest("sequences", "made", tuple(rows), 0.0, {}).save(paths)
    target = LocalTarget()
    request = json.loads(json.dumps(target.request("train", chosen, paths)))
    for process in request["processes"]:
        process["env"][DEVICES] = str(devices)
        process["argv"][1] = str(Path(__file__))
    launcher.carry_out(Plan("submit", paths.uri, ({"action": "job", **request},)), target, lambda _: None)
    found = Manifest.load(paths, "train")
    assert found is not None
    assert found.facts["replicas"] == devices * (chosen.train.workers or 1)
    [row] = found.of_kind("weights")
    return float(found.facts["windows_per_s"]), np.load(io.BytesIO(read_object(row)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--tickers", type=int, default=16)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = prepared(args.tickers)
        speeds: dict[str, list[float]] = {arrangement: [] for arrangement in ARRANGEMENTS}
        for repeat in range(args.repeats):
            known = None
            for number, (arrangement, (workers, devices)) in enumerate(ARRANGEMENTS.items()):
                chosen = config(args.tickers, args.steps, repeat + 1, workers)
                speed, weights = trained(folder, made, f"run-{repeat}-{number}", chosen, devices)
                known = known or weights
                for key in weights.files:
                    np.testing.assert_allclose(weights[key], known[key], rtol=1e-2, atol=1e-4)
                speeds[arrangement].append(speed)
    print(f"{os.cpu_count()} cores, {args.steps} steps of 256 windows, {args.repeats} repeats in turn")
    one = statistics.median(speeds["1 process, 1 device"])
    for arrangement, found in speeds.items():
        median = statistics.median(found)
        print(
            f"{arrangement:<28} {median:8,.0f} windows/s ({min(found):,.0f} to {max(found):,.0f})  {median / one:.2f} x"
        )


def work() -> None:
    """Runs a worker that trains without the evaluation."""
    from cloudlstm.training.membership import Membership
    from cloudlstm.training.step import run
    from cloudlstm.workers import job

    def train(context: RunContext) -> None:
        run(context)

    sys.exit(job.main("train", train, worker=f"worker-{Membership.from_environment().index}"))


if __name__ == "__main__":
    work() if sys.argv[1:] and "://" in sys.argv[1] else main()
