"""The folds of a walk-forward evaluation: which windows each one trains on, validates with and is tested on.

The test split is cut into stretches of `step_bars` sessions, one for each fold. Fold 0 has the borders of `dataset`:
`train_end` and `validation_end`; in each later fold both lie `step_bars` sessions later, so what was test in one fold
is validation or training in a later one. Every test label is in exactly one fold.

           sessions ------------------------------------------------------------------>
    fold 0    train .............. | validation .... | test
    fold 1    train ..................... | validation .... | test
    fold 2    train ............................ | validation .... | test
                              embargo ^        embargo ^

The labels of training and validation whose target lies in the embargo, the last sessions before a border, are not used.
In a rolling walk training begins later, too. All folds read the same staged sequences; labels that cross the borders of
`dataset` are missing in every fold, because sequences do not have them. A rest of less than half a step belongs to the
fold before.

Without a walk there is one fold with the splits as they are, without an embargo.

Lopez de Prado: Advances in Financial Machine Learning, chapter 7 (purging and embargo). Wiley, 2018.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cloudlstm.config import MarketConfig, RunConfig
from cloudlstm.dataset.splits import FORECAST, LABELLED, SPLITS
from cloudlstm.dataset.window_set import Selection, WindowSet
from cloudlstm.errors import DataError
from cloudlstm.market.calendar import to_date
from cloudlstm.market.grid import around
from cloudlstm.market.interval import Interval


@dataclass(frozen=True, slots=True)
class Fold:
    """One fold.

    Attributes:
        number: Its place in time, from 0.
        splits: Its windows by split; "forecast" is that of the run in the last fold, and missing in the others.
    """

    number: int
    splits: Mapping[str, WindowSet]


@dataclass(frozen=True, slots=True)
class Borders:
    """The borders of one fold, as numbers of sessions from the first one of the labels.

    Attributes:
        train: First session of training labels, and the one after their last target.
        validation: The same of validation.
        test: First session of the test's origins, and the one after the last of them.
    """

    train: tuple[int, int]
    validation: tuple[int, int]
    test: tuple[int, int]

    @property
    def by_split(self) -> dict[str, tuple[int, int]]:
        """The borders by split, in the order of LABELLED."""
        return dict(zip(LABELLED, (self.train, self.validation, self.test), strict=True))


def embargo_of(config: RunConfig) -> int:
    """Sessions before each border whose labels are not used."""
    chosen = config.evaluation.walk.embargo_bars
    if chosen is None and config.market.interval != "1d":
        return sessions_of_window(config)
    return config.dataset.window_bars + config.dataset.horizon_bars if chosen is None else chosen


def sessions_of_window(config: RunConfig) -> int:
    """Most sessions that a window and its label reach back over, for bars within a day; 0 if they lie in one."""
    if not config.market.bridge_sessions:
        return 0
    half_day = max(Interval(config.market.interval).bars_a_session // 2, 1)
    return -(-(config.dataset.window_bars + config.dataset.horizon_bars) // half_day)


def starts_warm(config: RunConfig, fold: int) -> bool:
    """True if the network of a fold starts from that of the fold before."""
    return config.evaluation.walk.mode != "off" and config.evaluation.walk.start == "warm" and fold > 0


def epochs_of(config: RunConfig, fold: int) -> int:
    """Most passes of a fold's network over its training windows."""
    return config.evaluation.walk.warm_epochs if starts_warm(config, fold) else config.train.epochs


def borders(sessions: NDArray[np.int32], config: RunConfig) -> list[Borders]:
    """The borders of every fold.

    Args:
        sessions: All dates on which a label has its origin or its target, sorted and unique, days since 1970-01-01.
        config: Split dates, step, mode and embargo.
    """
    walk, embargo = config.evaluation.walk, embargo_of(config)
    ends = np.array([config.dataset.train_end, config.dataset.validation_end], "datetime64[D]").astype(np.int32)
    train_end, validation_end = (int(place) for place in np.searchsorted(sessions, ends, side="right"))
    length = walk.train_bars or train_end - embargo
    # Of daily bars the last sessions are targets only.
    last_origin = len(sessions) - (config.dataset.horizon_bars if config.market.interval == "1d" else 0)
    found = []
    for later in range(0, last_origin - validation_end, walk.step_bars):
        train, validation = train_end + later, validation_end + later
        begin = max(train - embargo - length, 0) if walk.mode == "rolling" else 0
        found.append(
            Borders(
                (begin, train - embargo),
                (train, validation - embargo),
                (validation, min(validation + walk.step_bars, last_origin)),
            )
        )
    if len(found) > 1 and 2 * (found[-1].test[1] - found[-1].test[0]) < walk.step_bars:
        short = found.pop()
        found[-1] = replace(found[-1], test=(found[-1].test[0], short.test[1]))
    return found


