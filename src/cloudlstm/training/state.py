"""The state of a training: all that a resumed one needs to end with the same network, bit for bit."""

from __future__ import annotations

import io
import json
import math
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cloudlstm.errors import CorruptObjectError

Arrays = list[NDArray[Any]]


@dataclass
class State:
    """Where a training stands.

    Attributes:
        weights: Of the network, in its own order.
        slots: The optimizer's variables, its step counter among them.
        step: Steps done; epoch and place in the epoch follow from it.
        losses: Training loss of every step, over its global batch.
        history: One record per epoch's end, epoch 0 before the first step.
        best: The weights of the trained epoch with the lowest validation loss so far; the first ones before any.
        best_epoch: When that was.
        best_loss: And how low.
        waited: Epochs since then.
        seconds: Spent on training so far, by all attempts.
    """

    weights: Arrays
    slots: Arrays
    step: int = 0
    losses: list[float] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    best: Arrays = field(default_factory=list)
    best_epoch: int = 0
    best_loss: float = math.inf
    waited: int = 0
    seconds: float = 0.0

    def to_bytes(self) -> bytes:
        """As an .npz file."""
        small = {"step": self.step, "history": self.history, "best_epoch": self.best_epoch,
                 "best_loss": self.best_loss, "waited": self.waited, "seconds": self.seconds}  # fmt: skip
        arrays = {"small": np.frombuffer(json.dumps(small).encode(), np.uint8), "losses": np.array(self.losses)}
        for name in ("weights", "slots", "best"):
            arrays |= {f"{name}.{index}": array for index, array in enumerate(getattr(self, name))}
        file = io.BytesIO()
        np.savez(file, **arrays)  # type: ignore[arg-type]
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> Self:
        """The inverse. The caller has verified the checksum of `data`.

        Raises:
            CorruptObjectError: naming the object as `name`, when it is no checkpoint of this release.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                small = json.loads(file["small"].tobytes())
                arrays: dict[str, Any] = {
                    key: [file[f"{key}.{index}"] for index in range(sum(n.startswith(f"{key}.") for n in file.files))]
                    for key in ("weights", "slots", "best")
                }
                return cls(**arrays, losses=file["losses"].tolist(), **small)
        except Exception as error:  # zipfile and NumPy raise nearly anything for bytes that are no such file
            raise CorruptObjectError(f"{name} is no readable checkpoint: {error}") from error
