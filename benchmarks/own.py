"""What a user waits for: our own numbers in seconds, for a quiet machine. It prints the load before each one.

    python benchmarks/own.py [--repeats=3] [--only=demo,resubmit,...]

    demo        `cloudlstm submit --config=examples/demo.toml` in an empty root, with the start of all processes
    resubmit    the same submit again, when nothing has changed
    predict     `cloudlstm predict` for six tickers x 15 years, with the data of its run there
    forecasts   forecasts of the LSTM, then evaluation and report, at 1,000 tickers x 15 years; training is cut short

Medians with least and largest value. Results go to benchmarks/results/own.json. `make bench` runs it after
benchmarks/prepare.py and benchmarks/training.py, which measure the data steps and training alone.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent / "peers"))
import machine

from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths

ROOT = Path(__file__).resolve().parents[1]
DEMO = ("submit", f"--config={ROOT / 'examples' / 'demo.toml'}")
SHORT = ("train.epochs=1", "train.max_steps=16", "market.source=synthetic")


def cloudlstm(root: Path, *words: str) -> float:
    """Runs a command in a root; returns its seconds."""
    command = [sys.executable, "-m", "cloudlstm", *words, f"--root={root}"]
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def runs(root: Path) -> list[RunPaths]:
    """The runs of a root, in the order of their start."""
    found = [path.parent for path in sorted(root.glob("*/config.json"), key=lambda path: path.stat().st_mtime)]
    return [RunPaths(path.as_uri()) for path in found]


def demo(root: Path) -> float:
    """A first submit of the demo."""
    return cloudlstm(root, *DEMO)


def resubmit(root: Path) -> float:
    """A submit of the demo that has nothing to do."""
    cloudlstm(root, *DEMO)
    return cloudlstm(root, *DEMO)


def predict(root: Path) -> float:
    """A forecast with the weights and the prepared data of a finished run."""
    cloudlstm(root, "submit", *SHORT, "name=six", "market.synthetic.tickers=6")
    [paths] = runs(root)
    return cloudlstm(root, "predict", f"--run={paths.run_id}")


def forecasts(root: Path) -> float:
    """The time from the end of training to the report: the phases of the step train after it, and the step evaluate."""
    cloudlstm(root, "submit", *SHORT, "name=many", "market.synthetic.tickers=1000")
    [paths] = runs(root)
    train, evaluate = Manifest.load(paths, "train"), Manifest.load(paths, "evaluate")
    assert train is not None
    assert evaluate is not None
    names = [phase["phase"] for phase in train.facts["phases"]]
    after = train.facts["phases"][names.index("train") + 1 :]
    return sum(float(phase["seconds"]) for phase in after) + evaluate.seconds


MEASURES: dict[str, Callable[[Path], float]] = {
    "demo": demo,
    "resubmit": resubmit,
    "predict": predict,
    "forecasts": forecasts,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default=",".join(MEASURES))
    args = parser.parse_args()
    measured: dict[str, Any] = {}
    for name in args.only.split(","):
        load, seconds = machine.load(), []
        for _ in range(args.repeats):
            with tempfile.TemporaryDirectory(prefix="cloudlstm-own-") as root:
                seconds.append(MEASURES[name](Path(root).resolve()))
        print(
            f"{name:<10} {statistics.median(seconds):7.2f} s ({min(seconds):.2f} to {max(seconds):.2f}), load {load}",
            flush=True,
        )
        measured[name] = {"seconds": [round(each, 3) for each in seconds], "load_before": load}
    found = {"date": dt.date.today().isoformat(), **machine.state(), "machine": machine.describe()}
    if set(measured) == set(MEASURES):
        results = ROOT / "benchmarks" / "results" / "own.json"
        results.write_text(json.dumps(found | {"measured": measured}, indent=1) + "\n")


if __name__ == "__main__":
    main()
