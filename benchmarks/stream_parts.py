"""What the benchmarks of streams share: bars, a network of the usual size, and how latencies are shown."""

from __future__ import annotations

import io
import time

import numpy as np
import pyarrow as pa

from cloudlstm.dataset.inputs import Relative
from cloudlstm.features import EIGHT, FEATURE_NAMES
from cloudlstm.models.forecasts import Forecaster
from cloudlstm.stream.documents import BatchDocument
from cloudlstm.stream.forecasting import Predictor
from cloudlstm.stream.kafka_client import Topic
from cloudlstm.stream.publish import TopicPublisher
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


def published(address: str, tables: list[pa.Table]) -> Topic:
    """A topic with bars."""
    topic = Topic(address, "bars")
    publisher = TopicPublisher(topic, {}, 4)
    for table in tables:
        publisher.send(table)
    publisher.close()
    return topic


def send(topic: Topic, tables: list[pa.Table], every_s: float) -> None:
    """Publishes the bars of a minute every few seconds, with the time when they are sent."""
    publisher = TopicPublisher(topic, {})
    for table in tables:
        began = time.monotonic()
        now = pa.array(np.full(table.num_rows, time.time()))
        publisher.send(table.set_column(table.schema.get_field_index("sent"), "sent", now))
        publisher.close()
        time.sleep(max(every_s - (time.monotonic() - began), 0.0))


def show(tickers: int, minutes: int, batches: list[BatchDocument]) -> None:
    """Prints the latencies of batches."""
    measured = [each for each in batches if each.latency_s]
    p50 = np.median([each.latency_s["p50"] for each in measured])
    p95 = max(each.latency_s["p95"] for each in measured)
    took = np.median([each.took_s for each in measured])
    print(f"{tickers} tickers a minute with forecasts: p50 {p50:.2f} s, largest p95 {p95:.2f} s, "
          f"work of a batch {took:.2f} s, {len(measured)} batches for {minutes} minutes")  # fmt: skip
