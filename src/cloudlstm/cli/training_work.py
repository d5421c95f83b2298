"""How much a run trains, before it starts: its networks, and the windows that they see."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from cloudlstm.config import RunConfig
from cloudlstm.market.calendar import sessions as session_days
from cloudlstm.market.interval import Interval
from cloudlstm.text.numbers import counted

_LEAST = dt.timedelta(days=14)
"""A calendar is asked for ranges with sessions."""


@dataclass(frozen=True, slots=True)
class TrainingWork:
    """The trainings of a run.

    Attributes:
        seeds: Networks for each fold.
        folds: Folds of the walk-forward; 1 without one.
        inputs: Groups of exogenous columns: that of the run, and those of its ablation.
        windows: Training windows of one ticker with bars on every session, over all networks and epochs, at most.
        once: The same of one network without a walk.
    """

    seeds: int
    folds: int
    inputs: int
    windows: int
    once: int

    @property
    def networks(self) -> int:
        """All networks that are trained."""
        return self.seeds * self.folds * self.inputs

    def note(self) -> str:
        """What a run with several networks trains, as a sentence; "" for one network, or if nothing is trained."""
        if self.networks == 1 or not self.windows:
            return ""
        times = self.windows / max(self.once, 1)
        parts = [counted(self.seeds, "seed"), counted(self.folds, "fold")]
        parts += [f"{counted(self.inputs, 'set')} of inputs"] if self.inputs > 1 else []
        return (
            f"{counted(self.networks, 'training')} ({' x '.join(parts)}), "
            f"about {times:,.1f} times the windows of a single one; those that stop early see fewer"
        )


def training_work(config: RunConfig) -> TrainingWork:
    """The trainings of a run, by the sessions of its calendar; its bars may have fewer."""
    from cloudlstm.dataset.folds import borders, epochs_of, sessions_of_window

    market, dataset, seeds = config.market, config.dataset, len(config.train.all_seeds)
    inputs = 1 + len(config.ablations)
    train_end = min(dataset.train_end, market.end)
    first = len(session_days(market.calendar, market.start, train_end)) if train_end - market.start > _LEAST else 0
    interval = Interval(market.interval)
    usual, reach = interval.bars_a_session, dataset.window_bars - 1
    once = max(first - dataset.window_bars, 0) * config.train.epochs
    if not interval.daily:
        own = usual if market.bridge_sessions else max(usual - dataset.window_bars, 0)  # labels of a session
        once, reach = first * own * config.train.epochs, sessions_of_window(config)
    if config.evaluation.walk.mode == "off":
        return TrainingWork(seeds, 1, inputs, once * seeds * inputs, once)
    # Labels begin when the first window is complete.
    sessions = session_days(market.calendar, market.start, market.end)[reach:]
    found = borders(sessions, config)
    windows = sum(
        max(each.train[1] - each.train[0], 0) * epochs_of(config, number) for number, each in enumerate(found)
    ) * (1 if interval.daily else own)
    return TrainingWork(seeds, max(len(found), 1), inputs, windows * seeds * inputs, once)
