"""Measures a stream in one process.

    python benchmarks/stream.py [--tickers=5000] [--units=64]

Rates and latencies are of one machine; for ratios that hold elsewhere, each part is measured in the same run.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
from localstack.kafka.broker import tansu

from cloudlstm.dataset.inputs import Relative
from cloudlstm.features import EIGHT, FEATURE_NAMES
from cloudlstm.models.forecasts import Forecaster
from cloudlstm.stream import local
from cloudlstm.stream.advance import Rules, advance
from cloudlstm.stream.batch import ALWAYS_OPEN, BatchWork
from cloudlstm.stream.documents import BatchDocument, StreamSettings
from cloudlstm.stream.forecasting import Models, NoModel, Predictor
from cloudlstm.stream.journal import Journal
from cloudlstm.stream.kafka_client import Topic
from cloudlstm.stream.kernel import Kernel
from cloudlstm.stream.paths import StreamPaths
from cloudlstm.stream.publish import TopicPublisher
from cloudlstm.stream.sessions import always_open
from cloudlstm.stream.sinks.parquet import ParquetSink
from cloudlstm.stream.sources.kafka import KafkaOptions, KafkaSource
from cloudlstm.stream.state import State
from cloudlstm.stream.synthetic import session_bars
from cloudlstm.training.numpy_network import Network

WINDOW = 50
START = 1_704_205_800


class Untrained:
    """A network of the usual size with random weights: it takes as long as a trained one."""

    features = EIGHT

    def __init__(self, units: int) -> None:
        random, file = np.random.default_rng(1), io.BytesIO()
        shapes = {
            "lstm.lstm_cell.kernel": (len(FEATURE_NAMES), 4 * units),
            "lstm.lstm_cell.recurrent_kernel": (units, 4 * units),
            "lstm.lstm_cell.bias": (4 * units,), "forecast.kernel": (units, 1), "forecast.bias": (1,),
        }  # fmt: skip
        np.savez(file, **{name: random.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()})
        forecaster = Forecaster(Network.read(file.getvalue()), Relative(1))
        self._predictor = Predictor("untrained", WINDOW, 1, forecaster)

    def newest(self) -> str:
        return "untrained"

    def open(self, key: str) -> Predictor:
        del key
        return self._predictor


def minutes_of(tickers: int, minutes: int) -> list[pa.Table]:
    """The bars of each minute."""
    tables, _ = session_bars(tickers, START + 60 * np.arange(minutes), 1, 19_724)
    return list(tables)


def equal_to_the_batch(tickers: int, minutes: int) -> None:
    """Whether minute by minute gives the bits of one batch; and how long both take."""
    kernel = Kernel.of()
    rules = Rules(always_open(60), kernel, keep_bars=kernel.lookback_bars + WINDOW - 2)
    tables = minutes_of(tickers, minutes)
    began = time.perf_counter()
    whole = advance(State.empty(), pa.concat_tables(tables).unify_dictionaries(), rules).feature_table(FEATURE_NAMES)
    batch_s = time.perf_counter() - began
    by_minute = np.argsort(whole["minute"].to_numpy(), kind="stable")
    state, differ, memory, began = State.empty(), 0, [], time.perf_counter()
    for number, table in enumerate(tables):
        made = advance(state, table, rules)
        state = made.state()
        part = whole.take(pa.array(by_minute[number * tickers : (number + 1) * tickers]))
        ours = made.feature_table(FEATURE_NAMES)
        for name in FEATURE_NAMES:
            differ += int((ours[name].to_numpy().view(np.int64) != part[name].to_numpy().view(np.int64)).sum())
        memory.append(resident_mib())
    stream_s = time.perf_counter() - began
    print(f"{tickers} tickers x {minutes} minutes: {differ} of {tickers * minutes * len(FEATURE_NAMES)} values differ")
    print(f"  batch {batch_s:.2f} s, minute by minute {stream_s:.2f} s ({1e3 * stream_s / minutes:.0f} ms a minute)")
    print(f"  memory after a tenth of the day {memory[minutes // 10]:.0f} MiB, at its end {memory[-1]:.0f} MiB")


def from_broker_to_parquet(tickers: int, minutes: int, models: Models, what: str, newest: bool) -> None:
    """Bars a second of a backlog."""
    with TemporaryDirectory() as folder, tansu(Path(folder) / "broker") as (address, _):
        topic = Topic(address, "bars")
        publisher = TopicPublisher(topic, {}, 4)
        for table in minutes_of(tickers, minutes):
            publisher.send(table)
        publisher.close()
        batches = run(folder, topic, models, newest, local.LocalOptions(available_now=True))
        bars = sum(each.counts["used"] for each in batches[1])
        print(f"{what}: {bars / batches[0]:,.0f} bars/s end to end ({bars} bars in {batches[0]:.1f} s)")


def latency(tickers: int, minutes: int, models: Models, every_s: float) -> None:
    """Seconds from sending to Parquet, when the bars of all tickers come at once every few seconds."""
    import threading

    with TemporaryDirectory() as folder, tansu(Path(folder) / "broker") as (address, _):
        topic = Topic(address, "bars")
        publisher = TopicPublisher(topic, {}, 4)
        tables, total, used = minutes_of(tickers, WINDOW + 30 + minutes), 0, [0]
        head = pa.concat_tables(tables[: WINDOW + 30]).unify_dictionaries()
        publisher.send(head)
        publisher.close()
        total = tickers * len(tables)

        def send() -> None:
            for table in tables[WINDOW + 30 :]:
                now = pa.array(np.full(table.num_rows, time.time()))
                publisher.send(table.set_column(table.schema.get_field_index("sent"), "sent", now))
                publisher.close()
                time.sleep(every_s)

        options = local.LocalOptions(stop=lambda: used[0] >= total)
        timer = threading.Timer(6.0, send)
        timer.start()
        _, batches = run(folder, topic, models, newest=True, options=options, used=used)
        found = [each.latency_s for each in batches if each.latency_s]
        p50, p95 = np.median([each["p50"] for each in found]), max(each["p95"] for each in found)
        took = np.median([each.took_s for each in batches if each.latency_s])
        print(f"{tickers} tickers a minute with forecasts: p50 {p50:.2f} s, largest p95 {p95:.2f} s, "
              f"work of a batch {took:.2f} s, {len(found)} batches for {minutes} minutes")  # fmt: skip


def run(
    folder: str, topic: Topic, models: Models, newest: bool, options: local.LocalOptions, used: list[int] | None = None
) -> tuple[float, list[BatchDocument]]:
    """Runs a stream; returns the seconds and its batches."""
    paths = StreamPaths.of(f"file://{folder}/runs", "measured")
    journal = Journal(paths)
    settings = StreamSettings(topic.uri, calendar=ALWAYS_OPEN, forecasts="newest" if newest else "all")
    source = KafkaSource(topic, KafkaOptions(), print)
    batches: list[BatchDocument] = []

    def watch(document: BatchDocument | None) -> None:
        if document is not None:
            batches.append(document)
            if used is not None:
                used[0] += document.counts["used"]

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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickers", type=int, default=5000)
    parser.add_argument("--units", type=int, default=64)
    words = parser.parse_args()
    equal_to_the_batch(words.tickers, 390)
    from_broker_to_parquet(words.tickers, 100, NoModel(), "features only", newest=False)
    from_broker_to_parquet(words.tickers, 100, Untrained(words.units), "forecasts of the newest bars", newest=True)
    from_broker_to_parquet(words.tickers // 10, 100, Untrained(words.units), "forecasts at every bar", newest=False)
    latency(words.tickers, 12, Untrained(words.units), every_s=2.0)


if __name__ == "__main__":
    main()
