"""The fingerprint of a training, computed without TensorFlow."""

from __future__ import annotations

from cloudlstm import __version__
from cloudlstm.config import NON_IDENTITY, RunConfig
from cloudlstm.runs.manifest import Manifest, fingerprint
from cloudlstm.runs.weights import source

_NO_INFLUENCE = NON_IDENTITY["train"] | {"workers", "steps_per_call", "weights"}
"""Training settings that do not change the result. `weights` counts by content instead of by URI."""


def train_fingerprint(config: RunConfig, sequences: Manifest) -> str:
    """Hash of everything that the trained network depends on; the number of workers is not part of it."""
    start = source(config)
    return fingerprint(
        [
            __version__,
            "train",
            config.train.model_dump(mode="json", exclude=_NO_INFLUENCE),
            config.model.model_dump(mode="json"),
            config.dataset.window_bars,
            config.dataset.horizon_bars,
            sequences.digest(),
            start.digest() if start else None,
        ]
    )
