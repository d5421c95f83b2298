"""cloudlstm: windows cut from sequences when they are read, in a new order of all windows each epoch."""

from __future__ import annotations

from collections.abc import Iterator

import tensorflow as tf
from contender import Done, Task, main
from loader_epoch import BATCH, folder_bytes, measure

from cloudlstm.config import parse
from cloudlstm.dataset.inputs import Relative
from cloudlstm.dataset.reader import SequenceSet
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths
from cloudlstm.training import sampling


def work(task: Task) -> Done:
    """Delivers all windows as training does, a call of 16 batches at a time."""
    config = parse({"name": "bench", "market": {"source": "synthetic"}})
    manifest = Manifest.load(RunPaths((task.input / "run").as_uri()), "sequences")
    train = SequenceSet.stage(
        manifest.of_kind("train"), window_bars=config.dataset.window_bars, horizon_bars=config.dataset.horizon_bars,
        cache_dir=task.output / "cache",
    )  # fmt: skip
    order = sampling.Order(len(train), BATCH, seed=1)
    feed = sampling.Feed(
        train, Relative(config.dataset.horizon_bars), order, replicas=1, local_replicas=range(1),
        max_steps=config.train.steps_per_call,
    )  # fmt: skip

    def epoch() -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        for call in feed.calls(range(order.steps_per_epoch)):
            inputs, labels = tf.convert_to_tensor(call.inputs), tf.convert_to_tensor(call.labels)
            for step in range(call.steps):
                rows = int((call.weights[0, step] > 0).sum())
                yield inputs[0, step, :rows], labels[0, step, :rows]

    return measure(epoch, task.output, store_bytes=folder_bytes(task.input / "run" / "data"))


if __name__ == "__main__":
    main(work, "cloudlstm", "tensorflow")
