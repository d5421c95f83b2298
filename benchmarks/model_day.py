"""A day of a model that lives from day to day: seconds by part, and rows against those of a full run.

    python benchmarks/model_day.py [--tickers=5000] [--days=3] [--versions=2] [--start=2010-01-04]

Bars of the synthetic market lie in 16 Parquet files. The networks have the default size (LSTM 128, 50 bars) and random
weights: what they forecast is worth nothing, and takes as long as after a training. The second version is a
challenger. The first day reads all bars and builds the store; the ordinary days after it are measured.

Reading the files is the fetching, which is apart: files have the whole history, so every day reads all of it. A full
run reads, cleans, computes features and makes sequences of all bars, and forecasts. Its rows are counted, not its time.
"""

from __future__ import annotations

import argparse
import datetime as dt
import io
import json
import math
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

sys.path.append(str(Path(__file__).resolve().parent / "peers"))
import machine
from parts import Parts

from cloudlstm.config import RunConfig, parse
from cloudlstm.dataset.inputs import Relative
from cloudlstm.features import FEATURE_NAMES, FeatureSet
from cloudlstm.market.calendar import sessions, to_date
from cloudlstm.market.sources.synthetic import SyntheticSource
from cloudlstm.market.store.fetch import Fetch
from cloudlstm.market.store.version import Store, Version
from cloudlstm.models import day as days
from cloudlstm.models import drift, last_bars, ledger, making, registry
from cloudlstm.models import tail as tails
from cloudlstm.models.documents import Day, Kind, Recipe
from cloudlstm.models.documents import Version as Network
from cloudlstm.models.networks import Networks
from cloudlstm.models.paths import ModelPaths
from cloudlstm.models.policy import Policy
from cloudlstm.models.tail import Tail, bars_needed
from cloudlstm.runs import numbered

YEARS, FILES, DAYS_AHEAD = 15, 16, 40
FETCHING = "read the source"
COLUMNS = ("date", "ticker", "open", "high", "low", "close", "adj_close", "volume")
PARTS: dict[str, list[tuple[Any, str]]] = {
    FETCHING: [(Fetch, "since")],
    "compare and store bars": [(last_bars, "update")],
    "read the last bars": [(Version, "tail")],
    "clean": [(tails, "clean")],
    "features": [(FeatureSet, "compute"), (tails, "join")],
    "labels": [(tails, "label")],
    "outcomes": [(days._DayWork, "_settle")],
    "forecasts": [(Networks, "forecast")],
    "checks": [(Networks, "checks")],
    "drift of inputs": [(Networks, "drift")],
    "bounds of gates": [(Networks, "watch"), (Networks, "bound")],
    "ledger": [(ledger, "append")],
}
"""Part -> the functions of a day that are its work."""
STEPS_OF_ALL_ROWS = ("ingest", "clean", "features", "sequences")


