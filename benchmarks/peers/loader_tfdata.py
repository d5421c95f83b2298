"""tf.data: one Example a window, parsed and scaled batch by batch, shuffled in a buffer."""

from __future__ import annotations

from collections.abc import Iterable

import tensorflow as tf
from contender import Done, Task, main
from loader_epoch import BATCH, CLIP, SHUFFLE_BUFFER, measure

PRICES, VOLUME, RETURNS = (0, 1, 2, 3, 5, 6), 4, 7


def scaled(records: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Inputs and labels of a batch of serialized Examples; the formulas of loader_epoch.relative."""
    parsed = tf.io.parse_example(
        records,
        {"inputs": tf.io.FixedLenFeature([50, 8], tf.float32), "target": tf.io.FixedLenFeature([], tf.float32)},
    )
    windows = parsed["inputs"]
    volatility = tf.maximum(tf.sqrt(tf.reduce_mean(windows[:, :, RETURNS] ** 2, axis=1)), 1e-4)[:, None, None]
    prices = tf.math.log(tf.gather(windows, PRICES, axis=2) / windows[:, -1:, 3:4]) / (volatility * 50.0**0.5)
    volume = tf.math.log1p(tf.maximum(windows[:, :, VOLUME : VOLUME + 1], 0.0))
    volume -= tf.reduce_mean(volume, axis=1, keepdims=True)
    volume /= tf.maximum(tf.math.reduce_std(volume, axis=1, keepdims=True), 1e-3)
    returns = windows[:, :, RETURNS:] / volatility
    inputs = tf.concat([prices[:, :, :4], volume, prices[:, :, 4:], returns], axis=2)
    labels = parsed["target"] / volatility[:, 0, 0]
    return tf.clip_by_value(inputs, -CLIP, CLIP), tf.clip_by_value(labels, -CLIP, CLIP)


def work(task: Task) -> Done:
    """Delivers all windows."""
    path = task.input / "windows.tfrecord"
    options = tf.data.Options()
    options.threading.private_threadpool_size = task.threads

    def epoch() -> Iterable[tuple[tf.Tensor, tf.Tensor]]:
        dataset = tf.data.TFRecordDataset(str(path)).shuffle(SHUFFLE_BUFFER).batch(BATCH)
        return dataset.map(scaled, num_parallel_calls=task.threads).prefetch(tf.data.AUTOTUNE).with_options(options)

    return measure(epoch, task.output, store_bytes=path.stat().st_size)


if __name__ == "__main__":
    main(work, "tensorflow")
