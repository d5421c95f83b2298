"""The step "train": its fingerprint, and its run by a worker.

It is skipped without TensorFlow if it is finished, and needs none for a few forecasts without training.
"""

from __future__ import annotations

import logging

from cloudlstm import __version__
from cloudlstm.config import NON_IDENTITY, RunConfig
from cloudlstm.errors import JobError
from cloudlstm.runs import user_code
from cloudlstm.runs.context import RunContext
from cloudlstm.runs.folder import remove
from cloudlstm.runs.manifest import Manifest, fingerprint
from cloudlstm.runs.weights import source
from cloudlstm.training import forecast_only
from cloudlstm.training.members import Member, checkpoints_name
from cloudlstm.training.membership import Membership

_LOG = logging.getLogger(__name__)

_NO_INFLUENCE = NON_IDENTITY["train"] | {"workers", "steps_per_call", "weights", "seed", "seeds"}
"""Training settings that do not change the result, or count otherwise: `weights` by content, seeds as a list."""


def train_fingerprint(config: RunConfig, sequences: Manifest) -> str:
    """Hash of everything that the trained network depends on; the number of workers is not part of it."""
    start = source(config)
    return fingerprint(
        [
            __version__,
            "train",
            config.train.model_dump(mode="json", exclude=_NO_INFLUENCE),
            config.train.all_seeds,
            config.evaluation.walk.model_dump(mode="json") if config.evaluation.walk.mode != "off" else None,
            config.model.model_dump(mode="json"),
            *([user_code.identity([config.model.build])] if config.model.build else []),
            [config.exogenous.own_inputs, config.ablations],
            config.dataset.window_bars,
            config.dataset.horizon_bars,
            sequences.digest(),
            sequences.facts.get("features"),
            start.digest() if start else None,
        ]
    )


def run(context: RunContext) -> bool:
    """Runs the step "train", or skips it if it is finished; returns True on the chief.

    Raises:
        JobError: there are no sequences, or the loss is not finite.
        PeerLostError: a peer was lost; all workers must restart.
        SystemExit: this worker or a peer received SIGTERM; the state was saved.
    """
    membership = Membership.from_environment()
    sequences = context.load_manifest("sequences")
    if sequences is None:
        raise JobError(f"run {context.paths.run_id} has no sequences to train on", hint="submit it again")
    step = context.step("train", train_fingerprint(context.config, sequences))
    if done := step.finished():
        _LOG.info("train is finished for these inputs, skipped")
        step.report(1, 1, "windows", finished=True, skipped=True)
        if membership.chief:  # an earlier job may have been killed before this
            members = [
                Member(int(row["seed"]), int(row["fold"]), str(row.get("ablation", "")))
                for row in done.facts.get("members", ())
            ]
            for member in members:
                remove(context.paths, context.paths.checkpoints(checkpoints_name(step.fingerprint, members, member)))
        return membership.chief
    if start := forecast_only.start_of(context.config, sequences):
        if membership.chief:
            forecast_only.run(step, start, sequences)
        return membership.chief
    step.report(0, 0, "windows", phase="starting TensorFlow", **membership.facts)
    from cloudlstm.training import worker

    worker.train(step, membership, sequences)
    return membership.chief
