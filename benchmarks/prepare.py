"""Speed and memory of the job "prepare": warm rows/s without the start of the engine, and the peak sum of PSS.

    python benchmarks/prepare.py [--engine=spark|local] [--tickers=1000] [--repeats=3]
                                 [--source=synthetic|parquet|csv|csv-by-date]

With a source of files, the market is first written to files, and ingest counts as well: 16 Parquet files of whole
tickers, one CSV file that is sorted by ticker, or one that is sorted by date.

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

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from cloudlstm.config import RunConfig, parse
from cloudlstm.market.sources.base import RemoteSource, open_source
from cloudlstm.pipeline.engine import Engine, open_engine
from cloudlstm.pipeline.prepare import run_on
from cloudlstm.runs.context import RunContext
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets.local.java import find_java
from cloudlstm.workers.memory import PeakMemory

MEASURED = ("clean", "features", "sequences")


SOURCES = ("synthetic", "parquet", "csv", "csv-by-date")
_FILES = 16
_COLUMNS = ("date", "ticker", "open", "high", "low", "close", "adj_close", "volume")


def config(tickers: int, path: Path | None = None, per_shard: int = 64) -> RunConfig:
    """The configuration for fifteen years of daily bars, of the synthetic market or of the files at a path."""
    market = {"source": "synthetic", "synthetic": {"tickers": tickers}} if path is None else {
        "source": "files", "path": str(path)
    }  # fmt: skip
    return parse({"name": "bench", "market": market | {"tickers_per_shard": per_shard}})


def write_files(kind: str, tickers: int, folder: Path) -> Path:
    """Writes the bars of the synthetic market as files of a kind; returns their folder."""
    folder = folder / f"{kind}-{tickers}"
    folder.mkdir()
    source = open_source(config(tickers, per_shard=-(-tickers // _FILES)), None)
    assert not isinstance(source, RemoteSource)
    parts = []
    for partition in source.partitions():
        table = source.read(partition).select(_COLUMNS)
        table = table.set_column(1, "ticker", table["ticker"].cast(pa.string()))
        if kind == "parquet":
            pq.write_table(table, folder / f"bars-{partition.number:02d}.parquet", compression="zstd")
        elif kind == "csv":
            with (folder / "bars.csv").open("ab") as file:
                csv.write_csv(table, file, csv.WriteOptions(include_header=partition.number == 0))
        else:
            parts.append(table)
    if parts:
        csv.write_csv(
            pa.concat_tables(parts).sort_by([("date", "ascending"), ("ticker", "ascending")]), folder / "bars.csv"
        )
    return folder


def prepare(engine: Engine, folder: Path, name: str, settings: RunConfig) -> dict[str, Manifest]:
    paths = RunPaths.of(f"file://{folder}", name)
    with Journal(paths, "prepare", "driver") as journal:
        run_on(engine, RunContext(paths, settings, 0, journal))
    found = {step: Manifest.load(paths, step) for step in ("ingest", *MEASURED)}
    return {step: manifest for step, manifest in found.items() if manifest}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tickers", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--source", choices=SOURCES, default="synthetic")
    parser.add_argument("--engine", choices=("spark", "local"), default="spark")
    args = parser.parse_args()
    if args.engine == "spark":
        os.environ.setdefault("JAVA_HOME", str(find_java().home))
    chosen = parse({"name": "bench", "prepare": {"engine": args.engine}})
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        open_engine(chosen, app_name="bench") as engine,
    ):
        files = None if args.source == "synthetic" else write_files(args.source, args.tickers, Path(folder))
        settings, counted = config(args.tickers, files), MEASURED if files is None else ("ingest", *MEASURED)
        prepare(engine, Path(folder), "warm", config(128))
        rates = []
        for repeat in range(args.repeats):
            done = prepare(engine, Path(folder), f"measured-{repeat}", settings)
            rows = int(done["ingest"].facts["rows"])
            seconds = sum(done[step].seconds for step in counted)
            rates.append(rows / seconds)
            by_step = ", ".join(f"{step} {done[step].seconds:.2f} s" for step in done)
            print(f"{rows:,} rows in {seconds:.2f} s = {rates[-1] / 1e6:.2f} M rows/s ({by_step})")
        facts = engine.facts()
        with PeakMemory(itself=True) as peak:  # in a separate run: reading /proc costs 10 % of a core
            prepare(engine, Path(folder), "watched", settings)
    print(f"median {statistics.median(rates) / 1e6:.2f} M rows/s over {', '.join(counted)}")
    print(f"peak PSS of all processes {(peak.bytes or 0) / 2**30:.2f} GiB")
    name, start = f"{facts['name']} ({facts['version']})", f"start {facts['start_s']:.1f} s (not counted)"
    print(f"engine {name}, {facts['cores']} cores, {start}")


if __name__ == "__main__":
    main()
