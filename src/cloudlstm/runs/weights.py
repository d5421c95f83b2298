"""The trained run from whose weights a run starts."""

from __future__ import annotations

from cloudlstm import storage
from cloudlstm.config import RunConfig
from cloudlstm.errors import DataError, UsageError
from cloudlstm.runs.manifest import Manifest, ManifestRow
from cloudlstm.runs.paths import RunPaths


def source(config: RunConfig) -> Manifest | None:
    """The training manifest of the run in `train.weights`; None if it is not set.

    Raises:
        UsageError: There is no finished training at that URI, or it is a walk-forward whose last network has seen
            labels of this run's test.
    """
    if config.train.weights is None:
        return None
    paths = RunPaths(storage.absolute(config.train.weights).rstrip("/"))
    manifest = Manifest.load(paths, "train")
    if manifest is None:
        raise UsageError(f"train.weights: no trained run at {paths.uri}", hint="name the folder of a finished run")
    seen = seen_until(manifest)
    if seen and str(config.dataset.validation_end) < seen[1]:
        raise UsageError(
            f"train.weights: these weights were fitted on labels up to {seen[1]}, and the test of this run begins "
            f"after {config.dataset.validation_end}",
            hint=f"dataset.train_end={seen[0]} dataset.validation_end={seen[1]}",
        )
    return manifest


def seen_until(training: Manifest) -> tuple[str, str] | None:
    """The last training and the last validation label of the network for the run, as ISO dates; None without a walk."""
    folds = training.facts.get("folds") or ()
    return (str(folds[-1]["train"][1]), str(folds[-1]["validation"][1])) if folds else None


RIDGE = "ridge"
"""Kind of the fitted ridge of the last fold, an object of the step "evaluate"."""

WEIGHTS = "weights"
"""Kind of the weights of the network that stands for a run; the others' is `member_weights`."""


def weights_row(training: Manifest, seed: int) -> ManifestRow:
    """The weights of the network with this seed in its last fold; without one, those of the network for the run.

    Raises:
        DataError: the training has no weights, or those of several networks for the run.
    """
    rows = [row for row in training.objects if row.kind in (WEIGHTS, f"member_{WEIGHTS}")]
    own = [row for row in rows if row.extra.get("seed") == seed]
    record = [row for row in rows if row.kind == WEIGHTS]
    if len(record) != 1:
        raise DataError(f"the training's manifest has {len(record)} objects of kind {WEIGHTS!r}, expected one")
    return max(own, key=lambda row: int(row.extra["fold"])) if own else record[0]
