"""Synthetic minutes through a broker, a stream and its page: `make stream-demo`.

A ridge is fitted to the first synthetic session; then the bars of the second one are published to a broker on
127.0.0.1, many times faster than in life, and the stream forecasts each next bar.
"""

from __future__ import annotations

import datetime as dt
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm import storage
from cloudlstm.dataset.inputs import Relative
from cloudlstm.features import EIGHT
from cloudlstm.market.calendar import hours
from cloudlstm.models.forecasts import Forecaster
from cloudlstm.stream.advance import CLOSE, Rules, advance
from cloudlstm.stream.batch import sessions_of
from cloudlstm.stream.documents import StreamSettings
from cloudlstm.stream.forecasting import Predictor
from cloudlstm.stream.kafka_client import Topic
from cloudlstm.stream.kernel import Kernel
from cloudlstm.stream.local import LocalOptions
from cloudlstm.stream.paths import StreamPaths
from cloudlstm.stream.publish import TopicPublisher, replay
from cloudlstm.stream.serve import ServeOptions, serve
from cloudlstm.stream.state import State
from cloudlstm.stream.synthetic import session_bars
from localstack.kafka.broker import tansu

_TICKERS, _SEED, _WINDOW, _SPEED = 20, 7, 20, 900.0
_PENALTY = 30.0


class _Ridge:
    """A ridge fitted to the bars of one session, as the only model."""

    features = EIGHT

    def __init__(self, bars: pa.Table, settings: StreamSettings) -> None:
        kernel, inputs = Kernel.of(), Relative(1)
        made = advance(
            State.empty(), bars, Rules(sessions_of(settings), kernel, keep_bars=kernel.lookback_bars + _WINDOW - 2)
        )
        rows, features = made.rows, made.features.astype(np.float32)
        ends = np.arange(_WINDOW - 1, len(rows) - 1)
        whole = np.asarray(np.isfinite(features).all(axis=1))
        ends = ends[(rows.code[ends + 1] == rows.code[ends - _WINDOW + 1]) & whole[ends - _WINDOW + 1]]
        windows = features[ends[:, None] + np.arange(1 - _WINDOW, 1)]
        names = np.full(len(ends), "")
        x = inputs.inputs(windows, names).reshape(len(ends), -1).astype(np.float64)
        close = rows.values[:, CLOSE]
        y = inputs.labels(windows, names, np.log(close[ends + 1] / close[ends]).astype(np.float32))
        weights = np.linalg.solve(x.T @ x + _PENALTY * np.eye(x.shape[1]), x.T @ y)

        def outputs(found: NDArray[np.float32]) -> NDArray[np.floating]:
            return found.reshape(len(found), -1) @ weights

        self._predictor = Predictor("ridge of the first session", _WINDOW, 1, Forecaster(outputs, inputs))

    def newest(self) -> str:
        return "demo"

    def open(self, key: str) -> Predictor:
        del key
        return self._predictor


def main() -> None:
    root = storage.absolute("runs")
    paths = StreamPaths.of(root, f"demo-{dt.datetime.now():%H%M%S}")
    own = hours("XNYS", dt.date(2024, 1, 2), dt.date(2024, 1, 5))
    days, minutes = own.days, [60 * np.arange(own.opens[n], own.closes[n], dtype=np.int64) for n in range(2)]
    first, close = session_bars(_TICKERS, minutes[0], _SEED, int(days[0]))
    second, _ = session_bars(_TICKERS, minutes[1], _SEED, int(days[1]), close)
    with TemporaryDirectory() as folder, tansu(Path(folder) / "broker") as (address, _):
        topic = Topic(address, "bars.1m")
        settings = StreamSettings(topic.uri)
        model = _Ridge(pa.concat_tables(first).unify_dictionaries(), settings)
        publisher = TopicPublisher(topic, {}, partitions=4)
        wanted, used, late = _TICKERS * len(minutes[1]), 0, time.monotonic() + 55.0
        say = sys.stderr.write
        say(f"{wanted} synthetic bars, {_SPEED:.0f} times faster than in life; the page: {paths.page}\n")
        thread = threading.Thread(target=replay, args=(second, publisher, _SPEED, 60), daemon=True)
        thread.start()

        def count(document: object) -> None:
            nonlocal used
            used += document.counts["used"]  # type: ignore[attr-defined]

        def tell(text: str) -> None:
            say(f"{text}\n")

        options = ServeOptions(local=LocalOptions(stop=lambda: used >= wanted or time.monotonic() > late))
        serve(root, paths, settings, options, tell, print, count, models=model)
        print(paths.page)


if __name__ == "__main__":
    main()
