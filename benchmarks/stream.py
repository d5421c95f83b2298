"""Measures a stream in one process, and with --spark the job on Spark.

    python benchmarks/stream.py [--tickers=5000] [--units=64]
    python benchmarks/stream.py --spark [--tickers=500] [--every=10]

Rates and latencies are of one machine, so its cores and load stand above them. Forecasts at every bar are bound by the
products of matrices: their rate stands beside the one that this machine could reach at most.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
from localstack.kafka.broker import tansu
from stream_parts import WINDOW, Untrained, minutes_of, published, send, show

from cloudlstm.features import FEATURE_NAMES
from cloudlstm.stream import local
from cloudlstm.stream.advance import Rules, advance
from cloudlstm.stream.batch import ALWAYS_OPEN, BatchWork
from cloudlstm.stream.documents import BatchDocument, StreamSettings
from cloudlstm.stream.forecasting import Models, NoModel
from cloudlstm.stream.journal import Journal
from cloudlstm.stream.kafka_client import Topic
from cloudlstm.stream.kernel import Kernel
from cloudlstm.stream.paths import StreamPaths
from cloudlstm.stream.sessions import always_open
from cloudlstm.stream.sinks.parquet import ParquetSink
from cloudlstm.stream.sources.kafka import KafkaOptions, KafkaSource
from cloudlstm.stream.state import State


def equal_to_the_batch(tickers: int, minutes: int) -> None:
    """Whether minute by minute gives the bits of one batch; and how long both take."""
    kernel = Kernel.of()
    rules = Rules(always_open(60), kernel, keep_bars=kernel.lookback_bars + WINDOW - 2)
    tables = minutes_of(tickers, minutes)
    began = time.perf_counter()
    whole = advance(State.empty(), pa.concat_tables(tables).unify_dictionaries(), rules).feature_table(FEATURE_NAMES)
    batch_s = time.perf_counter() - began
    by_minute = np.argsort(whole["minute"].to_numpy(), kind="stable")
    state, differ, began = State.empty(), 0, time.perf_counter()
    for number, table in enumerate(tables):
        made = advance(state, table, rules)
        state = made.state()
        part = whole.take(pa.array(by_minute[number * tickers : (number + 1) * tickers]))
        ours = made.feature_table(FEATURE_NAMES)
        for name in FEATURE_NAMES:
            differ += int((ours[name].to_numpy().view(np.int64) != part[name].to_numpy().view(np.int64)).sum())
    stream_s = time.perf_counter() - began
    print(f"{tickers} tickers x {minutes} minutes: {differ} of {tickers * minutes * len(FEATURE_NAMES)} values differ")
    print(f"  batch {batch_s:.2f} s, minute by minute {stream_s:.2f} s ({1e3 * stream_s / minutes:.0f} ms a minute)")


def from_broker_to_parquet(tickers: int, minutes: int, models: Models, what: str, newest: bool) -> float:
    """Bars a second of a backlog; returns the forecasts a second."""
    with TemporaryDirectory() as folder, tansu(Path(folder) / "broker") as (address, _):
        topic = published(address, minutes_of(tickers, minutes))
        took, batches = run(folder, topic, models, newest, local.LocalOptions(available_now=True))
        bars = sum(each.counts["used"] for each in batches)
        print(f"{what}: {bars / took:,.0f} bars/s end to end ({bars} bars in {took:.1f} s)")
        return sum(each.counts["forecasts"] for each in batches) / took


def memory_over_a_day(tickers: int, minutes: int, models: Models) -> None:
    """Memory while a session goes through, a minute at a time, from the broker to Parquet."""
    with TemporaryDirectory() as folder, tansu(Path(folder) / "broker") as (address, _):
        topic, found = published(address, minutes_of(tickers, minutes)), []
        options = local.LocalOptions(available_now=True, most_bars=tickers)
        run(folder, topic, models, newest=True, options=options, each=lambda _: found.append(resident_mib()))
        begin, middle, end = (found[int(share * (len(found) - 1))] for share in (0.1, 0.5, 1.0))
        print(f"a day of {minutes} minutes in {len(found)} batches: memory {begin:.0f} MiB after a tenth, "
              f"{middle:.0f} MiB in the middle, {end:.0f} MiB at the end")  # fmt: skip


def window_flops(units: int) -> float:
    """Floating-point operations of one window in matrix products: four gates, from the inputs and from the state."""
    return 2.0 * 4 * units * (len(FEATURE_NAMES) + units) * WINDOW


def peak_flops() -> float:
    """The most that the cores of this machine multiply in a second: large products, one thread on each core."""
    n, cores, times = 1536, os.cpu_count() or 1, 6
    left = np.random.default_rng(1).normal(size=(n, n)).astype(np.float32)

    def work(_: int) -> None:
        for _ in range(times):
            left @ left

    with ThreadPoolExecutor(cores) as pool:
        rates = []
        for _ in range(3):
            began = time.perf_counter()
            list(pool.map(work, range(cores)))
            rates.append(2.0 * n**3 * times * cores / (time.perf_counter() - began))
    return max(rates)


def at_every_bar(tickers: int, units: int) -> None:
    """The rate of forecasts at every bar, and its share of the bound; the first bars of a session have none."""
    what = f"forecasts at every bar, {units} units"
    rate, peak = from_broker_to_parquet(tickers, 390, Untrained(units), what, newest=False), peak_flops()
    bound = peak / window_flops(units)
    print(f"  {rate:,.0f} forecasts/s; {window_flops(units) / 1e6:.1f} MFLOP each at {peak / 1e9:.0f} GFLOP/s: at most "
          f"{bound:,.0f}, of which the stream reaches {rate / bound:.0%}")  # fmt: skip


def latency(tickers: int, minutes: int, models: Models, every_s: float) -> None:
    """Seconds from sending to Parquet, when the bars of all tickers come at once every few seconds."""
    with TemporaryDirectory() as folder, tansu(Path(folder) / "broker") as (address, _):
        tables, used = minutes_of(tickers, WINDOW + 30 + minutes), [0]
        topic = published(address, tables[: WINDOW + 30])
        total = tickers * len(tables)

        def count(document: BatchDocument) -> None:
            used[0] += document.counts["used"]

        options = local.LocalOptions(stop=lambda: used[0] >= total)
        timer = threading.Timer(6.0, send, (topic, tables[WINDOW + 30 :], every_s))
        timer.start()
        _, batches = run(folder, topic, models, newest=True, options=options, each=count)
        show(tickers, minutes, batches)


def run(
    folder: str, topic: Topic, models: Models, newest: bool, options: local.LocalOptions,
    each: Callable[[BatchDocument], None] = lambda _: None,
) -> tuple[float, list[BatchDocument]]:  # fmt: skip
    """Runs a stream; returns the seconds and its batches."""
    paths = StreamPaths.of(f"file://{folder}/runs", "measured")
    journal = Journal(paths)
    settings = StreamSettings(topic.uri, calendar=ALWAYS_OPEN, forecasts="newest" if newest else "all")
    source = KafkaSource(topic, KafkaOptions(), print)
    batches: list[BatchDocument] = []

    def watch(document: BatchDocument | None) -> None:
        if document is not None:
            batches.append(document)
            each(document)

    work = BatchWork(journal, journal.open(settings), models, [ParquetSink(paths)])
    began = time.perf_counter()
    local.run(source, work, journal, options, watch, print)
    took = time.perf_counter() - began
    source.close()
    return took, batches


def resident_mib() -> float:
    """Memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def main() -> None:
    if "OPENBLAS_NUM_THREADS" not in os.environ:  # as the command sets it; NumPy reads it at its import
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.argv])
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tickers", type=int)
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--spark", action="store_true", help="measure the job on Spark")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two micro-batches of Spark")
    words = parser.parse_args()
    print(f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    if words.spark:
        from stream_spark import latency_on_spark

        latency_on_spark(words.tickers or 500, 8, words.units, words.every)
        return
    tickers = words.tickers or 5000
    equal_to_the_batch(tickers, 390)
    from_broker_to_parquet(tickers, 100, NoModel(), "features only", newest=False)
    from_broker_to_parquet(tickers, 100, Untrained(words.units), "forecasts of the newest bars", newest=True)
    at_every_bar(tickers // 10, words.units)
    latency(tickers, 12, Untrained(words.units), every_s=2.0)
    memory_over_a_day(tickers, 390, Untrained(words.units))


if __name__ == "__main__":
    main()
