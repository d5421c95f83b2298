"""The random numbers of one training step, from (seed, step).

Masks of dropout are drawn for the global batch, and each replica takes its rows. So they do not depend on the number of
replicas, and a resumed training draws the same ones.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cloudlstm.training.runtime import tf

_KERAS_RANDOM = "keras.src.backend.tensorflow.random"
"""Where Keras has the function `dropout` that its layers call; it has no public place."""


@dataclass(frozen=True, slots=True)
class Draws:
    """The random numbers of one step on one replica.

    Attributes:
        seed: Of the training, a scalar tensor.
        step: Number of the step in the whole training, a scalar tensor.
        replica: Global number of the replica, a scalar tensor.
        batch: Rows of the global batch.
        rows: Rows of a replica, padding included.
        replicas: Replicas of all workers.
    """

    seed: Any
    step: Any
    replica: Any
    batch: int
    rows: int
    replicas: int

    def mask(self, units: int, rate: float) -> Any:
        """The replica's rows of the global dropout mask, (row, unit): 0 or 1 / (1 - rate)."""
        return self._mask((units,), rate, tf.stack([self.seed, self.step]))

    def seeds(self, count: int) -> Any:
        """Seeds for so many generators of random numbers, (count, 2), the same on all replicas."""
        key = tf.stack([self.seed, self.step])
        return tf.random.stateless_uniform((count, 2), key, minval=0, maxval=2**31 - 1, dtype=tf.int32, alg="philox")

    @contextmanager
    def for_layers(self) -> Iterator[None]:
        """Inside the block, layers of Keras draw their dropout masks for the global batch.

        That holds for masks with a row for each row of the replica. Other random numbers of layers, such as noise,
        depend on the replica.
        """
        module: Any = importlib.import_module(_KERAS_RANDOM)
        original: Callable[..., Any] = module.dropout

        def dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
            shape = _mask_shape(inputs.shape, noise_shape)
            if not 0 < rate < 1 or shape[:1] != [self.rows] or None in shape:
                return original(inputs, rate, noise_shape, seed)
            mask = self._mask(tuple(shape[1:]), rate, module._cast_seed(module.draw_seed(seed)))
            return inputs * tf.cast(mask, inputs.dtype)

        module.dropout = dropout
        try:
            yield
        finally:
            module.dropout = original

    def _mask(self, shape: tuple[int, ...], rate: float, key: Any) -> Any:
        """The replica's rows of a mask for the global batch, (row, *shape)."""
        # Not "auto", which differs by device.
        drawn = tf.random.stateless_uniform((self.batch, *shape), key, alg="philox")
        mask = tf.cast(drawn >= rate, tf.float32) / (1.0 - rate)
        mask = tf.pad(mask, [[0, self.rows * self.replicas - self.batch], *([[0, 0]] * len(shape))])
        return tf.reshape(mask, (self.replicas, self.rows, *shape))[self.replica]


def _mask_shape(shape: Any, noise_shape: Any) -> list[Any]:
    """The shape of a dropout mask, with None for unknown sizes; empty if it is not known when the step is compiled."""
    if shape.rank is None or not (noise_shape is None or isinstance(noise_shape, tuple | list)):
        return []
    given = [None] * shape.rank if noise_shape is None else noise_shape
    return [size if own is None else own for own, size in zip(given, shape, strict=True)]
