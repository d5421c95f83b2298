"""What decides which numbers a worker computes with, apart from TensorFlow itself."""

from __future__ import annotations

import datetime as dt
import io
import math
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from cloudlstm import storage
from cloudlstm.config import DatasetConfig, TrainConfig
from cloudlstm.dataset import sequences, windows
from cloudlstm.dataset.inputs import Relative
from cloudlstm.dataset.reader import SequenceSet
from cloudlstm.dataset.splits import label
from cloudlstm.errors import CorruptObjectError, JobError
from cloudlstm.layout import RunLayout
from cloudlstm.manifest import write_object
from cloudlstm.training import artifacts, feed
from cloudlstm.training.checkpoint import Checkpoints
from cloudlstm.training.loop import require_finite
from cloudlstm.training.optimizer import Schedule
from cloudlstm.training.order import Order, rows_of
from cloudlstm.training.state import State
from dataset.tables import features_table

CONFIG = DatasetConfig(window_bars=10, train_end=dt.date(2021, 12, 31), validation_end=dt.date(2022, 3, 31))


@pytest.mark.parametrize("layout", ["sequences", "windows"])
def test_tensorflow_reads_the_records(tmp_path: Path, layout: str) -> None:
    table = features_table(2, 330)
    built = (sequences.build if layout == "sequences" else windows.export)(table, CONFIG)["train"]
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
        told = ~np.isnan(np.concatenate(targets))
        np.testing.assert_array_equal(np.concatenate(dates)[told], bars.dates[origins])
        np.testing.assert_array_equal(np.concatenate(targets)[told], bars.targets[origins])
        np.testing.assert_array_equal(np.concatenate(values).reshape(-1, 8)[told], bars.values[origins])


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


def test_epochs_have_orders_of_their_own() -> None:
    order = Order(windows=50, batch_windows=10, seed=3)
    assert not np.array_equal(order.permutation(0), order.permutation(1))
    assert not np.array_equal(order.permutation(0), Order(50, 10, 4).permutation(0))
    np.testing.assert_array_equal(order.permutation(7), Order(50, 10, 3).permutation(7))


def a_set(folder: Path) -> SequenceSet:
    shard = sequences.build(features_table(2, 120), CONFIG)["train"]
    row = write_object(f"file://{folder}/train", shard.data, kind="train", rows=shard.windows)
    return SequenceSet.stage([row], window_bars=10, horizon_bars=1, cache_dir=folder / "cache")


def test_calls_carry_the_steps_of_the_order_and_stop_at_an_epoch(tmp_path: Path) -> None:
    train, transform = a_set(tmp_path), Relative(1)
    order = Order(len(train), 32, seed=1)
    assert order.steps_per_epoch == 6
    made = list(
        feed.ahead(feed.calls(train, transform, order, replicas=3, local=range(1, 3), places=4, steps=range(2, 15)))
    )
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


def test_an_error_in_the_feeding_thread_reaches_the_loop() -> None:
    def broken():
        yield 1
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        list(feed.ahead(broken()))


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


def a_state(step: int = 5) -> State:
    return State(
        weights=[np.arange(6, dtype=np.float32).reshape(2, 3), np.float32([1.5])],
        slots=[np.array(step), np.zeros((2, 3), np.float32)],
        step=step,
        losses=[0.1] * step,
        history=[{"epoch": 0, "validation_loss": 1.25}],
        best=[np.ones((2, 3), np.float32), np.float32([2.5])],
        best_loss=1.25,
        waited=2,
        seconds=3.5,
    )


def test_a_state_comes_back_from_its_bytes() -> None:
    before = a_state()
    after = State.from_bytes(before.to_bytes(), "x")
    for name in ("weights", "slots", "best"):
        for mine, theirs in zip(getattr(before, name), getattr(after, name), strict=True):
            np.testing.assert_array_equal(mine, theirs)
            assert mine.dtype == theirs.dtype
    for name in ("step", "losses", "history", "best_epoch", "best_loss", "waited", "seconds"):
        assert getattr(before, name) == getattr(after, name)


@pytest.mark.parametrize("place", [0.3, 0.6, 0.99])
def test_a_damaged_state_is_found(place: float) -> None:
    data = bytearray(a_state().to_bytes())
    data[int(len(data) * place)] ^= 0xFF
    with pytest.raises(CorruptObjectError, match="checkpoint-7"):
        State.from_bytes(bytes(data), "checkpoint-7")
    with pytest.raises(CorruptObjectError):
        State.from_bytes(bytes(data[: int(len(data) * place)]), "checkpoint-7")


class Alone:
    """A cluster of this process."""

    class membership:  # noqa: N801
        chief = True

    def chosen_by_chief(self, number: int) -> int:
        return number


def test_the_newest_checkpoint_that_can_be_read_is_taken() -> None:
    layout = RunLayout("memory://checkpoints/newest")
    with Checkpoints(layout, "f", 0, writes=True) as checkpoints:
        assert checkpoints.restore(Alone()) is None
        for step in (5, 6, 100):
            checkpoints.save(a_state(step))
    uris = [found.uri for found in storage.list_objects(layout.checkpoints("f"))]
    assert uris == [layout.checkpoint("f", 6), layout.checkpoint("f", 100)], "two are kept"
    assert checkpoints.restore(Alone()).step == 100
    storage.write(uris[1], storage.read(uris[1])[:1000])
    assert checkpoints.restore(Alone()).step == 6
    with Checkpoints(layout, "another", 0, writes=True) as other:
        assert other.restore(Alone()) is None


def test_only_the_chief_writes_checkpoints() -> None:
    layout = RunLayout("memory://checkpoints/peer")
    with Checkpoints(layout, "f", 0, writes=False) as checkpoints:
        assert not checkpoints.due
        checkpoints.save(a_state())
    assert not list(storage.list_objects(layout.checkpoints("f")))


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


def test_a_loss_that_is_no_number_ends_the_training_with_its_step() -> None:
    require_finite(np.array([1.0, 2.0]), 30, "training")
    with pytest.raises(JobError, match=r"training loss is not a number at step 32.*learning_rate"):
        require_finite(np.array([1.0, np.nan, np.inf]), 30, "training")


def test_losses_come_back() -> None:
    np.testing.assert_array_equal(np.load(io.BytesIO(artifacts.losses_file([0.5, 0.25]))), [0.5, 0.25])
