"""cloudlstm: the job "train" as the launcher starts it, with staging, journal, checkpoints and validation.

    workers=1 devices=2    processes, and CPU devices in each; by default one process with a device a core

The seconds are those that the job counts for its steps: after compilation, without validation, as for the others.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
from contender import Done, Task, main

from cloudlstm.config import RunConfig, parse
from cloudlstm.runs.manifest import Manifest, read_object
from cloudlstm.runs.paths import RunPaths

sys.path.append(str(Path(__file__).resolve().parents[1]))
import training

TICKERS = 16


def config(steps: int, workers: int = 1, tickers: int = TICKERS) -> RunConfig:
    """The configuration of the training. Without dropout, since each library draws its own masks."""
    return parse(
        {
            "name": "bench",
            "market": {"source": "synthetic", "synthetic": {"tickers": tickers}},
            "model": {"dropout": 0.0},
            "train": {"max_steps": steps, "epochs": 1, "seed": 1, "workers": workers, "checkpoint_every_s": 3600.0,
                      "schedule": "constant", "warmup_steps": 0},
        }
    )  # fmt: skip


def work(task: Task) -> Done:
    """Trains the steps of the input, on the same windows, made from the same sequences."""
    steps = len(np.load(task.input / "labels.npy", mmap_mode="r")) // 256
    workers = int(task.settings.get("workers", 1))
    devices = int(task.settings.get("devices", task.threads // workers))
    tickers = int(task.settings.get("tickers", TICKERS))
    made = training.prepared(tickers)
    rate, _ = training.trained(task.output, made, "run", config(steps, workers, tickers), devices, task.threads)
    manifest = Manifest.load(RunPaths((task.output / "run").as_uri()), "train")
    [row] = manifest.of_kind("losses")
    np.save(task.output / "losses.npy", np.load(io.BytesIO(read_object(row))))
    return Done(steps * 256 / rate)


if __name__ == "__main__":
    main(work, "cloudlstm", "tensorflow", "keras")
