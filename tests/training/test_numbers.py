"""The inputs of a worker's computation: order, batches, learning rate, files."""

from __future__ import annotations

import datetime as dt
import io
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from cloudlstm.config import DatasetConfig, TrainConfig, parse
from cloudlstm.dataset import sequences, window_export
from cloudlstm.dataset.inputs import Relative
from cloudlstm.dataset.reader import SequenceSet
from cloudlstm.dataset.splits import label
from cloudlstm.errors import JobError
from cloudlstm.runs.manifest import write_object
from cloudlstm.training import artifacts, objects
from cloudlstm.training.checkpoint import State
from cloudlstm.training.loop import ReportProgress, Trainer, require_finite
from cloudlstm.training.model import Schedule
from cloudlstm.training.sampling import Feed, Order, rows_of
from dataset.tables import features_table

CONFIG = DatasetConfig(window_bars=10, train_end=dt.date(2021, 12, 31), validation_end=dt.date(2022, 3, 31))


@pytest.mark.parametrize("layout", ["sequences", "windows"])
def test_tensorflow_reads_the_records(tmp_path: Path, layout: str) -> None:
    table = features_table(2, 330)
    built = (sequences.build if layout == "sequences" else window_export.export)(table, CONFIG)["train"]
    path = tmp_path / "shard.tfrecord"
    path.write_bytes(built.data)
    numbers = tf.io.VarLenFeature
    if layout == "sequences":
        names = {"dates": numbers(tf.int64), "values": numbers(tf.float32), "targets": numbers(tf.float32)}
    else:
        names = {"date": numbers(tf.int64), "inputs": numbers(tf.float32), "target": numbers(tf.float32)}
    parsed = [
        tf.io.parse_single_example(record, names | {"ticker": tf.io.FixedLenFeature([], tf.string)})
        for record in tf.data.TFRecordDataset(str(path))
    ]
    assert len(parsed) == built.sequences
    bars = label(table, CONFIG)
    origins = np.flatnonzero(bars.split == 0)
    tickers = [one["ticker"].numpy().decode() for one in parsed]
    dates, values, targets = (
        [tf.sparse.to_dense(one[name], default_value=0).numpy() for one in parsed] for name in list(names)[:3]
    )
    if layout == "windows":
        assert tickers == bars.tickers.take(origins).to_pylist()
        np.testing.assert_array_equal(np.concatenate(dates), bars.dates[origins])
        np.testing.assert_array_equal(np.concatenate(targets), bars.targets[origins])
        np.testing.assert_array_equal(
            np.stack(values), bars.values[origins[:, None] + np.arange(-9, 1)].reshape(-1, 80)
        )
    else:
        assert tickers == ["T000", "T001"]
        output = ~np.isnan(np.concatenate(targets))
        np.testing.assert_array_equal(np.concatenate(dates)[output], bars.dates[origins])
        np.testing.assert_array_equal(np.concatenate(targets)[output], bars.targets[origins])
        np.testing.assert_array_equal(np.concatenate(values).reshape(-1, 8)[output], bars.values[origins])


@pytest.mark.parametrize("replicas", range(1, 9))
def test_any_number_of_replicas_takes_the_same_windows(replicas: int) -> None:
    order = Order(windows=107, batch_windows=25, seed=3)
    seen: list[int] = []
    for step in range(order.steps_per_epoch):
        batch = order.permutation(0)[step * 25 : (step + 1) * 25]
        taken, total = [], 0.0
        for replica in range(replicas):
            indices, weights = rows_of(batch, 25, replicas, replica)
            assert len(indices) == math.ceil(25 / replicas)
            taken += indices[weights > 0].tolist()
            total += weights.sum(dtype=np.float64)
        assert taken == batch.tolist()
        assert total == pytest.approx(1)
        seen += taken
    assert sorted(seen) == list(range(107))


def test_each_epoch_has_its_own_order() -> None:
    order = Order(windows=50, batch_windows=10, seed=3)
    assert not np.array_equal(order.permutation(0), order.permutation(1))
    assert not np.array_equal(order.permutation(0), Order(50, 10, 4).permutation(0))
    np.testing.assert_array_equal(order.permutation(7), Order(50, 10, 3).permutation(7))


def a_set(folder: Path) -> SequenceSet:
    shard = sequences.build(features_table(2, 120), CONFIG)["train"]
    row = write_object(f"file://{folder}/train", shard.data, kind="train", rows=shard.windows)
    return SequenceSet.stage([row], window_bars=10, horizon_bars=1, cache_dir=folder / "cache")


