"""kill -9 at seeded moments: nothing is lost and nothing is there twice, in the root and in a topic."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

from cloudlstm import storage
from cloudlstm.features import FEATURE_NAMES
from cloudlstm.market.bars import from_parquet
from cloudlstm.stream.advance import Rules, advance
from cloudlstm.stream.forecasting import forecast
from cloudlstm.stream.journal import Journal
from cloudlstm.stream.kafka_client import Topic
from cloudlstm.stream.kernel import Kernel
from cloudlstm.stream.paths import StreamPaths
from cloudlstm.stream.publish import FolderPublisher, by_minute
from cloudlstm.stream.sessions import always_open
from cloudlstm.stream.state import State
from stream.conftest import Broker
from stream.market import INTERVAL, WINDOW, market, predictor, table
from stream.test_kafka import publish, values_in

PROGRAM = Path(__file__).with_name("killed_streams.py")
KILLS = 20
"""Kills of each stream."""
ROWS = [row | {"minute": row["minute"] // INTERVAL * INTERVAL} for row in market(tickers=5, sessions=1, bars=60)]
ROWS += [row | {"minute": row["minute"] + 60 * INTERVAL} for row in ROWS]


def run(source: str, root: str, seed: int, kills: int, *to: str) -> None:
    """Runs the stream until a process comes to its end, and checks how many were killed before."""
    words = [sys.executable, str(PROGRAM), source, root, str(seed), str(kills), *to]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == kills


def outputs(root: str, kind: str) -> pa.Table:
    """The rows of all batches that the journal has as finished."""
    paths = StreamPaths.of(root, "killed")
    tables = []
    for batch in Journal(paths).batches():
        noted = batch.sinks["parquet"] if kind == "forecasts" else batch.outputs[kind]
        if noted["rows"]:
            tables.append(from_parquet(storage.read(paths.output(kind, batch.number))))
            assert tables[-1].num_rows == noted["rows"]
    return pa.concat_tables(tables)


def expected() -> tuple[dict[tuple[str, int], bytes], dict[tuple[str, int], float]]:
    """The features and forecasts of one undisturbed batch."""
    kernel = Kernel.of()
    rules = Rules(always_open(INTERVAL), kernel, keep_bars=kernel.lookback_bars + WINDOW - 2)
    made = advance(State.empty(), table(ROWS), rules)
    return by_key(made.feature_table(FEATURE_NAMES)), returns(forecast(made, predictor(), rules.sessions).table)


def by_key(features: pa.Table) -> dict[tuple[str, int], bytes]:
    matrix = np.stack([features[name].to_numpy() for name in FEATURE_NAMES], axis=1)
    keys = list(zip(features["ticker"].to_pylist(), features["minute"].to_pylist(), strict=True))
    assert len(set(keys)) == len(keys), "a bar is there twice"
    return {key: matrix[n].tobytes() for n, key in enumerate(keys)}


def returns(forecasts: pa.Table) -> dict[tuple[str, int], float]:
    keys = list(zip(forecasts["ticker"].to_pylist(), forecasts["minute"].to_pylist(), strict=True))
    assert len(set(keys)) == len(keys), "a forecast is there twice"
    return dict(zip(keys, forecasts["forecast_return"].to_pylist(), strict=True))


def test_landed_files(tmp_path: Path) -> None:
    publisher = FolderPublisher(f"file://{tmp_path}/landed")
    for bars in by_minute(table(ROWS)):
        publisher.send(bars)
    root, undisturbed = f"file://{tmp_path}/runs", f"file://{tmp_path}/undisturbed"
    run(f"file://{tmp_path}/landed", root, 1, KILLS)
    run(f"file://{tmp_path}/landed", undisturbed, 1, 0)
    features, forecasts = expected()
    assert by_key(outputs(root, "features")) == features
    found = returns(outputs(root, "forecasts"))
    assert found == returns(outputs(undisturbed, "forecasts")), "the same bits as those of a stream without a kill"
    assert found.keys() == forecasts.keys()
    assert max(abs(found[key] - forecasts[key]) for key in found) < 1e-6


def test_from_a_topic_to_a_topic(tansu_broker: Broker, tmp_path: Path) -> None:
    bars, out = tansu_broker.topic(), tansu_broker.topic()
    publish(bars, ROWS)
    root = f"file://{tmp_path}/runs"
    run(bars.uri, root, 3, KILLS, "parquet", out.uri)
    features, forecasts = expected()
    assert by_key(outputs(root, "features")) == features
    found = returns(outputs(root, "forecasts"))
    assert found.keys() == forecasts.keys()
    assert max(abs(found[key] - forecasts[key]) for key in found) < 1e-6
    messages = values_in(Topic.parse(out.uri))
    assert len(messages) == len(found), "a forecast is there twice, or not at all"
    assert {(each["ticker"], each["minute"]): each["forecast_return"] for each in messages} == found
