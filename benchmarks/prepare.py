"""Speed and memory of the job "prepare" on a synthetic market: warm rows/s without JVM start, and the peak sum of PSS.

    python benchmarks/prepare.py [--tickers=1000] [--repeats=3]

A small run warms the application (Python workers forked, modules loaded); then the large one is repeated in the same
application, its ingest not counted. PSS counts memory that processes share once; it is read from /proc every 0.2 s
over this process and all its descendants, the JVM and the Python workers among them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path

from memory import PeakMemory

from cloudlstm.config import RunConfig, parse
from cloudlstm.pipeline.prepare import run_on
from cloudlstm.pipeline.spark import Spark
from cloudlstm.runs.context import RunContext
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets.local.java import find_java

MEASURED = ("clean", "features", "sequences")


def config(tickers: int) -> RunConfig:
    """The configuration for fifteen years of daily bars."""
    return parse({"name": "bench", "market": {"source": "synthetic", "synthetic": {"tickers": tickers}}})


def prepare(spark: Spark, folder: Path, name: str, tickers: int) -> dict[str, Manifest]:
    paths = RunPaths.of(f"file://{folder}", name)
    with Journal(paths, "prepare", "driver") as journal:
        run_on(spark, RunContext(paths, config(tickers), 0, journal))
    found = {step: Manifest.load(paths, step) for step in ("ingest", *MEASURED)}
    return {step: manifest for step, manifest in found.items() if manifest}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tickers", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    os.environ.setdefault("JAVA_HOME", str(find_java().home))
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        Spark(config(1).spark, app_name="bench") as spark,
    ):
        prepare(spark, Path(folder), "warm", 128)
        rates = []
        for repeat in range(args.repeats):
            done = prepare(spark, Path(folder), f"measured-{repeat}", args.tickers)
            rows = int(done["ingest"].facts["rows"])
            seconds = sum(done[step].seconds for step in MEASURED)
            rates.append(rows / seconds)
            by_step = ", ".join(f"{step} {done[step].seconds:.2f} s" for step in done)
            print(f"{rows:,} rows in {seconds:.2f} s = {rates[-1] / 1e6:.2f} M rows/s ({by_step})")
        facts = spark.facts()
        with PeakMemory() as peak:  # in a separate run: reading /proc costs 10 % of a core
            prepare(spark, Path(folder), "watched", args.tickers)
    print(f"median {statistics.median(rates) / 1e6:.2f} M rows/s over {', '.join(MEASURED)}")
    print(f"peak PSS of all processes {peak.bytes / 2**30:.2f} GiB")
    print(f"Spark {facts['version']}, {facts['cores']} cores, JVM start {facts['start_s']:.1f} s (not counted)")


if __name__ == "__main__":
    main()
