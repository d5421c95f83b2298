"""The step "train" as its job calls it: skipped without TensorFlow where it is done, else left to a worker."""

from __future__ import annotations

import logging

from cloudlstm.errors import JobError
from cloudlstm.runs.context import RunContext
from cloudlstm.runs.folder import remove
from cloudlstm.training.fingerprint import train_fingerprint
from cloudlstm.training.membership import Membership

_LOG = logging.getLogger(__name__)


def run(context: RunContext) -> bool:
    """Does the step "train" of a run, or skips it when it is done; returns whether this worker is the chief.

    Raises:
        JobError: there are no sequences, or the loss is not a number.
        PeerLostError: a peer was lost; all workers are to start again.
        SystemExit: after SIGTERM to this worker or a peer; the state was saved.
    """
    membership = Membership.here()
    sequences = context.load_manifest("sequences")
    if sequences is None:
        raise JobError(f"run {context.paths.run_id} has no sequences to train on", hint="submit it again")
    step = context.step("train", train_fingerprint(context.config, sequences))
    if step.finished():
        _LOG.info("train: nothing to do, its inputs have not changed")
        step.report(1, 1, "windows", finished=True, skipped=True)
        if membership.chief:  # an earlier job may have been killed before this
            remove(context.paths, context.paths.checkpoints(step.fingerprint))
        return membership.chief
    step.report(0, 0, "windows", phase="starting TensorFlow", **membership.facts)
    from cloudlstm.training import worker

    worker.train(step, membership, sequences)
    return membership.chief
