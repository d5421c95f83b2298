"""The training loop: epochs, best weights, early stopping, checkpoints, and a clean stop on SIGTERM."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudlstm.config import RunConfig
from cloudlstm.dataset.folds import epochs_of
from cloudlstm.dataset.inputs import Inputs
from cloudlstm.dataset.window_set import WindowSet
from cloudlstm.errors import JobError
from cloudlstm.training.checkpoint import Checkpoints, State
from cloudlstm.training.functions import Functions
from cloudlstm.training.members import Member
from cloudlstm.training.sampling import Feed, Order
from cloudlstm.workers.restarts import TERMINATED

_LOG = logging.getLogger(__name__)

ReportProgress = Callable[[int, int, dict[str, Any]], None]
"""Called with windows done, windows in all (0 during a phase in which none is counted), and further values to show."""


def require_finite(losses: NDArray[np.floating], done: int, which: str) -> None:
    """Raises JobError if a loss is not finite.

    Args:
        losses: The losses of consecutive steps.
        done: Steps before the first of them.
        which: "training" or "validation".
    """
    wrong = np.flatnonzero(~np.isfinite(losses))
    if len(wrong):
        raise JobError(
            f"the {which} loss is not a number at step {done + int(wrong[0]) + 1}",
            hint="a lower train.learning_rate, or train.precision=float32",
        )


class Trainer:
    """Trains one network from a given state.

    Args:
        functions: The compiled functions and the variables.
        config: The run's configuration.
        member: The network.
        transform: Makes the network's inputs and labels.
        train: Training windows.
        validation: Validation windows, for the best weights and early stopping.
        loaded: True if training starts from trained weights.

    Attributes:
        order: The order of the training windows.
        total_steps: Steps of the training if it does not stop early.
        best_outputs: What the best weights gave for this worker's share of the validation windows; None if an earlier
            process found these weights.
    """

    def __init__(
        self,
        functions: Functions,
        config: RunConfig,
        member: Member,
        transform: Inputs,
        train: WindowSet,
        validation: WindowSet,
        *,
        loaded: bool,
    ) -> None:
        cluster = functions.cluster
        self._functions, self._config, self._seed, self._loaded = functions, config, member.seed, loaded
        self._transform, self._validation = transform, validation
        self.order = Order(len(train), config.train.batch_windows, member.seed)
        self.total_steps = self.order.total_steps(epochs_of(config, member.fold), config.train.max_steps)
        self._feed = Feed(
            train, transform, self.order, cluster.replicas, cluster.local_replicas, config.train.steps_per_call
        )
        self.best_outputs: NDArray[np.float32] | None = None

    def compile(self) -> None:
        """Compiles before the first training, then waits for all workers; from here on every wait has a short limit."""
        if self.total_steps:
            self._functions.compile(next(self._feed.calls(range(1))))
        self._functions.cluster.barrier()

    def run(self, state: State, checkpoints: Checkpoints, report: ReportProgress) -> State:
        """Trains from `state` to the end and returns the final state; the network then has the best weights.

        Args:
            state: The state to start from; it is changed.
            checkpoints: Where states are saved.
            report: Receives the progress.

        Raises:
            JobError: the loss is not finite.
            PeerLostError: a peer was lost.
            SystemExit: with TERMINATED, after a checkpoint, if this worker or a peer received SIGTERM.
        """
        self._restore(state)
        with _sigterm_event() as stop_requested:
            if not state.history:
                report(0, 0, {"phase": f"measuring the {'loaded' if self._loaded else 'untrained'} network"})
                self._end_epoch(state, [], 0.0)
                checkpoints.save(self._snapshot(state))
            if state.step < self.total_steps:
                report(0, 0, {"phase": "first steps"})  # the first call also compiles
            while state.step < self.total_steps and state.waited < self._config.train.patience_epochs:
                self._epoch(state, checkpoints, report, stop_requested)
        self._functions.assign(state.best)
        return state

    def _epoch(
        self, state: State, checkpoints: Checkpoints, report: ReportProgress, stop_requested: threading.Event
    ) -> None:
        """Trains from the state's step to the end of its epoch."""
        per_epoch = self.order.steps_per_epoch
        epoch = state.step // per_epoch
        stop = min((epoch + 1) * per_epoch, self.total_steps)
        began, first = time.monotonic(), state.step
        before = state.seconds
        for call in self._feed.calls(range(state.step, stop)):
            losses, stopping = self._functions.step(
                call, state.step, self._seed, stop_requested=stop_requested.is_set()
            )
            require_finite(losses, state.step, "training")
            state.losses += losses.astype(float).tolist()
            state.step += call.steps
            state.seconds = before + time.monotonic() - began
            report(
                self.order.windows_seen(state.step), self.order.windows_seen(self.total_steps),
                {"epoch": epoch + 1, "loss": float(losses.mean()), "validation_loss": state.best_loss,
                 **self.yardstick(state)},
            )  # fmt: skip
            if stopping:
                checkpoints.save(self._snapshot(state))
                _LOG.info("stopping on SIGTERM: state saved at step %d", state.step)
                raise SystemExit(TERMINATED)
            if state.step < stop and checkpoints.due:
                checkpoints.save(self._snapshot(state))
        rate = (self.order.windows_seen(state.step) - self.order.windows_seen(first)) / max(
            time.monotonic() - began, 1e-9
        )
        self._end_epoch(state, state.losses[epoch * per_epoch :], rate)
        checkpoints.save(self._snapshot(state))

    def yardstick(self, state: State) -> dict[str, float]:
        """The validation loss of the naive forecast, if the untrained network is exactly this forecast."""
        exact = self._config.train.inputs == "relative" and not self._loaded and not self._config.model.build
        return {"naive_loss": state.history[0]["validation_loss"]} if exact else {}

    def _end_epoch(self, state: State, losses: list[float], windows_per_s: float) -> None:
        """Validates, keeps the weights if they are the best, and adds the epoch to the history."""
        forward = self._functions.forward
        outputs = forward.outputs(self._validation, self._transform)
        loss = forward.loss(self._validation, self._transform, outputs)
        require_finite(np.array([loss]), max(state.step - 1, 0), "validation")
        epoch = -(-state.step // self.order.steps_per_epoch)
        state.waited += 1
        # The untrained network (epoch 0) forecasts like naive. It is validated, but any trained epoch replaces it: the
        # report's LSTM row must show a trained network. Loaded weights are trained: only a better one replaces them.
        untrained = state.best_epoch == 0 and not self._loaded
        if loss < state.best_loss or (untrained and epoch > 0):
            state.best, _ = self._functions.values()
            self.best_outputs = outputs
            state.best_loss, state.best_epoch, state.waited = loss, epoch, 0
        record = {
            "epoch": epoch,
            "steps": state.step,
            "train_loss": float(np.mean(losses)) if losses else None,
            "validation_loss": loss,
            "learning_rate": float(np.asarray(self._functions.optimizer.learning_rate)),
            "seconds": round(state.seconds, 3),
            "windows_per_s": round(windows_per_s, 1),
        }
        state.history.append(record)
        _LOG.info(
            "epoch %d: step %d, train loss %s, validation loss %.6f%s, %.0f windows/s",
            epoch, state.step, f"{record['train_loss']:.6f}" if losses else "-", loss,
            " (best)" if state.waited == 0 and epoch else "", windows_per_s,
        )  # fmt: skip

    def _snapshot(self, state: State) -> State:
        """A copy of the state that training does not change any more."""
        weights, slots = self._functions.values()
        # Arrays in `best` are replaced, never changed in place, so copying the list is enough.
        lists = {"losses": list(state.losses), "history": list(state.history), "best": list(state.best)}
        return replace(state, weights=weights, slots=slots, **lists)  # type: ignore[arg-type]

    def _restore(self, state: State) -> None:
        self._functions.assign(state.weights, state.slots)
        self._functions.schedule.set_total_steps(self.total_steps)


@contextmanager
def _sigterm_event() -> Iterator[threading.Event]:
    """Inside the block, SIGTERM sets the event, so that all workers stop together between two calls.

    A second SIGTERM calls the previous handler. Outside the main thread signals stay as they are.
    """
    received = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if received.is_set() and callable(previous):
            previous(number, frame)
        received.set()

    previous = signal.signal(signal.SIGTERM, handle)
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, previous)
