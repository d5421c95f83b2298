"""The training of another run from which a run starts."""

from __future__ import annotations

from cloudlstm import storage
from cloudlstm.config import RunConfig
from cloudlstm.errors import UsageError
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths


def source(config: RunConfig) -> Manifest | None:
    """The training that `train.weights` names as the starting point; None where it names none.

    Raises:
        UsageError: There is no finished training at that URI.
    """
    if config.train.weights is None:
        return None
    paths = RunPaths(storage.absolute(config.train.weights).rstrip("/"))
    manifest = Manifest.load(paths, "train")
    if manifest is None:
        raise UsageError(f"train.weights: no trained run at {paths.uri}", hint="name the folder of a finished run")
    return manifest
