"""Keras: `fit` with the arrays in memory."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from contender import Clock, Done, Task, main

BATCH = 256
WARM_STEPS = 5


class Losses(keras.callbacks.Callback):
    """The loss of each step; Keras reports the mean of an epoch so far."""

    def __init__(self) -> None:
        super().__init__()
        self.means: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.means.append(float((logs or {})["loss"]))

    def values(self) -> np.ndarray:
        """The losses, (step,)."""
        return np.diff(np.array(self.means) * np.arange(1, len(self.means) + 1), prepend=0.0)


def work(task: Task) -> Done:
    """Trains all steps; a few steps are trained before, to compile, and undone."""
    tf.config.threading.set_intra_op_parallelism_threads(task.threads)
    tf.config.threading.set_inter_op_parallelism_threads(task.threads)
    inputs, labels = np.load(task.input / "inputs.npy"), np.load(task.input / "labels.npy")
    model = keras.Sequential([keras.Input((50, 8)), keras.layers.LSTM(128), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
    weights = np.load(task.input / "weights.npz")
    initial = [weights[name] for name in ("kernel", "recurrent", "bias", "output_kernel", "output_bias")]
    first = slice(WARM_STEPS * BATCH)
    model.fit(inputs[first], labels[first], batch_size=BATCH, shuffle=False, verbose=0)
    model.set_weights(initial)
    for variable in model.optimizer.variables:
        if variable.name != "learning_rate":
            variable.assign(tf.zeros_like(variable))
    losses = Losses()
    with Clock() as clock:
        model.fit(inputs, labels, batch_size=BATCH, shuffle=False, verbose=0, callbacks=[losses])
    np.save(task.output / "losses.npy", losses.values())
    return clock.done()


if __name__ == "__main__":
    main(work, "keras", "tensorflow")