def market(tickers: int, start: dt.date) -> RunConfig:
    """The settings of a synthetic market of 15 years, and of the days after them."""
    end = start + dt.timedelta(days=math.ceil(YEARS * 365.25) + DAYS_AHEAD)
    per_file = -(-tickers // FILES)
    synthetic = {"source": "synthetic", "start": str(start), "end": str(end), "tickers_per_shard": per_file}
    return parse({"name": "day", "market": synthetic | {"synthetic": {"tickers": tickers}}, **_split(start)})


def _split(start: dt.date) -> dict[str, Any]:
    train = start + dt.timedelta(days=3650)
    return {"dataset": {"train_end": str(train), "validation_end": str(train + dt.timedelta(days=365))}}


def write_files(config: RunConfig, folder: Path) -> int:
    """Writes the bars of a synthetic market as Parquet files of whole tickers; returns their number of rows."""
    folder.mkdir()
    source, rows = SyntheticSource.open(config.market, None), 0
    for partition in source.partitions():
        table = source.read(partition).select(COLUMNS)
        table = table.set_column(1, "ticker", table["ticker"].cast(pa.string()))
        pq.write_table(table, folder / f"bars-{partition.number:02d}.parquet", compression="zstd")
        rows += table.num_rows
    return rows


def evenings(config: RunConfig, first: dt.date, number: int) -> Iterator[dt.datetime]:
    """Moments after the close of the first sessions from `first` on, before the next one opens."""
    for day in sessions(config.market.calendar, first, config.market.end)[:number]:
        date = to_date(int(day))
        yield dt.datetime(date.year, date.month, date.day, 23, 30, tzinfo=dt.UTC)


def random_weights(units: int, seed: int) -> bytes:
    """Weights of a network of random numbers, as a training writes them; its forecasts are small."""
    rng = np.random.default_rng(seed)

    def drawn(*shape: int) -> np.ndarray[Any, Any]:
        return rng.normal(0.0, 1.0 / math.sqrt(shape[0]), shape).astype(np.float32)

    file = io.BytesIO()
    arrays: dict[str, Any] = {
        "lstm.lstm_cell.kernel": drawn(len(FEATURE_NAMES), 4 * units),
        "lstm.lstm_cell.recurrent_kernel": drawn(units, 4 * units),
        "lstm.lstm_cell.bias": np.zeros(4 * units, np.float32),
        "forecast.kernel": 0.1 * drawn(units, 1),
        "forecast.bias": np.zeros(1, np.float32),
    }
    np.savez(file, **arrays)
    return file.getvalue()


def drift_reference(synthetic: RunConfig, as_of: dt.date) -> bytes:
    """Reference for the drift of inputs, from bars of a few tickers of the market up to a day."""
    few = synthetic.market.synthetic.model_copy(update={"tickers": making.MOST_TICKERS})
    smaller = synthetic.model_copy(update={"market": synthetic.market.model_copy(update={"synthetic": few})})
    source = SyntheticSource.open(smaller.market, None)
    table = pa.concat_tables([source.read(each) for each in source.partitions()]).unify_dictionaries()
    table = table.filter(pc.less_equal(table["date"], pa.scalar(as_of, pa.date32())))
    window = synthetic.dataset.window_bars
    known = sessions(synthetic.market.calendar, synthetic.market.start, as_of)
    needed = min(bars_needed(synthetic, window, making.REFERENCE_SESSIONS), len(known))
    table = table.filter(pc.greater_equal(table["date"].cast(pa.int32()), int(known[-needed])))
    last = Tail(table, synthetic, int(known[-needed]), int(known[-1]), None)
    windows = last.sample(window, making.REFERENCE_SESSIONS, making.MOST_TICKERS)
    inputs = Relative(synthetic.dataset.horizon_bars)
    names, values = making.watched(inputs.inputs(windows.values, windows.tickers)[:, -1], inputs.chosen)
    reference = drift.make_reference(names, values, windows.dates.astype(np.int64))
    return json.dumps(asdict(reference)).encode()


def make_model(root: str, config: RunConfig, versions: int, made: dt.date, reference: bytes) -> ModelPaths:
    """A model on the files of a configuration, with untrained networks."""
    paths = ModelPaths.of(root, "day")
    store = Store.of(root, config)
    policy = Policy(warm_every=None, cold_every=None)
    recipe = Recipe(paths.name, "none", config.model_dump(mode="json"), store.folder, policy)
    numbered.create(paths.recipe, asdict(recipe))
    inputs = json.dumps(Relative(config.dataset.horizon_bars).settings()).encode()
    for number in range(1, versions + 1):
        kind: Kind = "created" if number == 1 else "cold"
        version = Network(
            number, kind, "", "none", None, str(made), str(config.dataset.validation_end),
            config.dataset.window_bars, config.dataset.horizon_bars, {},
        )  # fmt: skip
        registry.add_version(paths, version, random_weights(config.model.units, number), inputs, reference)
    registry.move(paths, 1, str(made), "created", ("random weights",))
    return paths


def full_rows(bars: int, forecasts: int) -> int:
    """Rows of a full run: all bars in each step, and the forecasts."""
    return bars * len(STEPS_OF_ALL_ROWS) + forecasts


def day_rows(day: Day) -> int:
    """Rows of a day without fetching: compared, stored, read as last bars, cleaned, with features; and forecasts."""
    bars, work = day.bars, day.work
    return int(bars["rows_compared"] + bars["rows_written"] + 3 * work["tail_rows"] + work["forecasts"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tickers", type=int, default=5000)
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--versions", type=int, default=2)
    parser.add_argument("--start", type=dt.date.fromisoformat, default=dt.date(2010, 1, 4))
    args = parser.parse_args()
    facts = machine.describe()
    print(
        f"{facts['processor']}, {facts['cores']} cores, {facts['memory_gib']} GiB; commit {machine.state()['commit']}"
    )
    with tempfile.TemporaryDirectory(prefix="model-day-") as name:
        folder, synthetic = Path(name).resolve(), market(args.tickers, args.start)
        began = time.perf_counter()
        bars = write_files(synthetic, folder / "bars")
        print(f"wrote {bars:,} bars of {args.tickers:,} tickers in {time.perf_counter() - began:.0f} s", flush=True)
        first = args.start + dt.timedelta(days=math.ceil(YEARS * 365.25))
        document = synthetic.model_dump(mode="json", include={"name", "dataset"})
        files = {"source": "files", "path": str(folder / "bars"), "start": str(args.start), "end": str(first)}
        config = parse(document | {"market": files})
        reference = drift_reference(synthetic, first)
        paths = make_model(f"file://{folder}/runs", config, args.versions, first, reference)
        for number, now in enumerate(evenings(synthetic, first, args.days + 1)):
            parts, load, began = Parts(), machine.load(), time.perf_counter()
            with parts.counting(PARTS):
                day = days.run_day(paths, now)
            show(number, day, parts, time.perf_counter() - began, load, bars)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory {peak:.2f} GiB")


def show(number: int, day: Day, parts: Parts, seconds: float, load: float, bars: int) -> None:
    """Prints what a day took."""
    kind = "first day" if number == 0 else "ordinary day"
    reading = parts.seconds.get(FETCHING, 0.0)
    print(f"\n{day.date} {kind}, {day.status}, load {load}: {seconds:.1f} s", end="")
    print("" if number == 0 else f", {seconds - reading:.1f} s without fetching")
    if day.reasons:
        print("  " + "; ".join(day.reasons))
    for part, spent in parts.seconds.items():
        print(f"  {part:<24} {spent:7.2f} s")
    if number:
        own, full = day_rows(day), full_rows(bars, day.work["forecasts"])
        print(
            f"  rows: {own:,} (and {day.bars['rows_read']:,} of the source) against {full:,} of a full run: "
            f"{full / own:.0f} x less"
        )
        assert day.session, "the day made no forecasts"
    sys.stdout.flush()


if __name__ == "__main__":
    main()
