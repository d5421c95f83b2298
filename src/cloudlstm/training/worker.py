"""The step "train" on one worker: stages the data, trains all networks of the run, and writes the manifest."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from cloudlstm import __version__
from cloudlstm.dataset import folds
from cloudlstm.dataset.reader import SequenceSet
from cloudlstm.dataset.splits import SPLITS
from cloudlstm.errors import PeerLostError
from cloudlstm.runs import user_code
from cloudlstm.runs.context import StepRun
from cloudlstm.runs.folder import remove
from cloudlstm.runs.manifest import Manifest
from cloudlstm.training.checkpoint import Checkpoints
from cloudlstm.training.cluster import Cluster
from cloudlstm.training.functions import FunctionsByWidth
from cloudlstm.training.member_training import MemberTraining
from cloudlstm.training.members import Member, checkpoints_name, members_of
from cloudlstm.training.membership import Membership
from cloudlstm.training.phases import Phases, WindowCount
from cloudlstm.training.results import Result, Results
from cloudlstm.training.runtime import keras, tf


def train(step: StepRun, membership: Membership, sequences: Manifest) -> None:
    """Trains together with the peers; the chief writes the results.

    Args:
        step: The step of the run.
        membership: All workers.
        sequences: The manifest of the step "sequences".

    Raises:
        JobError: the loss is not finite.
        PeerLostError: a peer was lost.
        SystemExit: this worker or a peer received SIGTERM; the state was saved.
    """
    began = time.time()
    if len(membership.addresses) > 1:
        _phase(step, membership, "waiting for all workers")
    context = step.context
    cluster = Cluster.start(membership, context.config.train.collective_timeout_s, context.journal.flush)
    with cluster.peer_errors():
        training = _Training(step, cluster, sequences, began)
        training.train()
        if membership.chief:
            training.finish()
        training.report_finished()
    try:
        cluster.barrier()  # a peer that ends while the chief writes would count as lost
    except PeerLostError:
        if not membership.chief:
            raise


def _phase(step: StepRun, membership: Membership, name: str) -> None:
    """Reports a phase in which nothing can be counted yet."""
    step.report(0, 0, "windows", phase=name, **membership.facts)


class _Training:
    """All trainings of a run on one worker."""

    def __init__(self, step: StepRun, cluster: Cluster, sequences: Manifest, began: float) -> None:
        self.step, self.config = step, step.context.config
        self.cluster, self.began = cluster, began
        self.facts: dict[str, Any] = {}
        self.checkpoints: Checkpoints | None = None
        self.seconds: float | None = None  # of the whole step, on the worker that writes its objects
        self.phases = Phases("connect", began)
        self.phases.begin("cache")
        _phase(step, cluster.membership, "copying sequences to the cache")
        self.splits = {split: SequenceSet.of_split(sequences, split, self.config) for split in SPLITS}
        self.folds = folds.make(self.splits, self.config)
        self.members = members_of(self.config, self.folds)
        self.results = Results(step.data, self.members)
        cluster.barrier()  # later waits have short limits, and staging may take longer on one worker
        self.pids = cluster.sum(np.eye(len(cluster.membership.addresses))[cluster.membership.index] * os.getpid())

    def train(self) -> None:
        """Trains every network that no earlier job has finished; the chief writes the objects of each."""
        self.phases.begin("compile")
        functions = FunctionsByWidth(self.cluster, self.config)
        self.windows = WindowCount(self.config, self.members, self.folds)
        self.found: list[Result] = []
        for member in self.members:
            done = self.results.find(member) if self.cluster.membership.chief else None
            if self.cluster.broadcast_from_chief(int(done is not None)):
                self.windows.skip(member)
                if done:  # that job may have been killed before it removed them
                    name = checkpoints_name(self.step.fingerprint, self.members, member)
                    remove(self.step.context.paths, self.step.context.paths.checkpoints(name))
            else:
                done = self._train(functions, member)
            self.found += [done] if done else []

    def _train(self, functions: FunctionsByWidth, member: Member) -> Result | None:
        """Trains one network; returns its result on the chief."""
        own = MemberTraining(functions, self.step, self.results, self.folds[member.fold], member, self.phases)
        result = own.run(lambda done, total, facts: self._report(member, done, total, facts))
        self.checkpoints = own.checkpoints
        self.windows.finish(member, own.windows_seen)
        self.facts = own.progress_facts
        return result

    def _report(self, member: Member, done: int, total: int, facts: Mapping[str, Any]) -> None:
        """Reports the progress of one network as that of the whole step."""
        own = {**self.cluster.membership.facts, **facts}
        if len(self.members) > 1:
            own["network"] = self.windows.place(member)
        done, total = (self.windows.before + done, self.windows.total) if total else (0, 0)
        self.step.report(done, total, "windows", **own)

    def finish(self) -> None:
        """Writes the manifest of the step."""
        ended = time.time()
        self.seconds = ended - self.began
        objects = [row for result in self.found for row in result.objects]
        self.step.finish(objects, self._facts(ended), seconds=self.seconds, began=self.began)
        self.step.prune()
        if self.checkpoints:
            self.checkpoints.discard()

    def report_finished(self) -> None:
        """Reports that this worker has finished, with fewer windows than planned after an early stop."""
        self.step.report(
            self.windows.before, self.windows.before, "windows", finished=True, seconds=self.seconds,
            **self.cluster.membership.facts, **self.facts,
        )  # fmt: skip

    def _facts(self, ended: float) -> dict[str, Any]:
        """Facts about the training for the manifest: those of the network that stands for the run, and of all."""
        record = self.found[self.members.index(self.results.record)].facts
        all_seconds = sum(result.facts.training_seconds for result in self.found)
        seen = sum(result.facts.windows_seen for result in self.found)
        addresses = self.cluster.membership.addresses
        return {
            **asdict(record),
            "windows": {split: len(windows) for split, windows in self.splits.items()},
            "training_seconds": all_seconds,
            "windows_seen": seen,
            "windows_per_s": seen / all_seconds if all_seconds else None,
            "members": [asdict(result.facts) for result in self.found],
            "folds": []
            if self.config.evaluation.walk.mode == "off"
            else [folds.dates_of(fold, self.config.market) for fold in self.folds],
            "phases": self.phases.rows(ended),
            "workers": len(addresses),
            "restarts": list(self.cluster.membership.restarts),
            "replicas": self.cluster.replicas,
            "devices": list(self.cluster.devices),
            "worker_processes": [
                {"address": address, "pid": int(pid)} for address, pid in zip(addresses, self.pids, strict=True)
            ],
            "inputs": self.config.train.inputs,
            "precision": self.config.train.precision,
            "own_code": user_code.identity(filter(None, [self.config.model.build])),
            "versions": {
                "cloudlstm": __version__,
                "tensorflow": tf.__version__,
                "keras": keras.__version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
        }
