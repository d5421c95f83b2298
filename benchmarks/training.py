"""Speed of training on this machine: processes x devices, all arrangements in turn on the same windows.

    python benchmarks/training.py [--repeats=3] [--steps=400] [--tickers=16]

The default network (LSTM 128, 50 bars of 8 features, batch 256). An arrangement is a number of processes, of CPU
devices in each, and of cores for all. The arrangements take turns, so that other load on the machine affects all of
them. It prints windows/s without start and compilation (median, least, most), the ratio to one process on one core, and
its share of the cores; then the speed of NumPy's product of two matrices of 2,048 x 2,048 on all cores, and which share
of it the fastest arrangement reaches with the products of the LSTM. All networks must be equal.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from cloudlstm import storage
from cloudlstm.config import RunConfig, parse
from cloudlstm.dataset import sequences
from cloudlstm.features import FEATURE_NAMES, compute
from cloudlstm.market.calendar import sessions
from cloudlstm.market.cleaning.clean import clean
from cloudlstm.market.sources.synthetic import make_bars, ticker_names
from cloudlstm.runs.context import RunContext
from cloudlstm.runs.environment import CORES, DEVICES
from cloudlstm.runs.manifest import Manifest, read_object, write_object
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets import Plan, launcher
from cloudlstm.targets.local.target import LocalTarget

ARRANGEMENTS = {
    "1 process on 1 core": (1, 1, 1),
    "1 process, 1 device": (1, 1, 2),
    "1 process, 2 devices": (1, 2, 2),
    "2 processes, 1 device each": (2, 1, 2),
}
"""Name -> processes, devices of each, and cores for all."""


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
    folder: Path, made: dict[str, sequences.BuiltShard], name: str, chosen: RunConfig, devices: int, cores: int
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
        if cores == 1 and hasattr(os, "sched_getaffinity"):
            process["env"][CORES] = str(min(os.sched_getaffinity(0)))
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
            for number, (arrangement, (workers, devices, cores)) in enumerate(ARRANGEMENTS.items()):
                chosen = config(args.tickers, args.steps, repeat + 1, workers)
                speed, weights = trained(folder, made, f"run-{repeat}-{number}", chosen, devices, cores)
                known = known or weights
                for key in weights.files:
                    np.testing.assert_allclose(weights[key], known[key], rtol=1e-2, atol=1e-4)
                speeds[arrangement].append(speed)
    print(f"{os.cpu_count()} cores, {args.steps} steps of 256 windows, {args.repeats} repeats in turn")
    one = statistics.median(next(iter(speeds.values())))
    for arrangement, found in speeds.items():
        median, cores = statistics.median(found), ARRANGEMENTS[arrangement][2]
        print(
            f"{arrangement:<28} {median:8,.0f} windows/s ({min(found):,.0f} to {max(found):,.0f})  "
            f"{median / one:.2f} x, {median / one / cores:.0%} a core"
        )
    peak, best = product_peak(), max(statistics.median(found) for found in speeds.values())
    print(f"NumPy's product of matrices on all cores: {peak / 1e9:.0f} GFLOP/s; the fastest reaches "
          f"{best * window_flop(config(1, 1, 1, 1)) / peak:.0%} of it")  # fmt: skip


def product_peak() -> float:
    """Floating-point operations per second of NumPy's product of two matrices of 2,048 x 2,048, the best of five."""
    matrix = np.random.default_rng(0).random((2048, 2048), np.float32)
    best = math.inf
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(4):
            matrix @ matrix
        best = min(best, (time.perf_counter() - began) / 4)
    return 2.0 * 2048**3 / best


def window_flop(chosen: RunConfig) -> float:
    """Floating-point operations of the LSTM's products for one window of a training step, without the other work.

    A bar has one product of inputs and state with the weights; its gradient has two of the same size.
    """
    units = chosen.model.units
    return 3.0 * chosen.dataset.window_bars * 2.0 * (len(FEATURE_NAMES) + units) * 4.0 * units


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