def test_calls_follow_the_order_and_end_with_the_epoch(tmp_path: Path) -> None:
    train, transform = a_set(tmp_path), Relative(1)
    order = Order(len(train), 32, seed=1)
    assert order.steps_per_epoch == 6
    made = list(Feed(train, transform, order, replicas=3, local_replicas=range(1, 3), max_steps=4).calls(range(2, 15)))
    assert [call.steps for call in made] == [4, 4, 2, 3]
    assert sum(call.windows for call in made) == len(train) * 2 - 2 * 32 + 3 * 32
    whole = made[0]
    batch = order.permutation(0)[2 * 32 : 3 * 32]
    expected = transform.inputs(train.windows(batch), train.tickers(batch))
    np.testing.assert_array_equal(whole.inputs[0, 0], expected[11:22])
    np.testing.assert_array_equal(whole.inputs[1, 0, :10], expected[22:])
    assert whole.weights[1, 0].tolist() == [pytest.approx(1 / 32)] * 10 + [0.0]
    np.testing.assert_array_equal(
        whole.labels[0, 0], transform.labels(train.windows(batch), train.tickers(batch), train.targets(batch))[11:22]
    )


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_the_learning_rate(schedule: str) -> None:
    rate = Schedule(TrainConfig(learning_rate=0.1, warmup_steps=10, schedule=schedule), total_steps=110)
    rates = [float(rate(step)) for step in range(110)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[10] == pytest.approx(0.1)
    assert rates[60] == pytest.approx(0.05 if schedule == "cosine" else 0.1, rel=1e-4)
    assert rates[109] == pytest.approx(
        0.1 * 0.5 * (1 + math.cos(math.pi * 0.99)) if schedule == "cosine" else 0.1, rel=1e-3
    )


def test_tensorboard_events_hold_the_history(tmp_path: Path) -> None:
    record = {"epoch": 3, "train_loss": 0.5, "validation_loss": 0.25, "learning_rate": 0.1, "windows_per_s": 9.0}
    path = tmp_path / "events"
    path.write_bytes(artifacts.events_file([record | {"epoch": 0, "train_loss": None}, record]))
    found = [
        (event.step, value.tag, float(tf.make_ndarray(value.tensor)), value.metadata.plugin_data.plugin_name)
        for event in (tf.compat.v1.Event.FromString(raw.numpy()) for raw in tf.data.TFRecordDataset(str(path)))
        for value in event.summary.value
    ]
    assert (3, "epoch/validation_loss", 0.25, "scalars") in found
    assert [step for step, tag, *_ in found if tag == "epoch/train_loss"] == [3]


def test_a_loss_that_is_not_finite_ends_the_training_and_names_the_step() -> None:
    require_finite(np.array([1.0, 2.0]), 30, "training")
    with pytest.raises(JobError, match=r"training loss is not a number at step 32.*learning_rate"):
        require_finite(np.array([1.0, np.nan, np.inf]), 30, "training")


class CalmTrainer(Trainer):
    """A trainer whose epochs take one step and compute nothing."""

    def __init__(self, **settings: object) -> None:
        self._config, self._loaded = parse({"train": settings}), "weights" in settings
        self._functions = SimpleNamespace(assign=lambda _: None)  # type: ignore[assignment]
        self.total_steps = self._config.train.epochs

    def _restore(self, state: State) -> None:
        pass

    def _snapshot(self, state: State) -> State:
        return state

    def _end_epoch(self, state: State, *_: object) -> None:
        state.history.append({"validation_loss": 1.5})

    def _epoch(self, state: State, _: object, report: ReportProgress, *__: object) -> None:
        state.step += 1
        report(state.step, self.total_steps, self.yardstick(state))


@pytest.mark.parametrize(
    ("settings", "reports"),
    [
        ({"epochs": 1}, [(0, 0, "measuring the untrained network"), (0, 0, "first steps"), (1, 1, 1.5)]),
        ({"epochs": 1, "inputs": "levels"}, [(0, 0, "measuring the untrained network"), (0, 0, "first steps"), (1, 1)]),
        ({"epochs": 0, "weights": "file:///a"}, [(0, 0, "measuring the loaded network")]),
    ],
)
def test_the_progress_names_what_takes_long_before_the_first_count(
    settings: dict[str, object], reports: list[tuple[object, ...]]
) -> None:
    found: list[tuple[object, ...]] = []
    CalmTrainer(**settings).run(
        State([], []),
        SimpleNamespace(save=lambda _: None),  # type: ignore[arg-type]
        lambda done, total, facts: found.append((done, total, *facts.values())),
    )
    assert found == reports


def test_losses_survive_their_file() -> None:
    np.testing.assert_array_equal(np.load(io.BytesIO(objects.losses_file([0.5, 0.25]))), [0.5, 0.25])
