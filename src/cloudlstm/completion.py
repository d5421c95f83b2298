"""Whether a run is finished already: found out where preparation ran, so that no trainer is started for nothing."""

from __future__ import annotations

from cloudlstm import attempts, storage
from cloudlstm.config import RunConfig
from cloudlstm.layout import RunLayout
from cloudlstm.manifest import Manifest, finished


def note(layout: RunLayout, config: RunConfig) -> None:
    """Leaves word for the launcher if training and evaluation are done for what preparation has made."""
    sequences = Manifest.load(layout, "sequences")
    if sequences is None or Manifest.load(layout, "evaluate") is None:
        return
    from cloudlstm.evaluation.evaluate import known
    from cloudlstm.training.fingerprint import train_fingerprint

    if finished(layout, "train", train_fingerprint(config, sequences)) and known(layout, config):
        attempts.require_current(layout)
        storage.write_json(layout.complete(attempts.joined(layout)), {})