def require_sessions(sessions: NDArray[np.int32], config: RunConfig) -> None:
    """Raises DataError if a split of a fold has no session, whatever the bars are.

    Args:
        sessions: The sessions of the bars, sorted, days since 1970-01-01.
        config: Split dates, step, mode and embargo.
    """
    if config.evaluation.walk.mode == "off":
        return
    daily = config.market.interval == "1d"
    sessions = np.unique(sessions)
    # A label needs a whole window.
    labelled = sessions[config.dataset.window_bars - 1 if daily else sessions_of_window(config) :]
    for number, each in enumerate(borders(labelled, config)):
        for split, (begin, end) in each.by_split.items():
            if end - begin <= (0 if split == "test" or not daily else config.dataset.horizon_bars):
                raise _no_label(number, split, (begin, end), labelled, config)


def make(splits: Mapping[str, WindowSet], config: RunConfig) -> list[Fold]:
    """The folds of a run over its staged splits, in the order of time.

    Args:
        splits: Windows by split, all of SPLITS.
        config: Split dates, step, mode and embargo.

    Raises:
        DataError: a split of a fold has no label.
    """
    if config.evaluation.walk.mode == "off":
        return [Fold(0, splits)]
    labelled = [splits[split] for split in LABELLED]
    origins, targets = [], []
    for own in labelled:
        numbers = np.arange(len(own))
        origins.append(own.origin_dates(numbers).astype(np.int32))
        targets.append(own.target_dates(numbers).astype(np.int32))
    if config.market.interval != "1d":
        grid = around(config.market, np.concatenate([*origins, *targets]))
        origins, targets = ([grid.session_of(each) for each in dates] for dates in (origins, targets))
    sessions = np.unique(np.concatenate([*origins, *targets]))
    origin_places, target_places = ([np.searchsorted(sessions, each) for each in dates] for dates in (origins, targets))

    def selected(begin: int, end: int, *, by_origin: bool) -> Selection:
        """The labels whose origin is not before `begin`, and whose target (or origin) is before `end`."""
        ends = origin_places if by_origin else target_places
        inside = [(first >= begin) & (last < end) for first, last in zip(origin_places, ends, strict=True)]
        return Selection(labelled, [np.flatnonzero(each) for each in inside])

    found: list[Fold] = []
    for each in borders(sessions, config):
        fold = {
            "train": selected(*each.train, by_origin=False),
            "validation": selected(*each.validation, by_origin=False),
            "test": selected(*each.test, by_origin=True),
        }
        _require_labels(fold, each, sessions, len(found), config)
        found.append(Fold(len(found), fold))
    if not found:
        raise DataError(
            f"the walk has no fold: no label lies after dataset.validation_end={config.dataset.validation_end}",
            hint="an earlier validation_end, or a later market.end",
        )
    found[-1] = Fold(len(found) - 1, {**found[-1].splits, FORECAST: splits[FORECAST]})
    return found


def _require_labels(
    splits: Mapping[str, WindowSet], borders: Borders, sessions: NDArray[np.int32], number: int, config: RunConfig
) -> None:
    """Raises DataError if a split of a fold has no label."""
    for split, places in borders.by_split.items():
        if not len(splits[split]):
            raise _no_label(number, split, places, sessions, config)


def _no_label(
    number: int, split: str, places: tuple[int, int], sessions: NDArray[np.int32], config: RunConfig
) -> DataError:
    """The error of a fold without a label in a split; folds are counted from 1, as in the report."""
    begin, end = places
    dates = sessions[np.clip([begin, max(end - 1, begin)], 0, len(sessions) - 1)]
    first, last = (str(to_date(int(day))) for day in dates)
    return DataError(
        f"fold {number + 1} of the walk has no label in {split}: the labels of {first} to {last} with an embargo of "
        f"{embargo_of(config)} sessions",
        hint="a smaller evaluation.walk.embargo_bars, a longer split, or another evaluation.walk.step_bars",
    )


def dates_of(fold: Fold, market: MarketConfig) -> dict[str, list[str]]:
    """The first and last target session of each labelled split of a fold, as ISO dates."""
    found = {}
    for split in LABELLED:
        own = fold.splits[split]
        dates = own.target_dates(np.arange(len(own)))
        ends = np.array([dates.min(), dates.max()]).astype(np.int32)
        sessions = ends if market.interval == "1d" else around(market, ends).session_of(ends)
        found[split] = [str(to_date(int(day))) for day in sessions]
    return found


def forecast_splits(fold: Fold) -> tuple[str, ...]:
    """The splits of a fold that the network forecasts, in the order of SPLITS."""
    return tuple(split for split in SPLITS if split != "train" and split in fold.splits)
