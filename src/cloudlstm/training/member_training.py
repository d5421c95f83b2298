"""The training of one network of a run: from its first weights to its forecasts and objects."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudlstm.dataset.folds import Fold, forecast_splits, starts_warm
from cloudlstm.dataset.inputs import Inputs, make, restore
from cloudlstm.runs.context import StepRun
from cloudlstm.runs.manifest import read_object
from cloudlstm.runs.weights import WEIGHTS, source, weights_row
from cloudlstm.training import artifacts, importance, objects
from cloudlstm.training.checkpoint import Arrays, Checkpoints, State
from cloudlstm.training.functions import FunctionsByWidth
from cloudlstm.training.loop import ReportProgress, Trainer
from cloudlstm.training.members import Member, checkpoints_name
from cloudlstm.training.phases import Phases
from cloudlstm.training.predict import predictions_file
from cloudlstm.training.results import NetworkFacts, Result, Results
from cloudlstm.workers import memory

_LOG = logging.getLogger(__name__)


class MemberTraining:
    """The training of one network on one worker.

    Args:
        functions: The compiled functions and the variables, for any number of inputs.
        step: The step of the run.
        results: Names and writes the network's objects.
        fold: The windows.
        member: The network.
        phases: Measures the phases of the step.

    Attributes:
        checkpoints: Its checkpoints. With several networks they are discarded when this one is finished, else when the
            manifest of the step is written.
        windows_seen: Training windows seen so far.
        progress_facts: Values of the last progress report.
    """

    def __init__(
        self, functions: FunctionsByWidth, step: StepRun, results: Results, fold: Fold, member: Member, phases: Phases
    ) -> None:
        self._by_width, self._step, self._results = functions, step, results
        self._fold, self._member, self._phases = fold, member, phases
        self._config, self._cluster = step.context.config, functions.cluster
        self._start = source(self._config)
        self._single = len(results.members) == 1
        self._warm = starts_warm(self._config, member.fold)
        self.checkpoints = Checkpoints(
            step.context.paths, checkpoints_name(step.fingerprint, results.members, member),
            self._config.train.checkpoint_every_s, writes=self._cluster.membership.chief,
        )  # fmt: skip
        self.windows_seen = 0
        self.progress_facts: dict[str, Any] = {}

    def run(self, report: ReportProgress) -> Result | None:
        """Trains, forecasts, and on the chief writes the objects; returns the result there, and None elsewhere.

        Args:
            report: Receives the progress of this network.
        """
        memory.begin_peak()
        began, fold, config = time.time(), self._fold.splits, self._config
        self._phases.begin("compile")
        self._transform = self._make_transform()
        self._functions = self._by_width[self._transform.width]
        warm = self._warm
        trainer = Trainer(
            self._functions, config, self._member, self._transform, fold["train"], fold["validation"],
            loaded=warm or self._start is not None,
        )  # fmt: skip
        with self.checkpoints as checkpoints:
            state = checkpoints.restore(self._cluster)
            if state is not None:
                _LOG.info("resuming%s from step %d", self._called(), state.step)
            else:
                state = self._functions.initial_state(self._member.seed)
                if loaded := self._loaded_weights(warm=warm):
                    state.weights = loaded
            report(0, 0, {"phase": "compiling"})
            trainer.compile()
            self._phases.begin("train")
            if not self._single:
                _LOG.info("training%s on %d windows", self._called(), len(fold["train"]))
            state = trainer.run(state, checkpoints, report)
        self.windows_seen = trainer.order.windows_seen(state.step)
        self.progress_facts = {
            "epoch": state.history[-1]["epoch"], "loss": state.history[-1]["train_loss"],
            "validation_loss": state.best_loss, **trainer.yardstick(state),
        }  # fmt: skip
        outputs = self._forecast(trainer, report)
        measured = self._importance(report)
        if not self._cluster.membership.chief:
            return None
        self._phases.begin("write")
        result = Result(self._write(state, outputs, measured), self._facts(state, time.time() - began))
        if not self._single:
            self._results.finish(self._member, result)
            checkpoints.discard()
        return result

    def _called(self) -> str:
        """Names the network in the log of a run that has several."""
        return "" if self._single else f" {self._member.name}"

    def _make_transform(self) -> Inputs:
        train = self._fold.splits["train"]
        if self._start:
            return restore(objects.read_input_settings(self._start, self._config), train.features)
        return make(self._config, train, self._member.ablation or self._config.exogenous.own_inputs)

    def _loaded_weights(self, *, warm: bool) -> Arrays | None:
        """The weights of the fold before, or those of another run; None for new weights."""
        model = self._functions.model
        if warm:
            before = replace(self._member, fold=self._member.fold - 1)
            return artifacts.weights_of_file(
                self._results.read(before, "weights.npz"), before.name, model, self._config
            )
        if self._start:
            row = weights_row(self._start, self._member.seed)
            return artifacts.weights_of_file(read_object(row), row.uri, model, self._config)
        return None

    def _forecast(self, trainer: Trainer, report: ReportProgress) -> dict[str, NDArray[np.float64]]:
        """The network's outputs for all windows of each split but "train"; every worker computes its share."""
        self._phases.begin("forecast")
        report(self.windows_seen, self.windows_seen, {"phase": "forecasting"})
        forward, known = self._functions.forward, {"validation": trainer.best_outputs}
        outputs = {}
        for split in forecast_splits(self._fold):
            windows, own = self._fold.splits[split], known.get(split)
            own = forward.outputs(windows, self._transform) if own is None else own
            outputs[split] = forward.gather(windows, own)
        return outputs

    def _importance(self, report: ReportProgress) -> dict[str, Any] | None:
        """How much the network that stands for the run relies on each input; None for others, and without further ones.

        Every worker computes its share.
        """
        test = self._fold.splits.get("test")
        if self._member != self._results.record or test is None or not importance.is_measured(self._transform, test):
            return None
        self._phases.begin("importance")
        report(self.windows_seen, self.windows_seen, {"phase": "measuring the importance of the features"})
        return importance.importance(self._functions.forward, self._member, test, self._transform)

    def _write(
        self, state: State, outputs: Mapping[str, NDArray[np.float64]], measured: dict[str, Any] | None
    ) -> tuple[Any, ...]:
        """Writes the network's objects and returns their manifest rows."""
        model, history, member = self._functions.model, state.history, self._member
        splits = {split: self._fold.splits[split] for split in outputs}
        file = predictions_file(member, splits, outputs, self._transform)

        def write(name: str, data: bytes, kind: str, rows: int) -> Any:
            return self._results.write(member, name, data, kind, rows)

        written = [
            write("weights.npz", artifacts.weights_file(model, self._config), WEIGHTS, model.count_params()),
            write("inputs.json", json.dumps(self._transform.settings()).encode(), objects.INPUTS, 1),
            write("predictions.parquet", file, "predictions", sum(map(len, splits.values()))),
            write("history.jsonl", objects.history_file(history), "history", len(history)),
            write("losses.npy", objects.losses_file(state.losses), "losses", state.step),
        ]
        if member == self._results.record:
            events = artifacts.events_file(history)
            written += [
                write("model.keras", artifacts.keras_file(model, self._config), "model", model.count_params()),
                write("tensorboard/events.out.tfevents.cloudlstm", events, "events", len(history)),
            ]
        if measured:
            data = json.dumps(measured).encode()
            written.append(write("importance.json", data, objects.IMPORTANCE, len(measured["features"])))
        return tuple(written)

    def _facts(self, state: State, seconds: float) -> NetworkFacts:
        """Facts about this training for the manifest."""
        history, splits = state.history, self._fold.splits
        peak = memory.peak_bytes()
        return NetworkFacts(
            seed=self._member.seed,
            fold=self._member.fold,
            inputs=self._member.ablation or self._config.exogenous.own_inputs,
            ablation=self._member.ablation,
            epochs=history[-1]["epoch"],
            best_epoch=state.best_epoch,
            steps=state.step,
            windows={split: len(windows) for split, windows in splits.items()},
            windows_seen=self.windows_seen,
            parameters=self._functions.model.count_params(),
            train_loss=history[-1]["train_loss"],
            validation_loss=state.best_loss if len(splits["validation"]) else None,
            validation_loss_untrained=None if self._warm else history[0]["validation_loss"],
            training_seconds=state.seconds,
            seconds=round(seconds, 3),
            peak_memory_mib=None if peak is None else round(peak / 2**20),
        )
