"""What a trained network depends on; found out without TensorFlow."""

from __future__ import annotations

from cloudlstm import __version__
from cloudlstm.config import INCIDENTAL, RunConfig
from cloudlstm.runs.manifest import Manifest, fingerprint
from cloudlstm.runs.weights import source

_INFLUENCE_NOTHING = INCIDENTAL["train"] | {"workers", "steps_per_call", "weights"}
"""Settings of training that change how it runs, and not what comes of it; the weights count by their content."""


def train_fingerprint(config: RunConfig, sequences: Manifest) -> str:
    """Hash of all that the trained network depends on. How many workers train it is not part of that."""
    start = source(config)
    return fingerprint(
        [
            __version__,
            "train",
            config.train.model_dump(mode="json", exclude=_INFLUENCE_NOTHING),
            config.model.model_dump(mode="json"),
            config.dataset.window_bars,
            config.dataset.horizon_bars,
            sequences.digest(),
            start.digest() if start else None,
        ]
    )
