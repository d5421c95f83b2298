"""The trained run from whose weights a run starts."""

from __future__ import annotations

from cloudlstm import storage
from cloudlstm.config import RunConfig
from cloudlstm.errors import UsageError
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths


def source(config: RunConfig) -> Manifest | None:
    """The training manifest of the run in `train.weights`; None if it is not set.

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
