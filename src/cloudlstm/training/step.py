"""The step "train" as its job calls it: skipped without TensorFlow where it is done, else left to a worker."""

from __future__ import annotations

import logging

from cloudlstm.config import RunConfig
from cloudlstm.errors import JobError
from cloudlstm.runs.folder import remove
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.manifest import Manifest, finished
from cloudlstm.runs.paths import RunPaths
from cloudlstm.training.fingerprint import train_fingerprint
from cloudlstm.training.membership import Membership

_LOG = logging.getLogger(__name__)


def run(paths: RunPaths, config: RunConfig, journal: Journal) -> bool:
    """Does the step "train" of a run, or skips it when it is done; returns whether this worker is the chief.

    Raises:
        JobError: there are no sequences, or the loss is not a number.
        PeerLostError: a peer was lost; all workers are to start again.
        SystemExit: after SIGTERM to this worker or a peer; the state was saved.
    """
    membership = Membership.here()
    sequences = Manifest.load(paths, "sequences")
    if sequences is None:
        raise JobError(f"run {paths.run_id} has no sequences to train on", hint="submit it again")
    mark = train_fingerprint(config, sequences)
    if finished(paths, "train", mark):
        _LOG.info("train: nothing to do, its inputs have not changed")
        journal.report("train", 1, 1, "windows", finished=True, skipped=True)
        if membership.chief:  # it may have been killed between the manifest and this
            remove(paths, paths.checkpoints(mark))
        return membership.chief
    journal.report("train", 0, 0, "windows", phase="starting TensorFlow", **membership.facts)
    from cloudlstm.training import worker

    worker.train(paths, config, journal, membership, sequences, mark)
    return membership.chief
