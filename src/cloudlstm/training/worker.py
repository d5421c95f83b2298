"""The step "train" on one worker: stages the data, trains, and on the chief writes the results."""

from __future__ import annotations

import json
import logging
import os
import platform
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudlstm import __version__
from cloudlstm.dataset.inputs import Inputs, Levels, Relative, restore
from cloudlstm.dataset.reader import SequenceSet
from cloudlstm.dataset.splits import SPLITS
from cloudlstm.errors import PeerLostError
from cloudlstm.runs.context import StepRun
from cloudlstm.runs.manifest import Manifest, ManifestRow, write_object
from cloudlstm.runs.weights import source
from cloudlstm.training import artifacts, model, objects
from cloudlstm.training.checkpoint import Checkpoints
from cloudlstm.training.cluster import Cluster
from cloudlstm.training.loop import Trainer, total_steps
from cloudlstm.training.membership import Membership
from cloudlstm.training.network import Network
from cloudlstm.training.predict import predictions_file
from cloudlstm.training.runtime import keras, tf
from cloudlstm.training.sampling import Order

_LOG = logging.getLogger(__name__)

FORECAST = tuple(split for split in SPLITS if split != "train")
"""The splits that the network forecasts."""


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
        outputs = training.forecast()
        if membership.chief:
            training.write(outputs)
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
    """One training on one worker."""

    def __init__(self, step: StepRun, cluster: Cluster, sequences: Manifest, began: float) -> None:
        self.step, self.config = step, step.context.config
        self.cluster, self.began = cluster, began
        self.seconds: float | None = None  # of the whole step, on the worker that writes its objects
        self._phases = [("connect", began)]  # with their begins
        self._begin("cache")
        _phase(step, cluster.membership, "copying sequences to the cache")
        self.splits = {split: self._stage(sequences, split) for split in SPLITS}
        cluster.barrier()  # later waits have short limits, and staging may take longer on one worker
        self.pids = cluster.sum(np.eye(len(cluster.membership.addresses))[cluster.membership.index] * os.getpid())

    def _begin(self, phase: str) -> None:
        """Ends a phase of the step and begins the next one; the report shows their durations."""
        self._phases.append((phase, time.time()))

    def _stage(self, sequences: Manifest, split: str) -> SequenceSet:
        dataset = self.config.dataset
        return SequenceSet.stage(
            sequences.of_kind(split),
            window_bars=dataset.window_bars,
            horizon_bars=dataset.horizon_bars,
            cache_dir=self.config.train.cache_dir,
        )

    def train(self) -> None:
        """Trains to the end, from the last checkpoint, the weights of another run or new weights."""
        self._begin("compile")
        config, cluster = self.config, self.cluster
        start = source(config)
        self.transform: Inputs = restore(objects.read_input_settings(start, config)) if start else self._fit_inputs()
        steps = total_steps(config, Order(len(self.splits["train"]), config.train.batch_windows, config.train.seed))
        with cluster.strategy.scope():
            self.network = model.build_model(
                config.dataset.window_bars, config.model, seed=config.train.seed, precision=config.train.precision
            )
            adam = model.build_optimizer(config.train, steps, self.network.trainable_variables)
        network = Network(self.network, on_gpu=cluster.on_gpu)
        self.trainer = Trainer(
            cluster, network, adam, config, self.transform, self.splits["train"], self.splits["validation"]
        )
        paths, every_s = self.step.context.paths, config.train.checkpoint_every_s
        with Checkpoints(paths, self.step.fingerprint, every_s, writes=cluster.membership.chief) as checkpoints:
            state = checkpoints.restore(cluster)
            if state is not None:
                _LOG.info("resuming from step %d", state.step)
            else:
                state = self.trainer.initial_state()
                if start:
                    state.weights = artifacts.read_weights(start, self.network)
            _phase(self.step, cluster.membership, "compiling")
            self.trainer.compile()
            self._begin("train")
            self.state = self.trainer.run(state, checkpoints, self._report)
        self.checkpoints = checkpoints

    def _fit_inputs(self) -> Inputs:
        if self.config.train.inputs == "levels":
            return Levels.fit(self.splits["train"])
        return Relative(self.config.dataset.horizon_bars)

    def _report(self, done: int, total: int, facts: Mapping[str, Any]) -> None:
        self.step.report(done, total, "windows", **self.cluster.membership.facts, **facts)

    def forecast(self) -> dict[str, NDArray[np.float64]]:
        """The network's outputs for all windows of each split but "train"; every worker computes its share."""
        self._begin("forecast")
        seen = self.trainer.windows_seen(self.state.step)
        self.step.report(seen, seen, "windows", phase="forecasting", **self.cluster.membership.facts)
        forward, known = self.trainer.forward, {"validation": self.trainer.best_outputs}
        outputs = {}
        for split in FORECAST:
            own = known.get(split)
            own = forward.outputs(self.splits[split]) if own is None else own
            outputs[split] = forward.gather(self.splits[split], own)
        return outputs

    def write(self, outputs: Mapping[str, NDArray[np.float64]]) -> None:
        """Writes every object of the step, then its manifest.

        Args:
            outputs: From `forecast`.
        """
        self._begin("write")
        history, network = self.state.history, self.network
        forecasts = {split: self.splits[split] for split in FORECAST}
        write = self._write_object
        written = (
            write("weights.npz", artifacts.weights_file(network), objects.WEIGHTS, network.count_params()),
            write("inputs.json", json.dumps(self.transform.settings()).encode(), objects.INPUTS, 1),
            write("model.keras", artifacts.keras_file(network, self.config), "model", network.count_params()),
            write("predictions.parquet", predictions_file(forecasts, outputs, self.transform), "predictions",
                  sum(map(len, forecasts.values()))),
            write("history.jsonl", objects.history_file(history), "history", len(history)),
            write("losses.npy", objects.losses_file(self.state.losses), "losses", self.state.step),
            write("tensorboard/events.out.tfevents.cloudlstm", artifacts.events_file(history), "events", len(history)),
        )  # fmt: skip
        ended = time.time()
        self.seconds = ended - self.began
        self.step.finish(written, self._facts(ended), seconds=self.seconds, began=self.began)
        self.step.prune()
        self.checkpoints.discard()

    def report_finished(self) -> None:
        """Reports that this worker has finished, with fewer windows than planned after an early stop."""
        seen, last = self.trainer.windows_seen(self.state.step), self.state.history[-1]
        values = {"epoch": last["epoch"], "loss": last["train_loss"], "validation_loss": self.state.best_loss}
        values |= self.trainer.yardstick(self.state)
        self.step.report(
            seen, seen, "windows", finished=True, seconds=self.seconds, **self.cluster.membership.facts, **values
        )

    def _write_object(self, name: str, data: bytes, kind: str, rows: int) -> ManifestRow:
        return write_object(self.step.data.uri(name), data, kind=kind, rows=rows)

    def _facts(self, ended: float) -> dict[str, Any]:
        """Facts about the training for the manifest."""
        begins = [begin for _, begin in self._phases]
        state, history = self.state, self.state.history
        seen = self.trainer.windows_seen(state.step)
        addresses = self.cluster.membership.addresses
        return {
            "epochs": history[-1]["epoch"],
            "best_epoch": state.best_epoch,
            "steps": state.step,
            "windows": {split: len(windows) for split, windows in self.splits.items()},
            "parameters": self.network.count_params(),
            "train_loss": history[-1]["train_loss"],
            "validation_loss": state.best_loss if len(self.splits["validation"]) else None,
            "validation_loss_untrained": history[0]["validation_loss"],
            "training_seconds": state.seconds,
            "windows_per_s": seen / state.seconds if state.seconds else None,
            "phases": [
                {"phase": name, "seconds": round(end - begin, 3)}
                for (name, begin), end in zip(self._phases, [*begins[1:], ended], strict=True)
            ],
            "workers": len(addresses),
            "restarts": list(self.cluster.membership.restarts),
            "replicas": self.cluster.replicas,
            "devices": list(self.cluster.devices),
            "worker_processes": [
                {"address": address, "pid": int(pid)} for address, pid in zip(addresses, self.pids, strict=True)
            ],
            "inputs": self.config.train.inputs,
            "precision": self.config.train.precision,
            "seed": self.config.train.seed,
            "versions": {
                "cloudlstm": __version__,
                "tensorflow": tf.__version__,
                "keras": keras.__version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
        }
